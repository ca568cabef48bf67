"""What PID 1 does to the ways between the places of its lab on request: cuts and narrows them, and looks at them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from drills.targets.base import A_TO_B, BOTH, EDGE
from drills.targets.local.datagrams import Datagrams
from drills.targets.local.network import Drop
from drills.targets.local.plan import NODE_PORT
from drills.targets.local.shaping import Shaper

if TYPE_CHECKING:
    from drills.targets.local.lab import Lab


class Wan:
    """The commands of one lab that are about its network."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._datagrams = Datagrams(lab)
        self._shaper = Shaper(lab)

    def commands(self) -> dict[str, Callable[..., Any]]:
        return {
            "cut": self.cut,
            "mend": self.mend,
            "cut_clients": self.cut_clients,
            "mend_clients": self.mend_clients,
            "shape": self.shape,
            "unshape": self.unshape,
            "send_datagrams": self._datagrams.send,
            "arrived": self._datagrams.arrived,
        }

    def cut(self, a: str, b: str, direction: str = BOTH, why: str = "") -> None:
        network = self._lab.network
        self._lab.breaks(_cut_name(a, b, direction, why), lambda: network.mend(a, b, direction, why))
        network.cut(a, b, direction, why)

    def mend(self, a: str, b: str, direction: str = BOTH, why: str = "") -> None:
        self._lab.mends(_cut_name(a, b, direction, why))

    def cut_clients(self, region: str) -> None:
        """By the port of the nodes: the witness, at the same address as the traffic director, goes on seeing all."""
        network, drops = self._lab.network, _of_clients(region)

        def undo() -> None:
            for drop in drops:
                network.let_pass(drop, _CLIENTS)

        self._lab.breaks(_clients_name(region), undo)
        for drop in drops:
            network.drop(drop, _CLIENTS)

    def mend_clients(self, region: str) -> None:
        self._lab.mends(_clients_name(region))

    def shape(self, a: str, b: str, properties: Mapping[str, float], why: str) -> None:
        self._lab.breaks(_shape_name(why), lambda: self._shaper.lift(why))
        self._shaper.shape(a, b, properties, why)

    def unshape(self, why: str) -> None:
        self._lab.mends(_shape_name(why))


_CLIENTS = "the clients' way"


def _of_clients(region: str) -> tuple[Drop, Drop]:
    return Drop(EDGE, region, ("dport_range", NODE_PORT)), Drop(region, EDGE, ("sport_range", NODE_PORT))


def _cut_name(a: str, b: str, direction: str, why: str) -> str:
    way = f"from {a} to {b}" if direction == A_TO_B else f"between {a} and {b}"
    return f"the way {way} is cut" + (f" ({why})" if why else "")


def _clients_name(region: str) -> str:
    return f"the clients' way to {region} is cut"


def _shape_name(why: str) -> str:
    return f"a link is shaped ({why})"
