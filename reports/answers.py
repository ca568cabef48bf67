"""What answers said of themselves: the model version behind them, and whether they were degraded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reports import cleaning
from reports.happenings import Clock

_COLUMNS = ("trial", "t_scheduled", "model_version", "degraded")
_LEAST = 3
"""A version that fewer answers bore is not worth a word."""


@dataclass(frozen=True)
class Answers:
    """Counts of one trial's answers that were due from the fault on, while it was in force.

    ``said``: those that said whether they were degraded, ``degraded``: those that were. ``versions``: model version ->
    answers, the most frequent first.
    """

    said: int = 0
    degraded: int = 0
    versions: Mapping[str, int] = field(default_factory=dict)

    @property
    def degraded_share(self) -> float:
        """From 0 to 1; 0 where no answer said anything."""
        return self.degraded / self.said if self.said else 0.0


def read(path: Path) -> pa.Table:
    """The columns that this needs. Raises OSError or pyarrow.ArrowException where the file is missing or damaged."""
    return pq.read_table(path, columns=list(_COLUMNS))


def of_trial(table: pa.Table | None, number: int, at: Clock) -> Answers:
    """Count the answers of one trial; nothing where no fault was injected."""
    if table is None or at.injected is None:
        return Answers()
    due = pc.fill_null(table["t_scheduled"].cast(pa.int64()), 0)
    until = at.end if at.healed is None else at.healed
    chosen = pc.and_(pc.equal(table["trial"], number), pc.and_(pc.greater_equal(due, at.injected), pc.less(due, until)))
    mine = table.filter(pc.fill_null(chosen, False))
    flags = np.asarray(pc.drop_null(mine["degraded"]), dtype=np.bool_)
    counted = pc.value_counts(pc.drop_null(mine["model_version"]).cast(pa.string())).to_pylist()
    counts = {cleaning.text(one["values"]): int(one["counts"]) for one in counted if one["counts"] >= _LEAST}
    return Answers(len(flags), int(flags.sum()), dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))))
