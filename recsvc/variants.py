"""The same model in fewer bits, and what that costs: written when a bundle is made, and measured on its test users.

A variant whose recall@20 falls below `MINIMUM_RECALL_RATIO` of the fp32 graph's stays in the bundle, so that its loss
can be looked into, but is not ``usable``: no node serves it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from recsvc import sessions
from recsvc.bundle import MODEL, VARIANTS
from recsvc.graphs import TABLE, encoder_of, save, serving_graph

MINIMUM_RECALL_RATIO = 0.98
K = 20
MOST_USERS = 20_000
"""Evenly spaced among the test users: enough to know a recall of 0.3 to within 1 %, and soon asked."""
_BATCH = 64

Indices = NDArray[np.int64]


def write_variants(folder: Path, histories: Indices, seen: Sequence[Indices], targets: Indices) -> dict[str, Any]:
    """Write each variant of ``folder``'s model beside it; returns what the manifest says of them, by precision.

    ``histories`` int64 [users, length] left-padded, ``seen`` the catalogue indices each user must not get back,
    ``targets`` int64 [users] each user's right item. A precision that the model cannot be written in, or that this
    onnxruntime cannot run, has an ``error`` and no file. Raises `recsvc.graphs.GraphError` for a foreign model.
    """
    encoder = encoder_of(onnx.load(str(folder / MODEL)))
    asked = Asked.of(histories, seen, targets, min(K, _items(encoder)))
    whole = asked.answers(folder / MODEL)
    found = {}
    for precision, name in VARIANTS.items():
        path = folder / name
        try:
            save(serving_graph(encoder, precision), path)
            found[precision.value] = {"file": name, **loss(whole, asked.answers(path), asked.targets)}
        except Exception as error:  # a kernel that this onnxruntime lacks costs the variant, not the bundle
            path.unlink(missing_ok=True)
            found[precision.value] = {"usable": False, "error": str(error)[:500]}
            continue
        found[precision.value] |= {"bytes": path.stat().st_size, "fp32_bytes": (folder / MODEL).stat().st_size}
    return found


@dataclass(frozen=True)
class Asked:
    """The questions by which variants are compared; see `write_variants` for the shapes."""

    histories: Indices
    seen: Sequence[Indices]
    targets: Indices
    k: int = K

    @classmethod
    def of(cls, histories: Indices, seen: Sequence[Indices], targets: Indices, k: int = K) -> Asked:
        """At most MOST_USERS of these."""
        rows = np.unique(np.linspace(0, len(targets) - 1, min(MOST_USERS, len(targets))).astype(np.int64))
        return cls(histories[rows], [seen[row] for row in rows], targets[rows], k)

    def answers(self, path: Path) -> tuple[Indices, NDArray[np.float32]]:
        """Return the k best items int64 [users, k] and their scores float32, by the graph at ``path`` on the CPU."""
        session = sessions.on_cpu(path, 2)
        items, scores = [], []
        for begin in range(0, len(self.targets), _BATCH):
            rows = slice(begin, begin + _BATCH)
            feeds = {"history": self.histories[rows], "seen": _padded(self.seen[rows]), "k": np.array([self.k])}
            some_items, some_scores = session.run(["items", "scores"], feeds)
            items.append(some_items)
            scores.append(some_scores)
        return np.concatenate(items), np.concatenate(scores)


def loss(
    whole: tuple[Indices, NDArray[np.float32]], fewer: tuple[Indices, NDArray[np.float32]], targets: Indices
) -> dict[str, Any]:
    """Compare answers [users, K] of fp32 with a variant's.

    ``recall_at_20_ratio`` is the variant's recall@20 over fp32's, and the overlap where fp32 finds nothing: that no
    less is found then says nothing. ``top_20_overlap`` is the mean share of fp32's items that the variant finds too;
    ``largest_score_difference`` is between scores of the same rank, where both are finite.
    """
    recalls = [float((items == targets[:, None]).any(axis=1).mean()) for items, _ in (whole, fewer)]
    overlap = float(_overlap(whole[0], fewer[0]))
    ratio = recalls[1] / recalls[0] if recalls[0] else overlap
    finite = np.isfinite(whole[1]) & np.isfinite(fewer[1])
    difference = np.abs(np.subtract(whole[1], fewer[1], where=finite, out=np.zeros_like(whole[1])))
    return {
        "usable": ratio >= MINIMUM_RECALL_RATIO,
        "recall_at_20_ratio": round(ratio, 5),
        "minimum_recall_ratio": MINIMUM_RECALL_RATIO,
        "top_20_overlap": round(overlap, 5),
        "largest_score_difference": round(float(difference.max(initial=0.0)), 6),
        "users": len(targets),
    }


def _items(encoder: onnx.ModelProto) -> int:
    """How many items there are; the table has a row of padding before them."""
    return next(int(tensor.dims[0]) for tensor in encoder.graph.initializer if tensor.name == TABLE) - 1


def _overlap(one: Indices, other: Indices) -> float:
    return float((one[:, :, None] == other[:, None, :]).any(axis=2).mean())


def _padded(rows: Sequence[Indices]) -> Indices:
    padded = np.zeros((len(rows), max((len(row) for row in rows), default=0)), dtype=np.int64)
    for place, row in enumerate(rows):
        padded[place, : len(row)] = row
    return padded
