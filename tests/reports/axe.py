"""axe-core, the accessibility checker that browsers' own tools use, fetched once from npm into recdr's cache."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

from drills.home import cache

VERSION = "4.14.1"
_FETCH_S = 60
_SCRIPT = "package/axe.min.js"


def source() -> str:
    """Its JavaScript; skips the test with the reason where npm or its registry is out of reach."""
    kept = cache() / "tests" / f"axe-core-{VERSION}.min.js"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            script = Path(folder) / "axe.min.js"
            script.write_bytes(_fetched(Path(folder)))
            script.replace(kept)  # tests may run side by side
    return kept.read_text(encoding="utf-8")


def _fetched(folder: Path) -> bytes:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed, which axe-core comes from")
    command = ["npm", "pack", f"axe-core@{VERSION}", "--silent", "--pack-destination", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_FETCH_S, cwd=folder)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not fetch axe-core within {_FETCH_S} s")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"npm cannot fetch axe-core: {error.stderr.strip()[-300:]}")
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        member = archive.extractfile(_SCRIPT)
        assert member is not None
        return member.read()
