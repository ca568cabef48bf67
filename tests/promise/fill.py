"""Fill the disk of a run's directory in the middle of its fault: ``python -m tests.promise.fill DISK FOLDER``.

Runs where DISK is a small file system of its own (see ``test_trouble``). Exits 0 if all was healed and said.
"""

from __future__ import annotations

import sys
from pathlib import Path

from drills.undo import unhealed
from tests.processes import commands_with, eventually_empty
from tests.promise.drilled import drilling


def main(disk: Path, folder: Path) -> None:
    with drilling(folder, out=disk / "runs") as drill:
        assert drill.is_lost()
        with (disk / "filler").open("wb", buffering=0) as filler:
            try:
                while filler.write(b"\0" * 2**20):
                    pass
            except OSError:
                sys.stdout.write("the disk is full\n")
        said = drill.ended()
        sys.stdout.write(said)
        assert drill.process.returncode == 3
        assert "disk" in said
        assert drill.verdict()["outcome"] == "UNKNOWN"
        left = eventually_empty(lambda: commands_with(str(drill.run)), 10)
        assert (left, unhealed(drill.run), drill.is_lost()) == ([], [], False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
