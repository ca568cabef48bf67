"""What Prometheus scrapes, in its text format 0.0.4.

Written by hand because a node needs a few counters and two histograms: `prometheus-client` would add an
import to each node's start and a lock to each request, for a text format of twenty lines.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
LATENCY_BOUNDS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
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
        yield f"{name}_sum{braces} {self._sum:.9g}"
        yield f"{name}_count{braces} {total}"


class Metrics:
    """Counters of one node; gauges, and counters that others keep, are read from their owners when scraped."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, int], int] = defaultdict(int)
        self._latency: dict[str, Histogram] = defaultdict(lambda: Histogram(LATENCY_BOUNDS_S))
        self.batch_sizes = Histogram(BATCH_BOUNDS)

    def request(self, route: str, status: int, seconds: float) -> None:
        self._requests[route, status] += 1
        self._latency[route].observe(seconds)

    def render(self, gauges: Mapping[str, float], info: Mapping[str, str]) -> bytes:
        """Return the exposition; ``info`` becomes the labels of ``recsvc_info``, always 1."""
        lines = ["# TYPE recsvc_requests_total counter"]
        for (route, status), count in sorted(self._requests.items()):
            lines.append(f'recsvc_requests_total{{route="{route}",status="{status}"}} {count}')
        lines.append("# TYPE recsvc_request_seconds histogram")
        for route, histogram in sorted(self._latency.items()):
            lines.extend(histogram.lines("recsvc_request_seconds", f'route="{route}"'))
        lines.append("# TYPE recsvc_batch_size histogram")
        lines.extend(self.batch_sizes.lines("recsvc_batch_size"))
        for name, value in gauges.items():
            kind = "counter" if name.endswith("_total") else "gauge"
            lines += [f"# TYPE recsvc_{name} {kind}", f"recsvc_{name} {value:.12g}"]
        labels = ",".join(f'{key}="{_escaped(value)}"' for key, value in info.items())
        lines += ["# TYPE recsvc_info gauge", f"recsvc_info{{{labels}}} 1"]
        return ("\n".join(lines) + "\n").encode()


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
