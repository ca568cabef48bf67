"""The baselines that are kept: ``baselines/ID.json`` in recdr's own folder, each written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from drills.baseline.conditions import host_differences
from drills.baseline.document import Baseline, decode
from drills.errors import UsageError
from drills.recording import rundir

ACCEPTED, REPLACED, CANDIDATE = "accepted", "replaced", "candidate"


def now() -> str:
    """This moment in UTC, as documents hold it: later ones sort later."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class Store:
    """The baselines of one recdr home."""

    folder: Path

    @classmethod
    def of(cls, home: Path) -> Store:
        return cls(home / "baselines")

    def all(self) -> list[Baseline]:
        """Every baseline that can be read, the oldest first."""
        found = [baseline for baseline, _ in self._read() if baseline is not None]
        return sorted(found, key=lambda baseline: (baseline.recorded_at, baseline.id))

    def unreadable(self) -> dict[str, str]:
        """File name -> what is wrong with it, for what lies there and is no baseline of this version."""
        return {problem[0]: problem[1] for _, problem in self._read() if problem is not None}

    def find(self, name: str | None) -> Baseline:
        """The baseline of that id or unique beginning of one; without a name the latest. Raises UsageError."""
        known = self.all()
        found = [baseline for baseline in known if baseline.id.startswith(name or "")]
        exact = [baseline for baseline in found if baseline.id == name]
        if not found:
            there = ", ".join(baseline.id for baseline in known[-5:]) or "none yet"
            raise UsageError(
                f"no baseline {name or ''} in {self.folder} (there are: {there}). "
                "'recdr baseline list' shows all; 'recdr baseline record DRILL' records one"
            )
        if name and len(found) > 1 and not exact:
            raise UsageError(f"'{name}' is the beginning of several baselines: {', '.join(b.id for b in found)}")
        return (exact or found)[-1]

    def accepted(self, key: str, host: Mapping[str, Any] | None = None, *, same_host: bool = False) -> Baseline | None:
        """The accepted baseline of a key: that of this kind of host or, unless ``same_host``, of another one."""
        of_key = sorted((b for b in self.all() if b.key == key and b.accepted_at), key=lambda b: b.accepted_at or "")
        alike = [b for b in of_key if host is None or not host_differences(b.host, host)]
        if alike or same_host:
            return alike[-1] if alike else None
        return of_key[-1] if of_key else None

    def state(self, baseline: Baseline) -> str:
        """``accepted`` if it is the one that counts, ``replaced`` if it was, else ``candidate``."""
        if not baseline.accepted_at:
            return CANDIDATE
        counts = self.accepted(baseline.key, baseline.host)
        return ACCEPTED if counts is not None and counts.id == baseline.id else REPLACED

    def save(self, baseline: Baseline) -> None:
        """Keep it; one of the same id is replaced."""
        self.folder.mkdir(parents=True, exist_ok=True)
        rundir.write_json(self.folder / f"{baseline.id}.json", msgspec.to_builtins(baseline))

    def accept(self, baseline: Baseline) -> Baseline:
        """Have it count from now on, in place of the one that did."""
        accepted = msgspec.structs.replace(baseline, accepted_at=now())
        self.save(accepted)
        return accepted

    def _read(self) -> list[tuple[Baseline | None, tuple[str, str] | None]]:
        read: list[tuple[Baseline | None, tuple[str, str] | None]] = []
        for path in sorted(self.folder.glob("*.json")):
            try:
                read.append((decode(path.read_bytes()), None))
            except (OSError, ValueError) as error:
                read.append((None, (path.name, str(error))))
        return read
