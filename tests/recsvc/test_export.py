"""The ONNX graph ranks as the torch model does, whatever shape comes in."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from recsvc import export
from recsvc.model import SasRec
from recsvc.recipe import Shape

ITEMS, LONGEST = 40, 12


@pytest.fixture(scope="module")
def model() -> SasRec:
    torch.manual_seed(1)
    made = SasRec(ITEMS, Shape(dimensions=16, max_length=LONGEST)).eval()
    made.cold_user.normal_()
    for block in made.blocks:
        torch.nn.init.normal_(block.distance_bias)
    return made


@pytest.fixture(scope="module")
def graph(model: SasRec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    export.export(model, path)
    return path


def random_histories(batch: int, length: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    rng = np.random.default_rng(batch * 100 + length)
    histories = np.array([rng.permutation(ITEMS)[:length] + 1 for _ in range(batch)], dtype=np.int64)
    for row in histories:
        row[: rng.integers(0, length + 1)] = 0
    return histories


@pytest.mark.parametrize(("batch", "length"), [(1, 1), (1, 7), (1, LONGEST), (3, 2), (64, LONGEST), (65, 5)])
@pytest.mark.parametrize("k", [1, 20])
def test_same_scores_and_items_as_torch(model: SasRec, graph: Path, batch: int, length: int, k: int) -> None:
    histories = random_histories(batch, length)
    items, scores, user = export.run(graph, histories, histories, k)
    assert items.shape == scores.shape == (batch, k)
    assert (items.dtype, scores.dtype, user.dtype) == (np.int64, np.float32, np.float32)
    expected = export.scores_of(model, histories)
    order = np.argsort(-expected, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(items, order)
    np.testing.assert_allclose(scores, np.take_along_axis(expected, order, axis=1), atol=1e-4)
    table = model.item_embedding.weight.detach().numpy()
    np.testing.assert_allclose(np.einsum("bd,bkd->bk", user, table[items]), scores, atol=1e-4)


def test_an_empty_history_scores_as_the_cold_user(model: SasRec, graph: Path) -> None:
    items, scores, user = export.run(graph, np.zeros((2, 3), dtype=np.int64), np.zeros((2, 0), dtype=np.int64), ITEMS)
    np.testing.assert_allclose(user, np.tile(model.cold_user.numpy(), (2, 1)), atol=1e-6)
    assert np.isfinite(scores).all()
    assert sorted(items[0]) == list(range(1, ITEMS + 1))


def test_padding_and_seen_items_never_come_back(graph: Path) -> None:
    history = np.array([[0, 0, 3, 5]], dtype=np.int64)
    seen = np.array([[*range(1, 31), 0, 0]], dtype=np.int64)
    items, scores, _ = export.run(graph, history, seen, 10)
    assert sorted(items[0]) == list(range(31, 41))
    assert np.isfinite(scores).all()
    surplus = export.run(graph, history, seen, 12)[1]
    assert np.isneginf(surplus[0, 10:]).all()


def test_the_item_table_is_in_the_file_once(model: SasRec, graph: Path) -> None:
    cells = (ITEMS + 1) * 16
    tables = [t for t in onnx.load(graph).graph.initializer if int(np.prod(t.dims)) == cells and len(t.dims) == 2]
    assert len(tables) == 1


def test_exporting_is_silent(model: SasRec, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        export.export(model, tmp_path / "model.onnx")
    assert [str(warning.message) for warning in caught] == []
    assert capfd.readouterr() == ("", "")


def test_a_graph_of_another_model_is_caught(graph: Path) -> None:
    torch.manual_seed(2)
    other = SasRec(ITEMS, Shape(dimensions=16, max_length=LONGEST)).eval()
    with pytest.raises(export.ExportError, match="scores differ"):
        export.check(other, graph, random_histories(4, 6))
