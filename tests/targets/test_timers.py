"""The timers that the record states are those that the configurations hold."""

from __future__ import annotations

import re
from pathlib import Path

from drills.targets.local import services, settle, timers
from recsvc import fence, watch, writer
from recsvc.timers import TIMERS
from tests.targets.test_plan import settings

STATED = timers.stated(TIMERS)


def seconds(configuration: str, what: str) -> float:
    """The milliseconds that stand behind ``what`` in HAProxy's configuration, in seconds."""
    found = {int(ms) for ms in re.findall(rf"\b{what} (\d+)ms", configuration)}
    assert len(found) == 1, f"{what}: {found}"
    return found.pop() / 1_000


def test_haproxy_is_configured_with_what_is_stated(tmp_path: Path) -> None:
    directors = services.haproxy_conf(settings(tmp_path)).partition("\nbackend only_")[
        0
    ]  # recdr's own way past the director
    for what in ("fastinter", "downinter"):
        assert STATED[f"check_{what}_s"] == seconds(directors, what)
    assert STATED["check_inter_s"] == seconds(directors, "check inter")
    for what in ("connect", "server", "queue"):
        assert STATED[f"{what}_timeout_s"] == seconds(directors, f"timeout {what}")
    assert STATED["check_timeout_s"] == seconds(directors, "timeout check")
    for name, said in (("check_fall", "fall"), ("check_rise", "rise"), ("error_limit", "error-limit")):
        assert f"{said} {STATED[name]:g}" in directors


def test_sentinels_are_configured_with_what_is_stated(tmp_path: Path) -> None:
    plan = settings(tmp_path).plan
    witness = services._sentinel_conf(plan, "edge", "10.0.0.1")
    regional = services._sentinel_conf(plan, "standby", "10.0.0.1")
    assert f"down-after-milliseconds recdr {STATED['witness_down_after_s'] * 1_000:.0f}\n" in witness
    assert f"down-after-milliseconds recdr {STATED['regional_down_after_s'] * 1_000:.0f}\n" in regional
    assert f"failover-timeout recdr {STATED['failover_timeout_s'] * 1_000:.0f}\n" in witness
    for name, period in (("ping", "PING"), ("info", "INFO"), ("publish", "PUBLISH"), ("ask", "ASK")):
        assert settle._PERIODS_MS[f"{period}-PERIOD"] == STATED[f"sentinel_{name}_s"] * 1_000


def test_a_node_states_what_it_goes_by() -> None:
    assert TIMERS["node_poll_s"] == watch.PERIOD_S
    assert TIMERS["node_replica_gone_s"] * 1e9 == fence.REPLICA_GONE_NS
    assert TIMERS["node_commit_wait_s"] * 1_000 == writer.WAIT_MS
    assert TIMERS.items() <= STATED.items()


def test_the_longest_period_is_what_a_fault_is_jittered_against() -> None:
    assert STATED["period_s"] == 1.0
    assert timers.stated(None)["period_s"] == 1.0
    assert timers.stated({"node_poll_s": 2.5})["period_s"] == 2.5
    assert "junk" not in timers.stated({"junk": "x"})
