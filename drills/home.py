"""Where recdr keeps its things: ``.recdr`` in the working directory, or wherever ``RECDR_HOME`` says."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """The absolute path of recdr's own folder; not created here."""
    return Path(os.environ.get("RECDR_HOME") or ".recdr").absolute()


def cache() -> Path:
    """Where data and models are kept between runs: shared by every folder a user works in.

    ``RECDR_CACHE`` moves it; with ``RECDR_HOME`` set it lies there.
    """
    if chosen := os.environ.get("RECDR_CACHE"):
        return Path(chosen).absolute()
    if os.environ.get("RECDR_HOME"):
        return home() / "cache"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "recdr"
