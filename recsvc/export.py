"""A model's files: history in, top-k out, in one ONNX graph, and the same in fewer bits.

torch exports the encoder (history -> user vector); `recsvc.graphs` puts scoring, masking and top-k around it.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from recsvc import graphs, sessions
from recsvc.model import SasRec
from recsvc.variants import write_variants

OPSET = 18


__all__ = ["OPSET", "ExportError", "check", "export", "run", "scores_of", "user_vectors", "write_variants"]


class ExportError(Exception):
    """The exported graph does not do what the model does."""


def export(model: SasRec, path: Path) -> None:
    """Write the serving graph of a model in evaluation mode.

    Inputs ``history`` int64 [batch, length], left-padded with 0, 1 <= length <= max_length; ``seen`` int64
    [batch, seen], 0-padded, may have no column; ``k`` int64 [1], at most the number of items. Outputs
    ``items`` int64 [batch, k], ``scores`` float32 [batch, k], falling, and ``user`` float32 [batch, d].
    Where k exceeds the items that are not seen, the surplus has a score of -inf and means nothing.

    One more input has a default and can be left out: ``known`` float32 [known, d], vectors that came out as ``user``
    before. They make up the first rows of the batch, the histories (maybe none) the rest; ``seen`` has a row for each.
    """
    try:
        graphs.save(graphs.serving_graph(_encoder(model)), path)
    except graphs.GraphError as error:
        raise ExportError(str(error)) from error


def user_vectors(path: Path, histories: NDArray[np.int64]) -> NDArray[np.float32]:
    """Encode through the exported graph with onnxruntime: int64 [users, length] -> float32 [users, d]."""
    return run(path, histories, np.zeros((len(histories), 0), dtype=np.int64), 1)[2]


def run(
    path: Path, history: NDArray[np.int64], seen: NDArray[np.int64], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Run a graph file once on the CPU; returns items, scores, user. For checks: serving keeps a session."""
    session = sessions.on_cpu(path, 2)
    feeds = {"history": history, "seen": seen, "k": np.array([k], dtype=np.int64)}
    items, scores, user = session.run(["items", "scores", "user"], feeds)
    return items, scores, user


def check(model: SasRec, path: Path, histories: NDArray[np.int64], k: int = 20, tolerance: float = 1e-3) -> None:
    """Compare the file with the model on left-padded histories [users, length], at least one; raises `ExportError`.

    Of a catalogue with fewer than ``k`` items all are compared.
    """
    k = min(k, model.items)
    items, scores, _ = run(path, histories, histories, k)
    expected = scores_of(model, histories)
    found = np.take_along_axis(expected, items, axis=1)
    best = -np.sort(-expected, axis=1)[:, :k]
    worst = max(_apart(found, scores), _apart(best, scores))
    if not worst <= tolerance:
        raise ExportError(f"{path}: scores differ from the model's by {worst:.2g}, more than {tolerance:.2g}")


def _apart(some: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    """The largest difference; where little is left to recommend, both end in -inf."""
    difference = np.subtract(some, others, where=some != others, out=np.zeros_like(some))
    return float(np.abs(difference).max())


def scores_of(model: SasRec, histories: NDArray[np.int64]) -> NDArray[np.float32]:
    """The model's own scores, float32 [users, items + 1], -inf at padding and at the history's items."""
    model.eval()
    with torch.inference_mode():
        tensor = torch.from_numpy(histories)
        scores = model(tensor) @ model.item_embedding.weight.T
        masked: NDArray[np.float32] = scores.scatter(1, tensor, -torch.inf).numpy()
    masked[:, 0] = -np.inf
    return masked


def _encoder(model: SasRec) -> onnx.ModelProto:
    example = (torch.tensor([[0, 1, 1], [1, 1, 1]]),)
    length = torch.export.Dim("length", min=1, max=model.max_length)
    shapes = ({0: torch.export.Dim("batch"), 1: length},)
    model.eval()
    with _quiet():
        program = torch.onnx.export(
            model, example, input_names=["history"], output_names=["user"], dynamic_shapes=shapes,
            opset_version=OPSET, dynamo=True, verbose=False, external_data=False,
        )  # fmt: skip
    assert program is not None
    proto: onnx.ModelProto = program.model_proto
    return proto


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's prints and deprecation warnings from people, who can do nothing about them."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
