"""Which baseline a run is held against: the one that was named, else the accepted one, else one recorded now."""

from __future__ import annotations

import contextlib
import shutil
from typing import Any, Protocol

import msgspec

from drills.baseline.conditions import conditions_of, differences, host_differences, key_of, kind_of_host
from drills.baseline.document import Baseline
from drills.baseline.recording import record
from drills.baseline.store import Store, now
from drills.errors import RecdrError, TargetError, UsageError
from drills.home import home
from drills.interruption import ignore_signals, interruptible
from drills.privacy import vault
from drills.recording import rundir
from drills.recording.record import EventWriter
from drills.spec import Drill
from drills.system import open_system
from drills.targets import opening
from drills.targets.opening import Wanted
from drills.trial import Observer, Trial

BY_HAND = "recdr baseline record"


class Options(Protocol):
    """What the command line may say about the baseline."""

    @property
    def baseline(self) -> str | None:
        """The id of the baseline to use, or the unique beginning of one."""

    @property
    def require_baseline(self) -> bool:
        """Refuse to run where none is accepted."""


def check(drill: Drill, identity: str, options: Options) -> None:
    """Raise UsageError if the baseline that was named or required is not to be had; nothing needs to be deployed."""
    conditions = conditions_of(drill, identity)
    if options.baseline is not None:
        _named(options.baseline, conditions, drill)
    elif options.require_baseline and Store.of(home()).accepted(key_of(conditions)) is None:
        raise UsageError(_none_accepted(drill, conditions))


def take(trial: Trial, events: EventWriter, options: Options) -> dict[str, Any]:
    """Find or record this run's baseline, tell it as ``baseline.recorded``, and return that event's data.

    Raises UsageError as ``check`` does, and TargetError where none could be recorded; why is noted in ``events`` too.
    """
    store, conditions = Store.of(home()), conditions_of(trial.drill, trial.identity)
    host = kind_of_host(trial.target.deployment.accelerator)
    if options.baseline is not None:
        found: Baseline | None = _named(options.baseline, conditions, trial.drill)
    else:
        found = store.accepted(key_of(conditions), host)
    new = found is None
    if found is None:
        if options.require_baseline:
            raise UsageError(_none_accepted(trial.drill, conditions))
        found = store.accept(_recorded(trial, events))
    data = found.event(new=new, host_differences=host_differences(found.host, host))
    data["same_deployment"] = new or found.recorded_in in trial.earlier
    trial.observer.event(events.write("baseline.recorded", **data))
    return data


def record_alone(
    drill: Drill, wanted: Wanted, observer: Observer, *, seed: int = 0, note: str = "", accept: bool = False
) -> Baseline:
    """Deploy what the drill describes, record a baseline of it, store it, and take down what was deployed.

    Accepted at once if ``accept``, or if none is accepted yet for its key and kind of host. Raises RecdrError; logs of
    a recording that failed stay where the message says.
    """
    store = Store.of(home())
    run = rundir.create(store.folder / "recording", drill.path.stem)
    events = EventWriter(run.events)
    try:
        with (
            vault.opened(run.path),
            interruptible("nothing of it is left", note=lambda name: events.write("interrupted", signal=name)),
        ):
            opening.check(drill, wanted)
            with open_system(drill, run.lab, wanted, observer.progress) as system:
                trial = Trial(run, drill, system.target, system.audience, seed, observer, identity=system.identity)
                try:
                    found = record(trial, recorded_in=BY_HAND, note=note)
                finally:
                    ignore_signals()  # taking the lab down must not be interrupted
            if accept or store.accepted(found.key, found.host, same_host=True) is None:
                found = msgspec.structs.replace(found, accepted_at=now())
            store.save(found)
    except RecdrError as error:
        if not isinstance(error, TargetError):
            shutil.rmtree(run.path)
        raise
    finally:
        events.close()
        vault.forget(run.path)
    shutil.rmtree(run.path)
    with contextlib.suppress(OSError):  # another recording may be under way, or one that failed lie there
        run.path.parent.rmdir()
    return found


def _recorded(trial: Trial, events: EventWriter) -> Baseline:
    try:
        return record(trial, recorded_in=trial.run.id)
    except TargetError as error:
        events.write("abort", reason=str(error))
        raise


def _named(name: str, conditions: dict[str, Any], drill: Drill) -> Baseline:
    found = Store.of(home()).find(name)
    if others := differences(found.conditions, conditions):
        raise UsageError(
            f"--baseline {found.id}: it was recorded under other conditions: {'; '.join(others)}. "
            f"Choose another (recdr baseline list), or record one: recdr baseline record {drill.path.name}"
        )
    return found


def _none_accepted(drill: Drill, conditions: dict[str, Any]) -> str:
    """Why there is none, as far as that can be told, and what to do."""
    store, name = Store.of(home()), drill.path.name
    known = store.all()
    candidates = [b for b in known if b.key == key_of(conditions)]
    text = f"no baseline is accepted for {name}"
    if candidates:
        return f"{text}: accept its candidate with 'recdr baseline accept {candidates[-1].id}'"
    if others := [b for b in known if b.drill == name]:
        text += f" as it is now ({others[-1].id} differs: {'; '.join(differences(others[-1].conditions, conditions))})"
    return f"{text}: record one with 'recdr baseline record {name}'"
