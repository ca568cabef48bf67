"""Does everybody get the same items: a service that answers from something that is no recommender any more."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from drills.measures.listed import STREAMS, Listed, listed
from drills.measures.model import Settings
from drills.measures.phases import in_phase
from drills.recording.timeline import Ints, Timeline

EVERYBODY = 0.9


def frozen(timeline: Timeline, settings: Settings) -> Iterator[str]:
    """A sentence for each phase in which the same items went to everybody, or to everybody whom a region served.

    Only where lists should be personal, and at least ``min_lists`` different users were given them. Everybody
    means nine answers in ten: those under way when the fault struck still came from a service that was well. An answer
    that says itself that it is degraded does not pretend to be a recommendation for this user, and does not count.
    """
    if not settings.personal:
        return
    for phase in ("before", "during", "after"):
        answers = _listed_in(timeline, phase)
        regions = answers.region.counts()
        sets = _sets_of(answers)
        groups = {"": answers} | {f" by {name}": answers.where(answers.region.equals(name)) for name in regions}
        for who, group in groups.items():
            users, lists = _given_the_same(group, sets[group.list_])
            if users >= settings.min_lists:
                what = "one and the same list" if lists == 1 else f"the same items, in {lists} different orders"
                yield f"In the phase '{phase}' {users} different users were all given {what}{who}."
                break


def _listed_in(timeline: Timeline, phase: str) -> Listed:
    requests = timeline.requests
    rows = requests.stream.equals(*STREAMS) & in_phase(timeline, phase) & (requests.degraded != 1)
    return listed(requests.where(rows))


def _sets_of(answers: Listed) -> Ints:
    """For each list the number of the set of its ids: the same items in another order are no other choice."""
    numbers: dict[frozenset[str], int] = {}
    return np.asarray([numbers.setdefault(frozenset(ids), len(numbers)) for ids in answers.lists], np.int64)


def _given_the_same(answers: Listed, set_: Ints) -> tuple[int, int]:
    """How many different users were given the commonest set [n: ``set_``], as how many different lists.

    0 where less than ``EVERYBODY`` of the answers was it.
    """
    if not len(answers):
        return 0, 0
    numbers = np.bincount(set_)
    commonest = int(numbers.argmax())
    if numbers[commonest] < EVERYBODY * len(answers):
        return 0, 0
    given = set_ == commonest
    return len(np.unique(answers.user[given])), len(np.unique(answers.list_[given]))
