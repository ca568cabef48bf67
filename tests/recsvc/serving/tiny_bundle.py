"""A model bundle small enough to be made in a test: 40 items, 8 dimensions, no training.

The user vector is a prior plus the mean of the history's embeddings, so that every answer can be computed by
hand.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from recsvc import bundle, graphs

ITEMS, DIMENSIONS, MAX_LENGTH = 40, 8, 50
HISTORIES = {"u1": ["i1", "i2", "i3"], "u2": ["i4"], "u3": [f"i{index}" for index in range(1, 31)]}


def embeddings() -> NDArray[np.float32]:
    """float32 [ITEMS + 1, DIMENSIONS]; row 0 is padding."""
    table = np.random.default_rng(7).normal(size=(ITEMS + 1, DIMENSIONS)).astype(np.float32)
    table[0] = 0
    return table


def prior() -> NDArray[np.float32]:
    return np.linspace(-1, 1, DIMENSIONS, dtype=np.float32)


def user_vector(history: list[int]) -> NDArray[np.float32]:
    """What the model computes for a history, in numpy."""
    return prior() + embeddings()[history].sum(axis=0) / MAX_LENGTH


def write(folder: Path) -> Path:
    """Write a complete bundle into ``folder`` and return it."""
    folder.mkdir(parents=True)
    onnx.save(_model(), folder / bundle.MODEL)
    np.save(folder / bundle.EMBEDDINGS, embeddings())
    np.save(folder / bundle.CONTENT, np.zeros_like(embeddings()))
    items = [
        {
            "id": f"i{index}",
            "title": f"Film {index} of {'Stars' if index % 2 else 'Wars'}",
            "year": 1990,
            "genres": ["Drama"],
        }
        for index in range(1, ITEMS + 1)
    ]
    _json(folder / bundle.ITEMS, items)
    _json(folder / bundle.HISTORIES, HISTORIES)
    _json(folder / bundle.EVALUATION, {"users": ["u1"], "expected": {"u1": ["i9"]}})
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in bundle.PAYLOAD}
    manifest = {
        "format": bundle.FORMAT_VERSION,
        "version": bundle.content_version(digests),
        "data_source": "synthetic",
        "synthetic": True,
        "max_length": MAX_LENGTH,
        "files": {name: {"sha256": digest} for name, digest in digests.items()},
    }
    _json(folder / bundle.MANIFEST, manifest)
    return folder


def _json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def _model() -> onnx.ModelProto:
    constants = {
        graphs.TABLE: embeddings(),
        "prior": prior(),
        "scale": np.array(1 / MAX_LENGTH, dtype=np.float32),
        "axes": np.array([1], dtype=np.int64),
    }
    nodes = [
        helper.make_node("Gather", [graphs.TABLE, "history"], ["embedded"]),
        helper.make_node("ReduceSum", ["embedded", "axes"], ["summed"], keepdims=0),
        helper.make_node("Mul", ["summed", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "prior"], ["user"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("history", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("user", TensorProto.FLOAT, ["batch", DIMENSIONS])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    encoder = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return graphs.serving_graph(encoder)
