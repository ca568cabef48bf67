"""One trial: clients start, the experiment runs in its child, everything is healed, clients stop, all is read back."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any, Protocol

from drills import experiment, hooks, jitter, processes
from drills.errors import TargetError
from drills.guard import Guard
from drills.healing import heal_open_faults
from drills.interruption import held
from drills.keeper import Keeper
from drills.load.clients import Audience, Clients
from drills.load.readback import read_back
from drills.processes import Frozen
from drills.recording.record import Event, EventWriter, ReadBack
from drills.recording.rundir import RunDir
from drills.sampling import sampling
from drills.spec import Drill
from drills.targets.base import Target
from drills.watch import Glance, Watch

CLIENTS_UP_S = 30.0
TICK_S = 0.2
BASELINE_S = 10.0


class Observer(Protocol):
    """Somebody who watches a run: the terminal, or nobody."""

    def event(self, event: Event) -> None: ...

    def glance(self, glance: Glance) -> None: ...

    def progress(self, what: str, done: float | None = None, total: float | None = None) -> None: ...


@dataclass(frozen=True)
class Trial:
    """What a trial needs; ``number`` 0 is the baseline, in which nothing is broken."""

    run: RunDir
    drill: Drill
    target: Target
    audience: Audience
    seed: int
    observer: Observer
    number: int = 0
    trials: int = 1
    """How many are planned: the moments of their faults are spread over the target's longest period."""
    identity: str = ""
    """What is served: names the model or the data set, so that a baseline of another one is told apart."""
    earlier: tuple[str, ...] = ()
    """The ids of the runs that used the same deployment before."""
    keeper: Keeper | None = None
    """Who heals should this process die or stall; None where nothing is broken."""

    def jitter_s(self) -> float:
        """How much later (s) than after ``settle_s`` this trial's method begins."""
        period = jitter.period_s(self.target.deployment.about)
        return jitter.jitter_s(self.seed, self.number, self.trials, len(self.drill.variants), period)

    def clients(self) -> Clients:
        """The client processes of this trial, not started yet."""
        return Clients(self.run, self.drill, self.target.deployment, self.audience, self.number, self.seed)


def run_trial(trial: Trial) -> list[ReadBack]:
    """Run one trial to its end and return what was read back; whatever happens, its faults are healed."""
    events = EventWriter(trial.run.events, trial.number)
    variant = trial.drill.variant_of(trial.number)
    delay, planned = trial.jitter_s(), len(trial.drill.faults(variant))
    name = variant.name if variant else None
    begin = events.write("trial.started", variant=name, planned=planned, jitter_s=round(delay, 6)).t
    clients = trial.clients()
    watch = Watch.on(clients.parts(), trial.run.events)
    try:
        clients.start()
        _wait_for_clients(clients)
        events.write("load.started", rates=clients.rates, users=trial.drill.load.users, load_rps=clients.load_rps)
        prompt = trial.keeper.prompt() if trial.keeper else contextlib.nullcontext()
        with sampling(trial.target, trial.run.events, trial.number), prompt:
            _follow(trial, watch, clients, trial.drill.settle_s + delay)
            _run_experiment(trial, watch, clients, events)
            _follow(trial, watch, clients, trial.drill.tail_s)
    except (TargetError, OSError) as error:
        _note(trial.run, events, "abort", reason=str(error))
        raise
    finally:
        _note(trial.run, events, "load.stopped")
        clients.stop()
        _copy_sightings(trial, events, begin)
        watch.close()
    rows = read_back(trial.target.deployment, clients.id_prefix, trial.number, events, clients.parts())
    events.write("trial.ended")
    events.close()
    return rows


@dataclass(frozen=True)
class Steadily:
    """The stretch of a baseline in which all clients were there, in ns."""

    since: int
    until: int

    @property
    def seconds(self) -> float:
        return (self.until - self.since) / 1e9


