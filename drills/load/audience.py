"""Who asks for what during a trial."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from drills.spec import ServiceSettings
from recsvc.bundle import Bundle


@dataclass(frozen=True)
class Audience:
    """Evaluation users are only ever read, so nothing a drill does changes their right answers; shoppers do the rest.

    ``evaluation`` holds ``{"id": "q0", "user": ..., "expected": [...]}``; ``expected`` is empty where nobody knows what
    is right.
    """

    evaluation: list[dict[str, Any]]
    shoppers: list[str]
    items: list[str]
    queries: list[str]

    @classmethod
    def of(cls, bundle: Bundle, evaluation_users: int, seed: int) -> Audience:
        """A seeded sample of held-out users for the quality probe; everybody else goes shopping."""
        held_out = bundle.evaluation
        chosen = random.Random(seed).sample(held_out.users, min(evaluation_users, len(held_out.users)))  # noqa: S311
        titles = (word for item in bundle.items for word in item.title.lower().split())
        queries = sorted({word for word in titles if len(word) > 3 and word.isalpha()})
        shoppers = sorted(set(bundle.histories) - set(chosen))
        expected = {user: list(held_out.expected[user]) for user in chosen}
        return cls(_questions(expected), shoppers, [item.id for item in bundle.items], queries)

    @classmethod
    def of_service(cls, settings: ServiceSettings, evaluation_users: int, seed: int) -> Audience:
        """A seeded sample of the users whose right answers are known or, where none are, of all users.

        At most half of all users are taken, and at least one is left to shop; see ``ServiceSettings.users``.
        """
        known = list(settings.held_out) or list(settings.users)
        everybody = list(dict.fromkeys([*settings.users, *known]))
        most = max(1, min(evaluation_users, len(everybody) // 2))
        chosen = random.Random(seed).sample(known, min(most, len(known)))  # noqa: S311
        shoppers = sorted(set(settings.users) - set(chosen)) or sorted(set(everybody) - set(chosen))
        expected = {user: list(settings.held_out.get(user, ())) for user in chosen}
        return cls(_questions(expected), shoppers, list(settings.items), list(settings.queries))


def _questions(expected: dict[str, list[str]]) -> list[dict[str, Any]]:
    return [{"id": f"q{i}", "user": user, "expected": items} for i, (user, items) in enumerate(expected.items())]
