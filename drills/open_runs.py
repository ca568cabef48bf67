"""The runs that have not ended, wherever their directories lie: how ``recdr drill heal`` finds what a kill -9 left.

recdr's folder holds a file for each, with the run's path in it. Who runs it holds a lock on that file, which goes with
the process; a run that ends with everything healed takes the file away.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drills import undo
from drills.home import home
from drills.privacy import vault
from drills.recording.rundir import RunDir


@contextmanager
def opened(run: RunDir) -> Iterator[None]:
    """Keep the run in the list meanwhile, and afterwards too if it leaves something unhealed."""
    entry = _entry(run)
    entry.parent.mkdir(parents=True, exist_ok=True)
    with entry.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(f"{run.path.absolute()}\n{os.getpid()}")
        file.flush()
        try:
            yield
        finally:
            close(run)


def close(run: RunDir) -> None:
    """Take the run off the list and forget its secrets, unless something that it broke was never seen healed."""
    if not undo.unhealed(run.path):
        vault.forget(run.path)
        _entry(run).unlink(missing_ok=True)


def abandoned() -> list[RunDir]:
    """The runs in the list that nobody runs any more, the latest first; entries of deleted runs are taken away."""
    found = []
    for entry in sorted(_folder().glob("*"), reverse=True):
        path = entry.read_text().partition("\n")[0]
        if _running(entry) or not path:  # empty: its run is beginning this very moment
            continue
        run = RunDir(Path(path))
        if run.id == entry.name and run.path.is_dir():
            found.append(run)
        else:
            entry.unlink(missing_ok=True)
    return found


def of_process(pid: int) -> list[str]:
    """The ids of the runs that process ``pid`` is running right now."""
    return [e.name for e in sorted(_folder().glob("*")) if _pid(e) == str(pid) and _running(e)]


def _pid(entry: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        return entry.read_text().partition("\n")[2]
    return ""


def is_running(run: RunDir) -> bool:
    """Whether some process is running it right now."""
    return _running(_entry(run))


def _running(entry: Path) -> bool:
    with contextlib.suppress(FileNotFoundError), entry.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _folder() -> Path:
    return home() / "open-runs"


def _entry(run: RunDir) -> Path:
    return _folder() / run.id
