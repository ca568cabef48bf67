"""The bytes of a clients' file: frames of columns, each whole in itself and guarded by a checksum.

A reader takes every frame whose checksum is right and looks for the next one behind any other bytes. So a file that
was cut off anywhere is read up to its last whole frame, also after a restarted writer has appended to it, and a
reader may follow while the file grows. Nothing here uses numpy: the writers live where no threads may be started.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Iterator

import msgspec

MAGIC = b"\x89RQ1"
_HEAD = struct.Struct("<4sII")
_MOST_BYTES = 64 * 2**20
"""A longer frame is none: its length was read from torn bytes."""
_LEVEL = 5

Kind = tuple[int, str, str, int, str | None, str | None, str | None, str | None, bool | None, int | None, int | None]
"""What many requests have in common; ``KIND_FIELDS`` names its places."""
KIND_FIELDS = (
    "trial",
    "stream",
    "op",
    "status",
    "error",
    "region",
    "node",
    "model_version",
    "degraded",
    "hits",
    "expected",
)


class Frame(msgspec.Struct, array_like=True):
    """Some requests in the order of their writing; columns of times are int64 ns, transposed by ``transposed``.

    ``scheduled`` holds each request's distance from the one before (the first: from 0), ``late`` is sent - scheduled,
    ``took`` done - sent. ``kind`` and ``listed`` are uint16: the place in ``kinds``, and 1 + the place in ``lists`` of
    what an answer listed (0: nothing was noted).
    """

    kinds: list[Kind]
    kind: bytes
    scheduled: bytes
    late: bytes
    took: bytes
    ids: list[str | None]
    lists: list[list[str]]
    listed: bytes


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Frame)


def encoded(frame: Frame) -> bytes:
    """The frame as it stands in a file: magic, length, CRC-32, and the compressed columns."""
    payload = zlib.compress(_ENCODER.encode(frame), _LEVEL)
    return _HEAD.pack(MAGIC, len(payload), zlib.crc32(payload)) + payload


def transposed(values: array[int]) -> bytes:
    """Numbers as bytes, little-endian, all lowest bytes first: high bytes hardly change and so cost nothing."""
    raw, width = _little(values).tobytes(), values.itemsize
    return b"".join(raw[place::width] for place in range(width))


def numbers(code: str, column: bytes) -> array[int]:
    """The numbers of a ``transposed`` column; ``code`` is their type as ``array`` names it."""
    values: array[int] = array(code)
    width = values.itemsize
    count, raw = len(column) // width, bytearray(len(column))
    for place in range(width):
        raw[place::width] = column[place * count : (place + 1) * count]
    values.frombytes(raw)
    return _little(values)


def _little(values: array[int]) -> array[int]:
    if sys.byteorder == "little":
        return values
    swapped = array(values.typecode, values)
    swapped.byteswap()
    return swapped


class Scanner:
    """Finds the whole frames in bytes that come piece by piece."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole with ``data`` appended to what came before."""
        self._rest += data
        while True:
            start = self._rest.find(MAGIC)
            if start < 0:
                self._rest = self._rest[-len(MAGIC) + 1 :]
                return
            end = _end_of_frame(self._rest, start)
            if end is None:
                # Perhaps still being written; but if a whole frame follows, its writer died in the middle of it.
                start = _next_whole(self._rest, start + 1)
                end = None if start < 0 else _end_of_frame(self._rest, start)
                if end is None:
                    return
            if end < 0:
                self._rest = self._rest[start + 1 :]
                continue
            payload = self._rest[start + _HEAD.size : end]
            self._rest = self._rest[end:]
            yield _DECODER.decode(zlib.decompress(payload))


def _end_of_frame(data: bytes, start: int) -> int | None:
    """Where the frame that begins at ``start`` ends; None where it is not all there, -1 where it is none."""
    if len(data) - start < _HEAD.size:
        return None
    _, length, checksum = _HEAD.unpack_from(data, start)
    end = start + _HEAD.size + length
    if length > _MOST_BYTES:
        return -1
    if end > len(data):
        return None
    return end if zlib.crc32(memoryview(data)[start + _HEAD.size : end]) == checksum else -1


def _next_whole(data: bytes, start: int) -> int:
    """Where the next whole frame begins from ``start`` on; -1 where there is none."""
    while (start := data.find(MAGIC, start)) >= 0:
        if (_end_of_frame(data, start) or -1) > 0:
            return start
        start += 1
    return -1
