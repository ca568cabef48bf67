"""What tests share: a lab that dies with the test process, and the real model, prepared once."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drills import model
from drills.home import cache
from drills.spec import Topology
from drills.targets.local.target import LocalTarget

# Started in the background by a shell, this process ignores Ctrl-C, and so would every recdr that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def namespaces_allowed() -> None:
    """Skip where this machine forbids what a lab is made of."""
    script = "from drills.targets.local.namespaces import become_root; become_root()"
    tried = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"namespaces are forbidden here: {tried.stderr.strip().splitlines()[-1]}")


@pytest.fixture(scope="session")
def bundle_path() -> Path:
    """The reference model, from the user's cache or trained now."""
    return model.prepare(cache(), lambda *_: None)


@pytest.fixture(scope="module")
def lab(namespaces_allowed: None, bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTarget]:
    """A whole lab with a simulated accelerator; it dies with the test process whatever happens."""
    target = LocalTarget(tmp_path_factory.mktemp("lab"), bundle_path)
    target.deploy(Topology(accelerator="simulated"))
    yield target
    target.teardown()
