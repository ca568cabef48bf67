"""Files that may change while a node runs: read again on SIGHUP and within a second or two of a change."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger(__name__)

LOOK_S = 1.0
Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass
class Reloaded:
    """``load`` reads ``files``; what it raises (one of ``refusals``) is logged, and what was in force stays.

    ``good``: whether the last reading succeeded.
    """

    name: str
    files: Sequence[Path]
    load: Callable[[], object]
    refusals: type[Exception]
    good: bool = True
    _seen: Stamp = field(default=(), init=False)

    def __post_init__(self) -> None:
        self._seen = self._stamp()

    def look(self) -> None:
        """Read again if a file has changed: another inode, size or time of writing."""
        if self._stamp() != self._seen:
            self.again()

    def again(self) -> None:
        """Read again, changed or not."""
        self._seen = self._stamp()
        try:
            self.load()
        except self.refusals as error:
            self.good = False
            log.error("%s not reloaded", self.name, extra={"data": {"reason": str(error)}})
        else:
            self.good = True
            log.info("%s reloaded", self.name)

    def _stamp(self) -> Stamp:
        stamps: list[tuple[int, int, int] | None] = []
        for path in self.files:
            try:
                status = path.stat()
            except OSError:
                stamps.append(None)
            else:
                stamps.append((status.st_ino, status.st_size, status.st_mtime_ns))
        return tuple(stamps)


def read_again(files: Sequence[Reloaded]) -> None:
    """Read all of them, changed or not."""
    for reloaded in files:
        reloaded.again()


async def keep_looking(files: Sequence[Reloaded]) -> None:
    """Look at all of them every second until cancelled."""
    while files:
        await asyncio.sleep(LOOK_S)
        for reloaded in files:
            reloaded.look()
