"""What came of a suite: ``suite.json``, from which summary and table are made."""

from __future__ import annotations

import json
import os
import re
import secrets
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from drills.errors import EXIT_FAIL, EXIT_PASS, EXIT_UNKNOWN, HostError
from drills.privacy import redacted
from drills.recording import rundir
from drills.recording.rundir import RunDir
from drills.spec import Drill

SCHEMA_VERSION = 1
JUDGED, FAILED, INTERRUPTED, SKIPPED, NOT_RUN = "judged", "failed", "interrupted", "skipped", "not run"
FIGURES = ("rto_read_s", "rto_write_s", "rpo_events", "recall_at_20", "p99_ms@after")
"""The measures of the summary's table; every run's own verdict has all of them."""
_CODES = {"PASS": EXIT_PASS, "UNKNOWN": EXIT_UNKNOWN, "FAIL": EXIT_FAIL}


@dataclass
class Entry:
    """One drill of a suite.

    ``state``: it was judged; its target failed; it was interrupted; it was skipped, for this machine cannot run it; or
    the suite ended before its turn. ``outcome`` None: it did not run. ``run_dir`` counts from the suite's folder.
    ``figures``: those of ``FIGURES`` that the verdict has, of the worst trial. ``lab`` is the number of the lab in
    ``Suite.labs``; None for a service that recdr did not deploy. ``seconds`` is what it took, getting the lab included.
    """

    drill: str
    title: str
    path: str
    state: str = NOT_RUN
    outcome: str | None = None
    reasons: list[str] = field(default_factory=list)
    run: str | None = None
    run_dir: str | None = None
    seconds: float | None = None
    trials: int | None = None
    lab: int | None = None
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, drill: Drill) -> Entry:
        return cls(drill.path.name, drill.title, str(drill.path))

    def skip(self, why: str) -> None:
        self.state, self.reasons = SKIPPED, [why]

    def ended(self, state: str, why: str, suite: Path, run: RunDir | None) -> None:
        """Note how it ended; of a run that was judged all but ``why`` comes from its verdict."""
        verdict = _verdict(run) if run is not None else {}
        self.state, self.outcome = state, "UNKNOWN"
        self.reasons = list(dict.fromkeys([*([why] if why else []), *verdict.get("reasons", [])]))
        if run is not None and run.path.is_dir():
            self.run, self.run_dir = run.id, os.path.relpath(run.path, suite)
        if state == JUDGED:
            self.outcome = verdict["outcome"]
        self.trials = len(verdict["trials"]) if verdict else None
        measures = verdict.get("measures", {})
        self.figures = {
            name: {key: measures[name].get(key) for key in ("value", "unit", "censored")}
            for name in FIGURES
            if name in measures
        }


@dataclass
class LabUse:
    """A lab of a suite: which one it was, whose, and why it was given up before its drills were through."""

    lab: int
    standing: bool
    topology: dict[str, Any]
    accelerator: str | None
    pid_one: int | None
    deploy_seconds: float | None
    gave_up: str | None = None


@dataclass
class Suite:
    """``stopped``: why it ended before all drills had run; None where it did not."""

    folder: Path
    command: str
    entries: list[Entry]
    labs: list[LabUse] = field(default_factory=list)
    seconds: float = 0.0
    stopped: str | None = None
    started_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    exit_code: int | None = None
    """As which error the suite ended; None where the drills decide."""

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def code(self) -> int:
        """The worst: what ended the suite (70, 130), else FAIL (1), else UNKNOWN (3), else PASS (0).

        Drills that were skipped or not reached count for nothing; a suite of which none ran is UNKNOWN.
        """
        if self.exit_code is not None:
            return self.exit_code
        return _CODES[self.outcome]

    @property
    def outcome(self) -> str:
        """FAIL if one drill failed, else UNKNOWN if one is or none ran, else PASS."""
        found = {entry.outcome for entry in self.entries}
        return next((one for one in ("FAIL", "UNKNOWN") if one in found), "PASS" if "PASS" in found else "UNKNOWN")

    def counts(self) -> dict[str, int]:
        """How many passed, failed, are unknown, were skipped, were not reached."""
        names = [entry.outcome or entry.state for entry in self.entries]
        return {name: names.count(name) for name in ("PASS", "FAIL", "UNKNOWN", SKIPPED, NOT_RUN)}

    def to_document(self) -> dict[str, Any]:
        """``suite.json``."""
        return {
            "schema_version": SCHEMA_VERSION,
            "suite": self.id,
            "command": self.command,
            "started_at": self.started_at,
            "seconds": round(self.seconds, 1),
            "outcome": self.outcome,
            "exit_code": self.code,
            "stopped": self.stopped,
            "counts": self.counts(),
            "host": rundir.host_facts(),
            "versions": rundir.versions(),
            "labs": [asdict(lab) for lab in self.labs],
            "drills": [asdict(entry) for entry in self.entries],
        }

    def save(self) -> None:
        """Write ``suite.json`` as it is now."""
        rundir.write_json(self.folder / "suite.json", redacted(self.to_document()))


def create(parent: Path, name: str) -> Path:
    """A fresh folder for a suite below ``parent``; raises HostError where the disk does not allow it."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:60]
    folder = parent / f"{stamp}-{plain}-{secrets.token_hex(2)}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise HostError(f"cannot write to {parent}: {error.strerror}; choose another folder with --out") from error
    return folder


def _verdict(run: RunDir) -> dict[str, Any]:
    """The run's verdict; empty where it was not judged."""
    try:
        found = json.loads(run.verdict.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
