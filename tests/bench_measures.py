"""What recording 5,000 requests a second costs, and judging ten minutes of them (three million).

Recording runs in real time for a stated stretch; disk is extrapolated to ten minutes from the stretch. Judging runs on
a whole record of ten minutes, written faster than it would happen, in a process of its own: time and peak memory
include the interpreter's start and all imports.
"""

from __future__ import annotations

import json
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from drills import judging, spec
from drills.recording import record, rundir
from drills.recording.record import EventWriter, ReadBack, Request, RequestWriter
from drills.recording.rundir import RunDir

RATE, MINUTES = 5000, 10
STRETCH_S = 30
SECOND = 1_000_000_000
START = 10**15
PROBES = {"probe_read": 50, "probe_write": 50, "quality": 20}
WORKERS = 2
ITEMS, USERS = 1682, 200


def measures(folder: Path) -> Iterator[dict[str, float]]:
    """Recording for half a minute, then merging and judging a record of ten minutes."""
    while True:
        home = folder / str(time.monotonic_ns())
        home.mkdir()
        figures = recording(home / "1-load.part")
        run = RunDir(home / "run")
        run.parts.mkdir(parents=True)
        write_run(run)
        figures["parts_mb"] = sum(part.stat().st_size for part in run.parts.iterdir()) / 1e6
        figures |= _in_its_own_process("merge", run) | {"requests_parquet_mb": run.requests.stat().st_size / 1e6}
        figures |= _in_its_own_process("judge", run)
        shutil.rmtree(home)
        yield figures


def recording(part: Path) -> dict[str, float]:
    """The share of one core that making and writing records takes at the rate, and the disk for ten minutes."""
    requests = traffic("load", RATE, random.Random(1))
    writer, rest = RequestWriter(part), 0
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, spent = time.monotonic(), 0.0
    while (passed := time.monotonic() - began) < STRETCH_S:
        batch = list(islice(requests, int(passed * RATE) - rest))
        cpu = time.thread_time()
        for fields in batch:
            writer.write(Request(**fields))
        spent += time.thread_time() - cpu
        rest += len(batch)
        time.sleep(0.01)
    writer.close()
    return {
        "recording_share_of_core": spent / STRETCH_S,
        "recording_mb_in_10_min": part.stat().st_size / rest * RATE * MINUTES * 60 / 1e6,
        "recording_rss_growth_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) / 1024,
    }


def traffic(stream: str, rate: float, chance: random.Random, worker: int = 0) -> Iterator[dict[str, object]]:
    """Endless fields of requests as a stream of a drill has them: users, items, regions, nodes, answers in a few ms."""
    lists = [[str(chance.randrange(ITEMS)) for _ in range(20)] for _ in range(USERS)]
    due, number = START, 0
    while True:
        due += round(SECOND / rate) if stream in PROBES else round(chance.expovariate(rate) * SECOND)
        sent = due + int(chance.expovariate(1 / 300_000))
        done = sent + 2_000_000 + int(chance.expovariate(1 / 4e6))
        region = "primary" if (due - START) / SECOND < MINUTES * 30 else "standby"
        op = {"probe_read": "recommend", "quality": "recommend", "probe_write": "event"}.get(stream) or (
            chance.choices(("recommend", "search", "event"), (0.7, 0.15, 0.15))[0]
        )
        fields: dict[str, object] = {
            "trial": 1,
            "t_scheduled": due,
            "t_sent": sent,
            "t_done": done,
            "stream": stream,
            "op": op,
            "status": 200,
            "region": region,
            "node": f"{region}-{chance.randrange(2)}",
            "model_version": "m-4edb74e2a81178c2",
            "degraded": False,
        }
        if op == "event":
            fields["id"] = f"0f3a5b7c9d1e-1-{'P' if stream in PROBES else f'L{worker}'}-{number}"
        elif stream != "load":
            user = number % USERS
            fields |= {"id": f"{'q' if stream == 'quality' else 'u'}{user}", "items": lists[user]}
            fields |= {"hits": user % 2, "expected": 1} if stream == "quality" else {}
        if chance.random() < 0.0005:
            fields |= {"status": 503, "error": "http", "items": None, "hits": None, "expected": None}
        number += 1
        yield fields


def write_run(run: RunDir) -> None:
    """A run directory of one trial of ten minutes with a fault in the middle, as its clients leave it."""
    seconds = MINUTES * 60
    load = (RATE - sum(PROBES.values())) / WORKERS
    sources = {f"1-load-{n}": [("load", load, n)] for n in range(WORKERS)}
    sources["1-prober"] = [(stream, rate, 0) for stream, rate in PROBES.items()]
    written: list[str] = []
    for who, streams in sources.items():
        writer = RequestWriter(run.parts / f"{who}.part")
        for stream, rate, worker in streams:
            for n, fields in enumerate(traffic(stream, rate, random.Random(worker), worker)):
                if int(str(fields["t_scheduled"])) >= START + seconds * SECOND:
                    break
                writer.write(Request(**fields))  # type: ignore[arg-type]  # they are a request's own fields
                if fields["op"] == "event":
                    written.append(str(fields["id"]))
                if n % max(1, int(rate / 5)) == 0:
                    writer.flush()
        writer.close()
    regions = ("primary", "standby")
    end = START + (seconds + 1) * SECOND
    record.write_readback(
        run.readback,
        (ReadBack(trial=1, region=region, id=id_, count=1, t_seen=end) for region in regions for id_ in written),
    )
    _write_events(run, end)
    shutil.copyfile(spec.find("failover.yaml"), run.drill)
    rundir.write_json(run.meta, {"run": run.id, "trials": 1})


def _write_events(run: RunDir, end: int) -> None:
    fault = {"fault": "region_loss", "arguments": {"region": "primary"}}
    middle, healed = START + MINUTES * 30 * SECOND, START + MINUTES * 45 * SECOND
    lists = {f"q{n}": [str(random.Random(n).randrange(ITEMS)) for _ in range(20)] for n in range(USERS)}
    baseline = {"quality": {f"q{n}": n % 2 for n in range(USERS)}, "lists": lists, "measures": {"p99_ms": 20.0}}
    EventWriter(run.events).write("baseline.recorded", t=START - SECOND, same_host=True, **baseline)
    events = EventWriter(run.events, 1)
    events.write("trial.started", t=START, variant=None)
    events.write("prober.started", t=START, rates=PROBES)
    events.write("fault.intent", t=middle, **fault)
    events.write("fault.injected", t=middle, t_begin=middle, t_ack=middle, **fault)
    events.write("fault.effect", t=middle, observed=True, evidence="it does not answer", **fault)
    events.write("fault.healed", t=healed, t_begin=healed, t_ack=healed, **fault)
    events.write("heal.confirmed", t=healed, confirmed=True, evidence="it answers", **fault)
    events.write("load.stopped", t=START + MINUTES * 60 * SECOND)
    for region in ("primary", "standby"):
        events.write("readback.done", t=end, region=region, first_read=end)
    events.write("trial.ended", t=end)


def _in_its_own_process(step: str, run: RunDir) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench_measures", step, str(run.path)]
    began = time.monotonic()
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = time.monotonic() - began
    return {f"{step}_s": seconds, f"{step}_peak_mb": json.loads(ran.stdout) / 1024}


def main(step: str, path: str) -> None:
    run = RunDir(Path(path))
    if step == "merge":
        record.write_requests(run.requests, sorted(run.parts.glob("*.part")))
    else:
        judging.judge_record(run)
    print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))  # noqa: T201 - KiB, read by the parent


if __name__ == "__main__":
    main(*sys.argv[1:])
