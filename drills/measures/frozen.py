"""Does everybody get the same list: a service that answers from something that is no recommender any more."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from drills.measures.listed import STREAMS, Listed, listed_in
from drills.measures.model import Settings
from drills.timeline import Timeline

EVERYBODY = 0.9


def frozen(timeline: Timeline, settings: Settings) -> Iterator[str]:
    """A sentence for each phase in which one and the same list went to everybody, or to everybody whom a region served.

    Only where lists should be personal, and at least ``min_lists`` different users were given that list. Everybody
    means nine answers in ten: those under way when the fault struck still came from a service that was well.
    """
    if not settings.personal:
        return
    for phase in ("before", "during", "after"):
        answers = listed_in(timeline, phase, *STREAMS)
        regions = answers.region.counts()
        groups = {"": answers} | {f" by {name}": answers.where(answers.region.equals(name)) for name in regions}
        for who, group in groups.items():
            users = _given_one_list(group)
            if users >= settings.min_lists:
                yield f"In the phase '{phase}' {users} different users were all given one and the same list{who}."
                break


def _given_one_list(answers: Listed) -> int:
    """How many different users were given the commonest list; 0 where less than ``EVERYBODY`` of the answers was it."""
    if not len(answers):
        return 0
    numbers = np.bincount(answers.list_)
    commonest = int(numbers.argmax())
    if numbers[commonest] < EVERYBODY * len(answers):
        return 0
    return len(np.unique(answers.user[answers.list_ == commonest]))
