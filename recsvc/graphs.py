"""The serving graph around an encoder, node by node, in three precisions. Needs onnx, not torch.

    history ──> encoder ──┐
    known ────────────────┴──> user ──> scores over the table ──> -inf at padding and seen ──> top k

``known`` holds vectors of users that were encoded before: their rows come first, those of ``history`` follow, and with
no history at all the encoder does not run. The item table is in the file once: the encoder looks items up in the same
tensor that scores them. k and the number of seen items are only known at run time, and a traced graph would freeze
them; so this half is written here and not exported.

    fp32   the table as it was trained
    fp16   half the bytes, for a GPU's tensor cores; a CPU computes it right, but slowly
    int8   a scale a block, for CPUs with VNNI or AMX: where memory is what one waits for, a quarter of the bytes counts

A table in fewer bits finds some candidates more than asked for and scores those again in fp32, so that scores which
became equal in fewer bits are still in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from recsvc.bundle import Precision

TABLE = "item_embedding.weight"
KNOWN = "known"
_OURS = "ranking."
_ENCODED = "ranking.encoded"
_ALWAYS = "ranking.always"
SPARE = 32
"""How many candidates more than k are scored again where the table has fewer bits."""
BLOCKS_FROM = 16_384
"""From this many items on the best are sought in the best blocks: below, the nodes cost more than they save."""
BLOCK = 64
LARGEST_MESSAGE = 2**31 - 2**20
"""protobuf writes no message beyond 2 GiB; a larger graph keeps its tensors in a file beside it."""


class GraphError(Exception):
    """The model is not one that this module could make a serving graph of, or made itself."""


def serving_graph(encoder: onnx.ModelProto, precision: Precision = Precision.FP32) -> onnx.ModelProto:
    """Return the graph that serves an encoder; see `recsvc.export.export` for its inputs and outputs.

    ``encoder`` takes ``history`` int64 [batch, length], gives ``user`` float32 [batch, d], and looks items up in a
    float32 tensor `TABLE` [items + 1, d]. Raises `GraphError` where it has none.
    """
    table = _table(encoder)
    model = onnx.ModelProto()
    model.CopyFrom(encoder)
    return _Writer(model, table, precision).write()


def encoder_of(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the encoder that `serving_graph` was given, from what it made of it in fp32."""
    branch = next((node for node in model.graph.node if node.op_type == "If" and _ENCODED in node.output), None)
    if branch is None:
        raise GraphError("the graph has no encoder that could be taken out of it: export the model again")
    (body,) = (attribute.g for attribute in branch.attribute if attribute.name == "then_branch")
    encoder = onnx.ModelProto()
    encoder.CopyFrom(model)
    graph = encoder.graph
    for part in (graph.node, graph.input, graph.output, graph.initializer):
        del part[:]
    graph.node.extend(body.node)
    _rename(graph.node, _ENCODED, "user")
    graph.input.extend(value for value in model.graph.input if value.name == "history")
    graph.output.extend(value for value in model.graph.output if value.name == "user")
    surplus = 0
    for tensor in model.graph.initializer:
        if tensor.name == _ALWAYS:
            surplus = tensor.dims[1] - 1
        elif not tensor.name.startswith(_OURS) and tensor.name != KNOWN:
            graph.initializer.append(tensor)
    (table,) = (tensor for tensor in graph.initializer if tensor.name == TABLE)
    values = numpy_helper.to_array(table)
    table.CopyFrom(numpy_helper.from_array(values[: len(values) - surplus], TABLE))
    return encoder


def save(model: onnx.ModelProto, path: Path) -> None:
    """Check the graph and write it; beyond protobuf's 2 GiB its tensors go into ``NAME.data`` beside it."""
    large = model.ByteSize() > LARGEST_MESSAGE
    onnx.save(model, str(path), save_as_external_data=large, location=f"{path.name}.data" if large else None)
    onnx.checker.check_model(str(path) if large else model, full_check=not large)


