"""Who has something that only one drill may have at a time, in words for whoever has to wait."""

from __future__ import annotations

from datetime import datetime

from drills import open_runs, processes


def holder(pid: int | None) -> str:
    """`` (process 4711, since 09:15:02, run ...)``, as far as it can be told; empty where nothing can."""
    if pid is None:
        return ""
    told = [f"process {pid}"]
    if (begin := processes.started_at(pid)) is not None:
        told.append(f"since {datetime.fromtimestamp(begin).astimezone():%H:%M:%S}")
    if processes.stopped(pid):
        told.append("which is stopped")
    told += [f"run {run}" for run in open_runs.of_process(pid)]
    return f" ({', '.join(told)})"
