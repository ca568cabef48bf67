"""A client that lives inside a region of a lab: ``python -m tests.partition.client PID URL NAME OUT RATE``.

It enters the network of the lab's process PID, posts events on a fixed schedule whether or not the last one was
answered, and writes what became of each as a JSON line: a cut of the region's network does not part it from its nodes.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TextIO

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PATIENCE_S = 2.0


def enter(pid: int) -> None:
    """Move into the user and network namespace of a process; raises OSError where that is forbidden."""
    libc = ctypes.CDLL(None, use_errno=True)
    for name, kind in (("user", CLONE_NEWUSER), ("net", CLONE_NEWNET)):
        handle = os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY)
        if libc.setns(handle, kind):
            raise OSError(ctypes.get_errno(), f"setns {name}")
        os.close(handle)


async def post_for_ever(url: str, name: str, out: TextIO, rate: float) -> None:
    """Post an event each 1 / ``rate`` seconds until SIGTERM."""
    import aiohttp  # noqa: PLC0415 - only after the namespaces were entered, with a single thread

    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=PATIENCE_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session, asyncio.TaskGroup() as tasks:
        start_s, number = time.monotonic(), 0
        while not stopped.is_set():
            number += 1
            tasks.create_task(_post(session, url, f"{name}-{number}", out))
            await asyncio.sleep(max(0.0, start_s + number / rate - time.monotonic()))


async def _post(session: object, url: str, event: str, out: TextIO) -> None:
    import aiohttp  # noqa: PLC0415 - see above

    assert isinstance(session, aiohttp.ClientSession)
    sent_ns, status, copies = time.monotonic_ns(), 0, None
    try:
        async with session.post(f"{url}/v1/events", json={"id": event, "user": "u1", "item": "i9"}) as answer:
            status, copies = answer.status, (await answer.json(content_type=None)).get("copies")
    except (aiohttp.ClientError, TimeoutError, ValueError):
        pass
    line = {"id": event, "sent_ns": sent_ns, "done_ns": time.monotonic_ns(), "status": status, "copies": copies}
    out.write(json.dumps(line) + "\n")


def main() -> None:
    pid, url, name, path, rate = sys.argv[1:]
    with Path(path).open("w", buffering=1) as out:
        enter(int(pid))
        asyncio.run(post_for_ever(url, name, out, float(rate)))


if __name__ == "__main__":
    main()
