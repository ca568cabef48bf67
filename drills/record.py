"""The timeline of a run: append-only writers and their readers.

Every time is ``CLOCK_MONOTONIC`` of the control host in nanoseconds. Writers append whole lines, so a reader
of a run that was killed loses at most the last, unfinished line.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from drills.tables import read_table, write_table

STREAMS = ("probe_read", "probe_write", "quality", "load")


class Request(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One client request as the client saw it; ``status`` 0 means that no HTTP answer came."""

    trial: int
    t_scheduled: int
    t_sent: int
    t_done: int
    stream: str
    op: str
    id: str | None = None
    status: int = 0
    error: str | None = None
    region: str | None = None
    node: str | None = None
    model_version: str | None = None
    degraded: bool | None = None
    hits: int | None = None
    expected: int | None = None
    items: list[str] | None = None

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


class Event(msgspec.Struct, kw_only=True):
    """Something that happened at ``t``; ``trial`` is None for what belongs to the run as a whole."""

    t: int
    kind: str
    trial: int | None = None
    data: dict[str, Any] = msgspec.field(default_factory=dict)


class ReadBack(msgspec.Struct, kw_only=True):
    """How often (``count``) the event ``id`` stands in ``region``'s log after healing."""

    trial: int
    region: str
    id: str
    count: int


class Timeline(msgspec.Struct, kw_only=True):
    """All that was recorded of a run, read into memory; requests and events in time order."""

    events: list[Event]
    requests: list[Request]
    readback: list[ReadBack]

    def of_trial(self, trial: int) -> Timeline:
        """The part of one trial, with the run-wide events kept."""
        return Timeline(
            events=[e for e in self.events if e.trial in (None, trial)],
            requests=[r for r in self.requests if r.trial == trial],
            readback=[r for r in self.readback if r.trial == trial],
        )


class EventWriter:
    """Appends events to ``events.jsonl``; each line is one ``write``, so that processes can share a file."""

    def __init__(self, path: Path, trial: int | None = None) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self.trial = trial

    def write(self, kind: str, /, *, t: int | None = None, durable: bool = False, **data: Any) -> Event:
        """Append one event; ``durable`` returns only once it is on the disk."""
        event = Event(t=time.monotonic_ns() if t is None else t, kind=kind, trial=self.trial, data=data)
        os.write(self._fd, msgspec.json.encode(event) + b"\n")
        if durable:
            os.fsync(self._fd)
        return event

    def close(self) -> None:
        os.close(self._fd)


class RequestWriter:
    """Appends requests to one file a process; flushes at least every 0.2 s so that a live view can follow."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("ab")
        self._encode = msgspec.json.Encoder().encode
        self._flushed = time.monotonic()

    def write(self, request: Request) -> None:
        self._file.write(self._encode(request) + b"\n")
        if time.monotonic() - self._flushed > 0.2:
            self.flush()

    def flush(self) -> None:
        self._file.flush()
        self._flushed = time.monotonic()

    def close(self) -> None:
        self._file.close()


def lines(path: Path) -> Iterator[bytes]:
    """The complete lines of an append-only file; an unfinished last line is left out."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line


def read_events(path: Path) -> list[Event]:
    """All events in time order."""
    decoder = msgspec.json.Decoder(Event)
    return sorted((decoder.decode(line) for line in lines(path)), key=lambda event: event.t)


def write_requests(path: Path, parts: Iterable[Path]) -> None:
    """Merge the writers' files into one Parquet file, in order of ``t_scheduled``."""
    decoder = msgspec.json.Decoder(Request)
    rows: list[Request] = [decoder.decode(line) for part in parts for line in lines(part)]
    rows.sort(key=lambda r: (r.t_scheduled, r.stream, r.id or ""))
    write_table(path, Request, rows)


def read_requests(path: Path) -> list[Request]:
    """All requests in order of ``t_scheduled``; empty where the file is missing."""
    return [Request(**row) for row in read_table(path)]


def write_readback(path: Path, rows: Iterable[ReadBack]) -> None:
    """Write what was read back as Parquet."""
    write_table(path, ReadBack, rows)


def read_readback(path: Path) -> list[ReadBack]:
    """What was read back; empty where the file is missing."""
    return [ReadBack(**row) for row in read_table(path)]


def read(run_dir: Path) -> Timeline:
    """Read the whole timeline of a run directory."""
    return Timeline(
        events=read_events(run_dir / "events.jsonl"),
        requests=read_requests(run_dir / "requests.parquet"),
        readback=read_readback(run_dir / "readback.parquet"),
    )
