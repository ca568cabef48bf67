"""The record of a run: append-only writers and their readers.

Every time is ``CLOCK_MONOTONIC`` of the control host in nanoseconds. Writers append whole lines (events) or whole
frames (requests), so a reader of a run that was killed loses at most the last, unfinished one. Nothing here imports
numpy or pyarrow before it is needed: they start threads, which PID 1 of a lab must not have.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from drills.privacy import known
from drills.recording import frames
from drills.recording.frames import Frame, Kind, Scanner
from drills.recording.tables import read_table, write_table

STREAMS = ("probe_read", "probe_write", "quality", "load")
FLUSH_S = 0.2
FRAME_ROWS = 4096
_READ_BYTES = 2**20
_OF_IDS = ("baseline.recorded",)
"""Events that hold nothing but recdr's own words and the items' ids, which are compared with those in the requests."""


class Request(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One client request as the client saw it; ``status`` 0 means that no HTTP answer came.

    ``items`` are the ids that an answer listed, at most k of them, for the streams whose lists are compared.
    """

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
        """Whether it was answered with a 2xx and nothing was wrong with the answer."""
        return 200 <= self.status < 300 and self.error is None


class Event(msgspec.Struct, kw_only=True):
    """Something that happened at ``t``; ``trial`` is None for what belongs to the run as a whole."""

    t: int
    kind: str
    trial: int | None = None
    data: dict[str, Any] = msgspec.field(default_factory=dict)


class ReadBack(msgspec.Struct, kw_only=True):
    """How often (``count``) the event ``id`` stands in ``region``'s log after healing.

    ``t_seen``: when a reading of that log saw the id first; None where that was not noted.
    """

    trial: int
    region: str
    id: str
    count: int
    t_seen: int | None = None


class EventWriter:
    """Appends events to ``events.jsonl``; each line is one ``write``, so that processes can share a file."""

    def __init__(self, path: Path, trial: int | None = None) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._torn = False
        self.trial = trial

    def write(self, kind: str, /, *, t: int | None = None, durable: bool = False, **data: Any) -> Event:
        """Append one event; ``durable`` returns only once it is on the disk. Raises OSError where the disk is full.

        Nothing secret reaches the file, nor the event that is returned.
        """
        data = data if kind in _OF_IDS else known.redacted(data)
        event = Event(t=time.monotonic_ns() if t is None else t, kind=kind, trial=self.trial, data=data)
        line = b"\n" * self._torn + msgspec.json.encode(event) + b"\n"
        self._torn = os.write(self._fd, line) != len(line)
        if self._torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if durable:
            os.fsync(self._fd)
        return event

    def close(self) -> None:
        os.close(self._fd)


class RequestWriter:
    """Appends requests to one file a process, in frames at least every 0.2 s while requests come.

    Whoever may fall silent calls ``flush`` now and then. What a killed process loses is what it wrote since.
    """

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("ab")
        self._flushed = time.monotonic()
        self._last = 0
        self._begin_frame()

    def write(self, request: Request) -> None:
        kind = (
            request.trial,
            request.stream,
            request.op,
            request.status,
            request.error,
            request.region,
            request.node,
            request.model_version,
            request.degraded,
            request.hits,
            request.expected,
        )
        self._kind.append(self._kinds.setdefault(kind, len(self._kinds)))
        self._scheduled.append(request.t_scheduled - self._last)
        self._last = request.t_scheduled
        self._late.append(request.t_sent - request.t_scheduled)
        self._took.append(request.t_done - request.t_sent)
        self._ids.append(request.id)
        listed = 0 if request.items is None else self._lists.setdefault(tuple(request.items), len(self._lists) + 1)
        self._listed.append(listed)
        if len(self._ids) >= FRAME_ROWS or time.monotonic() - self._flushed > FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Hand everything written so far to the operating system, where readers see it."""
        if self._ids:
            frame = Frame(
                kinds=[_without_secrets(kind) for kind in self._kinds],
                kind=frames.transposed(self._kind),
                scheduled=frames.transposed(self._scheduled),
                late=frames.transposed(self._late),
                took=frames.transposed(self._took),
                ids=self._ids,
                lists=[list(items) for items in self._lists],
                listed=frames.transposed(self._listed),
            )
            self._file.write(frames.encoded(frame))
            self._file.flush()
            self._begin_frame()
        self._flushed = time.monotonic()

    def close(self) -> None:
        self.flush()
        self._file.close()

    def _begin_frame(self) -> None:
        self._kinds: dict[Kind, int] = {}
        self._kind, self._listed = array("H"), array("H")
        self._scheduled, self._late, self._took = array("q"), array("q"), array("q")
        self._ids: list[str | None] = []
        self._lists: dict[tuple[str, ...], int] = {}
        self._last = 0  # scheduled, of the request before


def _without_secrets(kind: Kind) -> Kind:
    """What the service calls its regions, nodes and models is the service's to choose."""
    trial, stream, op, status, error, region, node, model, *rest = kind
    names = (known.redacted_name(name) for name in (region, node, model))
    return (trial, stream, op, status, error, *names, *rest)  # type: ignore[return-value]  # mypy loses count


