"""A fault of the drill's own: commands or Chaos Toolkit providers that break something, undo it, and look."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from drills import hooks
from drills.errors import TargetError
from drills.faults.base import BlastRadius, Evidence, Fidelity, Nodes, activities
from drills.faults.noticing import LOOKS_BEFORE, READS, Noticing
from drills.hooks import Ended
from drills.spec import HookArgument
from drills.targets.base import Target
from drills.targets.looking import Look, Way, look

FEW_LOOKS = 4
WRITE_EVERY_S = 1.0
NO_ANSWER = "a check ends with 0 while the fault is in force and with 1 while it is not; anything else says neither"


class Doing(HookArgument):
    """What a drill file says is to be done: ``{command: [...], timeout_s: ...}`` or ``{provider: {...}}``.

    Called, it is done, as a fault's methods are; raises TargetError where that fails.
    """

    def __call__(self, target: Any) -> None:
        hooks.must("fault", hooks.of(self), hooks.place())

    def asked(self) -> Ended:
        """How it ends, whatever that means."""
        return hooks.run("check", hooks.of(self), hooks.place())


@dataclass(frozen=True)
class Custom:
    """Do ``inject``; ``heal`` undoes it and must be repeatable. Each is a command or a provider.

    ``check`` ends with 0 exactly while the fault is in force, else with 1. Without it the effect is looked for from the
    clients' side. ``what`` says what is broken and ``certifies`` what surviving that shows: a sentence each.
    """

    inject: Doing
    heal: Doing
    check: Doing | None = None
    what: str = ""
    certifies: str = ""
    name: ClassVar[str] = "custom"
    needs: ClassVar[tuple[type, ...]] = ()

    def __post_init__(self) -> None:
        for name in ("inject", "heal", "check"):
            if (given := getattr(self, name)) is not None:
                hooks.of(given)
                object.__setattr__(self, name, Doing(given))

    def fidelity(self, target: Any) -> Fidelity:
        return Fidelity(
            "real",
            self.certifies or "that the service survives what the drill's own command does to it",
            "anything that the drill's own command does not really break",
        )

    def blast_radius(self, nodes: Nodes) -> BlastRadius:
        what = self.what or "whatever the command of the drill breaks"
        return BlastRadius((), f"{what}; recdr cannot tell how far it reaches")

    def look_first(self, target: Target) -> list[str]:
        """See how the service answers with nothing broken; returns the ways by which it does not.

        Raises TargetError where the fault is in force already, or nobody could tell whether it is.
        """
        if self.check is not None:
            ended = self.check.asked()
            if ended.ok:
                raise TargetError(f"the fault seems to be in force before it was injected: {ended.text}")
            if not ended.answered:
                raise TargetError(f"the drill's own {ended.text}: {NO_ANSWER}")
        noticing = Noticing(target.deployment)
        silent = [str(way) for way in noticing.look_before(LOOKS_BEFORE if self.check is None else FEW_LOOKS)]
        object.__setattr__(self, "_noticing", noticing)
        self.recall(silent)
        return silent

    def recall(self, noted: Sequence[str]) -> None:
        """The ways by which nobody answered before need not work after healing."""
        object.__setattr__(self, "_silent", frozenset(noted))

    def took_effect(self, target: Target) -> Evidence:
        if self.check is not None:
            ended = self.check.asked()
            return Evidence(ended.ok, f"the drill's own {ended.text}" + ("" if ended.answered else f": {NO_ANSWER}"))
        noticing: Noticing | None = getattr(self, "_noticing", None)
        if noticing is None:
            return Evidence(False, "nobody looked before the fault, so nobody can tell what is different now")
        return noticing.notice()

    def healed(self, target: Target) -> Evidence:
        if self.check is None:
            return self._answers(target, writes=True)
        ended = self.check.asked()
        if ended.ok or not ended.answered:
            return Evidence(False, f"the drill's own {ended.text}" + ("" if ended.answered else f": {NO_ANSWER}"))
        seen = self._answers(target, writes=False)
        return Evidence(seen.observed, f"the drill's own {ended.text}; {seen.text}")

    def _answers(self, target: Target, *, writes: bool) -> Evidence:
        """Whether reads are answered again by every way that worked before, and a write through the edge."""
        wrong = self._failing(look(target.deployment, READS))
        if not wrong and writes:
            wrong = self._failing(self._write(target))
        if wrong:
            return Evidence(False, "; ".join(wrong))
        what = "reads and writes are" if writes else "reads are"
        return Evidence(True, f"{what} answered again, through the edge and by each region's door")

    def _failing(self, looks: dict[Way, Look]) -> list[str]:
        silent: frozenset[str] = getattr(self, "_silent", frozenset())
        return [f"{way} failed: {seen.error}" for way, seen in looks.items() if seen.error and str(way) not in silent]

    def _write(self, target: Target) -> dict[Way, Look]:
        """Write an event of no trial, at most one a second: each stays in the service."""
        last: tuple[float, dict[Way, Look]] | None = getattr(self, "_wrote", None)
        if last is None or time.monotonic() - last[0] > WRITE_EVERY_S:
            last = (time.monotonic(), look(replace(target.deployment, doors={}), ("event",)))
            object.__setattr__(self, "_wrote", last)
        return last[1]


inject, heal = activities(Custom)
