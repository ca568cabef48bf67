"""What can be done to the stores of a lab, and how they look from the edge meanwhile.

Part of the lab's PID 1: nothing here waits for another process longer than half a second.
"""

from __future__ import annotations

import errno
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from drills.targets.base import EDGE, REGIONS
from drills.targets.local import namespaces, services

if TYPE_CHECKING:
    from drills.targets.local.lab import Lab

SEE_S = 0.5
SHAKEN_S = 10.0
REWRITE = b"BGREWRITEAOF\r\n"
DISK_BYTES = 1 << 30
"""Far more than a drill writes. Only what is written takes memory."""
STOPPED = "replication between the stores stopped"


class Stores:
    """The commands about stores."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._shaken: dict[str, float] = {}
        """Until when (monotonic seconds) a region's store may still end of the disk that was full."""
        self.torn: set[str] = set()
        """The regions whose store has yet to write its file anew, because it may have a hole; see ``_free``."""
        self._rewriting: set[str] = set()
        lab.turns.append(self._turn)

    def commands(self) -> dict[str, Callable[..., Any]]:
        return {
            "see_store": self.see,
            "kill_store": self.kill,
            "start_store": self.start,
            "pause_store": self.pause,
            "resume_store": self.resume,
            "stop_replication": self.stop_replication,
            "resume_replication": self.resume_replication,
            "fill_disk": self.fill_disk,
            "free_disk": self.free_disk,
        }

    def mount_disks(self) -> None:
        """Give each store a disk of its own, before it is started."""
        for region in REGIONS:
            where = services.store_data(self._lab.settings, region)
            where.mkdir(parents=True)
            namespaces.mount("tmpfs", where, f"size={DISK_BYTES},mode=700")

    def see(self, region: str) -> dict[str, Any]:
        """Ask a store from the edge what it says of itself; see ``StoreSeen``."""
        connected, answer = self._ask(region, b"INFO\r\n")
        return {"connected": connected, "info": _fields(answer) if answer else None}

    def kill(self, region: str) -> None:
        self._lab.breaks(f"{self._name(region)} killed", lambda: self._lab.start_store(region))
        self._lab.kill(self._name(region), signal.SIGKILL)

    def start(self, region: str) -> None:
        self._lab.mends(f"{self._name(region)} killed")
        self._lab.start_store(region)

    def pause(self, region: str) -> None:
        name = self._name(region)
        self._lab.breaks(f"{name} paused", lambda: self._lab.kill(name, signal.SIGCONT))
        self._lab.kill(name, signal.SIGSTOP)

    def resume(self, region: str) -> None:
        self._lab.mends(f"{self._name(region)} paused")

    def stop_replication(self) -> None:
        if STOPPED not in self._lab.broken:
            self._lab.breaks(STOPPED, lambda: self._lab.network.replication("del"))
            self._lab.network.replication("add")

    def resume_replication(self) -> None:
        self._lab.mends(STOPPED)

    def fill_disk(self, region: str) -> None:
        """Take away all the room that the store's disk has left: what is written there next ends with ENOSPC.

        The disk gets smaller, which is as good as a big file on it and takes no memory.
        """
        self._lab.breaks(f"the disk of {self._name(region)} full", lambda: self._free(region))
        where = services.store_data(self._lab.settings, region)
        for _ in range(100):
            now = os.statvfs(where)
            try:
                return namespaces.resize(where, (now.f_blocks - now.f_bfree) * now.f_frsize)
            except OSError as error:
                if error.errno != errno.EINVAL:  # too small by now: the store has written since
                    raise
        raise RuntimeError(f"the disk of {self._name(region)} could not be filled: its store writes too fast")

    def free_disk(self, region: str) -> None:
        self._lab.mends(f"the disk of {self._name(region)} full")

    def _free(self, region: str) -> None:
        """Make room again, start the store if it ended of it, and have it write its file anew.

        The last because Valkey (9.1.2) takes back what it could write of a record (``ftruncate``) without going back
        in the file. Where that file is one that a rewrite opened, without O_APPEND, the next record leaves a hole of
        zero bytes before it, and the file cannot be loaded any more: "Bad file format".
        """
        namespaces.resize(services.store_data(self._lab.settings, region), DISK_BYTES)
        self.torn.add(region)
        self._shaken[region] = time.monotonic() + SHAKEN_S
        self._lab.start_store(region)

    def mend_files(self) -> None:
        """Try again, for some seconds, what could not be done when a disk had room: the store was held down by more."""
        for region in self.torn:
            self._shaken.setdefault(region, time.monotonic() + SHAKEN_S)

    def _turn(self) -> None:
        """Start a store again that ends of what it met before its disk had room: a replica does so, a little later."""
        for region, until_s in list(self._shaken.items()):
            if time.monotonic() < until_s:
                self._lab.start_store(region)
            else:
                del self._shaken[region]
            if region in self.torn:
                self._rewrite(region)

    def rewritable(self) -> list[str]:
        """The regions whose store has yet to write its file anew and can: not one that another fault holds down."""
        names = {region: self._name(region) for region in sorted(self.torn)}
        return [
            r for r, name in names.items() if name in self._lab.running and f"{name} paused" not in self._lab.broken
        ]

    def _rewrite(self, region: str) -> None:
        """Go on with writing a store's file anew: tell it to, and later see that it did."""
        if region not in self.rewritable():
            self._rewriting.discard(region)
        elif region not in self._rewriting:
            begun = (self._ask(region, REWRITE)[1] or b"").startswith(b"+Background append only file rewriting started")
            self._rewriting.update({region} if begun else ())
        elif (info := self.see(region)["info"]) and info.get("aof_rewrite_in_progress") == "0":
            self._rewriting.discard(region)
            if info.get("aof_last_bgrewrite_status") == "ok":
                self.torn.discard(region)

    def _name(self, region: str) -> str:
        return self._lab.settings.plan.store(region)

    def _ask(self, region: str, command: bytes) -> tuple[bool, bytes | None]:
        """Whether a store could be reached from the edge, and its answer; None where none came whole in time."""
        deadline = time.monotonic() + SEE_S
        with self._lab.network.dial(EDGE, self._name(region)) as dial:
            if not self._lab.connected(dial, deadline):
                return False, None
            return True, self._answer(dial, command, deadline)

    def _answer(self, dial: socket.socket, command: bytes, deadline: float) -> bytes | None:
        try:
            dial.sendall(command)
            answer = b""
            while not _is_whole(answer):
                if not self._lab.becomes(selectors.EVENT_READ, dial, deadline):
                    return None
                if not (chunk := dial.recv(65536)):
                    return None
                answer += chunk
        except OSError:
            return None
        return answer


def _is_whole(answer: bytes) -> bool:
    """Whether a reply is there up to its end: ``$LENGTH``, so many bytes, and a line's end; or an error's one line."""
    head, end, rest = answer.partition(b"\r\n")
    return bool(end) and (not head.startswith(b"$") or len(rest) >= int(head[1:]) + 2)


def _fields(answer: bytes) -> dict[str, str] | None:
    if not answer.startswith(b"$"):
        return None
    lines = answer.decode(errors="replace").splitlines()[1:]
    return {name: value for name, found, value in (line.partition(":") for line in lines) if found}
