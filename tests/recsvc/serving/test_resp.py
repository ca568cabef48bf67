"""The connection to the store, against a real Valkey and servers that misbehave on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvloop

from recsvc.resp import Link, ReplyError, StoreUnavailable
from tests.recsvc.serving.cluster import Cluster, Process


@contextlib.asynccontextmanager
async def running(link: Link) -> AsyncIterator[Link]:
    task = asyncio.create_task(link.run())
    try:
        yield link
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(check: Callable[[], bool], within_s: float = 3.0) -> None:
    async with asyncio.timeout(within_s):
        while not check():
            await asyncio.sleep(0.01)


def link_to(store: Process) -> Link:
    return Link(("127.0.0.1", store.port))


def test_concurrent_callers_get_their_own_replies(cluster: Cluster) -> None:
    async def story() -> None:
        async with running(link_to(cluster.store("store"))) as link:
            await until(lambda: link.up)
            replies = await asyncio.gather(*(link.call("ECHO", f"{n}", timeout_s=2) for n in range(500)))
            assert replies == [f"{n}".encode() for n in range(500)]
            assert await link.ask(("SET", "a", 1), ("GET", "a"), ("GET", "b"), timeout_s=1) == [
                b"OK",
                b"1",
                None,
            ]

    asyncio.run(story())


def test_error_replies_are_raised_by_call_and_returned_by_ask(cluster: Cluster) -> None:
    async def story() -> None:
        async with running(link_to(cluster.store("store"))) as link:
            await until(lambda: link.up)
            with pytest.raises(ReplyError, match="unknown command"):
                await link.call("NONSENSE", timeout_s=1)
            first, second = await link.ask(("NONSENSE",), ("PING",), timeout_s=1)
            assert isinstance(first, ReplyError)
            assert second == b"PONG"

    asyncio.run(story())


def test_a_slow_reply_does_not_reach_the_next_caller(cluster: Cluster) -> None:
    async def story() -> None:
        async with running(Link(("127.0.0.1", cluster.store("store").port), stall_s=5)) as link:
            await until(lambda: link.up)
            with pytest.raises(StoreUnavailable, match="no reply within") as raised:
                await link.call("BLPOP", "nothing", "0.3", timeout_s=0.05)
            assert raised.value.sent
            assert await link.call("ECHO", "mine", timeout_s=2) == b"mine"

    asyncio.run(story())


def test_hung_server_is_dropped_and_its_return_is_noticed(cluster: Cluster) -> None:
    async def story() -> None:
        store = cluster.store("store")
        async with running(link_to(store)) as link:
            await until(lambda: link.up)
            store.signal(signal.SIGSTOP)
            with pytest.raises(StoreUnavailable):
                await link.call("PING", timeout_s=0.1)
            await until(lambda: not link.up, within_s=1)
            started_s = time.monotonic()
            with pytest.raises(StoreUnavailable) as raised:
                await link.call("PING", timeout_s=5)
            assert time.monotonic() - started_s < 0.05, "who comes later does not wait"
            assert not raised.value.sent
            store.signal(signal.SIGCONT)
            await until(lambda: link.up, within_s=2)

    asyncio.run(story())


def test_killed_server_fails_waiting_callers_and_comes_back(cluster: Cluster) -> None:
    async def story() -> None:
        store = cluster.store("store")
        async with running(link_to(store)) as link:
            await until(lambda: link.up)
            waiting = asyncio.create_task(link.call("BLPOP", "nothing", 0, timeout_s=5))
            await asyncio.sleep(0.05)
            store.kill()
            with pytest.raises(StoreUnavailable, match="connection lost"):
                await waiting
            cluster.store("again", port=store.port)
            await until(lambda: link.up, within_s=1)

    asyncio.run(story())


async def _with_server(answer: bytes, story: Callable[[Link], Awaitable[None]]) -> None:
    """Run a story against a server that answers a PING properly and everything else with ``answer``."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"PING\r\n")
        writer.write(b"+PONG\r\n")
        with contextlib.suppress(ConnectionError):
            while await reader.read(1000):
                writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, running(Link(server.sockets[0].getsockname())) as link:
        await until(lambda: link.up)
        await story(link)


@pytest.mark.parametrize("answer", [b"?not resp\r\n", b"+one\r\n+too many\r\n+by far\r\n"])
def test_garbage_drops_the_connection_instead_of_misleading(answer: bytes) -> None:
    async def story(link: Link) -> None:
        with contextlib.suppress(StoreUnavailable):
            assert await link.call("GET", "x", timeout_s=1) == b"one"
        await until(lambda: not link.up, within_s=1)

    asyncio.run(_with_server(answer, story))


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_what_came_while_this_process_was_held_up_is_no_late_reply(cluster: Cluster, loop: Any) -> None:
    """Loading a model may hold up all else for a while; the store has answered meanwhile."""

    async def story() -> None:
        async with running(Link(("127.0.0.1", cluster.store("store").port), stall_s=0.2)) as link:
            await until(lambda: link.up)
            asked = asyncio.ensure_future(link.call("ECHO", "mine", timeout_s=0.05))
            await asyncio.sleep(0)  # it is sent
            time.sleep(0.5)
            assert await asked == b"mine"
            await asyncio.sleep(0.2)
            assert link.up, "nor is the connection given up"

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(story())
