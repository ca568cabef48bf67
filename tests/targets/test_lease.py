"""The lab's dead-man's switch: by itself, and in a lab whose holder falls silent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drills.errors import TargetError
from drills.targets.base import LeaseLost
from drills.targets.local.lease import Lease
from drills.targets.local.target import LocalTarget
from drills.targets.registry import TARGET_VARIABLE


def test_it_is_held_as_long_as_it_is_renewed() -> None:
    lease = Lease()
    assert lease.runs_out(now=100) is None
    for now in range(0, 50, 5):
        assert lease.renew("a", 10, now)["state"] == "held"
        assert lease.runs_out(now + 4) is None
    lease.release("a")
    assert lease.runs_out(now=1000) is None


def test_it_runs_out_once_and_its_holder_may_break_nothing_until_it_let_go() -> None:
    lease = Lease()
    lease.renew("a", 10, 0)
    lease.must_not_be_expired()
    assert lease.runs_out(now=10) == {"holder": "a", "seconds": 10}
    assert lease.runs_out(now=11) is None
    assert lease.renew("a", 10, 12)["state"] == "expired"
    with pytest.raises(PermissionError, match="nothing may be broken any more"):
        lease.must_not_be_expired()
    lease.release("a")
    lease.must_not_be_expired()
    assert lease.renew("a", 10, 13)["state"] == "held"


def test_while_nobody_listened_it_does_not_run_out() -> None:
    lease = Lease()
    lease.renew("a", 10, 0)
    lease.lengthen(3)
    assert lease.runs_out(now=12) is None
    assert lease.renew("a", 10, 12)["state"] == "held"


def test_a_holder_that_comes_late_does_not_save_it() -> None:
    """PID 1 itself may have been stopped: then the renewal and the end of the lease are seen in one go."""
    lease = Lease()
    lease.renew("a", 10, 0)
    assert lease.renew("a", 10, 10.1)["state"] == "expired"
    assert lease.runs_out(now=10.1) is not None


def test_nobody_else_gets_it_before_it_has_run_out() -> None:
    lease = Lease()
    lease.renew("a", 10, 0)
    assert lease.renew("b", 10, 5) == {"state": "taken", "holder": "a"}
    lease.release("b")
    assert lease.renew("b", 10, 5)["state"] == "taken"
    assert lease.runs_out(now=10) is not None
    assert lease.renew("b", 10, 11)["state"] == "held"
    lease.must_not_be_expired()


def test_a_holder_that_stays_away_is_forgotten_after_twenty_leases() -> None:
    lease = Lease()
    lease.renew("a", 10, 0)
    lease.runs_out(now=10)
    assert not lease.forgotten(now=199)
    assert lease.forgotten(now=201)


@pytest.mark.lab
def test_a_lab_whose_holder_falls_silent_heals_all_it_can_and_says_what_it_cannot(lab: LocalTarget) -> None:
    node, other = lab.nodes_of("primary")
    begin = time.monotonic_ns()
    lab.renew(2.0)
    lab.lose_region("standby")
    lab.cut(node, "primary/store")
    lab.kill_node(other, signal.SIGSTOP)
    lab.fail_accelerator(node, "simulated")
    deadline = time.monotonic() + 20
    while not (seen := [e for e in lab.sightings(begin) if e.kind == "guard.lease_expired"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert f"the accelerator of {node}" in seen[0].data["healed"]
    assert seen[0].data["unhealed"] == {}
    state = lab.status()
    assert (state["lost"], state["cuts"], state["broken"]) == ([], [], [])
    for refused in (lambda: lab.lose_region("primary"), lambda: lab.cut("edge", "primary")):
        with pytest.raises(TargetError, match="nothing may be broken any more"):
            refused()
    with pytest.raises(LeaseLost):
        lab.renew(2.0)
    lab.reset()
    assert all((lab.observe(n) or {}).get("ready") for region in ("primary", "standby") for n in lab.nodes_of(region))
    lab.release()
    lab.cut("edge", node)
    lab.mend("edge", node)


@pytest.mark.lab
def test_the_lease_of_a_process_that_is_gone_need_not_be_waited_for(lab: LocalTarget) -> None:
    script = f"""
from pathlib import Path
from drills.targets.local.target import LocalTarget
from drills.targets.registry import TARGET_VARIABLE
LocalTarget.attach(Path({str(lab.reference)!r})).renew(60.0)
print("held", flush=True)
input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(TargetError, match=f"process {holder.pid} .* is breaking this lab"):
            lab.renew(5.0)
        os.kill(holder.pid, signal.SIGKILL)
    lab.renew(5.0)
    lab.release()


@pytest.mark.lab
def test_a_fault_of_a_plain_chaos_run_goes_on_while_its_process_lives_and_then_expires(
    lab: LocalTarget, tmp_path: Path
) -> None:
    script = f"""
from drills.faults import alone
from drills.faults.partition import inject
alone.LEASE_S = 2.0
inject(a="edge", b={lab.nodes_of("primary")[0]!r})
print("broken", flush=True)
input()
"""
    environment = {**os.environ, TARGET_VARIABLE: str(lab.reference), "RECDR_HOME": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as chaos:
        assert chaos.stdout is not None
        assert chaos.stdout.readline() == "broken\n"
        time.sleep(5.0)
        assert lab.status()["cuts"] != []
        chaos.send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + 20
        while lab.status()["cuts"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        chaos.kill()
    lab.renew(5.0)
    lab.release()
