"""What the counts add to the network: the formula in the graph, and that it is only added where it helps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from recsvc import export
from recsvc.factors import KINDS, Kind, described, factorise
from recsvc.fusion import Fusion, choose
from recsvc.model import SasRec
from recsvc.recipe import Shape
from recsvc.validation import Task

ITEMS = 20


def couples() -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Users who take items 1 to 18 in couples: 1 with 2, 3 with 4, and so on; nobody takes 19 or 20."""
    rng = np.random.default_rng(0)
    return [np.concatenate([[2 * n + 1, 2 * n + 2] for n in rng.permutation(9)[:3]]) for _ in range(200)]


@pytest.mark.parametrize("kind", KINDS)
def test_factors_know_who_goes_together_and_nothing_of_the_rest(kind: Kind) -> None:
    factors = factorise(couples(), ITEMS, 9, kind)
    assert factors.shape == (ITEMS + 1, 9)
    assert not factors[[0, 19, 20]].any()
    likeness = factors @ factors.T
    np.fill_diagonal(likeness, -np.inf)
    assert [int(likeness[item].argmax()) for item in range(1, 19)] == [
        item + 1 if item % 2 else item - 1 for item in range(1, 19)
    ]
    np.testing.assert_array_equal(factors, factorise(couples(), ITEMS, 9, kind))


def test_an_item_nobody_took_has_the_factors_of_those_described_like_it() -> None:
    factors, counts = (
        factorise(couples(), ITEMS, 9, "cosine"),
        np.bincount(np.concatenate(couples()), minlength=ITEMS + 1),
    )
    content = np.random.default_rng(1).normal(size=(ITEMS + 1, 4)).astype(np.float32)
    content[0] = content[20] = 0.0
    content[19] = 2 * content[7]
    told = described(factors, content, counts)
    likest = np.argsort(-(content @ content[19]) / np.maximum(1e-9, np.linalg.norm(content, axis=1)))
    nearest = [item for item in likest.tolist() if item not in (0, 19, 20)][:5]
    expected = np.average(factors[nearest], axis=0, weights=np.sqrt(counts[nearest]))
    np.testing.assert_allclose(told[19], expected, atol=1e-6)
    assert 7 in nearest
    assert not told[[0, 20]].any()


def test_ranks_beyond_the_data_are_zeros() -> None:
    factors = factorise([np.array([1, 2]), np.array([2, 3])], ITEMS, 16, "cosine")
    assert factors.shape == (ITEMS + 1, 16)
    assert not factors[:, 2:].any()


def network() -> SasRec:
    torch.manual_seed(0)
    return SasRec(ITEMS, Shape(dimensions=8, max_length=6)).eval()


def test_a_widened_model_adds_the_formula_to_its_scores_also_in_its_graph(tmp_path: Path) -> None:
    plain, wide = network(), network()
    factors = factorise(couples(), ITEMS, 4, "cosine")
    wide.widen(torch.from_numpy(factors), 0.7, 0.8)
    wide.cold_user.normal_()
    histories = np.array([[0, 0, 3, 5, 8], [0, 0, 0, 0, 2], [0, 0, 0, 0, 0]])
    with torch.inference_mode():
        before = (plain(torch.from_numpy(histories)) @ plain.item_embedding.weight.T).numpy()
        after = (wide(torch.from_numpy(histories)) @ wide.item_embedding.weight.T).numpy()
    added = 0.7 * ((0.64 * factors[3] + 0.8 * factors[5] + factors[8]) @ factors.T)
    np.testing.assert_allclose(after[0] - before[0], added, atol=1e-4)
    np.testing.assert_allclose(after[1] - before[1], 0.7 * (factors[2] @ factors.T), atol=1e-4)
    export.export(wide, tmp_path / "model.onnx")
    export.check(wide, tmp_path / "model.onnx", histories, k=5)
    users = export.user_vectors(tmp_path / "model.onnx", histories)
    assert users.shape == (3, 12)
    np.testing.assert_allclose(users[2], wide.cold_user.numpy())


def test_the_counts_are_taken_where_they_help_and_left_where_they_do_not() -> None:
    known = couples()
    task = Task(tuple(sequence[:-1] for sequence in known), np.array([sequence[-1] for sequence in known]))
    found = choose(network(), [sequence[:-1] for sequence in known] + known[:20], task, 8)
    assert isinstance(found, Fusion)
    rng = np.random.default_rng(1)
    noise = [rng.permutation(np.arange(1, 19))[:6] for _ in range(200)]
    model = network()
    model.item_embedding.weight.data[1:] = 0
    model.item_embedding.weight.data[19] = model.cold_user = torch.ones(8)
    always = Task(tuple(noise), np.full(200, 19))
    with torch.no_grad():
        model.output_norm.weight.zero_()
        model.output_norm.bias.fill_(1.0)
    assert choose(model, noise, always, 8) is None
    assert choose(network(), known, task, 0) is None
