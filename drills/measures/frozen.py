"""Does everybody get the same list: a service that answers from something that is no recommender any more."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from drills.measures.listed import STREAMS, Listed, listed_in
from drills.measures.model import Settings
from drills.timeline import Timeline


def frozen(timeline: Timeline, settings: Settings) -> Iterator[str]:
    """A sentence for each phase in which one and the same list went to everybody, or to everybody whom a region served.

    Only where lists should be personal, and at least ``min_lists`` different users were given one.
    """
    if not settings.personal:
        return
    for phase in ("before", "during", "after"):
        answers = listed_in(timeline, phase, *STREAMS)
        regions = answers.region.counts()
        groups = {"": answers} | {f" by {name}": answers.where(answers.region.equals(name)) for name in regions}
        for who, group in groups.items():
            users = len(np.unique(group.user))
            if users >= settings.min_lists and _one_list(group):
                yield f"In the phase '{phase}' {users} different users were all given one and the same list{who}."
                break


def _one_list(answers: Listed) -> bool:
    return len(answers) > 0 and bool((answers.list_ == answers.list_[0]).all())
