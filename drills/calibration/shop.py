"""What the scripted service recommends to whom: personal lists whose hits are known beforehand."""

from __future__ import annotations

from typing import Any

PROBE_USERS = [f"p{n}" for n in range(40)]
HELD_OUT_USERS = [f"h{n}" for n in range(40)]
ITEMS = [f"i{n}" for n in range(100)]
K = 20
GOOD_HITS, EXPECTED = 1, 2


def expected(user: str) -> list[str]:
    """The items that were left out of a user's history."""
    return [f"{user}-left-{n}" for n in range(EXPECTED)]


def listed(user: str, *, degraded: bool) -> list[str]:
    """The ``K`` items a user is recommended; the degraded list shares none with the good one and holds no hit."""
    if degraded:
        return [f"{user}-poor-{n}" for n in range(K)]
    return [*expected(user)[:GOOD_HITS], *(f"{user}-good-{n}" for n in range(K - GOOD_HITS))]


def hits(user: str, *, degraded: bool) -> int:
    """How many left-out items stand in the user's list."""
    return len(set(expected(user)) & set(listed(user, degraded=degraded)))


def questions() -> list[dict[str, object]]:
    """The quality questions for the prober."""
    return [{"id": f"q{n}", "user": user, "expected": expected(user)} for n, user in enumerate(HELD_OUT_USERS)]


def baseline() -> dict[str, Any]:
    """What ``baseline.recorded`` holds for this service with nothing broken."""
    return {
        "id": "scripted",
        "recorded_in": "calibration",
        "new": True,
        "same_host": True,
        "measures": {f"recall_at_{K}": GOOD_HITS / EXPECTED},
        "quality": {f"q{n}": GOOD_HITS for n in range(len(HELD_OUT_USERS))},
        "lists": {f"q{n}": listed(user, degraded=False) for n, user in enumerate(HELD_OUT_USERS)},
    }
