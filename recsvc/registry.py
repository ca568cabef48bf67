"""Where bundles are kept: found by what they were made from, published whole or not at all.

<cache>/keys/<key>.json       {"version": ...}: the recipe's key -> the bundle it gave
<cache>/bundles/<version>/    a bundle, named by its content, and in it the release before it
<cache>/bundles/.partial-*    one being written; nobody looks here, and the next writer of that key sweeps it
<cache>/locks/<name>.lock     held (flock) while one process makes what others wait for
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from recsvc.bundle import MANIFEST, PREVIOUS, Bundle, BundleError

PARTIAL = ".partial-"
"""How the names of folders begin that are being written: nobody looks into them."""

Writer = Callable[[Path], None]
"""Fills the empty folder that it is given with a complete bundle."""

_SUFFIX_BYTES = 4


def find(cache: Path, key: str, damaged: Callable[[str], None]) -> Bundle | None:
    """Return the bundle made from this recipe, verified, or None.

    Calls ``damaged`` with the reason when there is one that must not be used.
    """
    version = version_of(cache, key)
    if version is None:
        return None
    try:
        return _with_previous(cache / "bundles" / version)
    except BundleError as error:
        damaged(str(error))
        return None


def version_of(cache: Path, key: str) -> str | None:
    """The version of the bundle made from this recipe, which is not looked at; None where none was made."""
    try:
        return str(json.loads((cache / "keys" / f"{key}.json").read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def publish(cache: Path, key: str, write: Writer) -> Bundle:
    """Let ``write`` fill an empty directory with a complete bundle, then make it visible in one step.

    Call with the lock of ``key`` held. Raises what ``write`` raises, and `BundleError` when what it wrote
    does not verify; either way nothing becomes visible.
    """
    bundles = cache / "bundles"
    with partial(bundles / key) as folder:
        write(folder)
        version = _with_previous(folder).version
        _sync(folder)
        _move_into_place(folder, bundles / version)
    write_atomically(cache / "keys" / f"{key}.json", json.dumps({"version": version}).encode())
    return Bundle.load(bundles / version)


@contextlib.contextmanager
def partial(final: Path) -> Iterator[Path]:
    """A new empty folder beside ``final``, to be filled and then renamed; what is left of it afterwards is removed.

    Call with a lock held that is ``final``'s own: what killed processes left of the same is swept first.
    """
    begin = f"{PARTIAL}{final.name}-"
    # The whole of the suffix: another's name may begin with this one, as ml-1m-0123456789 does with ml-1m.
    for stale in final.parent.glob(glob.escape(begin) + "[0-9a-f]" * 2 * _SUFFIX_BYTES):
        shutil.rmtree(stale, ignore_errors=True)
    folder = final.with_name(begin + secrets.token_hex(_SUFFIX_BYTES))
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that readers see the old content or the new, and never a part; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def lock(cache: Path, name: str, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the named lock; calls ``waiting`` once when another process has it.

    The kernel lets go of it when the holder dies, so a killed process blocks nobody.
    """
    path = cache / "locks" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _move_into_place(partial: Path, final: Path) -> None:
    try:
        partial.rename(final)
    except OSError:
        # The same content is there already: keep what is sound of it, for somebody may be reading it.
        try:
            Bundle.load(final)
        except BundleError:
            _replace(final, partial)
            return
        try:
            _with_previous(final)
        except BundleError:  # or it was made by a recipe that kept no release before
            _replace(final / PREVIOUS, partial / PREVIOUS)


def _replace(broken: Path, sound: Path) -> None:
    """Put ``sound`` where ``broken`` may be."""
    aside = sound.with_name(f"{PARTIAL}broken-{secrets.token_hex(4)}")
    with contextlib.suppress(FileNotFoundError):
        broken.rename(aside)
    sound.rename(broken)
    shutil.rmtree(aside, ignore_errors=True)


def _with_previous(folder: Path) -> Bundle:
    """The bundle there, verified with the release before it; raises `BundleError`."""
    found = Bundle.load(folder)
    found.previous()
    return found


def _sync(folder: Path) -> None:
    """Get the files onto the disk before the rename: a power cut must not leave a name over empty files."""
    for path in sorted((p for p in folder.rglob("*") if p.is_file()), key=lambda path: path.name == MANIFEST):
        with path.open("rb") as file:
            os.fsync(file.fileno())
