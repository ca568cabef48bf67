"""A drill from beginning to end: the straight line of a run."""

from __future__ import annotations

import dataclasses
import errno
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import reports
from drills import baseline, calibration, experiment, hooks, judging, open_runs
from drills.errors import RecdrError, TargetError, UsageError
from drills.healing import heal_open_faults
from drills.home import home
from drills.interruption import held, ignore_signals, interruptible
from drills.keeper import keeping
from drills.privacy import copying, redacted, vault
from drills.recording import record, rundir
from drills.recording.record import EventWriter, ReadBack
from drills.recording.rundir import RunDir
from drills.spec import Drill
from drills.system import EVALUATION_SEED, System, open_system
from drills.targets import opening
from drills.targets.opening import Wanted
from drills.trial import Observer, Trial, run_trial

DISK_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


@dataclass(frozen=True)
class Options:
    """What the command line may say about a run beyond the drill file."""

    trials: int | None = None
    seed: int | None = None
    out: Path | None = None
    accelerator: str | None = None
    ephemeral: bool = False
    port: int = 0
    baseline: str | None = None
    require_baseline: bool = False
    model: str | None = None
    """A bundle's directory or version; None: the reference model."""
    command: tuple[str, ...] = field(default=())

    @property
    def wanted(self) -> Wanted:
        """What they say about the target."""
        return Wanted(self.accelerator, self.ephemeral, self.port, self.model)


def run(drill: Drill, options: Options, observer: Observer, system: System | None = None) -> RunDir:
    """Run the drill and return its run directory with verdict and report in it.

    ``system``: what it runs on, open already and left open, as ``conduct`` says; without it one is opened for the
    drill, and gone or unbroken afterwards. Raises RecdrError: a run that was refused leaves no directory, one that was
    interrupted or whose target failed leaves what was recorded, judged.
    """
    run_dir = create(drill, options)
    conduct(run_dir, drill, options, observer, system)
    return run_dir


def create(drill: Drill, options: Options) -> RunDir:
    """A fresh directory for a run of the drill; raises UsageError where the options do not fit the drill."""
    check_trials(drill, options)
    return rundir.create(options.out or home() / "runs", drill.path.stem)


def check(drill: Drill, options: Options, log: Path) -> None:
    """Raise UsageError or HostError if the drill cannot run here as asked; ``log`` takes Chaos Toolkit's words."""
    check_trials(drill, options)
    experiment.check(drill, log)
    opening.check(drill, options.wanted)


def conduct(
    run_dir: RunDir,
    drill: Drill,
    options: Options,
    observer: Observer,
    system: System | None = None,
    *,
    checked: bool = False,
) -> None:
    """Run the drill in ``run_dir``, which ``create`` made; see ``run``. ``checked``: it went through ``check`` already.

    Whoever gives a ``system`` has just deployed or reset it, and brings it back to where it was afterwards; the faults
    of the drill are healed when this returns or raises, in any case.
    """
    with open_runs.opened(run_dir), vault.opened(run_dir.path):
        _conduct(run_dir, drill, options, observer, given=system, checked=checked)


def _conduct(
    run_dir: RunDir, drill: Drill, options: Options, observer: Observer, *, given: System | None, checked: bool
) -> None:
    run_dir.keep_room()
    run_dir.drill.write_text(copying.without_secrets(drill.path.read_text(encoding="utf-8-sig")), encoding="utf-8")
    events = EventWriter(run_dir.events)
    rows: list[ReadBack] = []
    try:
        with interruptible(
            "everything that was broken has been healed", note=lambda name: events.write("interrupted", signal=name)
        ):
            if not checked:
                check(drill, options, run_dir.logs / "chaos-check.log")
            _deploy_and_run(run_dir, drill, options, observer, given=given, events=events, rows=rows)
    except UsageError:
        shutil.rmtree(run_dir.path)
        raise
    except OSError as error:
        if error.errno not in DISK_TROUBLE:
            raise
        raise _out_of_room(run_dir, error, rows, events) from error
    except RecdrError as error:
        if not isinstance(error, TargetError):
            _conclude(run_dir, rows)
            raise
        said = str(error).replace(str(run_dir.lab / "logs"), str(run_dir.logs))  # what it says to read is moved
        _note_abort(run_dir, events, said)
        _conclude(run_dir, rows)
        raise TargetError(said) from error
    except Exception as error:
        with suppress(Exception):  # the bug is what must be told
            _note_abort(run_dir, events, f"a bug in recdr: {type(error).__name__}: {error}")
            _conclude(run_dir, rows)
        raise
    finally:
        events.close()
    observer.progress("writing the record, the verdict and the report")
    _conclude(run_dir, rows)


