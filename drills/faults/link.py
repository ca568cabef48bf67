"""The way between two sets of places becomes slow, jittery, lossy or narrow: a congested or far-away line.

The kernel shapes real packets (HTB for the rate, netem for the rest), each receiving host's link by itself and only
what comes from the other side. Kernels are built without netem often enough; where this one was, the drill is refused.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from drills.errors import TargetError, UsageError
from drills.faults.base import BlastRadius, Evidence, Fidelity, Nodes, activities
from drills.naming import shown
from drills.spec.rules import Number
from drills.targets.base import Arrived, Delayable, Shapeable

FIGURES = ("latency_ms", "jitter_ms", "loss", "rate_mbit")
_FEW, _MANY = 20, 200
_SMALL, _LARGE = 64, 1400
_WAIT_S = 0.3


@dataclass(frozen=True)
class Link:
    """Add ``latency_ms``, ``jitter_ms`` and ``loss`` between ``a`` and ``b``, and let only ``rate_mbit`` through.

    Each direction by itself, so a round trip takes twice the latency longer. ``loss`` is a share of 1. 0: as it was.
    """

    a: str
    b: str
    latency_ms: Annotated[float, Number("ms", at_least=0, at_most=1000)] = 0.0
    jitter_ms: Annotated[float, Number("ms", at_least=0, at_most=1000)] = 0.0
    loss: Annotated[float, Number("ratio", at_least=0, at_most=0.9)] = 0.0
    rate_mbit: Annotated[float, Number("Mbit/s", at_least=0, at_most=100)] = 0.0
    name: ClassVar[str] = "link"
    needs: ClassVar[tuple[type, ...]] = (Shapeable,)

    def __post_init__(self) -> None:
        for name in FIGURES:  # 5 and 5.0 are the same, also in the undo log
            object.__setattr__(self, name, float(getattr(self, name)))

    @classmethod
    def needs_for(cls, arguments: Mapping[str, Any]) -> tuple[type, ...]:
        """What these arguments take beyond ``needs``: netem, but for the rate alone."""
        return (Delayable,) if any(arguments.get(name) for name in ("latency_ms", "jitter_ms", "loss")) else ()

    @classmethod
    def trouble(cls, arguments: Mapping[str, Any]) -> str | None:
        """Why these arguments make no sense together; None where they do."""
        if not any(arguments.get(name) for name in FIGURES):
            return f"nothing would change: give at least one of {', '.join(FIGURES)}"
        if arguments.get("jitter_ms", 0) > arguments.get("latency_ms", 0):
            return "jitter_ms is more than latency_ms: a packet cannot arrive before it was sent"
        return None

    @property
    def properties(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in FIGURES if getattr(self, name)}

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Each place of ``a`` with each of ``b``."""
        split = ([place.strip() for place in side.split(",")] for side in (self.a, self.b))
        return list(itertools.product(*split))  # type: ignore[arg-type]  # two sides give pairs

    def fidelity(self, target: Any) -> Fidelity:
        return Fidelity(
            "real",
            f"behaviour over a worse line ({shown(self.properties)}): the kernel holds back real packets",
            "a line that many share: each receiving host is held to these figures by itself",
        )

    def blast_radius(self, nodes: Nodes) -> BlastRadius:
        places = tuple(f"{a} and {b}" for a, b in self.pairs)
        text = f"every packet between {self.a} and {self.b}, each direction and receiving host by itself"
        return BlastRadius(places, f"{text}: {shown(self.properties)}")

    def look_first(self, target: Shapeable) -> list[str]:
        """See that the ways are better than they will be; raises TargetError where nobody could tell the difference."""
        seen = [self._worse(target, *way, any_of=True) for way in self._ways()]
        if already := [text for worse, text in seen if worse]:
            raise TargetError(f"link: with nothing broken it is as bad already ({already[0]}): ask for worse")
        return []

    def recall(self, noted: Sequence[str]) -> None:
        """Nothing of what was seen before is needed."""

    def inject(self, target: Shapeable) -> None:
        if trouble := self.trouble(self.properties):
            raise UsageError(f"link: {trouble}")
        for a, b in self.pairs:
            target.shape(a, b, self.properties, self._why)

    def took_effect(self, target: Shapeable) -> Evidence:
        seen = [self._worse(target, *way) for way in self._ways()]
        sound = [text for worse, text in seen if not worse]
        return Evidence(not sound, "; ".join(sound or [text for _, text in seen]))

    def heal(self, target: Shapeable) -> None:
        target.unshape(self._why)

    def healed(self, target: Shapeable) -> Evidence:
        seen = [self._worse(target, *way, any_of=True) for way in self._ways()]
        still = [text for worse, text in seen if worse]
        return Evidence(not still, "; ".join(still or [text for _, text in seen]))

    @property
    def _why(self) -> str:
        return shown({"a": self.a, "b": self.b, **self.properties})

    def _ways(self) -> list[tuple[str, str]]:
        return [way for a, b in self.pairs for way in ((a, b), (b, a))]

    def _worse(self, target: Shapeable, source: str, destination: str, any_of: bool = False) -> tuple[bool, str]:
        """Whether all that was asked for (or any of it) shows in datagrams that were sent, and what they showed."""
        found: list[tuple[bool, str]] = []
        if self.latency_ms or self.loss:
            count = _MANY if self.loss else _FEW
            wait_s = _WAIT_S + (self.latency_ms + 3 * self.jitter_ms) / 1000 + self._takes_s(count, _SMALL)
            seen = target.send_datagrams(source, destination, count, _SMALL, wait_s)
            found += self._delayed(seen) if self.latency_ms else []
            found += self._lossy(seen) if self.loss else []
        if self.rate_mbit:
            count = max(_FEW, min(_MANY, round(self.rate_mbit * 1e6 / 8 * _WAIT_S / _LARGE)))
            wait_s = _WAIT_S + self.latency_ms / 1000 + 2 * self._takes_s(count, _LARGE)
            found.append(self._narrow(target.send_datagrams(source, destination, count, _LARGE, wait_s)))
        worse = any(is_so for is_so, _ in found) if any_of else all(is_so for is_so, _ in found)
        return worse, f"from {source} to {destination} {', '.join(text for _, text in found)}"

    def _takes_s(self, count: int, size: int) -> float:
        """How long a narrow link takes for so many datagrams of ``size`` bytes with their headers."""
        return count * (size + 42) * 8 / (self.rate_mbit * 1e6) if self.rate_mbit else 0.0

    def _delayed(self, seen: Arrived) -> list[tuple[bool, str]]:
        if not seen.delays_ms:
            return [(False, "nothing arrived")]
        typical = sorted(seen.delays_ms)[len(seen.delays_ms) // 2]
        text = f"datagrams took {typical:.1f} ms"
        return [(typical >= 0.8 * self.latency_ms, text)]

    def _lossy(self, seen: Arrived) -> list[tuple[bool, str]]:
        return [(bool(seen.delays_ms) and seen.lost >= self.loss / 4, f"{seen.lost:.1%} were lost")]

    def _narrow(self, seen: Arrived) -> tuple[bool, str]:
        if seen.mbit_per_s is None:
            return False, "too little arrived to tell its rate"
        return seen.mbit_per_s <= 1.5 * self.rate_mbit, f"{seen.mbit_per_s:.1f} Mbit/s came through"


inject, heal = activities(Link)
