"""Each use of a fault in a trial: injected, seen or not, healed, and confirmed or not."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass

from drills.recording.record import Event


@dataclass(frozen=True)
class Use:
    """One injection and what came of it; None where nothing of the kind is on record.

    ``healed`` is the heal that was confirmed, else the first one; ``confirmed`` is its confirmation, else what the last
    look after a heal said.
    """

    injected: Event
    effect: Event | None
    healed: Event | None
    confirmed: Event | None

    @property
    def effect_observed(self) -> bool:
        return self.effect is not None and self.effect.data.get("observed") is True

    @property
    def heal_confirmed(self) -> bool:
        return _says_yes(self.confirmed)


def uses(events: Iterable[Event]) -> list[Use]:
    """The uses of faults among the events of one trial, in order of injection.

    A fault may be injected again with the same arguments: what is on record from then on is about that use, but a heal
    that was not attempted before heals both.
    """
    known = sorted(events, key=lambda event: event.t)
    injections = [event for event in known if event.kind == "fault.injected"]
    found = []
    for injected in injections:
        same = [e for e in known if fault_key(e) == fault_key(injected) and e.t >= injected.t]
        again = min((e.t for e in same if e.kind == "fault.injected" and e is not injected), default=math.inf)
        own = [e for e in same if e.t < again]
        healing = own if any(e.kind in ("fault.healed", "heal.confirmed") for e in own) else same
        found.append(_use(injected, own, healing))
    return found


def _use(injected: Event, own: list[Event], healing: list[Event]) -> Use:
    effect = next((e for e in own if e.kind == "fault.effect"), None)
    looks = [e for e in healing if e.kind == "heal.confirmed"]
    confirmed = next((e for e in looks if _says_yes(e)), looks[-1] if looks else None)
    heals = [e for e in healing if e.kind == "fault.healed"]
    if confirmed is not None and _says_yes(confirmed):
        before = [e for e in heals if e.t <= confirmed.t]
        return Use(injected, effect, before[-1] if before else None, confirmed)
    return Use(injected, effect, heals[0] if heals else None, confirmed)


def fault_key(event: Event) -> str:
    """What tells one fault of a trial from another: its name with its arguments."""
    return json.dumps([event.data.get("fault"), event.data.get("arguments")], sort_keys=True, default=str)


def _says_yes(look: Event | None) -> bool:
    return look is not None and look.data.get("confirmed") is True
