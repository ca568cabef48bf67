"""What a node tells Prometheus, family by family; `recsvc.metrics` counts and writes.

Labels take few values each: routes and statuses that exist, states, kinds of problems. Never users, items or paths as
they were asked for. What was not observed has no sample.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from recsvc.accelerator import AcceleratorState
from recsvc.application import Answer, Request
from recsvc.canary import Canary, K
from recsvc.encoded import EncodedUsers
from recsvc.fence import Replication, Verdict
from recsvc.metrics import CONTENT_TYPE, Family, Histogram, Metrics, escaped, info
from recsvc.release import Release
from recsvc.reloading import Reloaded
from recsvc.responses import Responses
from recsvc.rollout import Outcome, Rollout
from recsvc.watch import Watch
from recsvc.writer import Writer

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Connections(Protocol):
    """What is known of the public listener's connections."""

    def count(self) -> int: ...

    @property
    def turned(self) -> dict[str, int]: ...


@dataclass(frozen=True)
class Exposition:
    """Whom it asks. ``reloaded``: files read again while the node runs; ``labels``: those of ``recsvc_info``."""

    rollout: Rollout
    watch: Watch
    writer: Writer
    metrics: Metrics
    canary: Canary
    connections: Connections
    reloaded: Sequence[Reloaded]
    labels: Callable[[], dict[str, str]]
    responses: Responses | None = None

    async def get(self, request: Request) -> Answer:
        """GET /metrics."""
        del request
        return Answer(self.render(), content_type=CONTENT_TYPE)

    def families(self) -> Iterator[Family]:
        """Everything with one label or none."""
        release = self.rollout.current
        yield from self._requests()
        yield from self._model(release)
        yield from self._accelerator(release)
        yield from _encoded(release.encoded)
        yield from _responses(self.responses)
        yield from self._writes()
        yield from self._replication()
        yield from self._canary()
        yield from _process()

    def render(self) -> bytes:
        """The whole exposition."""
        lines = [*self._by_status(), *(line for family in self.families() for line in family.lines())]
        lines += info("info", "Which node this is, what it serves and on what; always 1.", self.labels())
        return ("\n".join(lines) + "\n").encode()

    def _by_status(self) -> Iterator[str]:
        """The one family with two labels."""
        yield "# HELP recsvc_requests_total Requests answered, by route and status."
        yield "# TYPE recsvc_requests_total counter"
        for (route, status), count in sorted(self.metrics.requests.items()):
            yield f'recsvc_requests_total{{route="{escaped(route)}",status="{status}"}} {count}'

    def _requests(self) -> Iterator[Family]:
        metrics = self.metrics
        yield Family(
            "request_seconds", "histogram", "Time from a request's headers to its answer.", metrics.latency, "route"
        )
        stages: dict[str, Histogram] = {stage.value: histogram for stage, histogram in metrics.stages.items()}
        yield Family("stage_seconds", "histogram", "Time spent in each stage of recommending.", stages, "stage")
        yield Family("requests_in_flight", "gauge", "Requests being answered now.", metrics.in_flight)
        yield Family("problems_total", "counter", "Answers that were problem documents.", metrics.problems, "kind")
        yield Family("connections", "gauge", "Clients' connections open now.", self.connections.count())
        turned = self.connections.turned
        yield Family("connections_refused_total", "counter", "Connections ended by a limit.", turned, "reason")

    def _model(self, release: Release) -> Iterator[Family]:
        counts, last = self.rollout.counts, self.rollout.last
        yield Family("batch_size", "histogram", "Requests that the model answered at once.", self.metrics.batch_sizes)
        yield Family("queue_length", "gauge", "Requests that wait for the model.", release.batcher.waiting)
        ended = {outcome.value: float(counts[outcome]) for outcome in (Outcome.DONE, Outcome.REFUSED)}
        yield Family("rollouts_total", "counter", "Model rollouts that ended, by outcome.", ended, "outcome")
        refused = last is not None and last.outcome is Outcome.REFUSED
        yield Family("last_rollout_refused", "gauge", "1 where the last rollout was refused.", refused)
        good = {file.name: float(file.good) for file in self.reloaded}
        yield Family("reload_success", "gauge", "1 where a file was last read again without error.", good, "file")

    def _accelerator(self, release: Release) -> Iterator[Family]:
        now = release.accelerator
        states = {state.value: float(now.state is state) for state in AcceleratorState}
        yield Family("accelerator_state", "gauge", "1 for the state that the accelerator is in.", states, "state")
        yield Family("degraded", "gauge", "1 while answers are not computed as they should be.", now.degraded)
        yield Family("accelerator_restarts_total", "counter", "Restarts of the accelerator's process.", now.restarts)
        seen = {str(xid): float(count) for xid, count in now.xids.items()}
        yield Family("xid_total", "counter", "Errors that the NVIDIA driver reported, by XID.", seen, "xid")

    def _writes(self) -> Iterator[Family]:
        metrics, watch = self.metrics, self.watch
        acknowledged = {str(copies): float(count) for copies, count in metrics.acknowledged.items()}
        text = "Events acknowledged, by the copies that an acknowledgement stood for."
        yield Family("events_acknowledged_total", "counter", text, acknowledged, "copies")
        text = "Events not acknowledged, by whether they are stored all the same."
        yield Family("events_unacknowledged_total", "counter", text, metrics.unacknowledged, "stored")
        yield Family("write_queue_length", "gauge", "Events that wait to be stored.", self.writer.waiting)
        decision = watch.decision()
        yield Family("writable", "gauge", "1 where an event posted now would be acknowledged.", decision.writable)
        verdicts = {verdict.value: float(decision.verdict is verdict) for verdict in Verdict}
        yield Family("write_verdict", "gauge", "1 for what would become of an event now.", verdicts, "verdict")
        possible = watch.copies_possible()
        yield Family("copies_possible", "gauge", "Copies that an event would be acknowledged on now.", possible)

    def _replication(self) -> Iterator[Family]:
        watch = self.watch
        modes = {mode.value: float(watch.place.mode is mode) for mode in Replication}
        yield Family("replication_mode", "gauge", "1 for the replication mode.", modes, "mode")
        yield Family("store_ready", "gauge", "1 while the region's store answers.", watch.store_ready())
        yield Family("store_master", "gauge", "1 where the region's store is the master.", watch.view.role == "master")
        yield Family("replicas", "gauge", "Replicas that the region's store knows of.", watch.view.replicas)
        if watch.copied.offset is not None:
            text = "How far the region's store is in the stream of what was written."
            yield Family("store_offset_bytes", "gauge", text, watch.copied.offset)
        if watch.copied.lag_bytes is not None:
            text = "What the slowest replica has not confirmed yet; told by the master's nodes."
            yield Family("replication_lag_bytes", "gauge", text, watch.copied.lag_bytes)
        lag_s = watch.replication_lag_s()
        if lag_s is not None:
            text = "Age of the newest heartbeat that a replica confirmed; told by the master's nodes."
            yield Family("replication_lag_seconds", "gauge", text, lag_s)

    def _canary(self) -> Iterator[Family]:
        canary, k = self.canary, str(K)
        yield Family("recall_canary_users", "gauge", "Held-out users that the canary's recall is of.", canary.users)
        text = "Rounds of the canary left out or cut short because requests waited."
        yield Family("recall_canary_skipped_total", "counter", text, canary.skipped)
        if canary.recall is not None:
            text = "Recall of the node's own answers for held-out users."
            yield Family("recall_canary", "gauge", text, {k: canary.recall}, "k")
        if canary.asked_s is not None:
            text = "When the canary last asked."
            yield Family("recall_canary_timestamp_seconds", "gauge", text, canary.asked_s)


