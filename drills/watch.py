"""Follow a run while it is going on: what the clients saw in the last seconds, for the live view and the guard."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from drills.recording.record import Event, PartTail, Request, decoded

WINDOW_S = 1.0


@dataclass(frozen=True)
class Glance:
    """The last second as the clients saw it. ``availability`` and ``p99_ms`` are None where nothing was answered."""

    requests_per_s: float
    errors_per_s: float
    availability: float | None
    p99_ms: float | None
    serving: dict[str, int]


@dataclass
class Tail:
    """Reads the complete lines that were appended to a file since the last time."""

    path: Path
    _file: BinaryIO | None = None
    _rest: bytes = b""

    def new_lines(self) -> list[bytes]:
        if self._file is None:
            if not self.path.exists():
                return []
            self._file = self.path.open("rb")
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        return lines

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


@dataclass
class Watch:
    """Follows the clients' files and the event log of a running trial."""

    parts: list[PartTail]
    events: Tail
    _recent: deque[Request] = field(default_factory=deque)

    @classmethod
    def on(cls, parts: Iterable[Path], events: Path) -> Watch:
        watch = cls([PartTail(path) for path in parts], Tail(events))
        watch.events.new_lines()
        return watch

    def new_events(self) -> list[Event]:
        """What happened since the last time."""
        return list(decoded(self.events.new_lines()))

    def glance(self) -> Glance:
        """The clients' last second."""
        for part in self.parts:
            self._recent.extend(part.new_requests())
        since = time.monotonic_ns() - int(WINDOW_S * 1e9)
        self._recent = deque(r for r in self._recent if r.t_done >= since)
        ok = [r for r in self._recent if r.ok]
        total = len(self._recent)
        latencies = sorted((r.t_done - r.t_scheduled) / 1e6 for r in ok)
        return Glance(
            requests_per_s=total / WINDOW_S,
            errors_per_s=(total - len(ok)) / WINDOW_S,
            availability=len(ok) / total if total else None,
            p99_ms=latencies[min(len(latencies) - 1, int(0.99 * len(latencies)))] if latencies else None,
            serving=dict(Counter(r.region for r in ok if r.region)),
        )

    def close(self) -> None:
        for part in self.parts:
            part.close()
        self.events.close()
