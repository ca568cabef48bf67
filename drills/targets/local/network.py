"""The lab's network: one namespace a host, each on a link of its own to the router that is the WAN.

A cut is a pair of policy rules in the router that drop what comes from one place and goes to the other (one of the two
for a one-way cut): no answer, no reset, no ICMP, as with a broken line. No netfilter is needed, nor any program.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from drills.targets.base import A_TO_B, BOTH, REGIONS
from drills.targets.local import namespaces
from drills.targets.local.plan import ROUTER, Host, Plan

_CUT_PRIORITY = 100


@dataclass(frozen=True)
class Drop:
    """Packets from one place to another; ``port`` narrows them to TCP with this source or destination port."""

    source: str
    destination: str
    port: tuple[str, int] | None = None
    """``("sport_range", 8000)`` or ``("dport_range", 8000)``."""


class Network:
    """The router's view; lives in the lab's PID 1, whose own network namespace is the router."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._drops: dict[Drop, set[str]] = {}
        self._router = namespaces.network_here()
        self._ip = IPRoute()
        self._loopback_up(self._ip)
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        self._fds = {host.name: self._add(host) for host in plan.hosts()}

    def namespace(self, host: str) -> int:
        """The descriptor of a host's network namespace."""
        return self._fds[host]

    @property
    def cuts(self) -> set[tuple[str, str]]:
        """The pairs of places between which everything is dropped, both ways."""
        silent = {(drop.source, drop.destination) for drop in self._drops if drop.port is None}
        return {(a, b) for a, b in silent if a < b and (b, a) in silent}

    def cut(self, a: str, b: str, direction: str = BOTH, why: str = "") -> None:
        """Drop everything between two places, or only what goes from ``a`` to ``b``; idempotent.

        ``why`` tells causes apart: what two of them drop passes again when both are mended.
        """
        for drop in _between(a, b, direction):
            self.drop(drop, why)

    def mend(self, a: str, b: str, direction: str = BOTH, why: str = "") -> None:
        """Undo ``cut`` for this cause; idempotent."""
        for drop in _between(a, b, direction):
            self.let_pass(drop, why)

    def drop(self, drop: Drop, why: str = "") -> None:
        """Have the router drop these packets for a cause; idempotent."""
        if drop not in self._drops:
            self._rule("add", drop)
        self._drops.setdefault(drop, set()).add(why)

    def let_pass(self, drop: Drop, why: str = "") -> None:
        """Undo ``drop`` for this cause; idempotent."""
        causes = self._drops.get(drop, set())
        if causes == {why}:
            self._rule("del", drop)
            del self._drops[drop]
        causes.discard(why)

    def replication(self, command: str) -> None:
        """Drop (``add``) what either store calls the other for, and what comes back, or let it through (``del``)."""
        hosts = [self.plan.host(self.plan.store(region)) for region in REGIONS]
        for replica, master in (hosts, hosts[::-1]):
            assert replica.second is not None
            self._blackhole(command, (replica.second, 32), (master.address, 32))
            self._blackhole(command, (master.address, 32), (replica.second, 32))

    def dial(self, source: str, destination: str) -> socket.socket:
        """A socket at ``source`` that is connecting to ``destination``; writable once that has succeeded or failed."""
        with namespaces.inside(self._fds[self.plan.vantage(source)]):
            dial = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        dial.connect_ex(self.plan.door(destination))
        return dial

    def _add(self, host: Host) -> int:
        """Make a host's namespace and its link: an unnumbered pair, each end a /32 that names the other as peer."""
        namespaces.unshare(namespaces.CLONE_NEWNET)
        fd = namespaces.network_here()
        with self._there() as there:
            self._loopback_up(there)
            namespaces.enter_network(self._router)
            self._ip.link("add", ifname=host.interface, kind="veth", peer={"ifname": "eth0", "net_ns_fd": fd})
            self._up(self._ip, host.interface, ROUTER, host.address)
            self._up(there, "eth0", host.address, ROUTER)
            there.route("add", dst="default", gateway=ROUTER)
            if host.second:
                self._second(there, host.interface, host.second)
        return fd

    def _second(self, there: IPRoute, interface: str, address: str) -> None:
        """Give a host another address; it is not what its programs call from unless they say so."""
        there.addr("add", index=there.link_lookup(ifname="eth0")[0], address=address, prefixlen=32)
        self._ip.route("add", dst=f"{address}/32", oif=self._ip.link_lookup(ifname=interface)[0])

    @contextlib.contextmanager
    def _there(self) -> Iterator[IPRoute]:
        with IPRoute() as there:
            yield there

    @staticmethod
    def _up(ip: IPRoute, interface: str, local: str, peer: str) -> None:
        index = ip.link_lookup(ifname=interface)[0]
        ip.addr("add", index=index, local=local, address=peer, prefixlen=32)
        ip.link("set", index=index, state="up")

    @staticmethod
    def _loopback_up(ip: IPRoute) -> None:
        ip.link("set", index=ip.link_lookup(ifname="lo")[0], state="up")

    def _rule(self, command: str, drop: Drop) -> None:
        self._blackhole(command, self.plan.network(drop.source), self.plan.network(drop.destination), drop.port)

    def _blackhole(
        self,
        command: str,
        source: tuple[str, int],
        destination: tuple[str, int],
        port: tuple[str, int] | None = None,
    ) -> None:
        (src, src_len), (dst, dst_len) = source, destination
        places = {"src": src, "src_len": src_len, "dst": dst, "dst_len": dst_len}
        # An attribute that is there and None would be a different rule.
        only = {} if port is None else {"ip_proto": socket.IPPROTO_TCP, port[0]: f"{port[1]}:{port[1]}"}
        try:
            self._ip.rule(command, **places, **only, action="blackhole", priority=_CUT_PRIORITY)
        except NetlinkError as error:
            # The rule is there already, or gone already: what was asked for holds.
            if error.code not in (errno.EEXIST, errno.ENOENT):
                raise


def _between(a: str, b: str, direction: str) -> tuple[Drop, ...]:
    return (Drop(a, b),) if direction == A_TO_B else (Drop(a, b), Drop(b, a))
