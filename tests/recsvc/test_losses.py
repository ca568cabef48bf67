"""The losses against their formulas, and the sample against what it stands for."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from recsvc import losses

ITEMS, DIMENSIONS = 30, 4
HISTORY = torch.tensor([[0, 3, 5], [7, 8, 9]])
TARGET = torch.tensor([[3, 5, 6], [8, 9, 0]])


@pytest.fixture
def table() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(ITEMS + 1, DIMENSIONS)


@pytest.fixture
def states() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(2, 3, DIMENSIONS)


def by_hand(states: torch.Tensor, table: torch.Tensor, candidates: torch.Tensor) -> float:
    """The full loss as its formula stands, one position at a time."""
    found = []
    for row, place in ((0, 1), (0, 2), (1, 0), (1, 1)):
        seen = set(HISTORY[row, : place + 1].tolist())
        rivals = [item for item in range(1, ITEMS + 1) if candidates[item] and item not in seen]
        own = int(TARGET[row, place])
        scores = table[rivals] @ states[row, place]
        found.append(torch.logsumexp(scores, 0) - table[own] @ states[row, place])
    return torch.stack(found).mean().item()


def test_the_full_loss_masks_padding_what_was_seen_and_who_does_not_compete(
    states: torch.Tensor, table: torch.Tensor
) -> None:
    everyone = torch.arange(ITEMS + 1) > 0
    some = everyone & (torch.arange(ITEMS + 1) < 20)
    for candidates in (everyone, some):
        loss = losses.full(states, HISTORY, TARGET, table, candidates)
        assert loss.item() == pytest.approx(by_hand(states, table, candidates), rel=1e-5)


def test_the_gradients_are_those_of_the_plain_formula(
    states: torch.Tensor, table: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "CELLS", 1)
    everyone = torch.arange(ITEMS + 1) > 0
    wide = states.repeat(60, 1, 1).double().requires_grad_()
    weights = table.double().requires_grad_()
    history, target = HISTORY.repeat(60, 1), TARGET.repeat(60, 1)
    (3 * losses.full(wide, history, target, weights, everyone)).backward()
    found = wide.grad.clone(), weights.grad.clone()
    wide.grad = weights.grad = None
    known = (history != 0) & (target != 0)
    scores = (wide[known] @ weights.T).index_fill(1, torch.tensor([0]), -1e9)
    seen = torch.stack([history[:, None, :].expand(-1, 3, -1).tril()[known]]).squeeze(0)
    (3 * functional.cross_entropy(scores.scatter(1, seen, -1e9), target[known])).backward()
    torch.testing.assert_close(found[0], wide.grad, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found[1], weights.grad, atol=1e-6, rtol=1e-5)


def test_a_sample_of_everything_gives_the_full_loss(states: torch.Tensor, table: torch.Tensor) -> None:
    everyone = torch.arange(ITEMS + 1) > 0
    sample = losses.Sample(torch.arange(1, ITEMS + 1), torch.zeros(ITEMS), torch.arange(ITEMS + 1))
    wanted, rows = table[TARGET], table[sample.with_padding()]
    loss = losses.sampled(states, HISTORY, TARGET, wanted=wanted, table=rows, sample=sample)
    assert loss.item() == pytest.approx(by_hand(states, table, everyone), rel=1e-5)


def test_corrected_samples_sum_to_the_whole_whoever_is_drawn_more_often() -> None:
    torch.manual_seed(2)
    counts = torch.tensor([0.0, *range(1, ITEMS + 1)]) ** 2
    candidates = torch.arange(ITEMS + 1) > 2
    sampler = losses.Sampler(counts, candidates, 12)
    values = torch.rand(ITEMS + 1) + 0.5
    estimates, drawn = [], torch.zeros(ITEMS + 1)
    for _ in range(4000):
        sample = sampler.draw()
        estimates.append((values[sample.items] / sample.correction.exp()).sum())
        drawn[sample.items] += 1
        assert torch.equal(sample.column[sample.items], torch.arange(1, 13))
        assert int((sample.column > 0).sum()) == 12
    assert drawn[:3].tolist() == [0, 0, 0]
    assert drawn[ITEMS] > 1.5 * drawn[3] > 0
    whole = values[candidates].sum().item()
    assert torch.stack(estimates).mean().item() == pytest.approx(whole, rel=0.02)
