"""The timers that a node goes by, as it states them to whoever watches it (`/readyz`): seconds by name."""

from __future__ import annotations

from recsvc import fence, watch, writer

_SECOND = 1_000 * fence.MS

TIMERS: dict[str, float] = {
    "node_poll_s": watch.PERIOD_S,
    "node_answer_s": watch.ANSWER_S,
    "node_heartbeat_wait_s": watch.HEARTBEAT_WAIT_MS / 1_000,
    "node_replica_fresh_s": fence.REPLICA_FRESH_NS / _SECOND,
    "node_replica_gone_s": fence.REPLICA_GONE_NS / _SECOND,
    "node_commit_wait_s": writer.WAIT_MS / 1_000,
    "permission_longest_s": fence.LONGEST_VALIDITY_NS / _SECOND,
    "permission_margin_s": fence.MARGIN_NS / _SECOND,
}
