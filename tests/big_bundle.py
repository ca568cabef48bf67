"""A bundle of the size that speeds are measured at, made without training: random weights in the real graph."""

from __future__ import annotations

import functools
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from recsvc import bundle

RECIPE = 3
"""Raise when this module makes another bundle: cached ones are then no longer found."""
HISTORY = 50
"""Every user's items: as many as the model takes in, which is the dearest case."""


def write(folder: Path, *, items: int = 100_000, users: int = 4_096, seed: int = 7) -> Path:
    """Write a complete bundle with 64 dimensions and recsvc's own graph into a new ``folder`` and return it."""
    import torch  # noqa: PLC0415 - two seconds that only who makes a bundle has to wait

    from recsvc import export  # noqa: PLC0415 - imports torch
    from recsvc.model import SasRec  # noqa: PLC0415 - imports torch
    from recsvc.recipe import Shape  # noqa: PLC0415 - goes with the model

    torch.manual_seed(seed)
    model = SasRec(items, Shape(max_length=HISTORY)).eval()
    folder.mkdir(parents=True)
    export.export(model, folder / bundle.MODEL)
    table = model.item_embedding.weight.detach().numpy()
    np.save(folder / bundle.EMBEDDINGS, table)
    np.save(folder / bundle.CONTENT, np.zeros_like(table))
    draw = np.random.default_rng(seed)
    catalogue = [bundle.Item(f"i{index}", _title(draw), None, ()) for index in range(1, items + 1)]
    drawn = draw.integers(1, items + 1, (users, HISTORY))
    histories = {f"u{user}": [f"i{index}" for index in row] for user, row in enumerate(drawn.tolist())}
    _json(folder / bundle.ITEMS, [asdict(item) for item in catalogue])
    _json(folder / bundle.HISTORIES, histories)
    _json(folder / bundle.EVALUATION, {"users": ["u0"], "expected": {"u0": ["i1"]}})
    digests = {name: bundle.file_sha256(folder / name) for name in bundle.PAYLOAD}
    manifest = {
        "format": bundle.FORMAT_VERSION,
        "version": bundle.content_version(digests),
        "data": "synthetic",
        "data_source": "synthetic",
        "synthetic": True,
        "max_length": HISTORY,
        "dimensions": 64,
        "files": {name: {"sha256": digest} for name, digest in digests.items()},
    }
    _json(folder / bundle.MANIFEST, manifest)
    return folder


@functools.cache
def words() -> list[str]:
    """The words that titles are made of: a search for one finds about one item in a thousand."""
    syllables = ("ba", "ce", "di", "fo", "gu", "la", "me", "ni", "po", "ru", "sa", "te", "vi", "wo", "zu")
    return [first + second + third for first in syllables for second in syllables for third in syllables]


def _title(draw: np.random.Generator) -> str:
    known = words()
    return " ".join(known[index] for index in draw.integers(0, len(known), 3))


def cached(root: Path, *, items: int = 100_000) -> Path:
    """The bundle under ``root``, made on first use: its folder is named by what decides its content."""
    folder = root / f"bench-bundle-{bundle.FORMAT_VERSION}.{RECIPE}-{items}"
    if not (folder / bundle.MANIFEST).exists():
        unfinished = folder.with_suffix(".part")
        write(unfinished, items=items)
        unfinished.rename(folder)
    return folder


def _json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")
