"""A drill from beginning to end: the straight line of a run."""

from __future__ import annotations

import dataclasses
import secrets
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from drills import baseline, experiment, judging, record, rundir
from drills.errors import Interrupted, RecdrError, TargetError, UsageError
from drills.home import home
from drills.record import EventWriter, ReadBack
from drills.rundir import RunDir
from drills.spec import Drill
from drills.system import EVALUATION_SEED, System, open_system
from drills.targets import opening
from drills.targets.opening import Wanted
from drills.trial import Observer, Trial, run_baseline, run_trial

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Options:
    """What the command line may say about a run beyond the drill file."""

    trials: int | None = None
    seed: int | None = None
    out: Path | None = None
    accelerator: str | None = None
    ephemeral: bool = False
    port: int = 0
    command: tuple[str, ...] = field(default=())


def run(drill: Drill, options: Options, observer: Observer) -> RunDir:
    """Run the drill and return its run directory with verdict and report in it.

    Whatever it broke is healed before this returns or raises; an ephemeral lab is gone. Raises RecdrError: a run that
    was refused leaves no directory, one that was interrupted or whose target failed leaves what was recorded, judged.
    """
    if options.trials is not None and options.trials < len(drill.variants):
        raise UsageError(f"--trials {options.trials}: the drill has {len(drill.variants)} variants, or some never run")
    run_dir = rundir.create(options.out or home() / "runs", drill.path.stem)
    shutil.copyfile(drill.path, run_dir.drill)
    events = EventWriter(run_dir.events)
    rows: list[ReadBack] = []
    try:
        with _interruptible(events):
            experiment.check(drill, run_dir.logs / "chaos-check.log")
            wanted = Wanted(options.accelerator, options.ephemeral, options.port)
            opening.check(drill, wanted)
            with open_system(drill, run_dir.lab, wanted, observer.progress) as system:
                first = Trial(run_dir, drill, system.target, system.audience, _seed(drill, options), observer)
                trials = options.trials or drill.trials
                rundir.write_meta(run_dir, _facts(first, system, trials, options))
                try:
                    _run_trials(first, trials, system, events, rows)
                finally:
                    _ignore_signals()  # from here on everything is brought back, which must not be interrupted
    except UsageError:
        shutil.rmtree(run_dir.path)
        raise
    except RecdrError:
        _conclude(run_dir, rows)
        raise
    finally:
        events.close()
    observer.progress("writing the record, the verdict and the report")
    _conclude(run_dir, rows)
    return run_dir


def _conclude(run_dir: RunDir, rows: list[ReadBack]) -> None:
    """Put the record together and judge it; a run that ended before anything was deployed has only its logs."""
    _keep_logs(run_dir)
    if run_dir.meta.exists():
        _write_record(run_dir, rows)
        judging.judge_run(run_dir)


def _run_trials(first: Trial, trials: int, system: System, events: EventWriter, rows: list[ReadBack]) -> None:
    """The baseline, then every trial, each from the same unbroken state; what is read back is added to ``rows``."""
    target, observer = first.target, first.observer
    deployed = {"nodes": target.deployment.nodes, **target.deployment.about}
    observer.event(events.write("target.deployed", kind=target.kind, **deployed))
    _take_baseline(first, system.identity, events)
    for number in range(1, trials + 1):
        rows += run_trial(dataclasses.replace(first, number=number))
        if number < trials:
            observer.progress("bringing everything back to where it was")
            target.reset()


def _take_baseline(trial: Trial, identity: str, events: EventWriter) -> None:
    """Use the recorded baseline of the same thing, or record one now and say so."""
    key = baseline.fingerprint(trial.drill, identity)
    found = baseline.load(home(), key)
    new = found is None
    if found is None:
        trial.observer.progress("recording a baseline: nothing is broken yet")
        run_baseline(trial)
        found = {"recorded_in": trial.run.id, **judging.steady_measures(trial.drill, trial.clients().parts())}
        if len(found["quality"]) < len(trial.audience.evaluation):
            answered = f"{len(found['quality'])} of {len(trial.audience.evaluation)}"
            raise TargetError(f"no baseline could be recorded: {answered} evaluation users were answered")
        baseline.save(home(), key, found)
    trial.observer.event(events.write("baseline.recorded", fingerprint=key, new=new, **found))


def _seed(drill: Drill, options: Options) -> int:
    """The command line's seed, else the drill's, else a fresh one."""
    chosen = options.seed if options.seed is not None else drill.seed
    return secrets.randbelow(2**31) if chosen is None else chosen


def _facts(first: Trial, system: System, trials: int, options: Options) -> dict[str, Any]:
    """What ``meta.json`` holds about this run; written before anything is broken."""
    drill = first.drill
    return {
        "drill": {"title": drill.title, "file": drill.path.name, "sha256": rundir.sha256(first.run.drill)},
        "command": " ".join(options.command),
        "target": {"kind": system.target.kind, "reference": str(system.target.reference)},
        **system.about,
        "seeds": {"run": first.seed, "evaluation_users": EVALUATION_SEED},
        "trials": trials,
    }


def _write_record(run_dir: RunDir, rows: list[ReadBack]) -> None:
    """Merge what the clients wrote into the run's tables; the parts go once the whole is on the disk."""
    parts = sorted(run_dir.parts.glob("*.part"))
    record.write_requests(run_dir.requests, parts)
    record.write_readback(run_dir.readback, rows)
    shutil.rmtree(run_dir.parts)


def _keep_logs(run_dir: RunDir) -> None:
    """Move an ephemeral lab's logs to the run's; the rest of the lab's folder is empty mount points."""
    if run_dir.lab.exists():
        for log in (run_dir.lab / "logs").glob("*.log"):
            log.rename(run_dir.logs / log.name)
        shutil.rmtree(run_dir.lab)


def _ignore_signals() -> None:
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def _interruptible(events: EventWriter) -> Iterator[None]:
    """Turn Ctrl-C, SIGTERM and a closed terminal into one exception, so that healing is ordinary unwinding."""

    def stop(number: int, _frame: FrameType | None) -> None:
        _ignore_signals()  # a second Ctrl-C must not interrupt the healing
        name = signal.Signals(number).name
        events.write("interrupted", signal=name)
        raise Interrupted(f"interrupted by {name}; everything that was broken has been healed")

    # What was ignored from the start (nohup) stays ignored.
    heeded = [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
