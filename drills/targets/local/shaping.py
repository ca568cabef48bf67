"""Slow, lossy or narrow ways between places, by the kernel's own queueing disciplines.

At the router's end of each host's link stands an HTB class for what comes from the other place; a u32 filter on the
source address leads it there, everything else passes untouched. A class has a rate and, under it, netem for latency,
jitter and loss. Not every kernel has netem; where one lacks a discipline, the netlink call fails and nothing is shaped.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyroute2 import IPRoute, protocols
from pyroute2.netlink.exceptions import NetlinkError

from drills.targets.local.plan import Plan

if TYPE_CHECKING:
    from drills.targets.local.lab import Lab

ROOT = 0x10000
_OPEN_MBIT = 10_000
_BURST_S = 0.002
_LEAST_BURST_BYTES = 3200
_SOURCE_OFFSET = 12
"""Where in an IPv4 header the source address stands."""


@dataclass(frozen=True)
class Way:
    """One direction: what comes from ``source`` and goes to the host behind ``interface``."""

    interface: str
    source: str
    properties: tuple[tuple[str, float], ...]


def ways(plan: Plan, a: str, b: str, properties: Mapping[str, float]) -> list[Way]:
    """Each host of either place, receiving from the other."""
    wanted = tuple(sorted((name, float(value)) for name, value in properties.items() if value))
    return [
        Way(host.interface, source, wanted)
        for source, destination in ((a, b), (b, a))
        for host in plan.hosts()
        if destination in (host.site, host.name)
    ]


class Shaper:
    """What is shaped in a lab, and why."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._wanted: dict[str, list[Way]] = {}

    def shape(self, a: str, b: str, properties: Mapping[str, float], why: str) -> None:
        """Shape both directions between two places; more pairs may have the same cause. Idempotent."""
        known = self._wanted.setdefault(why, [])
        known += [way for way in ways(self._lab.network.plan, a, b, properties) if way not in known]
        self._lay({way.interface for way in known})

    def lift(self, why: str) -> None:
        """Undo all that was shaped for this cause; idempotent."""
        lifted = self._wanted.pop(why, [])
        try:
            self._lay({way.interface for way in lifted})
        except BaseException:
            self._wanted[why] = lifted
            raise

    def _lay(self, interfaces: set[str]) -> None:
        """Lay these links' disciplines anew: none where nothing is wanted of them."""
        with IPRoute() as ip:
            for interface in sorted(interfaces):
                index = ip.link_lookup(ifname=interface)[0]
                with contextlib.suppress(NetlinkError):  # there was none
                    ip.tc("del", index=index, root=True)
                wanted = [way for known in self._wanted.values() for way in known if way.interface == interface]
                for command, kind, settings in orders(wanted, self._lab.network.plan):
                    ip.tc(command, kind, index, **settings)


def orders(wanted: list[Way], plan: Plan) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What is asked of the kernel for one link: command, kind of discipline, and its settings."""
    if not wanted:
        return
    yield "add", "htb", {"handle": ROOT, "default": 0}  # 0: what no filter claims is not queued at all
    for number, way in enumerate(wanted, start=1):
        properties, target = dict(way.properties), ROOT + number
        rate = properties.get("rate_mbit", _OPEN_MBIT) * 1e6 / 8
        burst = int(max(_LEAST_BURST_BYTES, rate * _BURST_S))
        yield "add-class", "htb", {"handle": target, "parent": ROOT, "rate": int(rate), "burst": burst, "cburst": burst}
        if netem := _netem(properties):
            yield "add", "netem", {"handle": (0x100 + number) << 16, "parent": target, **netem}
        network = ipaddress.ip_network("/".join(map(str, plan.network(way.source))))
        key = f"0x{int(network.network_address):08x}/0x{int(network.netmask):08x}+{_SOURCE_OFFSET}"
        about = {"parent": ROOT, "prio": number, "protocol": protocols.ETH_P_IP, "target": target, "keys": [key]}
        yield "add-filter", "u32", about


def _netem(properties: Mapping[str, float]) -> dict[str, Any]:
    """netem's settings: microseconds and per cent; none where it has nothing to do."""
    found = {
        "delay": int(properties.get("latency_ms", 0) * 1000),
        "jitter": int(properties.get("jitter_ms", 0) * 1000),
        "loss": 100 * properties.get("loss", 0),
    }
    return {name: value for name, value in found.items() if value} and {**found, "limit": 10_000}


def try_out(properties: Mapping[str, float]) -> None:
    """Shape the loopback of this network namespace; raises NetlinkError with ENOENT where the kernel lacks a part."""
    plan = Plan({})
    with IPRoute() as ip:
        index = ip.link_lookup(ifname="lo")[0]
        for command, kind, settings in orders([Way("lo", "edge", tuple(properties.items()))], plan):
            try:
                ip.tc(command, kind, index, **settings)
            except NetlinkError as error:
                if error.code == errno.ENOENT:
                    raise OSError(error.code, f"the kernel has no {kind}") from None
                raise
