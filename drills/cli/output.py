"""What a command makes for programs: on stdout, or whole in a file."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path


def put(text: str, out: Path | None) -> None:
    """Write ``text`` to ``out``, replaced whole or not at all, for others may be reading it; None is stdout.

    Raises ``OSError`` where the file cannot be written.
    """
    if out is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    descriptor, partial = tempfile.mkstemp(dir=out.absolute().parent, prefix=f".{out.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(partial).chmod(0o644)  # whoever collects it is another user
        Path(partial).replace(out)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
