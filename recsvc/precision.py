"""In how many bits a node computes: what its device runs, and what its CPU does while the device is lost.

    asked             device                                            fallback
    fp32, fp16, int8  what was asked for, if it is usable               the same
    auto              fp32; on CUDA fp16 from FP16_FROM items on        int8 where it is faster, else fp32

A variant that the bundle calls unusable is served by nobody. A node that computes on its CPU for good keeps fp32, so
that its answers are exact; one that lost its device has less than half of the speed it was built for, and takes what
it can get. Which is faster is measured when a release is opened, as it depends on the CPU.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import onnxruntime

from recsvc import gpu_trap, sessions
from recsvc.accelerator import CUDA, sample_feeds
from recsvc.bundle import Bundle, Precision

AUTO = "auto"
CHOICES = (AUTO, *(precision.value for precision in Precision))
FP16_FROM = 100_000
"""Items from which a GPU waits for its memory and not for its launches."""
MEASURED_FROM = 10_000
"""Items below which the table is so small a part of a run that fewer bits cannot make it faster."""
_BATCHES, _ROUNDS, _K = (1, 8), 7, 20


@dataclass(frozen=True)
class Chosen:
    """``reason`` says why, for people."""

    device: Precision
    fallback: Precision
    reason: str

    def path_of(self, bundle: Bundle, precision: Precision) -> Path:
        """The graph file of a precision that was chosen."""
        path = bundle.variant_path(precision)
        assert path is not None, "only what the bundle has is chosen"
        return path

    def document(self) -> dict[str, Any]:
        """As clients read it."""
        return asdict(self)


EXACT = Chosen(Precision.FP32, Precision.FP32, "fp32 on a node that computes on its CPU, so that it is exact")


def alone(chosen: Chosen, asked: str) -> Chosen:
    """What a node runs that was to have a device, and turns out to compute on its CPU for good."""
    return EXACT if asked == AUTO else chosen


def choose(bundle: Bundle, asked: str, accelerator: str, threads: int) -> Chosen:
    """Return what to run; ``accelerator`` is the node's option. Raises ValueError where what is asked for cannot be."""
    if asked != AUTO:
        precision = Precision(asked)
        why_not = _why_not(bundle, precision)
        if why_not:
            raise ValueError(f"--variant {asked}: {why_not}")
        return Chosen(precision, precision, f"{asked} was asked for")
    cuda = accelerator in ("auto", "cuda") and _cuda_likely()
    if accelerator == "cpu" or (accelerator == "auto" and not cuda):
        return EXACT
    device, why = _on_device(bundle) if cuda else (Precision.FP32, "fp32 on a device that is not CUDA")
    fallback, why_fallback = _as_fallback(bundle, threads)
    return Chosen(device, fallback, f"{why}; fallback: {why_fallback}")


def _on_device(bundle: Bundle) -> tuple[Precision, str]:
    if len(bundle.items) < FP16_FROM:
        return Precision.FP32, f"fp32 on CUDA for fewer than {FP16_FROM} items"
    why_not = _why_not(bundle, Precision.FP16)
    return (Precision.FP32, f"fp32: {why_not}") if why_not else (Precision.FP16, "fp16 on CUDA")


def _as_fallback(bundle: Bundle, threads: int) -> tuple[Precision, str]:
    if len(bundle.items) < MEASURED_FROM:
        return Precision.FP32, f"fp32 for fewer than {MEASURED_FROM} items, where int8 is no faster"
    why_not = _why_not(bundle, Precision.INT8)
    narrow = bundle.variant_path(Precision.INT8)
    if why_not or narrow is None:
        return Precision.FP32, f"fp32: {why_not}"
    try:
        whole_s, narrow_s = times_s([bundle.model_path, narrow], threads, bundle.max_length)
    except Exception as error:  # a kernel that this onnxruntime lacks costs the variant, not the node
        return Precision.FP32, f"fp32: int8 does not run here ({str(error)[:200]})"
    faster = narrow_s < whole_s
    measured = f"int8 took {narrow_s / whole_s:.2f} of fp32's time when the node was warmed up"
    return (Precision.INT8, measured) if faster else (Precision.FP32, f"fp32, as {measured}")


def times_s(paths: Sequence[Path], threads: int, length: int) -> list[float]:
    """Return seconds that each graph file takes on the CPU: over _BATCHES, the median round's, measured in turns."""
    opened = [sessions.on_cpu(path, threads) for path in paths]
    feeds = [sample_feeds(batch, length, _K) for batch in _BATCHES]
    taken: list[list[float]] = [[] for _ in paths]
    for _ in range(1 + _ROUNDS):
        for session, times in zip(opened, taken, strict=True):
            begun_s = time.perf_counter()
            for fed in feeds:
                session.run(None, fed)
            times.append(time.perf_counter() - begun_s)
    return [median(times[1:]) for times in taken]  # the first run of a session pays for its memory


def _why_not(bundle: Bundle, precision: Precision) -> str:
    """Why the variant must not serve; empty where it may."""
    if precision is Precision.FP32:
        return ""
    loss = bundle.variant_loss(precision)
    if bundle.variant_path(precision) is None:
        return loss.get("error") or f"the bundle has no {precision} variant; make it again"
    if loss.get("usable"):
        return ""
    ratio, bound = loss.get("recall_at_20_ratio"), loss.get("minimum_recall_ratio")
    return f"{precision} keeps {ratio} of recall@20, and {bound} is the least"


def _cuda_likely() -> bool:
    return CUDA in onnxruntime.get_available_providers() and gpu_trap.device_present()
