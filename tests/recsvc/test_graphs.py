"""The half of the serving graph that is written by hand: three precisions, small and large catalogues, known users."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from recsvc import graphs, sessions, variants
from recsvc.bundle import MODEL, VARIANTS, Precision
from tests.bench_topk import summing_encoder

SMALL, LARGE = 60, graphs.BLOCKS_FROM + 37


def random_table(items: int, dimensions: int = 24) -> NDArray[np.float32]:
    table = np.random.default_rng(items).normal(size=(items + 1, dimensions)).astype(np.float32)
    table[0] = 0
    return table


def histories(items: int, users: int = 9) -> NDArray[np.int64]:
    rng = np.random.default_rng(users)
    rows = np.array([rng.permutation(items)[:6] + 1 for _ in range(users)], dtype=np.int64)
    rows[1, :4] = 0
    rows[2] = 0
    return rows


Answers = tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]


def answer(path: Path, history: NDArray[np.int64], k: int, **more: NDArray[np.float32] | NDArray[np.int64]) -> Answers:
    feeds = {"history": history, "seen": history, "k": np.array([k]), **more}
    items, scores, user = sessions.on_cpu(path, 1).run(["items", "scores", "user"], feeds)
    return items, scores, user


@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize(("items", "dimensions"), [(SMALL, 24), (SMALL, 66), (LARGE, 24)])
def test_the_best_items_in_their_order(tmp_path: Path, items: int, dimensions: int, precision: Precision) -> None:
    table, asked, path = random_table(items, dimensions), histories(items), tmp_path / MODEL
    graphs.save(graphs.serving_graph(summing_encoder(table), precision), path)
    found, scores, user = answer(path, asked, 20)
    expected = user @ table.T
    np.put_along_axis(expected, np.concatenate([asked, np.zeros_like(asked[:, :1])], axis=1), -np.inf, axis=1)
    order = np.argsort(-expected, axis=1, kind="stable")[:, :20]
    best = np.take_along_axis(expected, order, axis=1)
    loss = {Precision.FP32: 1e-4, Precision.FP16: 0.02, Precision.INT8: 0.7}[precision]
    busy = np.abs(user).sum(axis=1) > 0  # of a user of zeros every score is equal
    np.testing.assert_allclose(scores[busy], best[busy], atol=loss)
    assert (np.diff(scores, axis=1) <= 0).all()
    if precision is Precision.FP32:
        np.testing.assert_array_equal(found, order)
    else:
        assert np.mean([len(set(a) & set(b)) for a, b in zip(found[busy], order[busy], strict=True)]) >= 18


@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize("items", [SMALL, LARGE])
def test_known_users_come_first_and_are_answered_as_if_they_had_been_encoded(
    tmp_path: Path, items: int, precision: Precision
) -> None:
    asked, path = histories(items), tmp_path / MODEL
    graphs.save(graphs.serving_graph(summing_encoder(random_table(items)), precision), path)
    whole = answer(path, asked, 10)
    for known in (1, 5, len(asked)):
        part = answer(path, asked[known:], 10, seen=asked, known=whole[2][:known])
        np.testing.assert_array_equal(part[0], whole[0])
        np.testing.assert_allclose(part[1], whole[1], atol=1e-5)
        np.testing.assert_array_equal(part[2], whole[2])


@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize("items", [SMALL, LARGE])
def test_padding_and_seen_items_never_come_back(tmp_path: Path, items: int, precision: Precision) -> None:
    asked, path = histories(items, 4), tmp_path / MODEL
    graphs.save(graphs.serving_graph(summing_encoder(random_table(items)), precision), path)
    found, scores, _ = answer(path, asked, items)
    for row, seen in enumerate(asked):
        possible = np.isfinite(scores[row])
        assert set(found[row][possible]) == set(range(1, items + 1)) - set(seen)


def test_of_equal_scores_the_lower_index_comes_first_also_through_blocks(tmp_path: Path) -> None:
    table, path = np.ones((LARGE + 1, 8), dtype=np.float32), tmp_path / MODEL
    table[70] = 2
    graphs.save(graphs.serving_graph(summing_encoder(table)), path)
    found, _, _ = answer(path, np.array([[5, 6]]), 150)
    assert found[0].tolist() == [70, *[item for item in range(1, 153) if item not in (5, 6, 70)][:149]]


@pytest.mark.parametrize("items", [SMALL, LARGE])
def test_the_encoder_comes_back_out_as_it_went_in(items: int) -> None:
    before = summing_encoder(random_table(items))
    after = graphs.encoder_of(graphs.serving_graph(before))
    assert after.graph.node == before.graph.node
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in after.graph.initializer}
    for tensor in before.graph.initializer:
        np.testing.assert_array_equal(tensors.pop(tensor.name), numpy_helper.to_array(tensor))
    assert not tensors


def test_a_foreign_model_is_refused() -> None:
    foreign = summing_encoder(random_table(SMALL))
    with pytest.raises(graphs.GraphError, match="no encoder"):
        graphs.encoder_of(foreign)
    foreign.graph.initializer[0].name = "another"
    with pytest.raises(graphs.GraphError, match=graphs.TABLE):
        graphs.serving_graph(foreign)


def test_variants_are_written_with_what_they_lose(tmp_path: Path) -> None:
    items = 3_000
    graphs.save(graphs.serving_graph(summing_encoder(random_table(items, 64))), tmp_path / MODEL)
    asked = histories(items, 80)
    best = answer(tmp_path / MODEL, asked, 20)[0]
    written = variants.write_variants(tmp_path, asked, list(asked), best[:, 4])
    assert set(written) == {"int8", "fp16"}
    for precision, name in VARIANTS.items():
        entry = written[precision.value]
        assert entry["usable"], entry
        assert entry["recall_at_20_ratio"] >= 0.98
        assert entry["top_20_overlap"] > 0.9
        assert entry["largest_score_difference"] > 0
        assert entry["bytes"] == (tmp_path / name).stat().st_size
        assert entry["bytes"] < entry["fp32_bytes"] * {"int8": 0.35, "fp16": 0.6}[precision.value]


def test_a_variant_that_finds_too_little_is_not_usable() -> None:
    items = np.arange(1, 201).reshape(10, 20)
    scores = np.tile(np.arange(20, 0, -1, dtype=np.float32), (10, 1))
    worse = items.copy()
    worse[:1] += 1000
    lost = variants.loss((items, scores), (worse, scores - 0.5), items[:, 3])
    assert lost["usable"] is False
    assert (lost["recall_at_20_ratio"], lost["top_20_overlap"], lost["largest_score_difference"]) == (0.9, 0.9, 0.5)
    assert variants.loss((items, scores), (items, scores), items[:, 3])["usable"] is True
    nobodys = np.full(len(items), -1)
    assert variants.loss((items, scores), (items, scores), nobodys)["usable"] is True
    assert variants.loss((items, scores), (items + 1_000_000, scores), nobodys)["usable"] is False, "found nothing, too"


def test_quantising_is_right_to_half_a_step() -> None:
    table = random_table(50, 66)
    table[7] = 0
    steps, scales = graphs.quantised(table, 32)
    back = ((steps.astype(np.float32) - 128) * scales[:, :, None]).reshape(51, -1)[:, :66]
    np.testing.assert_array_equal(back[7], 0)
    assert (np.abs(back - table) <= np.repeat(scales, 32, axis=1)[:, :66] / 2 + 1e-6).all()
