"""The lists that users were given, each list and each user numbered, so that equal ones are compared once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from drills.measures.memo import remembered
from drills.measures.phases import in_phase
from drills.measures.quality import users_of
from drills.recording.timeline import Coded, Flags, Requests, Timeline

STREAMS = ("quality", "probe_read")
_BETWEEN = "\x1f"
"""Joins the ids of a list, so that equal lists are equal texts; Unicode's unit separator is in nobody's ids."""


@dataclass(frozen=True, eq=False)
class Listed:
    """Answers that brought a list [n]: whose (``names[user]``), which list (``lists[list_]``), where from, by what."""

    names: list[str]
    user: npt.NDArray[np.int64]
    lists: list[list[str]]
    list_: npt.NDArray[np.int64]
    region: Coded
    model: Coded

    def __len__(self) -> int:
        return len(self.user)

    def where(self, rows: Flags) -> Listed:
        return Listed(self.names, self.user[rows], self.lists, self.list_[rows], self.region[rows], self.model[rows])


@remembered
def listed_in(timeline: Timeline, phase: str, *streams: str) -> Listed:
    """The lists that came in ``phase``, in the given streams."""
    requests = timeline.requests
    rows = requests.stream.equals(*streams) & in_phase(timeline, phase)
    return listed(requests.where(rows))


def listed(requests: Requests) -> Listed:
    """The lists among the answers to ``requests``; requests without a user's id are left out."""
    there = pc.and_(pc.is_valid(requests.items), pc.is_valid(requests.ids))
    answers = requests.where(np.asarray(there.to_numpy(), np.bool_) & requests.ok)
    names, user = users_of(answers)
    items = answers.items.combine_chunks()
    texts = pc.binary_join(items, _BETWEEN).dictionary_encode()
    list_ = np.asarray(texts.indices.to_numpy(), np.int64)
    _, first = np.unique(list_, return_index=True)
    lists: Any = items.take(pa.array(first)).to_pylist()
    return Listed(names, user, lists, list_, answers.region, answers.model_version)
