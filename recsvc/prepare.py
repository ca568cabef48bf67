"""The name under which `recsvc.commands.train` could be called before there were other commands."""

from __future__ import annotations

import sys

from recsvc import data
from recsvc.commands.train import Prepared, main, prepare

__all__ = ["Prepared", "data", "main", "prepare"]

if __name__ == "__main__":
    sys.exit(main())
