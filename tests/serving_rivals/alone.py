"""onnxruntime with no server around it: seconds a batch for each size, the ceiling for whoever serves the model.

Run as ``python -m tests.serving_rivals.alone CORE SECONDS HISTORIES``; prints ``{"wall": {batch: seconds}, "cpu":
{batch: seconds}}`` as JSON. It asks for random users' histories, as the load does, in batches put together beforehand.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

SIZES = (1, 2, 4, 8, 16, 32)
K = 100


def main() -> None:
    core, seconds, source = int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3])
    os.sched_setaffinity(0, {core})
    from tests.serving_rivals.ranker import Ranker  # noqa: PLC0415 - onnxruntime counts cores when it is imported

    ranker, draw = Ranker(), np.random.default_rng(0)
    histories = np.array(json.loads(source.read_text()), dtype=np.int64)
    wall, cpu = dict.fromkeys(SIZES, 0.0), dict.fromkeys(SIZES, 0.0)
    ran = dict.fromkeys(SIZES, 0)
    end_s = time.monotonic() + seconds
    # Round and round, so that a disturbance does not fall on one size alone.
    while time.monotonic() < end_s:
        for size in SIZES:
            for batch in histories[draw.integers(0, len(histories), (max(1, 8 // size), size))]:
                begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
                ranker.arrays(batch, K)
                wall[size] += time.perf_counter() - begin_s
                cpu[size] += time.process_time() - begin_cpu_s
                ran[size] += 1
    means = {name: {size: took[size] / ran[size] for size in SIZES} for name, took in (("wall", wall), ("cpu", cpu))}
    json.dump(means, sys.stdout)


if __name__ == "__main__":
    main()
