"""Leave-one-out: which interactions nobody may learn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from recsvc.data.dataset import MIN_EVALUATED, Split

if TYPE_CHECKING:
    from recsvc.data.dataset import Indices


def hold_out(sequences: Sequence[Indices]) -> Split:
    """Split leave-one-out; users with fewer than `MIN_EVALUATED` interactions stay in training whole."""
    import numpy as np  # noqa: PLC0415 - a warm start imports this module and splits nothing

    chosen = [position for position, sequence in enumerate(sequences) if len(sequence) >= MIN_EVALUATED]
    evaluated = [sequences[position] for position in chosen]
    return Split(
        train=tuple(s[:-2] if len(s) >= MIN_EVALUATED else s for s in sequences),
        not_evaluated=tuple(s for s in sequences if len(s) < MIN_EVALUATED),
        evaluated=np.array(chosen, dtype=np.int64),
        before_validation=tuple(s[:-2] for s in evaluated),
        validation=np.array([s[-2] for s in evaluated], dtype=np.int64),
        before_test=tuple(s[:-1] for s in evaluated),
        test=np.array([s[-1] for s in evaluated], dtype=np.int64),
    )
