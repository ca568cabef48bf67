"""Exact top 100 on an NVIDIA GPU: throughput and latency by catalogue size, precision and batch, against its bandwidth.

    python -m tests.bench_gpu --json gpu.json

The serving graph of recsvc itself (encoder, scores, mask, top k) with random weights, through onnxruntime's CUDA
provider with IO binding: what comes from a request is copied in, what goes into an answer copied out, and both count.
Bandwidth is what torch reads in a sum over 4 GB, and copies. Where there is no GPU it says so, measures nothing and
ends with code 3. docs/gpu.md tells how to bring it to a machine that has one.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

DIMENSIONS, LENGTH, K = 64, 50, 100
ITEMS = (100_000, 1_000_000, 10_000_000)
BATCHES = (1, 8, 64, 256)
NO_GPU = 3
WARM_RUNS = 5
READ_BYTES = 4 * 10**9
READS = 20


def why_not() -> str | None:
    """Why nothing can be measured here; None where it can."""
    import onnxruntime  # noqa: PLC0415 - a second that --help should not take

    from recsvc import gpu_trap  # noqa: PLC0415 - goes with it

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return "this onnxruntime was built without CUDA: install onnxruntime-gpu"
    if not gpu_trap.device_present():
        return "the CUDA driver is missing or sees no device"
    return None


def gpu(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Measure everything and print a table; returns all of it, or why nothing was measured."""
    why = why_not()
    if why is not None:
        print(f"no GPU here, nothing was measured: {why}", file=sys.stderr)  # noqa: T201
        return {"measured": False, "why": why}
    bandwidth = read_and_copy_gb_per_s()
    document: dict[str, Any] = {"measured": True, "bandwidth_gb_per_s": bandwidth, "rows": []}
    titles = (
        f"{'items':>10} {'':5}{'batch':>6}{'users/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'table GB/s':>12}{'of reading':>12}"
    )
    print(f"bandwidth: {bandwidth or 'not measured: this torch has no CUDA'}\n{titles}")  # noqa: T201
    for items in options.items:
        for precision in ("fp32", "fp16"):
            for row in _rows(folder, items, precision, options):
                document["rows"].append(row)
                share = row["table_gb_per_s"] / bandwidth["read"] if bandwidth else float("nan")
                print(  # noqa: T201
                    f"{items:10} {precision:5}{row['batch']:6}{row['users_per_s']:10.0f}{row['p50_ms']:9.3f}"
                    f"{row['p99_ms']:9.3f}{row['table_gb_per_s']:12.0f}{share:12.0%}"
                )
    return document


def read_and_copy_gb_per_s() -> dict[str, float] | None:
    """The fastest of some passes over 4 GB in the GPU's memory; a copy reads and writes, so its bytes count twice."""
    import torch  # noqa: PLC0415 - only this needs it

    if not torch.cuda.is_available():
        return None
    values = torch.ones(READ_BYTES // 4, dtype=torch.float32, device="cuda")
    other = torch.empty_like(values)
    return {
        "read": READ_BYTES / _fastest_s(torch, values.sum) / 1e9,
        "copy": 2 * READ_BYTES / _fastest_s(torch, lambda: other.copy_(values)) / 1e9,
    }


def _fastest_s(torch: Any, run: Any) -> float:
    times = []
    for _ in range(READS):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        run()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) / 1e3)
    return min(times)


def write_graph(path: Path, items: int, precision: str) -> None:
    """recsvc's serving graph over ``items`` random vectors; the encoder is a real one, untrained."""
    import onnx  # noqa: PLC0415 - goes with torch
    import torch  # noqa: PLC0415 - two seconds

    from recsvc import export, graphs  # noqa: PLC0415 - imports torch
    from recsvc.bundle import Precision  # noqa: PLC0415 - goes with it
    from recsvc.model import SasRec  # noqa: PLC0415 - imports torch
    from recsvc.recipe import Shape  # noqa: PLC0415 - goes with it

    torch.manual_seed(0)
    small = path.with_suffix(".small.onnx")
    export.export(SasRec(1_000, Shape(max_length=LENGTH)).eval(), small)
    encoder = graphs.encoder_of(onnx.load(small))
    # A catalogue is only its table: the encoder is exported over a small one and given the large one afterwards.
    table = np.random.default_rng(0).standard_normal((items + 1, DIMENSIONS), dtype=np.float32) * 0.02
    table[0] = 0
    for place, tensor in enumerate(encoder.graph.initializer):
        if tensor.name == graphs.TABLE:
            encoder.graph.initializer[place].CopyFrom(onnx.numpy_helper.from_array(table, graphs.TABLE))
    graphs.save(graphs.serving_graph(encoder, Precision(precision)), path)


def _rows(folder: Path, items: int, precision: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    import onnxruntime  # noqa: PLC0415 - see `why_not`

    path = folder / f"{items}-{precision}.onnx"
    write_graph(path, items, precision)
    onnxruntime.preload_dlls(directory="")
    session = onnxruntime.InferenceSession(str(path), providers=["CUDAExecutionProvider", "CPUExecutionProvider"])
    for file in folder.glob("*.onnx*"):
        file.unlink()
    if session.get_providers()[0] != "CUDAExecutionProvider":
        raise RuntimeError("onnxruntime could not load its CUDA provider: CUDA or cuDNN libraries are missing")
    table_bytes = items * DIMENSIONS * (4 if precision == "fp32" else 2)
    for batch in options.batches:
        times_s = timed(session, items, batch, options.seconds)
        p50_s, p99_s = np.percentile(times_s, [50, 99]).tolist()
        yield {
            "items": items,
            "precision": precision,
            "batch": batch,
            "runs": len(times_s),
            "users_per_s": batch * len(times_s) / sum(times_s),
            "p50_ms": p50_s * 1e3,
            "p99_ms": p99_s * 1e3,
            "table_gb_per_s": table_bytes / p50_s / 1e9,
        }


def timed(session: Any, items: int, batch: int, seconds: float) -> list[float]:
    """Seconds of each run over fresh histories, from host memory to host memory."""
    draw = np.random.default_rng(1)
    binding = session.io_binding()
    times: list[float] = []
    end_s, runs = 0.0, 0
    while runs <= WARM_RUNS or time.monotonic() < end_s:
        history = draw.integers(1, items, (batch, LENGTH), dtype=np.int64)
        if runs == WARM_RUNS:
            end_s = time.monotonic() + seconds
        begin_s = time.perf_counter()
        for name, value in {"history": history, "seen": history, "k": np.array([K])}.items():
            binding.bind_cpu_input(name, value)
        for name in ("items", "scores"):
            binding.bind_output(name, "cpu")
        session.run_with_iobinding(binding)
        binding.copy_outputs_to_cpu()
        times.append(time.perf_counter() - begin_s)
        runs += 1
    return times[WARM_RUNS:]


def main(argv: Sequence[str] | None = None) -> int:
    """Run by itself; returns 0, or 3 where there is no GPU."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench_gpu", description=__doc__.partition("\n")[0])
    parser.add_argument("--items", type=int, nargs="+", default=ITEMS)
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each row of the table")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="recdr-gpu-") as folder:
        document = gpu(Path(folder), options)
    if options.json:
        options.json.write_text(json.dumps(document, indent=1))
    return 0 if document["measured"] else NO_GPU


if __name__ == "__main__":
    sys.exit(main())
