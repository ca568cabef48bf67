"""The local lab on paper: its hosts, addresses and names. Nothing here touches the machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from drills.spec import Topology
from drills.targets.base import EDGE, REGIONS

MASTER_NAME = "recdr"
NODE_PORT = 8000
STORE_PORT = 6379
SENTINEL_PORT = 26379
ROUTER = "10.77.255.1"
_SITE_NUMBER = {EDGE: 0, "primary": 1, "standby": 2}


@dataclass(frozen=True)
class Host:
    """One machine of a site: its own network namespace. ``name`` is ``site`` or ``site/what``.

    ``second``: a store's host has another address, from which the store calls the other one to replicate it: only so
    can the replication be cut while everything else between the two hosts goes on.
    """

    name: str
    site: str
    address: str
    second: str | None = None

    @property
    def interface(self) -> str:
        """The router's end of the link to this host (Linux allows 15 characters)."""
        return f"v-{self.address.removeprefix('10.77.').replace('.', '-')}"


@dataclass(frozen=True)
class Plan:
    """Who stands where. The edge site is one host: traffic director and witness; a region has a store and nodes."""

    nodes: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, topology: Topology) -> Plan:
        counts = {"primary": topology.primary.nodes, "standby": topology.standby.nodes}
        return cls({r: tuple(f"{r}/node-{i + 1}" for i in range(counts[r])) for r in REGIONS})

    def hosts(self) -> Iterator[Host]:
        yield Host(EDGE, EDGE, "10.77.0.2")
        for region in REGIONS:
            yield self.host(self.store(region))
            yield from (self.host(node) for node in self.nodes[region])

    def host(self, name: str) -> Host:
        """The host called ``name``; raises KeyError for a name that is not in the lab."""
        site, _, what = name.partition("/")
        if site == EDGE:
            return Host(EDGE, EDGE, "10.77.0.2")
        if what != "store" and name not in self.nodes[site]:
            raise KeyError(name)
        network = f"10.77.{_SITE_NUMBER[site]}"
        if what == "store":
            return Host(name, site, f"{network}.8", second=f"{network}.9")
        return Host(name, site, f"{network}.{10 + int(what.removeprefix('node-'))}")

    def places(self) -> list[str]:
        """Everything a partition may name: the sites and their hosts."""
        return sorted({h.site for h in self.hosts()} | {h.name for h in self.hosts()})

    def network(self, place: str) -> tuple[str, int]:
        """The address and prefix length of a place: a site's whole /24, one host's /32, both of a store's addresses."""
        if place in _SITE_NUMBER:
            return f"10.77.{_SITE_NUMBER[place]}.0", 24
        host = self.host(place)
        return host.address, 31 if host.second else 32

    def door(self, place: str) -> tuple[str, int]:
        """An address and port that answers connections when ``place`` works: what a reachability test dials."""
        if place in REGIONS:
            return self.door(self.store(place))
        if place == EDGE:
            return self.host(EDGE).address, SENTINEL_PORT
        return self.host(place).address, STORE_PORT if place.endswith("/store") else NODE_PORT

    def vantage(self, place: str) -> str:
        """The host from which ``place`` looks at others."""
        return self.store(place) if place in REGIONS else place

    @staticmethod
    def store(region: str) -> str:
        return f"{region}/store"

    def sentinels(self) -> dict[str, str]:
        """The address of each site's Sentinel; the edge's is the witness."""
        return {EDGE: self.host(EDGE).address, **{r: self.host(self.store(r)).address for r in REGIONS}}