def _encoded(users: EncodedUsers | None) -> Iterator[Family]:
    if users is None:
        return
    asked = {"hit": float(users.hits), "miss": float(users.misses)}
    yield Family("user_cache_lookups_total", "counter", "Users' vectors that were asked for.", asked, "result")
    left = {"evicted": float(users.evicted), "event": float(users.dropped)}
    yield Family("user_cache_removed_total", "counter", "Users' vectors let go of, by why.", left, "reason")
    yield Family("user_cache_entries", "gauge", "Users' vectors kept.", len(users))
    yield Family("user_cache_bytes", "gauge", "What these can take in memory.", users.bytes)


def _responses(kept: Responses | None) -> Iterator[Family]:
    if kept is None:
        return
    asked = {"hit": float(kept.hits), "miss": float(kept.misses)}
    yield Family("response_cache_lookups_total", "counter", "Answers to identical requests asked for.", asked, "result")
    yield Family("response_cache_evicted_total", "counter", "Answers let go of for newer ones.", kept.evicted)
    yield Family("response_cache_bytes", "gauge", "What the kept answers take in memory.", kept.bytes)


def _process() -> Iterator[Family]:
    """What Prometheus' own clients tell of a process, under the same names."""
    words = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    cpu_s = (int(words[11]) + int(words[12])) / TICKS_A_SECOND
    up_s = time.clock_gettime(time.CLOCK_BOOTTIME) - int(words[19]) / TICKS_A_SECOND
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    told: tuple[tuple[str, str, str, float], ...] = (
        ("cpu_seconds_total", "counter", "User and system CPU time spent.", cpu_s),
        ("resident_memory_bytes", "gauge", "Resident memory size.", int(words[21]) * PAGE_BYTES),
        ("virtual_memory_bytes", "gauge", "Virtual memory size.", int(words[20])),
        ("start_time_seconds", "gauge", "Start time of the process since the Unix epoch.", time.time() - up_s),
        ("open_fds", "gauge", "Open file descriptors.", len(os.listdir("/proc/self/fd"))),  # noqa: PTH208 - no paths needed
        ("max_fds", "gauge", "Most file descriptors that may be open.", limit),
    )
    for name, kind, text, value in told:
        yield Family(name, kind, text, value, prefix="process")
