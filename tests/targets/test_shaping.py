"""What the kernel is asked for a worse link: right by its bytes, also where this kernel has no netem to try it on."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from pyroute2.netlink.rtnl.tcmsg import sched_htb, sched_netem, tcmsg

from drills.errors import HostError
from drills.faults.link import Link
from drills.spec import load
from drills.targets import opening
from drills.targets.base import Arrived, Delayable, Shapeable
from drills.targets.local import doctor
from drills.targets.local.plan import Plan
from drills.targets.local.shaping import ROOT, Way, orders, ways
from drills.targets.local.target import LocalTarget

PLAN = Plan({"primary": ("primary/node-1",), "standby": ("standby/node-1",)})
NETEM = Path(__file__).resolve().parents[2] / "experiments" / "slow-link.yaml"


def asked(**properties: float) -> list[tuple[str, str, dict[str, Any]]]:
    return list(orders([Way("v-1-8", "standby", tuple(properties.items()))], PLAN))


def test_each_host_of_either_place_receives_over_a_shaped_link() -> None:
    found = ways(PLAN, "primary", "standby/store", {"rate_mbit": 2, "loss": 0})
    assert {(way.interface, way.source) for way in found} == {
        ("v-2-8", "primary"),
        ("v-1-8", "standby/store"),
        ("v-1-11", "standby/store"),
    }
    assert all(way.properties == (("rate_mbit", 2.0),) for way in found)


def test_only_what_comes_from_the_other_place_is_led_to_the_class() -> None:
    *_, (command, kind, settings) = asked(rate_mbit=8)
    assert (command, kind) == ("add-filter", "u32")
    assert settings["keys"] == ["0x0a4d0200/0xffffff00+12"]  # 10.77.2.0/24, the source address of an IPv4 header
    assert settings["target"] == ROOT + 1
    assert asked(rate_mbit=8)[0][2]["default"] == 0, "or everything else would be shaped too"


def test_the_rate_is_bytes_a_second_of_a_class_of_its_own() -> None:
    (settings,) = [settings for command, _, settings in asked(rate_mbit=8) if command == "add-class"]
    parameters = dict(sched_htb.get_class_parameters(settings)["attrs"])["TCA_HTB_PARMS"]
    assert parameters["rate"] == parameters["ceil"] == 1_000_000
    assert not [kind for _, kind, _ in asked(rate_mbit=8) if kind == "netem"]


def test_netem_gets_ticks_of_64_ns_and_a_share_of_32_bits() -> None:
    (settings,) = [s for _, kind, s in asked(latency_ms=40, jitter_ms=10, loss=0.01) if kind == "netem"]
    assert settings["parent"] == ROOT + 1
    message = tcmsg()
    message["attrs"] = [("TCA_KIND", "netem"), ("TCA_OPTIONS", sched_netem.get_parameters(settings))]
    message.encode()
    latency, limit, loss, gap, duplicate, jitter = struct.unpack("6I", bytes(message.data)[-24:])
    tick_ns = 1000 / sched_netem.time2tick(1)
    assert (latency * tick_ns, jitter * tick_ns) == (40e6, 10e6)
    assert loss / 2**32 == pytest.approx(0.01, abs=1e-6)
    assert (limit, gap, duplicate) == (10_000, 0, 0)


def test_nothing_wanted_leaves_nothing() -> None:
    assert list(orders([], PLAN)) == []


def test_a_rate_needs_less_than_latency_does() -> None:
    assert Link.needs_for({"rate_mbit": 5.0, "latency_ms": 0.0}) == ()
    assert Link.needs_for({"latency_ms": 5.0}) == Link.needs_for({"loss": 0.1}) == (Delayable,)


def without_netem(need: type) -> str | None:
    return "this kernel has no netem. To allow it: load sch_netem" if need is Delayable else None


def test_where_the_kernel_cannot_a_drill_is_refused_before_anything_is_deployed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor, "missing", without_netem)  # so that this holds on kernels of either kind
    with pytest.raises(
        HostError, match=r"slow-link\.yaml:\d+: the fault link .* no netem. To allow it: load sch_netem"
    ):
        opening.check_abilities(load(NETEM))
    monkeypatch.setattr(doctor, "missing", lambda _: None)
    opening.check_abilities(load(NETEM))


def test_what_this_kernel_lacks_is_what_the_doctor_says(namespaces_allowed: None) -> None:
    said = {check.name: check.ok for check in doctor.checks()}
    for ability, name in ((Shapeable, "links of a given rate (htb, u32)"), (Delayable, doctor._NAMES[Delayable])):
        assert (LocalTarget.lacks(ability) is None) == said[name]


class Line:
    """Stands for a target whose line is as told: what the fault makes of datagrams needs no kernel."""

    def __init__(self, **seen: Any) -> None:
        self.seen = Arrived(**{"sent": 100, "delays_ms": (1.0,) * 100, "mbit_per_s": 900.0, **seen})

    def send_datagrams(self, *_: object, **__: object) -> Arrived:
        return self.seen


@pytest.mark.parametrize(
    ("figures", "sound", "worse"),
    [
        ({"latency_ms": 40}, {}, {"delays_ms": (41.0,) * 100}),
        ({"loss": 0.05}, {}, {"delays_ms": (1.0,) * 95}),
        ({"rate_mbit": 5}, {}, {"mbit_per_s": 5.2}),
        ({"latency_ms": 40, "loss": 0.05}, {"delays_ms": (1.0,) * 95}, {"delays_ms": (41.0,) * 95}),
    ],
)
def test_each_figure_is_seen_in_datagrams_and_all_must_be(
    figures: dict[str, float], sound: dict[str, Any], worse: dict[str, Any]
) -> None:
    link = Link("primary", "standby", **figures)
    assert not link.took_effect(Line(**sound)).observed
    assert link.took_effect(Line(**worse)).observed
    assert not link.healed(Line(**worse)).observed
    assert link.healed(Line()).observed
    assert not link.took_effect(Line(delays_ms=(), mbit_per_s=None)).observed, "a cut line is not a slow one"
