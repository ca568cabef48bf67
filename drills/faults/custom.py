"""A fault of the drill's own: commands or Chaos Toolkit providers that break something, undo it, and look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from drills import hooks
from drills.errors import TargetError
from drills.faults.base import Evidence, Fidelity, activities
from drills.hooks import Ended
from drills.spec import HookArgument
from drills.targets.base import Target
from drills.targets.looking import Way, look

LOOKS_BEFORE = 3


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

    ``check`` succeeds exactly while the fault is in force. Without it the effect is looked for from the clients' side.
    ``what`` says what is broken and ``certifies`` what surviving that shows, one sentence each, for people.
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

    def look_first(self, target: Target) -> None:
        """Note how the service answers with nothing broken; raises TargetError where the fault is in force already."""
        if self.check is not None:
            ended = self.check.asked()
            if ended.ok:
                raise TargetError(f"the fault seems to be in force before it was injected: {ended.text}")
            if not ended.answered:
                raise TargetError(f"nobody could tell whether the fault takes effect: {ended.text}")
            return
        object.__setattr__(self, "_before", _usual(target))

    def took_effect(self, target: Target) -> Evidence:
        if self.check is not None:
            ended = self.check.asked()
            return Evidence(ended.ok, f"the drill's own {ended.text}")
        usual: dict[Way, set[str]] | None = getattr(self, "_before", None)
        for way, now in look(target.deployment).items():
            if usual is not None and way not in usual:  # it did not work before, either
                continue
            if now.error:
                return Evidence(True, f"{way} failed: {now.error}")
            if usual and usual[way] and now.region and now.region not in usual[way]:
                return Evidence(True, f"{way} is answered by {now.region}, no longer by {', '.join(usual[way])}")
        return Evidence(False, "every read and write is answered as before, through the edge and by each region's door")

    def healed(self, target: Target) -> Evidence:
        if self.check is not None:
            ended = self.check.asked()
            return Evidence(ended.answered and not ended.ok, f"the drill's own {ended.text}")
        wrong = [f"{way} failed: {seen.error}" for way, seen in look(target.deployment).items() if seen.error]
        if wrong:
            return Evidence(False, "; ".join(wrong))
        return Evidence(True, "reads and writes are answered again, through the edge and by each region's door")


def _usual(target: Target) -> dict[Way, set[str]]:
    """The ways in that work, each with the regions that answered there."""
    looks = [look(target.deployment) for _ in range(LOOKS_BEFORE)]
    ways = [way for way in looks[0] if all(seen[way].error is None for seen in looks)]
    return {way: {seen[way].region or "" for seen in looks} - {""} for way in ways}


inject, heal = activities(Custom)
