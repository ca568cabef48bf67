"""Every timer of the lab, stated once: the configurations are written from here, and so is the run's record.

The nodes' own timers are not here: each node states them itself, and the target asks one (``stated``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

# HAProxy. A check of a silent server ends after the connect timeout; one that was connected, after the check timeout.
CHECK_INTER_MS = 100
CHECK_FASTINTER_MS = 50
CHECK_DOWNINTER_MS = 50
CHECK_FALL = 2
CHECK_RISE = 1
CHECK_TIMEOUT_MS = 100
CONNECT_TIMEOUT_MS = 100
SERVER_TIMEOUT_MS = 500
QUEUE_TIMEOUT_MS = 500
# A node that cannot answer in time must say so before the edge gives up on it: only then is the retry free.
NODE_DEADLINE_MS = 400
# Traffic can notice a dead server before the checks do: so many connections that fail in a row are enough.
ERROR_LIMIT = 5
RETRIES = 3

# The witness decides first and alone that the master is down; a regional Sentinel needs both other opinions and waits
# longer. A leader needs the votes of a majority in any case. Equal timers split the vote and cost up to 10 s.
WITNESS_DOWN_AFTER_MS = 400
REGIONAL_DOWN_AFTER_MS = 1500
FAILOVER_TIMEOUT_MS = 3000
# Sentinels look for each other and for replicas every 2 and 10 s; shorter periods let a lab settle in one or two.
# They ping as often as they would call an instance down, so noticing takes up to twice that; pinging more often brings
# it closer to once. But a replica is promoted only if its INFO is younger than five ping periods, and once the master
# is down INFO is asked for every second: with 100 ms, one failover in two found "no good slave" and waited 6 s.
SENTINEL_INFO_MS = 150
SENTINEL_PUBLISH_MS = 300
SENTINEL_PING_MS = 200
SENTINEL_ASK_MS = 200
# Not ours to set: a Sentinel looks at its timers 10 to 19 times a second, at random (sentinelTimer in sentinel.c).
SENTINEL_TICK_MS = 100

STORE_PING_S = 1
STORE_TIMEOUT_S = 3

_MS = {
    "check_inter_s": CHECK_INTER_MS,
    "check_fastinter_s": CHECK_FASTINTER_MS,
    "check_downinter_s": CHECK_DOWNINTER_MS,
    "check_timeout_s": CHECK_TIMEOUT_MS,
    "connect_timeout_s": CONNECT_TIMEOUT_MS,
    "server_timeout_s": SERVER_TIMEOUT_MS,
    "queue_timeout_s": QUEUE_TIMEOUT_MS,
    "node_deadline_s": NODE_DEADLINE_MS,
    "witness_down_after_s": WITNESS_DOWN_AFTER_MS,
    "regional_down_after_s": REGIONAL_DOWN_AFTER_MS,
    "failover_timeout_s": FAILOVER_TIMEOUT_MS,
    "sentinel_info_s": SENTINEL_INFO_MS,
    "sentinel_publish_s": SENTINEL_PUBLISH_MS,
    "sentinel_ping_s": SENTINEL_PING_MS,
    "sentinel_ask_s": SENTINEL_ASK_MS,
    "sentinel_tick_s": SENTINEL_TICK_MS,
}
_COUNTS = {"check_fall": CHECK_FALL, "check_rise": CHECK_RISE, "error_limit": ERROR_LIMIT, "retries": RETRIES}
_PERIODIC = ("check_inter_s", "sentinel_info_s", "sentinel_publish_s", "sentinel_ping_s", "store_ping_s", "node_poll_s")


def stated(node: Mapping[str, object] | None) -> dict[str, float]:
    """All timers in seconds by name (those without ``_s`` are counts), with those that ``node`` says it goes by.

    ``period_s`` is the longest with which anything in the lab recurs: what the moment of a fault is jittered against.
    """
    timers = {name: ms / 1_000 for name, ms in _MS.items()} | _COUNTS
    timers |= {"store_ping_s": float(STORE_PING_S), "store_timeout_s": float(STORE_TIMEOUT_S)}
    for name, value in (node or {}).items():
        if isinstance(value, int | float) and math.isfinite(value):
            timers[name] = float(value)
    return timers | {"period_s": max(timers[name] for name in _PERIODIC if name in timers)}
