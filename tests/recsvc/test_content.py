"""What descriptions become, and what they are worth for items nobody has touched."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from recsvc import content, evaluate, train
from recsvc.bundle import Item
from recsvc.content import Bags, ContentTower, Vocabulary
from recsvc.data import Dataset, hold_out
from recsvc.recipe import Plan, Settings, Shape
from recsvc.validation import encode
from tests.recsvc.small_data import Small

ITEMS = (
    Item("a", "Red Shoes, red", 1994, ("Shoes",), brand="Acme", price=10.0),
    Item("b", "red hat", 1999, ("Hats", "Sale"), brand="ACME", price=90.0),
    Item("c", "c", None, ()),
)


def test_tokens_say_what_they_describe_and_stand_once() -> None:
    assert content.tokens(ITEMS[0], [50.0]) == [
        *("word:red", "word:shoes", "genre:Shoes", "brand:acme", "price:0", "decade:199"),
    ]
    assert "price:1" in content.tokens(ITEMS[1], [50.0])
    assert content.tokens(ITEMS[2], [50.0]) == []


def test_a_token_of_one_item_only_is_no_token() -> None:
    assert set(Vocabulary.of(ITEMS).tokens) == {"word:red", "brand:acme", "decade:199"}


def test_without_descriptions_there_is_no_tower() -> None:
    assert content.tower_of([Item(str(n), str(n), None, ()) for n in range(5)], 8) is None


def test_the_tower_is_its_formula() -> None:
    torch.manual_seed(0)
    tower = ContentTower(Vocabulary(("x", "y", "z"), ()), Bags(np.array([0, 2, 1]), np.array([0, 0, 2, 2, 3])), 4)
    torch.nn.init.normal_(tower.outer.weight)
    words = tower.embedding.weight
    summed = torch.stack([torch.zeros(4), (words[0] + words[2]) / 2**0.5, torch.zeros(4), words[1]])
    expected = summed + torch.nn.functional.gelu(summed @ tower.inner.weight.T) @ tower.outer.weight.T
    order = torch.tensor([3, 1, 0, 2, 1])
    torch.testing.assert_close(tower(order), expected[order])


def without(dataset: Dataset, hidden: set[int]) -> Dataset:
    """The data set as it would be had nobody met those items; they stay in the catalogue."""
    kept = [~np.isin(sequence, list(hidden)) for sequence in dataset.sequences]
    return dataclasses.replace(
        dataset,
        sequences=tuple(s[k] for s, k in zip(dataset.sequences, kept, strict=True)),
        times_s=tuple(t[k] for t, k in zip(dataset.times_s, kept, strict=True)),
    )


def test_items_nobody_has_touched_are_found_by_their_descriptions(small: Small) -> None:
    hidden = set(np.random.default_rng(0).permutation(np.arange(1, 121))[:24].tolist())
    dataset = without(small.dataset, hidden)
    settings = Settings(
        seed=1, shape=Shape(dimensions=32), plan=Plan(epochs=12, epoch_steps=1, refit_epochs=0, id_dropout=0.3)
    )
    fitted = train.fit(dataset, hold_out(dataset.sequences), settings, progress=lambda *_: None, device="cpu")
    # What each user took next was one of the hidden items: among those alone, how far up does the right one come?
    histories, targets = [], []
    for sequence in small.dataset.sequences:
        places = [place for place in range(6, len(sequence)) if sequence[place] in hidden]
        histories += [np.array([i for i in sequence[:place] if i not in hidden]) for place in places]
        targets += [sequence[place] for place in places]
    candidates = np.array(sorted(hidden))
    scores = encode(fitted.release.model, histories) @ fitted.release.table[candidates].T
    own = np.array([np.flatnonzero(candidates == target)[0] for target in targets])
    above = (scores > scores[np.arange(len(own)), own][:, None]).sum(axis=1)
    # By chance 3 of 24 are among the first 3, 12.5 %; popularity knows no better, for it has met none of them.
    assert evaluate.hit_ratio(above, 3) > 0.25
    np.testing.assert_allclose(fitted.release.content[candidates], fitted.release.table[candidates], atol=1e-6)
    assert np.abs(fitted.release.content[0]).max() == 0


def test_without_descriptions_training_costs_nothing_more_and_content_is_zero(small: Small, quick: Settings) -> None:
    bare = dataclasses.replace(
        small.dataset, items=tuple(Item(item.id, item.id, None, ()) for item in small.dataset.items)
    )
    short = dataclasses.replace(quick, plan=Plan(epochs=1, epoch_steps=1, refit_epochs=0))
    fitted = train.fit(bare, small.split, short, progress=lambda *_: None, device="cpu")
    assert fitted.learner.tower is None
    assert not fitted.release.content.any()