def quantised(table: NDArray[np.float32], block: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return ``table`` [rows, d] as uint8 [rows, blocks, block] about 128, and the scales float32 [rows, blocks].

    Symmetric, with the largest number of a block at 127 steps (Jacob et al., arXiv 1712.05877, section 2.1).
    """
    rows, dimensions = table.shape
    blocks = -(-dimensions // block)
    wide = np.zeros((rows, blocks * block), dtype=np.float32)
    wide[:, :dimensions] = table
    wide = wide.reshape(rows, blocks, block)
    scales = np.abs(wide).max(axis=2) / 127
    scales[scales == 0] = 1
    return (np.rint(wide / scales[:, :, None]) + 128).astype(np.uint8), scales.astype(np.float32)


def _block_of(dimensions: int) -> int:
    """The block whose padded row has the fewest bytes, scales included; of equals the longest."""
    return min((128, 64, 32), key=lambda block: -(-dimensions // block) * (block + 4))


class _Writer:
    """Appends nodes to one model."""

    def __init__(self, model: onnx.ModelProto, table: NDArray[np.float32], precision: Precision) -> None:
        self._model, self._graph, self._precision = model, model.graph, precision
        self._items, self._dimensions = len(table) - 1, table.shape[1]
        self._in_blocks = self._items >= BLOCKS_FROM
        surplus = -len(table) % BLOCK if self._in_blocks else 0
        # Rows of zeros, so that blocks come out even; they are masked as padding is.
        self._table = np.concatenate([table, np.zeros((surplus, self._dimensions), dtype=np.float32)])
        self._hidden = [0, *range(len(table), len(self._table))]

    def write(self) -> onnx.ModelProto:
        body = list(self._graph.node)
        del self._graph.node[:]
        # Of the encoder's own shapes: the table's is another now, and most belong to a branch. They are inferred again.
        del self._graph.value_info[:]
        self._store_table(body)
        self._encode(body)
        self._score()
        self._mask()
        self._select()
        self._sign()
        return self._model

    def _constant(self, name: str, value: NDArray[Any] | Sequence[int] | int) -> str:
        array = np.asarray(value, dtype=None if isinstance(value, np.ndarray) else np.int64)
        self._graph.initializer.append(numpy_helper.from_array(array, _OURS + name))
        return _OURS + name

    def _node(self, kind: str, inputs: Sequence[str], outputs: str, **attributes: Any) -> None:
        plain = outputs.split()
        names = [name if name in ("user", "items", "scores") else _OURS + name for name in plain]
        self._graph.node.append(helper.make_node(kind, inputs, names, f"{_OURS}{plain[0]}", **attributes))

    def _store_table(self, body: list[onnx.NodeProto]) -> None:
        """Put the table into the file once, and let the encoder's look-ups read it as it lies there."""
        (old,) = (tensor for tensor in self._graph.initializer if tensor.name == TABLE)
        if self._precision is Precision.INT8:
            self._graph.initializer.remove(old)
            stored, scales = quantised(self._table, _block_of(self._dimensions))
            self._constant("table", stored)
            self._constant("scales", scales)
        else:
            kind = np.float16 if self._precision is Precision.FP16 else np.float32
            old.CopyFrom(numpy_helper.from_array(self._table.astype(kind), TABLE))
        if self._precision is not Precision.FP32:
            for position in [at for at, node in enumerate(body) if TABLE in node.input][::-1]:
                body[position : position + 1] = self._looked_up(body[position])

    def _looked_up(self, gather: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Nodes in the place of the encoder's ``Gather(TABLE, indices)``."""
        if gather.op_type != "Gather" or gather.input[0] != TABLE:
            raise GraphError(f"the encoder's {gather.op_type} {gather.name!r} uses the item table; only Gather may")
        return self._rows(gather.input[1], gather.output[0], f"{gather.output[0]}.")

    def _rows(self, indices: str, output: str, prefix: str) -> list[onnx.NodeProto]:
        """Nodes that give float32 [..., d] for int64 ``indices`` [...], whatever the table's precision."""

        def made(kind: str, inputs: Sequence[str], result: str, **attributes: Any) -> onnx.NodeProto:
            return helper.make_node(kind, inputs, [result], f"{_OURS}{result}", **attributes)

        if self._precision is not Precision.INT8:
            return [
                made("Gather", [TABLE, indices], f"{prefix}narrow"),
                made("Cast", [f"{prefix}narrow"], output, to=TensorProto.FLOAT),
            ]
        kept = {"middle": np.float32(128), "from": [0], "to": [self._dimensions], "last": [-1], "flat": [0, 0, -1]}
        names = {key: f"{_OURS}rows.{key}" for key in kept}
        if not any(tensor.name == names["middle"] for tensor in self._graph.initializer):
            for key, value in kept.items():
                self._constant(f"rows.{key}", np.array(value) if key == "middle" else value)  # type: ignore[arg-type]
        p = prefix
        return [
            made("Gather", [_OURS + "table", indices], f"{p}steps"),
            made("Cast", [f"{p}steps"], f"{p}above", to=TensorProto.FLOAT),
            made("Sub", [f"{p}above", names["middle"]], f"{p}centred"),
            made("Gather", [_OURS + "scales", indices], f"{p}scale"),
            made("Unsqueeze", [f"{p}scale", names["last"]], f"{p}scale3"),
            made("Mul", [f"{p}centred", f"{p}scale3"], f"{p}blocks"),
            made("Reshape", [f"{p}blocks", names["flat"]], f"{p}wide"),
            made("Slice", [f"{p}wide", names["from"], names["to"], names["last"]], output),
        ]

    def _encode(self, body: list[onnx.NodeProto]) -> None:
        """user = known users first, then the encoded histories."""
        d = self._dimensions
        _rename(body, "user", _ENCODED)
        encode = helper.make_graph(body, "encode", [], [_value(_ENCODED, TensorProto.FLOAT, ["encoded", d])])
        nobody = numpy_helper.from_array(np.zeros((0, d), dtype=np.float32))
        constant = helper.make_node("Constant", [], [_OURS + "nobody"], value=nobody)
        skip = helper.make_graph([constant], "skip", [], [_value(_OURS + "nobody", TensorProto.FLOAT, [0, d])])
        self._node("Size", ["history"], "history_size")
        self._node("Greater", [_OURS + "history_size", self._constant("nothing", 0)], "any_history")
        self._node("If", [_OURS + "any_history"], "encoded", then_branch=encode, else_branch=skip)
        # An input with a default: who knows nothing of it calls the graph as if it were not there.
        self._graph.initializer.append(numpy_helper.from_array(np.zeros((0, d), dtype=np.float32), KNOWN))
        self._node("Concat", [KNOWN, _ENCODED], "user", axis=0)

    def _score(self) -> None:
        if self._precision is Precision.FP32:
            self._node("Gemm", ["user", TABLE], "all_scores", transB=1)
        elif self._precision is Precision.FP16:
            self._node("Cast", ["user"], "half_user", to=TensorProto.FLOAT16)
            self._node("Gemm", [_OURS + "half_user", TABLE], "all_scores", transB=1)
        else:
            block = _block_of(self._dimensions)
            # Level 4 lets the kernel multiply in int8, by rounding the user's vector too.
            self._node(
                "MatMulNBits", ["user", _OURS + "table", _OURS + "scales"], "all_scores", domain="com.microsoft",
                K=self._dimensions, N=len(self._table), bits=8, block_size=block, accuracy_level=4,
            )  # fmt: skip
            if not any(entry.domain == "com.microsoft" for entry in self._model.opset_import):
                self._model.opset_import.append(helper.make_opsetid("com.microsoft", 1))

    def _mask(self) -> None:
        """-inf at padding, whatever the caller put into ``seen``, even no column at all; and at ``seen``."""
        never = np.full(1, -np.inf, dtype=np.float16 if self._precision is Precision.FP16 else np.float32)
        always = self._constant("always", np.array([self._hidden], dtype=np.int64))
        self._node("Shape", ["seen"], "rows", start=0, end=1)
        self._node("Concat", [_OURS + "rows", self._constant("always_size", [len(self._hidden)])], "shape", axis=0)
        self._node("Expand", [always, _OURS + "shape"], "padding")
        self._node("Concat", [_OURS + "padding", "seen"], "hidden", axis=1)
        self._node("Shape", [_OURS + "hidden"], "hidden_shape")
        self._node("Expand", [self._constant("never", never), _OURS + "hidden_shape"], "nevers")
        inputs = [_OURS + name for name in ("all_scores", "hidden", "nevers")]
        self._node("ScatterElements", inputs, "allowed", axis=1)

    def _select(self) -> None:
        if self._precision is Precision.FP32:
            self._best(_OURS + "allowed", "k", "scores", "items")
            return
        self._node("Add", ["k", self._constant("spare", [SPARE])], "wanted")
        self._node("Min", [_OURS + "wanted", self._constant("rows_in_all", [len(self._table)])], "candidates")
        self._best(_OURS + "allowed", _OURS + "candidates", "rough", "candidate_items")
        self._graph.node.extend(self._rows(_OURS + "candidate_items", _OURS + "vectors", _OURS + "candidate."))
        self._node("Unsqueeze", ["user", self._constant("last_axis", [-1])], "user_column")
        self._node("MatMul", [_OURS + "vectors", _OURS + "user_column"], "again")
        self._node("Squeeze", [_OURS + "again", _OURS + "last_axis"], "exact")
        self._node("Cast", [_OURS + "rough"], "rough_wide", to=TensorProto.FLOAT)
        self._node("IsInf", [_OURS + "rough_wide"], "masked")
        never = self._constant("never_wide", np.array(-np.inf, dtype=np.float32))
        self._node("Where", [_OURS + "masked", never, _OURS + "exact"], "refined")
        self._node("TopK", [_OURS + "refined", "k"], "scores place", axis=1, largest=1, sorted=1)
        self._node("GatherElements", [_OURS + "candidate_items", _OURS + "place"], "items", axis=1)

    def _best(self, values: str, k: str, scores: str, items: str) -> None:
        """The k best columns; of a large catalogue through the blocks whose best columns are best.

        The k best columns lie in the k blocks with the best maxima. Finding maxima is a vector instruction where a
        heap takes a comparison an item; blocks keep their order, so of equal scores the lower index still wins.
        """
        if not self._in_blocks:
            self._node("TopK", [values, k], f"{scores} {items}", axis=1, largest=1, sorted=1)
            return
        o, count = _OURS, len(self._table) // BLOCK
        block = self._constant("block", BLOCK)
        self._node("Reshape", [values, self._constant("block_shape", [0, count, BLOCK])], "blocks")
        self._node("ReduceMax", [o + "blocks", self._constant("within", [2])], "peaks", keepdims=0)
        self._node("Min", [k, self._constant("block_count", [count])], "block_k")
        self._node("TopK", [o + "peaks", o + "block_k"], "peak found", axis=1, largest=1, sorted=0)
        self._node("TopK", [o + "found", o + "block_k"], "chosen order", axis=1, largest=0, sorted=1)
        self._node("Unsqueeze", [o + "chosen", self._constant("minus_one", [-1])], "chosen_rows")
        self._node("GatherND", [o + "blocks", o + "chosen_rows"], "chosen_scores", batch_dims=1)
        self._node("Reshape", [o + "chosen_scores", self._constant("flat", [0, -1])], "narrow_scores")
        self._node("TopK", [o + "narrow_scores", k], f"{scores} at", axis=1, largest=1, sorted=1)
        self._node("Div", [o + "at", block], "at_block")
        self._node("Mod", [o + "at", block], "at_place")
        self._node("GatherElements", [o + "chosen", o + "at_block"], "block_number", axis=1)
        self._node("Mul", [o + "block_number", block], "block_begin")
        self._node("Add", [o + "block_begin", o + "at_place"], items)

    def _sign(self) -> None:
        """Declare inputs and outputs."""
        for name, kind, shape in (
            ("seen", TensorProto.INT64, ["batch", "seen"]),
            ("k", TensorProto.INT64, [1]),
            (KNOWN, TensorProto.FLOAT, ["known", self._dimensions]),
        ):
            self._graph.input.append(_value(name, kind, shape))
        del self._graph.output[:]
        for name, kind, columns in (
            ("items", TensorProto.INT64, "k"),
            ("scores", TensorProto.FLOAT, "k"),
            ("user", TensorProto.FLOAT, self._dimensions),
        ):
            self._graph.output.append(_value(name, kind, ["batch", columns]))


def _table(encoder: onnx.ModelProto) -> NDArray[np.float32]:
    for tensor in encoder.graph.initializer:
        if tensor.name == TABLE:
            return np.asarray(numpy_helper.to_array(tensor), dtype=np.float32)
    raise GraphError(f"the exported encoder has no tensor {TABLE!r} to score with")


def _value(name: str, kind: int, shape: Sequence[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _rename(nodes: Sequence[onnx.NodeProto], old: str, new: str) -> None:
    for node in nodes:
        for names in (node.input, node.output):
            for position, name in enumerate(names):
                if name == old:
                    names[position] = new