def _deploy_and_run(
    run_dir: RunDir,
    drill: Drill,
    options: Options,
    observer: Observer,
    *,
    given: System | None,
    events: EventWriter,
    rows: list[ReadBack],
) -> None:
    """All trials, on a target of their own or the ``given`` one; ``rows`` get what was read back."""
    with (
        keeping(run_dir, drill.guard.lease_s) as keeper,
        _opened(run_dir, drill, options, observer, given) as system,
    ):
        keeper.hold(system.target)
        trials, seed = options.trials or drill.trials, _seed(drill, options)
        first = Trial(run_dir, drill, system.target, system.audience, seed, observer, trials=trials)
        first = dataclasses.replace(first, identity=system.identity, earlier=system.earlier, keeper=keeper)
        rundir.write_meta(run_dir, _facts(first, system, trials, options))
        try:
            _run_trials(first, system, options, events, rows)
        except BaseException:
            ignore_signals()
            heal_open_faults(run_dir.path, system.target)  # none, unless it was healing that was interrupted
            raise
        finally:
            ignore_signals()  # from here on everything is brought back, which must not be interrupted


@contextmanager
def _opened(
    run_dir: RunDir, drill: Drill, options: Options, observer: Observer, given: System | None
) -> Iterator[System]:
    admit = partial(baseline.check, drill, options=options)
    if given is not None:
        admit(given.identity)
        yield given
        return
    with open_system(drill, run_dir.lab, options.wanted, observer.progress, admit) as system:
        yield system


def check_trials(drill: Drill, options: Options) -> None:
    if options.trials is not None and options.trials < len(drill.variants):
        raise UsageError(
            f"{drill.path}: --trials {options.trials}: the drill has {len(drill.variants)} variants, or some never run"
        )


def _out_of_room(run_dir: RunDir, error: OSError, rows: list[ReadBack], events: EventWriter) -> TargetError:
    """What is to be said of a run that could not write on; its verdict is written if that can be."""
    what = f"{error.filename or run_dir.path}: {error.strerror}"
    run_dir.last_words(lambda: events.write("abort", reason=f"the record could not be written: {what}"))
    _conclude(run_dir, rows)
    return TargetError(f"{what}. Everything was healed; the verdict is UNKNOWN: {run_dir.verdict}")


def _note_abort(run_dir: RunDir, events: EventWriter, reason: str) -> None:
    """Put on record why the run ended early, unless its trial has done so."""
    known = (event.data.get("reason") for event in record.read_events(run_dir.events) if event.kind == "abort")
    if redacted(reason) not in known:
        run_dir.last_words(lambda: events.write("abort", reason=reason))


def _conclude(run_dir: RunDir, rows: list[ReadBack]) -> None:
    """Put the record together and judge it; a run that ended before anything was deployed is only reported on.

    Raises TargetError where the disk has no room for it.
    """
    run_dir.reserve.unlink(missing_ok=True)
    try:
        with held():  # what was read back is nowhere but here
            hooks.collect(run_dir.logs / hooks.LOG)
            _keep_logs(run_dir)
            if run_dir.meta.exists():
                _write_record(run_dir, rows)
                judging.judge_run(run_dir)
            else:
                reports.build(run_dir.path)
    except OSError as error:
        if error.errno not in DISK_TROUBLE:
            raise
        raise TargetError(
            f"the disk of {run_dir.path} is full ({error.strerror}): everything was healed, but no verdict could be "
            f"written. Make room, then: recdr drill judge {run_dir.path}"
        ) from error


def _run_trials(first: Trial, system: System, options: Options, events: EventWriter, rows: list[ReadBack]) -> None:
    """The baseline, then every trial, each from the same unbroken state; what is read back is added to ``rows``."""
    target, observer = first.target, first.observer
    deployed = {
        "edge_url": target.deployment.edge_url,
        "nodes": target.deployment.nodes,
        "replication": target.deployment.replication,
        **target.deployment.about,
    }
    if cut_short := (system.about.get("model") or {}).get("cut_short"):
        deployed["model_cut_short"] = cut_short
    observer.event(events.write("target.deployed", kind=target.kind, **deployed, earlier_runs=list(first.earlier)))
    baseline.take(first, events, options)
    for number in range(1, first.trials + 1):
        rows += run_trial(dataclasses.replace(first, number=number))
        if number < first.trials:
            observer.progress("bringing everything back to where it was")
            target.reset()


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
        "calibration": calibration.load(home()),
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
