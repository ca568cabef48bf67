"""What Prometheus scrapes, in its text format 0.0.4: counters and histograms, and how they are written.

Written by hand because a node needs a few counters and histograms: `prometheus-client` would add an
import to each node's start and a lock to each request, for a text format of twenty lines.
`recsvc.exposition` says which there are and what each means.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
LATENCY_BOUNDS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
STAGE_BOUNDS_S = (0.00005, 0.0001, 0.0002, 0.0005, *LATENCY_BOUNDS_S)
BATCH_BOUNDS = (1, 2, 4, 8, 16, 32, 64)


class Histogram:
    """Counts of values at most as large as each bound, cumulated only when rendered."""

    def __init__(self, bounds: Iterable[float]) -> None:
        self.bounds = tuple(bounds)
        self._counts = [0] * (len(self.bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self.bounds, value)] += 1
        self._sum += value

    def lines(self, name: str, labels: str = "") -> Iterable[str]:
        total, comma = 0, "," if labels else ""
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self._counts, strict=True):
            total += count
            yield f'{name}_bucket{{{labels}{comma}le="{bound}"}} {total}'
        braces = f"{{{labels}}}" if labels else ""
        yield f"{name}_sum{braces} {_number(self._sum)}"
        yield f"{name}_count{braces} {total}"


class Stage(StrEnum):
    """The parts of answering a recommendation or search."""

    STORE_READ = "store_read"
    QUEUE = "queue"
    INFERENCE = "inference"
    ENCODE = "encode"


class Metrics:
    """Counters of one node; gauges are read from their owners when scraped.

    ``acknowledged``: events by the number of copies; ``unacknowledged``: by whether they are stored all the same.
    """

    def __init__(self) -> None:
        self.requests: dict[tuple[str, int], int] = defaultdict(int)
        self.latency: dict[str, Histogram] = defaultdict(lambda: Histogram(LATENCY_BOUNDS_S))
        self.stages = {stage: Histogram(STAGE_BOUNDS_S) for stage in Stage}
        self.batch_sizes = Histogram(BATCH_BOUNDS)
        self.problems: Counter[str] = Counter()
        self.acknowledged: Counter[int] = Counter()
        self.unacknowledged: Counter[str] = Counter()
        self.in_flight = 0

    def request(self, route: str, status: int, seconds: float) -> None:
        self.requests[route, status] += 1
        self.latency[route].observe(seconds)


@dataclass(frozen=True)
class Family:
    """One metric: ``name`` without the ``recsvc_`` or ``process_`` of who it is about, and its samples.

    A number is the only sample; a mapping has one for each value of the label ``label``.
    """

    name: str
    kind: str
    text: str
    samples: float | Histogram | Mapping[str, float | Histogram]
    label: str = ""
    prefix: str = "recsvc"

    def lines(self) -> Iterator[str]:
        """The family in Prometheus' text format: HELP, TYPE, samples."""
        name = f"{self.prefix}_{self.name}"
        yield f"# HELP {name} {self.text}"
        yield f"# TYPE {name} {self.kind}"
        if not isinstance(self.samples, Mapping):
            yield from _sample(name, "", self.samples)
            return
        for value in sorted(self.samples):
            yield from _sample(name, f'{self.label}="{escaped(value)}"', self.samples[value])


def info(name: str, text: str, labels: Mapping[str, str]) -> list[str]:
    """A gauge that is always 1 and tells by its labels."""
    told = ",".join(f'{key}="{escaped(value)}"' for key, value in labels.items())
    return [f"# HELP recsvc_{name} {text}", f"# TYPE recsvc_{name} gauge", f"recsvc_{name}{{{told}}} 1"]


def escaped(value: str) -> str:
    """A label's value as it is written."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _sample(name: str, labels: str, value: float | Histogram) -> Iterable[str]:
    if isinstance(value, Histogram):
        return value.lines(name, labels)
    return [f"{name}{{{labels}}} {_number(value)}" if labels else f"{name} {_number(value)}"]


def _number(value: float) -> str:
    """All digits: in nine of them a moment since 1970 would be off by up to five seconds."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))
