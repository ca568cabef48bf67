"""The lab on paper: names, addresses, and what its processes are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from drills.spec import Region, Topology
from drills.targets.local import services
from drills.targets.local.plan import Plan
from drills.targets.local.services import Settings
from drills.targets.local.sightings import from_haproxy, from_sentinel, from_store

PLAN = Plan.of(Topology(primary=Region(nodes=3), standby=Region(nodes=1)))


def test_every_host_has_an_address_and_a_short_interface_of_its_own() -> None:
    hosts = list(PLAN.hosts())
    assert [h.name for h in hosts] == [
        "edge",
        *("primary/store", "primary/node-1", "primary/node-2", "primary/node-3"),
        *("standby/store", "standby/node-1"),
    ]
    assert len({h.address for h in hosts}) == len({h.interface for h in hosts}) == len(hosts)
    assert all(len(h.interface) <= 15 for h in hosts)


def test_places_are_sites_and_hosts() -> None:
    assert PLAN.network("primary") == ("10.77.1.0", 24)
    assert PLAN.network("primary/node-2") == ("10.77.1.12", 32)
    assert PLAN.network("edge") == ("10.77.0.0", 24)
    assert PLAN.network("standby/store") == ("10.77.2.8", 31)
    assert PLAN.host("standby/store").second == "10.77.2.9"
    assert {"edge", "primary", "standby", "standby/store"} <= set(PLAN.places())
    with pytest.raises(KeyError):
        PLAN.network("standby/node-2")


def settings(tmp_path: Path) -> Settings:
    return Settings(PLAN.nodes, "semisync", "cpu", "bundle", str(tmp_path), 8080, 8081, 7, 8, 9, 10, True)


def test_the_director_prefers_the_primary_for_reads_and_nobody_for_writes(tmp_path: Path) -> None:
    conf = services.haproxy_conf(settings(tmp_path))
    reads, _, writes = conf.partition("backend reads")[2].partition("backend writes")
    assert "server primary.node-3 10.77.1.13:8000\n" in reads
    assert "server standby.node-1 10.77.2.11:8000 backup" in reads
    assert "backup" not in writes
    assert "httpchk GET /readyz/write" in writes
    assert "bind fd@7" in conf
    assert "bind fd@8" in conf


def test_the_witness_decides_first(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for site, quorum, down_after in (("edge", 1, 400), ("primary", 3, 1500), ("standby", 3, 1500)):
        conf = Path(services.sentinel(settings(tmp_path), site).argv[1]).read_text()
        assert f"monitor recdr 10.77.1.8 6379 {quorum}\n" in conf
        assert f"down-after-milliseconds recdr {down_after}\n" in conf


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        (
            "Server reads/primary.node-1 is DOWN, reason: Layer4 timeout, check duration: 100ms. 1 active",
            ("reads", "primary/node-1", "primary", False),
        ),
        ("Backup Server reads/standby.node-2 is UP, reason: ok.", ("reads", "standby/node-2", "standby", True)),
        ("Server writes/standby.node-1 is UP, reason: ok.", ("writes", "standby/node-1", "standby", True)),
        ("Server only_primary/primary.node-1 is DOWN, reason: x", None),
        ("[WARNING]  (37) : Server reads/primary.node-1 is DOWN, said twice", None),
    ],
)
def test_haproxy_log_lines(line: str, seen: tuple[object, ...] | None) -> None:
    sighting = from_haproxy("edge/haproxy", line)
    if seen is None:
        assert sighting is None
        return
    assert sighting is not None
    kind, data = sighting
    assert (kind, data["backend"], data["node"], data["region"], data["up"]) == ("edge.server", *seen)


def test_store_and_sentinel_log_lines() -> None:
    promoted = "3:M 22 Nov 2026 01:53:13.076 * PRIMARY MODE enabled (user request from 'id=11')"
    assert from_store("standby/store", promoted) == ("store.promoted", {"region": "standby"})
    assert from_store("standby/store", promoted.replace("PRIMARY", "MASTER")) is not None
    assert from_store("standby/store", "3:S * PRIMARY <-> REPLICA sync started") is None
    switched = "15:X # +switch-master recdr 10.77.1.10 6379 10.77.2.10 6379"
    assert from_sentinel("edge/sentinel", switched) == ("sentinel.switched", {"site": "edge", "master": "10.77.2.10"})
