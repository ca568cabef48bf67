"""Load a bundle's histories into an empty store; `python -m recsvc.seed --help`.

Doing it again changes nothing, so that events stored since are kept. Prints one JSON line on stdout.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import hiredis

from recsvc.bundle import Bundle, BundleError
from recsvc.pseudonym import KeyFileError, Pseudonymiser
from recsvc.resp import Command, ReplyError, encode
from recsvc.state import SEEDED, history_key, packed

PIPELINE = 500
TIMEOUT_S = 10.0


class SeedError(Exception):
    """The store did not take the histories; ``str()`` says why."""


class Connection:
    """A blocking connection: pipelines of commands in, replies out."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, timeout=TIMEOUT_S)
        self._reader = hiredis.Reader(replyError=ReplyError)

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Return the replies in order; raises `SeedError` at the first error reply."""
        self._socket.sendall(encode(commands))
        return [self._reply() for _ in commands]

    def _reply(self) -> Any:
        while (reply := self._reader.gets()) is False:
            data = self._socket.recv(65536)
            if not data:
                raise SeedError("the store closed the connection")
            self._reader.feed(data)
        if isinstance(reply, ReplyError):
            raise SeedError(str(reply))
        return reply

    def close(self) -> None:
        self._socket.close()


def seed(bundle: Bundle, pseudonym: Pseudonymiser, address: tuple[str, int]) -> int | None:
    """Store every history and return their number, None when this store had been seeded before.

    Raises `SeedError` or OSError when the store does not take it; then it may be repeated.
    """
    connection = Connection(address)
    try:
        (before,) = connection.ask([("GET", SEEDED)])
        if before is not None:
            return None
        commands = _commands(bundle, pseudonym)
        while pipeline := list(islice(commands, PIPELINE)):
            connection.ask(pipeline)
        # Set last: an interrupted seeding starts over.
        connection.ask([("SET", SEEDED, bundle.version)])
    finally:
        connection.close()
    return len(bundle.histories)


def _commands(bundle: Bundle, pseudonym: Pseudonymiser) -> Iterator[Command]:
    index_of = bundle.index_of
    for user, items in bundle.histories.items():
        key = history_key(pseudonym(user))
        yield ("DEL", key)
        if items:
            yield ("SET", key, packed(index_of[item] for item in items))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 done, 1 the store refused, 2 bad arguments."""
    parser = argparse.ArgumentParser(prog="python -m recsvc.seed", description="Load histories into a store.")
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--store", required=True, metavar="IP:PORT")
    parser.add_argument("--key-file", type=Path, required=True)
    arguments = parser.parse_args(argv)
    host, _, port = arguments.store.rpartition(":")
    if not host or not port.isdigit():
        parser.error(f"--store: {arguments.store!r} is not IP:PORT")
    started_s = time.monotonic()
    try:
        bundle, pseudonym = Bundle.load(arguments.bundle), Pseudonymiser.from_file(arguments.key_file)
        users = seed(bundle, pseudonym, (host, int(port)))
    except (BundleError, KeyFileError) as error:
        print(f"recsvc.seed: {error}", file=sys.stderr)  # noqa: T201 - the message is the program's output
        return 2
    except (SeedError, OSError) as error:
        print(f"recsvc.seed: store {arguments.store}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    outcome = {"users": users, "already": users is None, "seconds": round(time.monotonic() - started_s, 3)}
    print(json.dumps(outcome))  # noqa: T201 - the program's output
    return 0


if __name__ == "__main__":
    sys.exit(main())
