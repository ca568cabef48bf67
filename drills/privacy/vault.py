"""What healing needs of a run's secrets, kept outside its directory for as long as something may be left to heal.

``.recdr/private/ID``, for nobody but the user who runs the drill: the secret values that this run knows, so that
whoever heals it writes none of them down; the true arguments of what was injected; and how its service is asked. It
goes as soon as the run has ended with everything healed. A file ``.private`` in the run's directory says where it lies.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from drills.home import home
from drills.privacy import known

POINTER = ".private"
PRIVATE = "private"
_ARGUMENTS = "arguments.jsonl"
_RUN = "run"


@contextmanager
def opened(run: Path) -> Iterator[Path]:
    """The run's vault, known to every process that is started in the block; ``forget`` takes it away."""
    _sweep()
    folder = _made(run)
    _write(folder / known.VALUES, json.dumps(sorted(known.values())) + "\n")
    _write(folder / known.PEOPLE, json.dumps(sorted(known.people())))
    before = os.environ.get(known.VARIABLE)
    os.environ[known.VARIABLE] = str(folder)
    try:
        yield folder
    finally:
        if before is None:
            os.environ.pop(known.VARIABLE, None)
        else:
            os.environ[known.VARIABLE] = before


def forget(run: Path) -> None:
    """Nothing is left to heal: take the run's vault away."""
    _clear(_folder(run), run)
    with contextlib.suppress(OSError):
        (run / POINTER).unlink(missing_ok=True)


def keep(run: Path, name: str, content: bytes) -> None:
    """Have ``content`` under ``name`` in the run's vault, whole or not at all."""
    _put(_made(run) / name, content)


def kept(run: Path, name: str) -> bytes | None:
    """What is kept under ``name``; None where nothing is."""
    try:
        return (_folder(run) / name).read_bytes()
    except OSError:
        return None


def keep_arguments(run: Path, arguments: dict[str, Any]) -> int:
    """Note the true arguments of a fault, durably, and return the number under which they are found again."""
    there, line = [json.dumps(one) for one in _arguments(run)], json.dumps(arguments)
    if line in there:
        return there.index(line)
    keep(run, _ARGUMENTS, "".join(f"{one}\n" for one in [*there, line]).encode())
    return len(there)


def kept_arguments(run: Path, number: int) -> dict[str, Any] | None:
    """The arguments under that number; None where the vault has none."""
    there = _arguments(run)
    return there[number] if 0 <= number < len(there) else None


def unlock(run: Path) -> None:
    """Learn what the run knew to be secret, before something is written about it by another process."""
    os.environ[known.VARIABLE] = str(_folder(run))


def place(run: Path) -> Path:
    """Where the run's vault lies, or lay."""
    return _folder(run)


def _arguments(run: Path) -> list[dict[str, Any]]:
    try:
        lines = (_folder(run) / _ARGUMENTS).read_bytes().split(b"\n")
    except OSError:
        return []
    found: list[dict[str, Any]] = []
    for line in lines[:-1]:
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


def _folder(run: Path) -> Path:
    """Where the run's vault lies: what its pointer says counts only if that looks like a vault of this very run.

    The pointer may be torn by a full disk or a power cut, or have been written by whoever had the run's directory.
    """
    with contextlib.suppress(OSError, ValueError):
        named = Path((run / POINTER).read_text())
        if named.is_absolute() and named.parent.name == PRIVATE and named.name == run.absolute().name:
            return named
    return home() / PRIVATE / run.absolute().name


def _clear(folder: Path, run: Path) -> None:
    """Remove a vault's own files, and the folder once nothing else is in it: never anything that is no vault's."""
    with contextlib.suppress(OSError, ValueError):
        if Path((folder / _RUN).read_text()) != run.absolute():  # another run's, or no vault
            return
        for file in folder.iterdir():
            if file.name != _RUN and not file.is_dir():
                file.unlink()
        (folder / _RUN).unlink()
        folder.rmdir()
        folder.parent.rmdir()  # unless there are others


def _made(run: Path) -> Path:
    folder = _folder(run)
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        _write(folder / _RUN, str(run.absolute()))
        _put(run / POINTER, str(folder.absolute()).encode())
    return folder


def _put(path: Path, content: bytes) -> None:
    partial = path.with_name(f"{path.name}.partial")
    _write(partial, content)
    partial.replace(path)


def _write(path: Path, content: str | bytes) -> None:
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content.encode(errors="surrogatepass") if isinstance(content, str) else content)
        file.flush()
        os.fsync(fd)


def _sweep() -> None:
    """Take away the vaults of runs whose directories were deleted."""
    for note in _notes():
        with contextlib.suppress(OSError):
            if (run := Path(note.read_text())).is_absolute() and not run.exists():
                _clear(note.parent, run)


def _notes() -> Iterable[Path]:
    return list((home() / PRIVATE).glob(f"*/{_RUN}"))
