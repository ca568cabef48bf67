"""The data table beside the charts: their figures second by second."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from reports import cleaning
from reports.columns import NS, Flags, Floats, Requests
from reports.series import quantiles, ratio


@dataclass(frozen=True)
class Second:
    """One row of the data table beside the charts; None where there was nothing to measure."""

    t_s: float
    answered: tuple[int, ...]
    failed_reads: int
    failed_writes: int
    p50_ms: float | None
    p99_ms: float | None
    recall: float | None


def table(requests: Requests, start: int, end: int, zero: int, rows: int = 180) -> tuple[int, list[Second]]:
    """How many whole seconds a row has (1, or more for a long trial), and the charts' figures as rows.

    Row edges are whole seconds since ``zero``, so that the first row of the fault starts at 0.
    """
    step = max(1, math.ceil((end - start) / NS / rows))
    first = math.floor((start - zero) / NS / step)
    count = max(1, math.ceil((end - zero) / NS / step) - first)
    row = np.clip((requests.due - zero) // (step * NS) - first, 0, count - 1)
    took = (requests.done - requests.due) / 1e6
    ok, bad = requests.ok, requests.failed
    probes = requests.quality & ok & ~np.isnan(requests.hits) & (requests.expected > 0)

    def tally(keep: Flags, weights: Floats | None = None) -> Floats:
        chosen = None if weights is None else weights[keep]
        return np.bincount(row[keep], weights=chosen, minlength=count).astype(np.float64)

    by_region = [tally(ok & (requests.region == code)) for code in range(len(requests.regions))]
    reads, writes = tally(bad & ~requests.write), tally(bad & requests.write)
    p50, p99 = quantiles(row[ok], took[ok], (0.5, 0.99), count)
    quality = ratio(tally(probes, requests.hits), tally(probes, requests.expected))
    return step, [
        Second(
            t_s=float((first + i) * step),
            answered=tuple(int(column[i]) for column in by_region),
            failed_reads=int(reads[i]),
            failed_writes=int(writes[i]),
            p50_ms=cleaning.number(float(p50[i])),
            p99_ms=cleaning.number(float(p99[i])),
            recall=cleaning.number(float(quality[i])),
        )
        for i in range(count)
    ]
