"""Who is told: the addresses in the environment, each with what it is told of."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from drills.errors import UsageError
from drills.spec import Drill
from drills.spec.model import TOLD_WHEN, WHEN
from drills.spec.rules import nearest

MACHINE = "RECDR_NOTIFY"
"""The variable with the addresses that are told of every drill on this machine, separated by blanks."""
MACHINE_WHEN = "RECDR_NOTIFY_WHEN"


@dataclass(frozen=True)
class Destination:
    """An environment variable with one address or more. They are secrets: never shown, written or compared.

    ``always``: what it is told of every drill, of ``WHEN``; None for one that only drills name. ``by_drill``: what
    drills want it to be told of themselves, by the path of the drill file.
    """

    variable: str
    addresses: tuple[str, ...] = field(repr=False, compare=False)
    always: tuple[str, ...] | None = None
    by_drill: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def wants(self, drill: str) -> tuple[str, ...] | None:
        """What it is told of a drill, of ``WHEN``; None: nothing, for it does not concern it."""
        return self.by_drill.get(drill, self.always)


@dataclass(frozen=True)
class Destinations:
    """``unset`` are the variables that drills name and that are empty here."""

    found: tuple[Destination, ...] = ()
    unset: tuple[str, ...] = ()

    @property
    def secrets(self) -> list[str]:
        """All addresses, for hiding them."""
        return [address for destination in self.found for address in destination.addresses]


def take(drills: Iterable[Drill]) -> Destinations:
    """Those who are told of these drills; raises UsageError for a RECDR_NOTIFY_WHEN that cannot be read.

    Every ``RECDR_NOTIFY...`` variable is taken out of the environment: what is started from here on, commands of the
    drill among it, neither has nor can write down an address.
    """
    taken = {
        name: os.environ.pop(name) for name in list(os.environ) if name == MACHINE or name.startswith(f"{MACHINE}_")
    }
    wishes: dict[str, dict[str, tuple[str, ...]]] = {}
    for drill in drills:
        for one in drill.notify:
            wishes.setdefault(one.to_env, {})[str(drill.path)] = one.when
    found = [
        Destination(name, addresses, by_drill=by_drill)
        for name, by_drill in wishes.items()
        if (addresses := tuple(taken.get(name, "").split()))
    ]
    if addresses := tuple(taken.get(MACHINE, "").split()):
        found.insert(0, Destination(MACHINE, addresses, _when(taken.get(MACHINE_WHEN))))
    there = {destination.variable for destination in found}
    return Destinations(tuple(found), tuple(sorted(set(wishes) - there)))


def _when(written: str | None) -> tuple[str, ...]:
    words = (written or "").replace(",", " ").split()
    for word in words:
        if word not in WHEN:
            raise UsageError(f"{MACHINE_WHEN}: {word[:40]!r} is not one of the choices. {nearest(word, WHEN)}")
    return tuple(dict.fromkeys(words)) or TOLD_WHEN
