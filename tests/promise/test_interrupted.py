"""However a drill is stopped in the middle of its fault: the service is healed, and nothing is left running."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.command import recdr
from tests.promise.drilled import LEASE_S, drilling, eventually


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_stop_heals_first(number: signal.Signals, tmp_path: Path) -> None:
    with drilling(tmp_path) as drill:
        assert drill.is_lost()
        drill.process.send_signal(number)
        assert f"interrupted by {number.name}" in drill.ended()
        assert drill.process.returncode == 130
        assert drill.verdict()["outcome"] == "UNKNOWN"
        assert drill.events("guard.watchdog") == []
        assert drill.left() == []
        assert f"Stopped early.</b> The run was interrupted ({number.name})." in drill.report()


def test_kill_nine_is_healed_by_the_watchdog(tmp_path: Path) -> None:
    with drilling(tmp_path) as drill:
        assert drill.is_lost()
        drill.process.kill()
        assert eventually(lambda: not drill.is_lost(), LEASE_S + 8)
        assert eventually(lambda: drill.events("guard.watchdog"), 10)
        assert drill.events("guard.watchdog")[0].data["process"] == "gone"
        assert drill.left() == []
        assert list((tmp_path / "home" / "open-runs").iterdir()) == []
        healed = recdr(tmp_path / "home", "drill", "heal", str(drill.run))
        assert healed.returncode == 0, healed.stderr
        report = drill.report()
        assert "verdict.json is missing: the run was not judged." in report
        assert "Its watchdog saw that recdr was killed, and healed:" in report
        assert "are what the clients had written so far" in report


def test_one_that_is_stopped_is_healed_and_ends_as_unknown_when_it_goes_on(tmp_path: Path) -> None:
    with drilling(tmp_path) as drill:
        drill.process.send_signal(signal.SIGSTOP)
        assert eventually(lambda: not drill.is_lost(), LEASE_S + 8)
        drill.process.send_signal(signal.SIGCONT)
        said = drill.ended()
        assert "the lease of guard.lease_s (3 s) expired" in said
        assert drill.process.returncode == 3
        verdict = drill.verdict()
        assert verdict["outcome"] == "UNKNOWN"
        assert "lease" in " ".join(verdict["reasons"])
        assert drill.left() == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize(
    ("who", "reason"),
    [
        ("drills.chaos", "the experiment's process"),
        ("drills.load.prober", "the prober"),
        ("drills.watchdog", "watchdog was killed or stopped"),
    ],
)
def test_a_process_of_its_own_that_is_lost_ends_the_trial(
    who: str, reason: str, number: signal.Signals, tmp_path: Path
) -> None:
    with drilling(tmp_path) as drill:
        os.kill(drill.child(who), number)
        assert eventually(lambda: not drill.is_lost(), 10)
        said = drill.ended()
        assert drill.process.returncode == 3, said
        assert reason in " ".join(drill.verdict()["reasons"])
        assert drill.left() == []
