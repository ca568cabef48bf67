"""What an item's description says about it, as a vector: words of the title, categories, brand, price, decade.

Each item is a bag of tokens; a token that only one item has would be a second id, so it is left out. The
tower sums the tokens' embeddings and passes them through a small residual network:

    c(i) = s(i) + W2 gelu(W1 s(i)),   s(i) = sum of E[t] over t in tokens(i) / sqrt(|tokens(i)|)

and an item's vector is ``id(i) + c(i)``, as feature embeddings are added in "S^3-Rec" (arXiv 2008.07873) and
"LightFM" (arXiv 1507.08439). Dropping whole id rows at random while learning ("DropoutNet", Volkovs et al.,
NIPS 2017) makes ``c(i)`` alone a usable vector, which is all there is of an item nobody has touched.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from recsvc.bundle import Item

WORD = re.compile(r"[^\W_]{2,}")
PRICE_BUCKETS = 10
MOST_TOKENS = 50_000
"""A vocabulary keeps the most frequent ones."""


@dataclass(frozen=True)
class Vocabulary:
    """The tokens that count, in the order of their embeddings, and the prices at which buckets begin."""

    tokens: tuple[str, ...]
    price_bounds: tuple[float, ...]

    @classmethod
    def of(cls, items: Sequence[Item]) -> Vocabulary:
        """Every token that at least two items have; empty where the items have no descriptions in common."""
        prices = [item.price for item in items if item.price is not None]
        shares = np.linspace(0, 1, PRICE_BUCKETS + 1)[1:-1]
        bounds = tuple(float(bound) for bound in np.unique(np.quantile(prices, shares))) if prices else ()
        counts = Counter(token for item in items for token in tokens(item, bounds))
        # Sorted by name within a count, so that the order of the catalogue does not decide.
        frequent = sorted((token for token, count in counts.items() if count > 1), key=lambda t: (-counts[t], t))
        return cls(tuple(frequent[:MOST_TOKENS]), bounds)

    def bags(self, items: Sequence[Item]) -> Bags:
        """The known tokens of each item; row 0 is the padding item's and empty."""
        index_of = {token: index for index, token in enumerate(self.tokens)}
        rows = [[index_of[t] for t in tokens(item, self.price_bounds) if t in index_of] for item in items]
        lengths = np.array([0, *map(len, rows)], dtype=np.int64)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        flat = np.array([index for row in rows for index in row], dtype=np.int64)
        return Bags(flat, offsets)


@dataclass(frozen=True)
class Bags:
    """``flat[offsets[i]:offsets[i + 1]]`` are the tokens of catalogue index i; both int64."""

    flat: NDArray[np.int64]
    offsets: NDArray[np.int64]


def tokens(item: Item, price_bounds: Sequence[float]) -> list[str]:
    """An item's tokens, each once, in a fixed order: what they describe, a colon, and the value."""
    return list(dict.fromkeys(_tokens(item, price_bounds)))


def _tokens(item: Item, price_bounds: Sequence[float]) -> Iterator[str]:
    # A title that only repeats the id is what catalogues without descriptions have.
    if item.title != item.id:
        yield from (f"word:{word}" for word in WORD.findall(item.title.lower()))
    yield from (f"genre:{genre}" for genre in item.genres)
    if item.brand:
        yield f"brand:{item.brand.lower()}"
    if item.price is not None:
        yield f"price:{int(np.searchsorted(price_bounds, item.price, side='right'))}"
    if item.year is not None:
        yield f"decade:{item.year // 10}"


class ContentTower(nn.Module):
    """Vectors of items from their tokens; items without a known token get zeros."""

    flat: Tensor
    offsets: Tensor

    def __init__(self, vocabulary: Vocabulary, bags: Bags, dimensions: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.embedding = nn.Embedding(len(vocabulary.tokens), dimensions)
        self.inner, self.outer = (
            nn.Linear(dimensions, dimensions, bias=False),
            nn.Linear(dimensions, dimensions, bias=False),
        )
        self.register_buffer("flat", torch.from_numpy(bags.flat), persistent=False)
        self.register_buffer("offsets", torch.from_numpy(bags.offsets), persistent=False)
        nn.init.normal_(self.embedding.weight, std=0.02)
        nn.init.normal_(self.inner.weight, std=0.05)
        nn.init.zeros_(self.outer.weight)

    def forward(self, indices: Tensor) -> Tensor:
        """``indices`` int64 [n], of the catalogue, 0 for padding -> float32 [n, d]."""
        starts, lengths = self.offsets[indices], self.offsets[indices + 1] - self.offsets[indices]
        ends = lengths.cumsum(0)
        within = torch.arange(int(ends[-1]), device=indices.device) - torch.repeat_interleave(ends - lengths, lengths)
        flat = self.flat[torch.repeat_interleave(starts, lengths) + within]
        weights = torch.repeat_interleave(lengths.clamp(min=1).float().rsqrt(), lengths)
        summed = functional.embedding_bag(
            flat, self.embedding.weight, ends - lengths, mode="sum", per_sample_weights=weights
        )
        told: Tensor = summed + self.outer(functional.gelu(self.inner(summed)))
        return told


def tower_of(items: Sequence[Item], dimensions: int, vocabulary: Vocabulary | None = None) -> ContentTower | None:
    """A fresh tower for a catalogue, or None where nothing is told about its items."""
    known = vocabulary or Vocabulary.of(items)
    return ContentTower(known, known.bags(items), dimensions) if known.tokens else None
