"""One node: `python -m recsvc.server --help`.

The way up: read the arguments, load bundle and key, open the accelerator and warm it up, connect, then
listen. A node that listens is warm. The way down: SIGTERM or SIGINT stops accepting, lets requests in flight
end for up to a second, exits with 0. SIGHUP reads tokens and certificate again. Its only child process holds the
accelerator, if it has one.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import gc
import logging
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from recsvc import openapi
from recsvc.accelerator import Boundary
from recsvc.admin import Admin
from recsvc.api import Api
from recsvc.application import Application, Handler
from recsvc.bundle import BundleError
from recsvc.canary import Canary
from recsvc.connection import Limits, keep_sweeping
from recsvc.exposition import Exposition
from recsvc.fence import Replication
from recsvc.inference import Stages
from recsvc.listening import Address, Server, allow_files, listeners
from recsvc.logs import start_logging
from recsvc.metrics import Metrics, Stage
from recsvc.parts import Identity, Parts
from recsvc.precision import AUTO, CHOICES
from recsvc.pseudonym import KeyFileError, Pseudonymiser
from recsvc.release import Opening, Refused
from recsvc.reloading import Reloaded, keep_looking, read_again
from recsvc.resp import Link
from recsvc.responses import Responses
from recsvc.rollout import Attempt, Outcome, Rollout
from recsvc.tls import Certificate, CertificateError
from recsvc.tokens import TokenFileError, Tokens
from recsvc.watch import Place, Watch
from recsvc.writer import Writer

log = logging.getLogger(__name__)

EXIT_USAGE = 2
USER_CACHE_MB = 64.0
COLLECT_AFTER = (20_000, 20, 20)
"""A request makes hundreds of objects, none of them in a cycle; looking for cycles after every 700 took 4 % of it."""


@dataclass(frozen=True)
class Settings:
    """A node's command line."""

    bind: Address
    admin_socket: Path
    region: str
    node: str
    bundle: Path
    store: Address
    sentinels: dict[str, Address]
    master_name: str
    replication: Replication
    accelerator: str
    key_file: Path
    threads: int
    max_queue: int
    deadline_s: float
    last_good: Path | None
    token_file: Path | None
    tls_cert: Path | None
    tls_key: Path | None
    max_connections: int
    request_timeout_s: float
    canary_s: float
    variant: str
    user_cache_mb: float
    response_cache_mb: float
    batch_window_us: int


@dataclass(frozen=True)
class Doors:
    """How the public listener lets clients in, and which files that it reads again; ``canary_s`` 0: no canary."""

    tokens: Tokens | None
    context: ssl.SSLContext | None
    reloaded: Sequence[Reloaded]
    limits: Limits
    canary_s: float


def main(argv: Sequence[str] | None = None) -> int:
    """Run a node until it is told to stop; returns the exit code."""
    started_s = time.monotonic()
    settings = read_arguments(argv)
    start_logging()
    try:
        doors = open_doors(settings)
        with listeners(settings.bind, settings.admin_socket) as sockets:
            parts, links = build(settings)
            # uvloop's own loop class, so that nothing global is changed.
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(serve(parts, links, sockets, doors, started_s))
    except (BundleError, KeyFileError, TokenFileError, CertificateError, OSError) as error:
        print(f"recsvc.server: {error}", file=sys.stderr)  # noqa: T201 - the message is the program's output
        return EXIT_USAGE
    return 0


