"""``recdr up`` that is stopped half-way, by a real signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drills.home import cache
from tests.processes import commands_with, eventually_empty

RECDR = str(Path(sys.executable).with_name("recdr"))


@pytest.mark.lab
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL])
def test_a_lab_that_was_stopped_while_coming_up_is_gone(
    number: signal.Signals, namespaces_allowed: None, bundle_path: Path, tmp_path: Path
) -> None:
    environment = {**os.environ, "RECDR_HOME": str(tmp_path), "RECDR_CACHE": str(cache())}
    up = subprocess.Popen([RECDR, "up"], env=environment, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while not commands_with(f"{tmp_path}/lab/settings.json"):
            assert up.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        up.send_signal(number)
        said = up.communicate(timeout=30)[1]
        left = eventually_empty(lambda: commands_with(str(tmp_path)), 8)
    finally:
        up.kill()
        up.wait()
        subprocess.run([RECDR, "down"], env=environment, capture_output=True, check=False)
    if number == signal.SIGKILL:
        assert up.returncode == -signal.SIGKILL
    else:
        assert up.returncode == 130, said
        assert f"interrupted by {number.name}; nothing of the lab is left" in said
        assert not (tmp_path / "lab" / "target.json").exists()
    assert left == []