def part_frames(path: Path) -> Iterator[Frame]:
    """The whole frames of a clients' file, one after another; none where the file is missing."""
    if not path.exists():
        return
    scanner = Scanner()
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            yield from scanner.feed(data)


def read_part(path: Path) -> Iterator[Request]:
    """The requests of a clients' file in the order of their writing; a torn end is left out."""
    for frame in part_frames(path):
        yield from _rows(frame)


def recent_requests(path: Path, last_bytes: int) -> list[Request]:
    """The requests whose frames lie wholly in the last bytes of a clients' file; none where it is not there."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - last_bytes))
        return [row for frame in Scanner().feed(file.read()) for row in _rows(frame)]


class PartTail:
    """Reads the requests that were appended to a clients' file since the last time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._scanner = Scanner()

    def new_requests(self) -> list[Request]:
        """What became readable since the last call; nothing where the file is not there yet."""
        if self._file is None:
            if not self.path.exists():
                return []
            self._file = self.path.open("rb")
        return [row for frame in self._scanner.feed(self._file.read()) for row in _rows(frame)]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _rows(frame: Frame) -> Iterator[Request]:
    scheduled = 0
    times = zip(*(frames.numbers("q", column) for column in (frame.scheduled, frame.late, frame.took)), strict=True)
    codes = zip(frames.numbers("H", frame.kind), frames.numbers("H", frame.listed), strict=True)
    for (step, late, took), (kind, listed), id_ in zip(times, codes, frame.ids, strict=True):
        scheduled += step
        sent = scheduled + late
        common: dict[str, Any] = dict(zip(frames.KIND_FIELDS, frame.kinds[kind], strict=True))
        items = frame.lists[listed - 1] if listed else None
        yield Request(t_scheduled=scheduled, t_sent=sent, t_done=sent + took, id=id_, items=items, **common)


def lines(path: Path) -> Iterator[bytes]:
    """The complete lines of an append-only file; an unfinished last line is left out."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line


def read_events(path: Path) -> list[Event]:
    """All events in time order; a line that a full disk tore in two is none."""
    return sorted(decoded(lines(path)), key=lambda event: event.t)


def decoded(written: Iterable[bytes]) -> Iterator[Event]:
    """The events that stand in some lines of an event log; torn and empty lines are left out."""
    decoder = msgspec.json.Decoder(Event)
    for line in written:
        with contextlib.suppress(msgspec.DecodeError):
            yield decoder.decode(line)


def write_requests(path: Path, parts: Iterable[Path]) -> None:
    """Merge the writers' files into one Parquet file, in order of ``t_scheduled``; missing files count as empty."""
    from drills.recording.merging import merge  # noqa: PLC0415 - numpy and pyarrow start threads

    merge(path, (part_frames(part) for part in parts))


def write_readback(path: Path, rows: Iterable[ReadBack]) -> None:
    """Write what was read back as Parquet."""
    write_table(path, ReadBack, rows)


def read_readback(path: Path) -> list[ReadBack]:
    """What was read back; empty where the file is missing."""
    return [ReadBack(**row) for row in read_table(path)]
