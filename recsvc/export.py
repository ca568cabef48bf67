"""The serving graph: history in, top-k out, in one ONNX file.

torch exports the encoder (history -> user vector); scoring, masking and top-k are appended node by node,
because k and the number of seen items are only known at run time and a traced graph would freeze them:

    history -> encoder -> user -> Gemm(item table) -> ScatterElements(-inf at padding and seen) -> TopK

The item table is in the file once: the encoder looks items up in the same tensor that scores them.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from recsvc.model import SasRec

OPSET = 18
_TABLE = "item_embedding.weight"


class ExportError(Exception):
    """The exported graph does not do what the model does."""


def export(model: SasRec, path: Path) -> None:
    """Write the serving graph of a model in evaluation mode.

    Inputs ``history`` int64 [batch, length], left-padded with 0, 1 <= length <= max_length; ``seen`` int64
    [batch, seen], 0-padded, may have no column; ``k`` int64 [1], at most the number of items. Outputs
    ``items`` int64 [batch, k], ``scores`` float32 [batch, k], falling, and ``user`` float32 [batch, d].
    Where k exceeds the items that are not seen, the surplus has a score of -inf and means nothing.
    """
    graph_model = _encoder(model)
    _append_ranking(graph_model.graph, model.item_embedding.embedding_dim)
    onnx.checker.check_model(graph_model, full_check=True)
    onnx.save(graph_model, str(path))


def user_vectors(path: Path, histories: NDArray[np.int64]) -> NDArray[np.float32]:
    """Encode through the exported graph with onnxruntime: int64 [users, length] -> float32 [users, d]."""
    return run(path, histories, np.zeros((len(histories), 0), dtype=np.int64), 1)[2]


def run(
    path: Path, history: NDArray[np.int64], seen: NDArray[np.int64], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Run a graph file once on the CPU; returns items, scores, user. For checks: serving keeps a session."""
    import onnxruntime  # noqa: PLC0415 - only this check needs it, and importing it costs 0.2 s

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feeds = {"history": history, "seen": seen, "k": np.array([k], dtype=np.int64)}
    items, scores, user = session.run(["items", "scores", "user"], feeds)
    return items, scores, user


def check(model: SasRec, path: Path, histories: NDArray[np.int64], k: int = 20, tolerance: float = 1e-3) -> None:
    """Compare the file with the model on left-padded histories [users, length]; raises `ExportError`."""
    items, scores, _ = run(path, histories, histories, k)
    expected = scores_of(model, histories)
    found = np.take_along_axis(expected, items, axis=1)
    best = -np.sort(-expected, axis=1)[:, :k]
    worst = float(max(np.abs(found - scores).max(), np.abs(best - scores).max()))
    if not worst <= tolerance:
        raise ExportError(f"{path}: scores differ from the model's by {worst:.2g}, more than {tolerance:.2g}")


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


def _append_ranking(graph: onnx.GraphProto, dimensions: int) -> None:
    if not any(tensor.name == _TABLE for tensor in graph.initializer):
        raise ExportError(f"the exported encoder has no tensor {_TABLE!r} to score with")
    graph.initializer.append(numpy_helper.from_array(np.zeros(1, dtype=np.int64), "ranking.padding_index"))
    graph.initializer.append(numpy_helper.from_array(np.ones(1, dtype=np.int64), "ranking.one"))
    graph.initializer.append(numpy_helper.from_array(np.full(1, -np.inf, dtype=np.float32), "ranking.never"))

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        outputs = output.split()
        graph.node.append(helper.make_node(kind, inputs, outputs, f"ranking.{outputs[0]}", **attributes))

    node("Gemm", ["user", _TABLE], "all_scores", transB=1)
    # Padding is always masked, whatever the caller put into `seen`, even no column at all.
    node("Shape", ["seen"], "rows", start=0, end=1)
    node("Concat", ["rows", "ranking.one"], "padding_shape", axis=0)
    node("Expand", ["ranking.padding_index", "padding_shape"], "padding")
    node("Concat", ["padding", "seen"], "hidden", axis=1)
    node("Shape", ["hidden"], "hidden_shape")
    node("Expand", ["ranking.never", "hidden_shape"], "nevers")
    node("ScatterElements", ["all_scores", "hidden", "nevers"], "allowed", axis=1)
    node("TopK", ["allowed", "k"], "scores items", axis=1, largest=1, sorted=1)
    graph.input.append(helper.make_tensor_value_info("seen", TensorProto.INT64, ["batch", "seen"]))
    graph.input.append(helper.make_tensor_value_info("k", TensorProto.INT64, [1]))
    del graph.output[:]
    for name, kind, columns in (
        ("items", TensorProto.INT64, "k"),
        ("scores", TensorProto.FLOAT, "k"),
        ("user", TensorProto.FLOAT, dimensions),
    ):
        graph.output.append(helper.make_tensor_value_info(name, kind, ["batch", columns]))


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
