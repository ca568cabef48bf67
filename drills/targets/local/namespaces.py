"""The few Linux calls that Python 3.11 lacks: unshare, setns, mount.

All of this works for an ordinary user wherever unprivileged user namespaces are allowed.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_REMOUNT = 32
_MS_PRIVATE = 1 << 18

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Move the calling process into new namespaces; raises OSError where the kernel forbids it."""
    _check(_libc.unshare(flags), "unshare")


def become_root() -> None:
    """Enter a new user namespace in which the calling user is root, with everything a lab needs private to it.

    The process itself stays in its PID namespace; its next child is PID 1 of the new one.
    """
    uid, gid = os.geteuid(), os.getegid()
    unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def private_mounts() -> None:
    """Keep every later mount out of the host's sight."""
    _check(_libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None), "mount --make-rprivate /")


def mount(kind: str, where: Path, options: str = "") -> None:
    """Mount a fresh ``kind`` (``proc``, ``tmpfs``) over ``where``."""
    _check(
        _libc.mount(kind.encode(), os.fsencode(where), kind.encode(), 0, options.encode() or None),
        f"mount {kind} on {where}",
    )


def resize(where: Path, size_bytes: int) -> None:
    """Give the tmpfs at ``where`` another size; raises OSError for one that is too small for what it holds."""
    options = f"size={size_bytes}".encode()
    _check(_libc.mount(b"tmpfs", os.fsencode(where), b"tmpfs", _MS_REMOUNT, options), f"remount {where}")


def hide(paths: Iterable[str]) -> None:
    """Let the calling process and its children find nothing at ``paths`` any more: an empty folder, or /dev/null.

    The process gets a mount namespace of its own, so nobody else notices; it cannot undo this.
    """
    unshare(CLONE_NEWNS)
    private_mounts()
    for path in map(Path, paths):
        if path.is_dir():
            mount("tmpfs", path, "size=4k,mode=000")
        else:
            _check(_libc.mount(b"/dev/null", os.fsencode(path), None, _MS_BIND, None), f"hide {path}")


def network_here() -> int:
    """A descriptor of the calling process's network namespace; the namespace lives as long as somebody holds one."""
    return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def enter_network(fd: int) -> None:
    """Move the calling process into the network namespace ``fd``."""
    _check(_libc.setns(fd, CLONE_NEWNET), "setns")


@contextmanager
def inside(fd: int) -> Iterator[None]:
    """Run a block inside the network namespace ``fd``: sockets made there stay there."""
    home = network_here()
    enter_network(fd)
    try:
        yield
    finally:
        enter_network(home)
        os.close(home)
