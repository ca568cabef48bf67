"""What the canary publishes, from literal answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

from recsvc.bundle import Bundle, Evaluation
from recsvc.canary import USERS_A_ROUND, Asked, Canary


@dataclass
class Scene:
    """A service whose answers are given, and a bundle of three users with what they took up."""

    answers: dict[str, Asked | None]
    version: str = "1"
    busy: bool = False
    asked: list[str] = field(default_factory=list)

    @property
    def evaluation(self) -> Evaluation:
        return Evaluation(("a", "b", "c"), {"a": ("x",), "b": ("x", "y"), "c": ("z",)})

    async def ask(self, user: str, k: int) -> Asked | None:
        assert k == 20
        self.asked.append(user)
        return self.answers[user]

    def canary(self) -> Canary:
        return Canary(self.ask, lambda: cast(Bundle, self), lambda: self.busy, 1.0)


def rounds(canary: Any, count: int = 1) -> None:
    for _ in range(count):
        asyncio.run(canary.round())


def test_it_is_the_mean_recall_of_those_who_were_answered() -> None:
    scene = Scene({"a": Asked(["x"], frozenset()), "b": Asked(["y", "w"], frozenset()), "c": None})
    canary = scene.canary()
    assert (canary.recall, canary.asked_s) == (None, None), "nothing is told before the first answer"
    rounds(canary)
    assert (canary.recall, canary.users) == (0.75, 2)


def test_a_round_that_nobody_answers_is_no_round() -> None:
    """Or a store that is gone would leave an old recall with a fresh time."""
    scene = Scene({user: Asked(["x"], frozenset()) for user in "abc"})
    canary = scene.canary()
    rounds(canary)
    first_s = canary.asked_s
    assert first_s is not None
    scene.answers = dict.fromkeys("abc")
    rounds(canary)
    assert canary.asked_s == first_s
    scene.answers = {user: Asked(["x"], frozenset()) for user in "abc"}
    rounds(canary)
    assert canary.asked_s > first_s


def test_what_a_user_has_taken_up_since_is_no_miss() -> None:
    nothing_left = Asked(["w"], frozenset({"z"}))
    scene = Scene({"a": Asked([], frozenset()), "b": Asked(["y"], frozenset({"x"})), "c": nothing_left})
    canary = scene.canary()
    rounds(canary)
    assert (canary.recall, canary.users) == (0.5, 2)


def test_it_keeps_out_of_the_way_and_goes_on_where_it_stopped() -> None:
    scene = Scene({user: Asked([], frozenset()) for user in "abc"}, busy=True)
    canary = scene.canary()
    rounds(canary)
    assert (scene.asked, canary.skipped) == ([], 1)
    scene.busy = False
    rounds(canary, USERS_A_ROUND)
    assert scene.asked[:4] == ["a", "b", "c", "a"]


def test_another_model_starts_anew() -> None:
    scene = Scene({user: Asked([], frozenset()) for user in "abc"})
    canary = scene.canary()
    rounds(canary)
    assert canary.recall == 0
    scene.version, scene.answers = "2", {"a": Asked(["x"], frozenset()), "b": Asked(["x", "y"], frozenset()), "c": None}
    rounds(canary)
    assert canary.recall == 1
