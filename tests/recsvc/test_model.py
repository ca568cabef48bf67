"""What the encoder may and may not look at."""

from __future__ import annotations

import pytest
import torch

from recsvc.model import ByteDropout, SasRec, popularity_vector, visibility
from recsvc.recipe import Shape


@pytest.fixture
def model() -> SasRec:
    torch.manual_seed(0)
    made = SasRec(30, Shape(dimensions=16, max_length=12)).eval()
    for block in made.blocks:
        # They start at 0; a trained model's differ.
        torch.nn.init.normal_(block.distance_bias)
    return made


def test_padding_on_the_left_changes_nothing(model: SasRec) -> None:
    bare = model(torch.tensor([[4, 9, 2]]))
    padded = model(torch.tensor([[0, 0, 0, 0, 4, 9, 2], [0, 0, 0, 0, 0, 4, 9]]))
    torch.testing.assert_close(padded[:1], bare)
    torch.testing.assert_close(padded[1:], model(torch.tensor([[4, 9]])))


def test_no_state_depends_on_a_later_item(model: SasRec) -> None:
    one, other = model.states(torch.tensor([[4, 9, 2, 7]])), model.states(torch.tensor([[4, 9, 2, 8]]))
    torch.testing.assert_close(one[:, :3], other[:, :3])
    assert not torch.allclose(one[:, 3], other[:, 3])


def test_order_matters(model: SasRec) -> None:
    assert not torch.allclose(model(torch.tensor([[4, 9, 2]])), model(torch.tensor([[9, 4, 2]])), atol=1e-5)


def test_an_empty_history_gives_the_cold_user_and_every_state_is_finite(model: SasRec) -> None:
    model.cold_user.fill_(0.5)
    empty = torch.zeros((2, 5), dtype=torch.int64)
    assert torch.equal(model(empty), torch.full((2, 16), 0.5))
    assert torch.isfinite(model.states(empty)).all()


def test_visibility_is_causal_skips_padding_and_is_never_empty() -> None:
    seen = visibility(torch.tensor([[0, 5, 6]]))[0, 0]
    assert seen.tolist() == [[True, False, False], [False, True, False], [False, True, True]]


def test_the_popularity_vector_ranks_as_popularity() -> None:
    torch.manual_seed(0)
    counts = torch.arange(40, 0, -1, dtype=torch.float32) ** 2
    vector = popularity_vector(torch.randn(41, 16), counts)
    assert torch.isfinite(vector).all()
    # With as many dimensions as items the fit is exact.
    exact = torch.cat([torch.zeros(1, 40), torch.eye(40)])
    assert (exact[1:] @ popularity_vector(exact, counts)).argsort(descending=True)[:10].tolist() == list(range(10))


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    layer = ByteDropout(0.25)
    values = torch.ones(1001, 333)
    dropped = layer(values)
    assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.01)
    assert torch.equal(layer.eval()(values), values)
