"""The throttle: a quota of processor time a period, as a cgroup's cpu.max has it, kept by signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drills.targets.local import throttle
from drills.targets.local.throttle import Quota, processor_ns

SPIN = "while True: pass"
WATCHED_S = 2.0


def test_what_was_used_beyond_the_quota_counts_against_the_next_periods() -> None:
    quota = Quota(each_ns=10, left_ns=10)
    quota.used(35)
    assert quota.spent
    quota.passed(2)
    assert quota.spent
    quota.passed(1)
    assert not quota.spent


def test_what_was_not_used_is_not_saved() -> None:
    quota = Quota(each_ns=10, left_ns=10)
    quota.passed(100)
    quota.used(10)
    assert quota.spent


def test_the_processor_time_of_another_process_is_what_that_process_says() -> None:
    script = "import time\nwhile time.process_time() < 0.3: pass\nprint(time.process_time_ns(), flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        said = int(other.stdout.readline())
        assert said <= processor_ns(other.pid) < said + 100_000_000
        other.kill()


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_a_process_gets_its_share_and_the_helper_ends_with_it(share: float) -> None:
    with subprocess.Popen([sys.executable, "-c", SPIN]) as spinning:
        command = [sys.executable, "-P", "-m", throttle.__name__, str(spinning.pid), str(share)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as helper:
            assert helper.stdout is not None
            assert helper.stdout.readline().decode().strip() == throttle.AT_WORK
            begin, before = time.monotonic(), processor_ns(spinning.pid)
            time.sleep(WATCHED_S)
            used_s, seconds = (processor_ns(spinning.pid) - before) / 1e9, time.monotonic() - begin
            spinning.kill()
            spinning.wait()
            assert helper.wait(timeout=10) == 0
    # What it got too much because the helper came late is only taken back later: hence the room upwards.
    assert 0 < used_s <= share * seconds + 0.25 * WATCHED_S


def test_a_share_is_that_of_a_process_and_its_children() -> None:
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{SPIN}'])"
    with subprocess.Popen([sys.executable, "-c", script]) as waiting:
        while not throttle.children(waiting.pid):
            time.sleep(0.01)
        (spinning,) = throttle.children(waiting.pid)
        command = [sys.executable, "-P", "-m", throttle.__name__, str(waiting.pid), "0.1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as helper:
            assert helper.stdout is not None
            helper.stdout.readline()
            begin, before = time.monotonic(), processor_ns(spinning)
            time.sleep(WATCHED_S)
            used_s, seconds = (processor_ns(spinning) - before) / 1e9, time.monotonic() - begin
            os.kill(spinning, signal.SIGKILL)
            waiting.kill()
            waiting.wait()
            assert helper.wait(timeout=10) == 0
    assert 0 < used_s <= 0.1 * seconds + 0.25 * WATCHED_S


def test_a_process_that_needs_less_is_never_stopped(tmp_path: Path) -> None:
    """Every stop would be followed by a SIGCONT, which the process counts."""
    counted = tmp_path / "counted"
    script = (
        "import pathlib, signal, sys, time\n"
        "seen = []\n"
        "signal.signal(signal.SIGCONT, lambda *_: seen.append(1))\n"
        "time.sleep(1.5)\n"
        "pathlib.Path(sys.argv[1]).write_text(str(len(seen)))\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(counted)]) as idle:
        time.sleep(0.5)  # starting up needs more than the share
        command = [sys.executable, "-P", "-m", throttle.__name__, str(idle.pid), "0.1"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as helper:
            idle.wait(timeout=30)
            assert helper.wait(timeout=10) == 0
    assert counted.read_text() == "0"


def test_the_helper_of_a_process_that_is_gone_ends_at_once() -> None:
    with subprocess.Popen([sys.executable, "-c", SPIN]) as spinning:
        os.kill(spinning.pid, signal.SIGKILL)
        spinning.wait()
        command = [sys.executable, "-P", "-m", throttle.__name__, str(spinning.pid), "0.1"]
        assert subprocess.run(command, check=False, capture_output=True, timeout=20).returncode == 0
