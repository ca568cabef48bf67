"""How much work was done: successful answers a second."""

from __future__ import annotations

import numpy as np

from drills.measures.model import Measure, Settings, key, unknown
from drills.measures.phases import SECOND, moments, span
from drills.measures.schedule import PROBER_STREAMS, unobserved
from drills.recording.timeline import Timeline

LEAST_S = 1.0


def throughput(timeline: Timeline, settings: Settings, phase: str) -> Measure:
    """Successful answers of all streams that arrived while the phase lasted, a second.

    The phase before the fault counts from the moment all clients were there. Unknown where it lasted less than 1 s.
    """
    name, due = key("throughput_rps", phase), span(phase, moments(timeline))
    if due is None:
        return unknown(name, f"The trial has no phase '{phase}'.")
    since, until = max(due[0], _all_there(timeline)) if phase == "before" else due[0], due[1]
    seconds = (until - since) / SECOND
    if seconds < LEAST_S:
        return unknown(name, f"The phase '{phase}' lasted {max(0.0, seconds):.2f} s; {LEAST_S:g} s are needed.")
    requests = timeline.requests
    answered = requests.ok & (requests.t_done >= since) & (requests.t_done < until)
    count = int(np.count_nonzero(answered))
    unseen = sum(unobserved(timeline, stream, phase, settings) for stream in PROBER_STREAMS)
    return Measure(
        name=name,
        value=count / seconds,
        unit="requests/s",
        resolution=1 / seconds,
        possible=(count / seconds, (count + unseen) / seconds) if unseen else None,
        reason=f"The fate of {unseen} probes was not recorded; each may have been answered." if unseen else None,
        evidence={"answered": count, "seconds": seconds},
    )


def _all_there(timeline: Timeline) -> int:
    """When the last of the clients had begun (ns): ``load.started``, else the first request that was due."""
    started = [e.t for e in timeline.events if e.trial is not None and e.kind == "load.started"]
    if started:
        return max(started)
    times = timeline.requests.t_scheduled
    return int(times.min()) if len(times) else 0
