"""The lab's network: one namespace a host, each on a link of its own to the router that is the WAN.

A cut is a pair of policy rules in the router that drop what comes from one place and goes to the other: no answer,
no reset, no ICMP, as with a broken line. No netfilter is needed, nor any program.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator
from pathlib import Path

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from drills.targets.base import REGIONS
from drills.targets.local import namespaces
from drills.targets.local.plan import ROUTER, Host, Plan

_CUT_PRIORITY = 100


class Network:
    """The router's view; lives in the lab's PID 1, whose own network namespace is the router."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.cuts: set[tuple[str, str]] = set()
        self._router = namespaces.network_here()
        self._ip = IPRoute()
        self._loopback_up(self._ip)
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        self._fds = {host.name: self._add(host) for host in plan.hosts()}

    def namespace(self, host: str) -> int:
        """The descriptor of a host's network namespace."""
        return self._fds[host]

    def cut(self, a: str, b: str) -> None:
        """Drop everything between two places, both ways; idempotent."""
        if self._key(a, b) not in self.cuts:
            self._rules("add", a, b)
            self.cuts.add(self._key(a, b))

    def mend(self, a: str, b: str) -> None:
        """Undo ``cut``; idempotent."""
        if self._key(a, b) in self.cuts:
            self._rules("del", a, b)
            self.cuts.discard(self._key(a, b))

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

    @staticmethod
    def _key(a: str, b: str) -> tuple[str, str]:
        first, second = sorted((a, b))
        return first, second

    def _rules(self, command: str, a: str, b: str) -> None:
        for source, destination in ((a, b), (b, a)):
            self._blackhole(command, self.plan.network(source), self.plan.network(destination))

    def _blackhole(self, command: str, source: tuple[str, int], destination: tuple[str, int]) -> None:
        (src, src_len), (dst, dst_len) = source, destination
        try:
            self._ip.rule(
                command,
                src=src,
                src_len=src_len,
                dst=dst,
                dst_len=dst_len,
                action="blackhole",
                priority=_CUT_PRIORITY,
            )
        except NetlinkError as error:
            # The rule is there already, or gone already: what was asked for holds.
            if error.code not in (errno.EEXIST, errno.ENOENT):
                raise