def read_arguments(argv: Sequence[str] | None) -> Settings:
    """Parse the command line; ends the process with exit code 2 and a message when it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m recsvc.server", description="One recommender node.")
    parser.add_argument("--bind", type=_address, required=True, metavar="IP:PORT")
    parser.add_argument("--admin-socket", type=Path, required=True, help="UNIX socket for drills; mode 0600")
    parser.add_argument("--region", required=True)
    parser.add_argument("--node", required=True, help="e.g. primary/node-1")
    parser.add_argument("--bundle", type=Path, required=True, help="directory made by recsvc.commands.train")
    parser.add_argument("--store", type=_address, required=True, metavar="IP:PORT", help="the region's own Valkey")
    parser.add_argument("--sentinels", type=_sentinels, default={}, metavar="own=IP:PORT,witness=IP:PORT,...")
    parser.add_argument("--master-name", default="recdr")
    parser.add_argument("--replication", type=Replication, choices=list(Replication), default=Replication.SEMISYNC)
    parser.add_argument("--accelerator", choices=["auto", "cuda", "cpu", "simulated"], default="auto")
    parser.add_argument("--key-file", type=Path, required=True, help="secret that user ids are hashed with")
    parser.add_argument("--threads", type=int, default=1, help="onnxruntime's threads (nodes share cores)")
    parser.add_argument("--max-queue", type=int, default=256, help="requests that may wait for the model")
    parser.add_argument("--deadline-s", type=float, default=1.0, help="seconds a request may wait for the model")
    parser.add_argument("--last-good", type=Path, help="bundle to serve where --bundle must be refused")
    parser.add_argument("--token-file", type=Path, help="bearer tokens, one a line: TOKEN [name] [read,write,metrics]")
    parser.add_argument("--tls-cert", type=Path, help="PEM certificate with its chain: the public port speaks TLS then")
    parser.add_argument("--tls-key", type=Path, help="its PEM key, unencrypted")
    parser.add_argument("--max-connections", type=int, default=Limits.max_connections)
    parser.add_argument("--request-timeout-s", type=float, default=Limits.request_s, help="for a request to arrive")
    parser.add_argument("--canary-s", type=float, default=30.0, help="seconds between two rounds; 0 asks nothing")
    _add_speed_arguments(parser)
    settings = Settings(**vars(parser.parse_args(argv)))
    if (settings.tls_cert is None) != (settings.tls_key is None):
        parser.error("--tls-cert and --tls-key go together")
    return settings


def _add_speed_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--variant", choices=CHOICES, default=AUTO, help="bits of the model's numbers")
    cache = parser.add_mutually_exclusive_group()
    cache.add_argument(
        "--user-cache-mb",
        type=float,
        default=USER_CACHE_MB,
        metavar="MB",
        help="for users' vectors, each used until its user's history changes (default: %(default)s)",
    )
    cache.add_argument(
        "--no-user-cache",
        dest="user_cache_mb",
        action="store_const",
        const=0.0,
        help="encode the user anew for each request",
    )
    parser.add_argument(
        "--response-cache-mb", type=float, default=0.0, metavar="MB", help="for answers to identical requests (off)"
    )
    parser.add_argument(
        "--batch-window-us",
        type=int,
        default=0,
        metavar="US",
        help="how long a batch waits for more jobs on an accelerator; never on a CPU (default: %(default)s)",
    )


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not IP:PORT")
    return host, int(port)


def _sentinels(text: str) -> dict[str, Address]:
    named = {}
    for part in filter(None, text.split(",")):
        name, _, address = part.partition("=")
        if name not in ("own", "witness", "other"):
            raise argparse.ArgumentTypeError(f"{name!r} is not one of own, witness, other")
        named[name] = _address(address)
    return named


def open_doors(settings: Settings) -> Doors:
    """Read tokens and certificate; raises `TokenFileError` or `CertificateError`."""
    tokens, context = None, None
    reloaded: list[Reloaded] = []
    if settings.token_file is not None:
        tokens = Tokens(settings.token_file)
        reloaded.append(Reloaded("tokens", [tokens.path], tokens.load, TokenFileError))
    if settings.tls_cert is not None and settings.tls_key is not None:
        certificate = Certificate(settings.tls_cert, settings.tls_key)
        context = certificate.context()
        files = [certificate.certificate, certificate.key]
        renew = functools.partial(certificate.renew, context)
        reloaded.append(Reloaded("certificate", files, renew, CertificateError))
    allow_files(settings.max_connections)
    limits = Limits(settings.max_connections, settings.request_timeout_s)
    return Doors(tokens, context, reloaded, limits, settings.canary_s)


def build(settings: Settings) -> tuple[Parts, list[Link]]:
    """Load everything and warm it up; returns the node's parts and the connections still to be run."""
    pseudonym, metrics = Pseudonymiser.from_file(settings.key_file), Metrics()
    rollout = _first_release(settings, metrics)
    # Sentinels name stores by IPv4 address, so ours is compared in that form.
    us = (socket.gethostbyname(settings.store[0]), settings.store[1])
    store, writing, heartbeat = Link(us), Link(us), Link(us)
    sentinels = {name: Link(address) for name, address in settings.sentinels.items() if name != "other"}
    place = Place(settings.node, us, settings.master_name, settings.replication)
    watch = Watch(place, store, heartbeat, sentinels)
    identity = Identity(settings.region, settings.node)
    responses = Responses(round(settings.response_cache_mb * 1e6)) if settings.response_cache_mb else None
    writer = Writer(writing, watch)
    parts = Parts(identity, rollout, pseudonym, store, watch, writer, metrics, settings.deadline_s, responses)
    return parts, [store, writing, heartbeat, *sentinels.values()]


