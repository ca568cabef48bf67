"""``recdr calibrate`` as a user calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def recdr(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RECDR_HOME": str(home), "NO_COLOR": "1"}
    argv = [sys.executable, "-c", "from drills.cli import main; main()", "calibrate", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, timeout=120)


def test_one_shape_as_json(tmp_path: Path) -> None:
    ran = recdr(tmp_path, "--shape", "unacknowledged", "--repetitions", "2", "--json")
    document = json.loads(ran.stdout)
    assert ran.returncode == {"PASS": 0, "FAIL": 1, "UNKNOWN": 3}[document["outcome"]]
    assert document["settings"]["repetitions"] == 2
    assert list(document["settings"]["shapes"]) == ["unacknowledged"]
    assert "about" in ran.stderr
    assert "left" in ran.stderr
    assert not (tmp_path / "calibration.json").exists(), "one shape is no calibration of the host"


def test_one_shape_for_people(tmp_path: Path) -> None:
    ran = recdr(tmp_path, "--shape", "unacknowledged", "--repetitions", "1")
    assert "unacknowledged  stores writes and answers 503, for 0.5 s" in ran.stdout
    assert ran.stdout.rstrip().splitlines()[-1].startswith(("PASS", "  unacknowledged: "))


def test_no_such_shape(tmp_path: Path) -> None:
    ran = recdr(tmp_path, "--shape", "square")
    assert ran.returncode == 2
    assert "no shape is called square: choose from dark-drops-0.1" in ran.stderr