def run_baseline(trial: Trial) -> Steadily:
    """Run the clients alone until every evaluation user was asked once, at least ``settle_s``; nothing is broken."""
    clients = trial.clients()
    watch = Watch.on(clients.parts(), trial.run.events)
    try:
        clients.start()
        _wait_for_clients(clients)
        since, seconds = time.monotonic_ns(), baseline_seconds(trial.drill, trial.audience, clients.rates["quality"])
        while (passed := (time.monotonic_ns() - since) / 1e9) < seconds:
            trial.observer.progress("recording a baseline: nothing is broken yet", passed, seconds)
            _look(trial, watch, clients)
            time.sleep(min(TICK_S, seconds - passed))
        return Steadily(since, since + round(seconds * 1e9))
    finally:
        clients.stop()
        watch.close()


def baseline_seconds(drill: Drill, audience: Audience, quality_per_s: float) -> float:
    """How long a baseline takes: one whole pass over the evaluation users, or 10 s where none are asked."""
    once = len(audience.evaluation) / quality_per_s + 1.0 if quality_per_s > 0 else BASELINE_S
    return max(drill.settle_s, once)


def _run_experiment(trial: Trial, watch: Watch, clients: Clients, events: EventWriter) -> None:
    """Run the experiment under the guard's eyes; then heal what it left broken."""
    child = experiment.start(trial.run, trial.drill, trial.number, trial.target.reference)
    guard, frozen = Guard(trial.drill.guard), Frozen(child.pid, "the experiment's process")
    try:
        while child.poll() is None:
            glance = _look(trial, watch, clients)
            if reason := guard.judge(glance) or trial.run.short_of_room() or frozen.for_too_long():
                _note(trial.run, events, "abort", reason=reason)
                break
            time.sleep(TICK_S)
        if child.returncode not in (0, None):
            _note(
                trial.run, events, "abort", reason=f"the experiment's process ended with {child.returncode}; see logs"
            )
    finally:
        # Whoever asks recdr to stop by now has to wait until all is healed.
        with held(), trial.keeper.unhurried() if trial.keeper else contextlib.nullcontext():
            processes.stop(child, 0.0)
            hooks.end_interrupted(trial.run.logs / hooks.LOG)
            heal_open_faults(trial.run.path, trial.target)
        with contextlib.suppress(TargetError):  # whatever it is, what raised the present error is told first
            _look(trial, watch, clients)


def _wait_for_clients(clients: Clients) -> None:
    """Return once every client process has written down its first request."""
    deadline = time.monotonic() + CLIENTS_UP_S
    while not clients.ready():
        clients.check()
        if time.monotonic() > deadline:
            raise TargetError(f"the clients sent nothing within {CLIENTS_UP_S:.0f} s; see {clients.run.logs}")
        time.sleep(0.05)


def _follow(trial: Trial, watch: Watch, clients: Clients, seconds: float) -> None:
    """Let the clients go on for ``seconds`` and show what they see."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        _look(trial, watch, clients)
        time.sleep(min(TICK_S, left))


def _note(run: RunDir, events: EventWriter, kind: str, **data: Any) -> None:
    """Write an event if the disk allows it: what is under way must go on where it does not."""
    run.last_words(lambda: events.write(kind, **data))


def _look(trial: Trial, watch: Watch, clients: Clients) -> Glance:
    if trial.keeper:
        trial.keeper.check()
    clients.check()
    for event in watch.new_events():
        trial.observer.event(event)
    glance = watch.glance()
    trial.observer.glance(glance)
    return glance


def _copy_sightings(trial: Trial, events: EventWriter, begin_ns: int) -> None:
    """Take over what the target saw by itself meanwhile: servers marked down, stores promoted, processes ended."""
    with contextlib.suppress(TargetError, OSError):  # of a full disk the next words will tell
        for seen in trial.target.sightings(begin_ns):
            events.write(seen.kind, t=seen.t, **seen.data)
