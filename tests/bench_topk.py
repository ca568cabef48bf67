"""How near the exact top 100 over a million items comes to the speed at which this machine reads memory.

    nox -s bench -- topk

For a known user and a batch of one, the serving graph reads each number of the item table once and computes next to
nothing: what is left to lose is the reading. So it is held against the fastest of several plain passes over the same
number of bytes, with the same threads, in turns with it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from recsvc import graphs, sessions
from recsvc.bundle import Precision

ITEMS, DIMENSIONS, K, SEEN = 1_000_000, 64, 100, 50
PASSES: tuple[Callable[[NDArray[np.int32]], object], ...] = (
    np.bitwise_or.reduce,
    np.max,
    lambda part: np.max(part.view(np.uint8)),
    lambda part: np.sum(part.view(np.int64)),
    lambda part: np.max(part.view(np.float32)),
)
TIMES = 7
"""Runs of each in a round, in turns; the fastest counts, on both sides: what is in the way is not ours."""


def topk(folder: Path) -> Iterator[dict[str, float]]:
    """Milliseconds at batch 1 in fp32 and int8, gigabytes a second, and fp32's share of what can be read."""
    threads = len(os.sched_getaffinity(0))
    table = np.random.default_rng(0).standard_normal((ITEMS + 1, DIMENSIONS), dtype=np.float32)
    opened = {precision: _opened(folder, table, precision, threads) for precision in (Precision.FP32, Precision.INT8)}
    with ThreadPoolExecutor(threads) as pool:
        parts = np.array_split(table.reshape(-1).view(np.int32), threads)
        while True:
            user = np.random.default_rng().standard_normal((1, DIMENSIONS), dtype=np.float32)
            yield _round(opened, user, pool, parts)


def _round(
    opened: dict[Precision, onnxruntime.InferenceSession],
    user: NDArray[np.float32],
    pool: ThreadPoolExecutor,
    parts: list[NDArray[np.int32]],
) -> dict[str, float]:
    feeds = {
        "history": np.zeros((0, 1), dtype=np.int64),
        "known": user,
        "seen": np.arange(1, SEEN + 1, dtype=np.int64)[None],
        "k": np.array([K]),
    }
    read_s, runs_s = [], {precision: list[float]() for precision in opened}
    for _ in range(TIMES):
        for one_pass in PASSES:
            read_s.append(_took_s(lambda one_pass=one_pass: list(pool.map(one_pass, parts))))
        for precision, session in opened.items():
            runs_s[precision].append(_took_s(lambda session=session: session.run(["items", "scores"], feeds)))
    size = sum(part.nbytes for part in parts)
    best = {precision: min(times) for precision, times in runs_s.items()}
    return {
        "read_GBps": size / min(read_s) / 1e9,
        "fp32_GBps": size / best[Precision.FP32] / 1e9,
        "fp32_share_of_read": min(read_s) / best[Precision.FP32],
        "fp32_ms": 1e3 * best[Precision.FP32],
        "int8_ms": 1e3 * best[Precision.INT8],
    }


def _took_s(run: Callable[[], object]) -> float:
    begun_s = time.perf_counter()
    run()
    return time.perf_counter() - begun_s


def _opened(
    folder: Path, table: NDArray[np.float32], precision: Precision, threads: int
) -> onnxruntime.InferenceSession:
    path = folder / f"{precision}.onnx"
    graphs.save(graphs.serving_graph(summing_encoder(table), precision), path)
    session = sessions.on_cpu(path, threads)
    path.unlink()
    return session


def summing_encoder(table: NDArray[np.float32]) -> onnx.ModelProto:
    """An encoder to which a user is the sum of what is in the history: here only the other half is of interest."""
    nodes = [
        helper.make_node("Gather", [graphs.TABLE, "history"], ["embedded"]),
        helper.make_node("ReduceSum", ["embedded", "axes"], ["user"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "sum",
        [helper.make_tensor_value_info("history", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("user", TensorProto.FLOAT, ["batch", table.shape[1]])],
        [numpy_helper.from_array(table, graphs.TABLE), numpy_helper.from_array(np.array([1]), "axes")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
