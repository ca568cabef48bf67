"""A baseline of the reference service, recorded in a real lab, and the drill that is held against it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from drills.home import cache

pytestmark = [pytest.mark.lab, pytest.mark.slow]


def test_the_baseline_of_a_lab_holds_both_regions_lists_and_nothing_is_left(
    namespaces_allowed: None, bundle_path: Path, tmp_path: Path
) -> None:
    environment = {**os.environ, "RECDR_HOME": str(tmp_path), "RECDR_CACHE": str(cache()), "NO_COLOR": "1"}
    command = [sys.executable, "-c", "from drills.cli import main; main()"]
    arguments = ["baseline", "record", "failover.yaml", "--json", "--note", "as delivered"]
    ran = subprocess.run(
        [*command, *arguments], env=environment, capture_output=True, text=True, timeout=250, check=False
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    assert (found["state"], found["gaps"]) == ("accepted", [])
    assert found["measures"].keys() == {"recall_at_20", "availability", "throughput_rps", "p50_ms", "p99_ms"}
    assert 0 < found["measures"]["recall_at_20"]["value"] < 1
    assert len(found["quality"]) == len(found["lists"]) == 200
    for region in ("primary", "standby"):
        assert found["regions"][region] == found["lists"], "both regions serve one model to the same histories"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["baselines"]
    assert [path.name for path in (tmp_path / "baselines").iterdir()] == [f"{found['id']}.json"]
