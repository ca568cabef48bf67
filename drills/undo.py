"""The undo log of a run and its fault events.

``intend`` returns only once the intent is on the disk, and is called before anything is broken: so whatever was broken
can be found again by another process, whatever happened to this one.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drills.errors import TargetError
from drills.home import home
from drills.naming import shown
from drills.privacy import redacted, vault
from drills.recording.record import EventWriter, lines

RUN_VARIABLE = "RECDR_RUN"
TRIAL_VARIABLE = "RECDR_TRIAL"
FOLDER_VARIABLE = "RECDR_FOLDER"  # the drill file's own, where commands of the drill run
FENCE = "expired"
"""A file of this name in the run's directory: somebody else has healed the run, which may break nothing any more."""


@dataclass(frozen=True)
class Intent:
    """A fault that somebody meant to inject, with its arguments as the drill file gives them.

    ``folder`` is where commands among them are to run; ``noted`` is what the fault saw before it, for its healing;
    ``trial`` is the trial it belongs to, None under a plain ``chaos run``. ``private`` is the number under which the
    run's vault has the arguments, where something secret is in them; ``whole`` False: it has them no more.
    ``told`` says in a few words what was broken, without what is secret in it: for whatever is written or sent.
    """

    fault: str
    arguments: dict[str, Any]
    folder: str = field(default="", compare=False)
    noted: tuple[str, ...] = field(default=(), compare=False)
    trial: int | None = field(default=None, compare=False)
    private: int | None = field(default=None, compare=False)
    whole: bool = field(default=True, compare=False)
    told: str = field(default="", compare=False)


class UndoLog:
    """Writes ``intent.jsonl`` and the fault events of one run directory."""

    def __init__(self, run_dir: Path, trial: int | None = None) -> None:
        run_dir.mkdir(parents=True, exist_ok=True)
        self.path = run_dir / "intent.jsonl"
        self.trial = trial
        self._events = EventWriter(run_dir / "events.jsonl", trial)

    @classmethod
    def current(cls) -> UndoLog:
        """The undo log of the run this process belongs to; under a plain ``chaos run``, that of the lab."""
        trial = os.environ.get(TRIAL_VARIABLE)
        run = os.environ.get(RUN_VARIABLE) or home() / "lab"
        return cls(Path(run), int(trial) if trial else None)

    def is_open(self, fault: str, arguments: dict[str, Any]) -> bool:
        """Whether this fault was injected and never confirmed as healed."""
        return self.intent(fault, arguments) is not None

    def intent(self, fault: str, arguments: dict[str, Any]) -> Intent | None:
        """The intent of a fault that was never confirmed as healed; None where there is none."""
        return next((found for found in unhealed(self.path.parent) if found == Intent(fault, arguments)), None)

    def note(self, kind: str, **data: Any) -> None:
        """Write an event of this run and trial that is no fault's."""
        self._events.write(kind, **data)

    def intend(self, fault: str, arguments: dict[str, Any], noted: Sequence[str] = ()) -> None:
        """Return once the intent is on the disk; raises TargetError where the run may break nothing any more."""
        folder = os.environ.get(FOLDER_VARIABLE) or str(Path.cwd())
        entry = {"do": "inject", "fault": fault, **self._written(arguments), "folder": folder, "noted": list(noted)}
        self._append({**entry, "trial": self.trial}, durable=True)
        if (self.path.parent / FENCE).exists():  # looked for after writing: healers fence first and read then
            raise TargetError("this run was healed by its watchdog, so it may break nothing any more")
        self._events.write("fault.intent", fault=fault, arguments=arguments)

    def injected(
        self, fault: str, arguments: dict[str, Any], fidelity: dict[str, Any], t_begin: int, t_ack: int
    ) -> None:
        self._events.write(
            "fault.injected",
            t=t_ack,
            fault=fault,
            arguments=arguments,
            fidelity=fidelity,
            t_begin=t_begin,
            t_ack=t_ack,
        )

    def effect(
        self, fault: str, arguments: dict[str, Any], observed: bool, evidence: str, details: dict[str, Any]
    ) -> None:
        self._events.write(
            "fault.effect",
            fault=fault,
            arguments=arguments,
            observed=observed,
            evidence=evidence,
            details=details,
        )

    def healed(self, fault: str, arguments: dict[str, Any], t_begin: int, t_ack: int) -> None:
        self._events.write("fault.healed", t=t_ack, fault=fault, arguments=arguments, t_begin=t_begin, t_ack=t_ack)

    def confirmed(self, fault: str, arguments: dict[str, Any], confirmed: bool, evidence: str) -> None:
        """Record whether healing was seen from outside; only a confirmed heal takes the intent off the undo log."""
        self._events.write("heal.confirmed", fault=fault, arguments=arguments, confirmed=confirmed, evidence=evidence)
        if confirmed:
            self._append({"do": "healed", "fault": fault, **self._written(arguments)}, durable=True)
            if self.trial is None and not unhealed(self.path.parent):  # else the run does when it has ended
                vault.forget(self.path.parent)

    def _written(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments without secrets and, where that is not all of them, where the rest is found."""
        written = redacted(arguments)
        if written == arguments:
            return {"arguments": arguments}
        return {"arguments": written, "private": vault.keep_arguments(self.path.parent, arguments)}

    def _append(self, entry: dict[str, Any], *, durable: bool) -> None:
        new = not self.path.exists()
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            line = b"\n" + json.dumps({"t": time.monotonic_ns(), **entry}).encode() + b"\n"  # ends a torn line, too
            if os.write(fd, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            if durable:
                os.fsync(fd)
                if new:
                    _sync_folder(self.path.parent)
        finally:
            os.close(fd)


def _sync_folder(folder: Path) -> None:
    """Have the names of the files in a folder on the disk, too: a new file may else be lost with all that is in it."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def fence(run_dir: Path) -> None:
    """From here on this run breaks nothing any more; what it was about to break already stands in its log."""
    with contextlib.suppress(OSError):  # a full disk: then nobody can write an intent either
        (run_dir / FENCE).touch()


def unhealed(run_dir: Path) -> list[Intent]:
    """The intents of a run that were never confirmed as healed, the latest first."""
    open_: dict[str, Intent] = {}
    for line in lines(run_dir / "intent.jsonl"):
        try:
            entry = json.loads(line)
        except ValueError:  # blank, or torn by a full disk: nothing was injected on it
            continue
        intent = _intent(run_dir, entry)
        key = json.dumps([intent.fault, entry["arguments"], intent.private], sort_keys=True)
        open_.pop(key, None)
        if entry["do"] == "inject":
            open_[key] = intent
    return list(open_.values())[::-1]


def _intent(run_dir: Path, entry: dict[str, Any]) -> Intent:
    """An entry of the undo log with the arguments as they were given."""
    noted, private = tuple(entry.get("noted", ())), entry.get("private")
    kept = None if private is None else vault.kept_arguments(run_dir, private)
    return Intent(
        entry["fault"],
        entry["arguments"] if kept is None else kept,
        entry.get("folder", ""),
        noted,
        entry.get("trial"),
        private,
        whole=private is None or kept is not None,
        told=f"{entry['fault']} ({shown(entry['arguments'])})",
    )
