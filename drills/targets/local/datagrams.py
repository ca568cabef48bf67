"""Datagrams from one place of the lab to another: a look that, unlike a connection, takes one way only."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from drills.targets.local import namespaces

if TYPE_CHECKING:
    from drills.targets.local.lab import Lab

_BUFFER_BYTES = 1 << 20
_STAMP_BYTES = 8
MOST_UNDER_WAY = 8


@dataclass
class _Sent:
    """What was sent together; ``seen`` holds when each that came was sent and came (ns), and its size."""

    sender: socket.socket
    receiver: socket.socket
    count: int
    seen: list[tuple[int, int, int]] = field(default_factory=list)


class Datagrams:
    """Sends without waiting: PID 1 has other things to do until somebody asks what arrived."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._sent: dict[int, _Sent] = {}
        self._number = 0

    def send(self, source: str, destination: str, count: int, size: int) -> int:
        """Send ``count`` datagrams of ``size`` bytes at once; returns the number by which to ask for them."""
        while len(self._sent) >= MOST_UNDER_WAY:  # whoever sent them has gone
            self._close(min(self._sent))
        plan, network = self._lab.network.plan, self._lab.network
        to, off = plan.host(plan.vantage(destination)), plan.host(plan.vantage(source))
        receiver, sender = (_socket(network.namespace(host.name), host.address) for host in (to, off))
        sent = _Sent(sender, receiver, count)
        self._number += 1
        self._sent[self._number] = sent
        self._lab.selector.register(receiver, selectors.EVENT_READ, lambda: self._read(sent))
        for _ in range(count):
            stamp = time.monotonic_ns().to_bytes(_STAMP_BYTES, "big")
            with contextlib.suppress(OSError):  # one that cannot even be sent does not arrive
                sender.sendto(stamp.ljust(size, b"\0"), receiver.getsockname())
        return self._number

    def arrived(self, number: int, close: bool) -> dict[str, Any]:
        """What became of them so far; with ``close`` nobody will ask again."""
        sent = self._sent[number]
        self._read(sent)
        seen = sent.seen
        span_s = (seen[-1][1] - seen[0][1]) / 1e9 if seen else 0.0
        bits = 8 * sum(size for *_, size in seen[1:])
        if close:
            self._close(number)
        return {
            "sent": sent.count,
            "delays_ms": [(came - went) / 1e6 for went, came, _ in seen],
            "mbit_per_s": bits / span_s / 1e6 if span_s > 0 else None,
        }

    def _read(self, sent: _Sent) -> None:
        with contextlib.suppress(OSError):  # nothing there, or closed meanwhile
            while True:
                content = sent.receiver.recv(65536)
                went = int.from_bytes(content[:_STAMP_BYTES], "big")
                sent.seen.append((went, time.monotonic_ns(), len(content)))

    def _close(self, number: int) -> None:
        sent = self._sent.pop(number)
        self._lab.selector.unregister(sent.receiver)
        sent.sender.close()
        sent.receiver.close()


def _socket(network: int, address: str) -> socket.socket:
    with namespaces.inside(network):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        made.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
    made.bind((address, 0))
    return made