def _first_release(settings: Settings, metrics: Metrics) -> Rollout:
    """What the node serves from its start on: the bundle, or where that must not serve the last good one."""
    boundary = Boundary()
    stages = Stages(metrics.stages[Stage.QUEUE].observe, metrics.stages[Stage.INFERENCE].observe)
    opening = Opening(
        settings.accelerator,
        settings.threads,
        settings.max_queue,
        metrics.batch_sizes.observe,
        boundary,
        stages,
        variant=settings.variant,
        user_cache_mb=settings.user_cache_mb,
        batch_window_us=settings.batch_window_us,
        deadline_s=settings.deadline_s,
    )
    try:
        return Rollout(opening(settings.bundle), opening)
    except Refused as error:
        log.error("bundle refused", extra={"data": {"bundle": str(settings.bundle), "reason": str(error)}})
        if settings.last_good is None:
            raise BundleError(f"{settings.bundle}: refused ({error})") from error.__cause__
        refused = Attempt(settings.bundle.name, Outcome.REFUSED, str(error))
    try:
        return Rollout(opening(settings.last_good), opening, refused)
    except Refused as error:
        raise BundleError(f"{settings.last_good}: the last good bundle is refused too ({error})") from error


async def serve(parts: Parts, links: list[Link], sockets: list[socket.socket], doors: Doors, started_s: float) -> None:
    """Listen and answer until a signal comes; a background task that breaks ends the process loudly."""
    gc.set_threshold(*COLLECT_AFTER)
    api, limits = Api(parts), doors.limits
    standing, rollout = api.standing, parts.rollout
    canary = Canary(
        api.ask_canary, lambda: rollout.current.bundle, lambda: rollout.current.batcher.waiting > 0, doors.canary_s
    )
    routes: dict[str, Mapping[str, Handler]] = {
        **api.routes(),
        **standing.routes(),
        "/openapi.json": {"GET": openapi.get},
    }
    admit = None if doors.tokens is None else doors.tokens.admit
    public = Server(Application(routes, standing.headers, parts.metrics, admit), limits, doors.context)
    exposition = Exposition(
        parts.rollout,
        parts.watch,
        parts.writer,
        parts.metrics,
        canary,
        public,
        doors.reloaded,
        standing.labels,
        parts.responses,
    )
    routes["/metrics"] = {"GET": exposition.get}
    admin = Server(Application(Admin(parts.rollout, standing.state).routes(), standing.headers), limits)
    servers = [public, admin]
    _heed_signals(servers, doors.reloaded)
    forever: list[Callable[[], Coroutine[Any, Any, None]]] = [
        *(link.run for link in links),
        parts.watch.run,
        parts.writer.run,
        parts.rollout.run,
    ]
    forever += [canary.run, lambda: keep_looking(doors.reloaded)]
    forever += [functools.partial(keep_sweeping, server.server_state.connections) for server in servers]
    async with asyncio.TaskGroup() as tasks:
        background = [tasks.create_task(run()) for run in forever]
        serving = [server.serve([listener]) for server, listener in zip(servers, sockets, strict=True)]
        seconds = round(time.monotonic() - started_s, 3)
        log.info("ready", extra={"data": {"node": parts.identity.node, "seconds": seconds}})
        await asyncio.gather(*serving)
        for task in background:
            task.cancel()
    parts.rollout.close()


def _heed_signals(servers: Sequence[Server], reloaded: Sequence[Reloaded]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, servers)
    loop.add_signal_handler(signal.SIGHUP, lambda: read_again(reloaded))


def _stop(servers: Sequence[Server]) -> None:
    for server in servers:
        server.should_exit = True


if __name__ == "__main__":
    sys.exit(main())
