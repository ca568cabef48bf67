"""What a later training goes on from: the parameters before they were folded, and the words they stand for."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from recsvc.bundle import BundleError, Item
from recsvc.content import Vocabulary
from recsvc.fusion import Fusion
from recsvc.learner import Learner
from recsvc.recipe import Plan, Shape

_FUSION = "fusion"
_TOKENS, _PRICES = "vocabulary.tokens", "vocabulary.price_bounds"
_PARAMETER = "parameter."
_GROWING = ("encoder.item_embedding.weight", "counts")
"""They have a row an item, so a grown catalogue has more."""


def save(path: Path, learner: Learner, fusion: Fusion | None) -> None:
    """Write a learner's parameters as float32 arrays; the same parameters give the same bytes."""
    arrays = {_PARAMETER + name: tensor.cpu().numpy() for name, tensor in learner.state_dict().items()}
    vocabulary = learner.tower.vocabulary if learner.tower is not None else Vocabulary((), ())
    arrays[_TOKENS] = np.array(vocabulary.tokens, dtype=np.str_)
    arrays[_PRICES] = np.array(vocabulary.price_bounds, dtype=np.float64)
    arrays[_FUSION] = np.array(json.dumps(None if fusion is None else asdict(fusion)), dtype=np.str_)
    np.savez(path, **arrays)


def load(path: Path, items: Sequence[Item], shape: Shape, plan: Plan) -> tuple[Learner, Fusion | None]:
    """Read a learner and what goes beside it back, for a catalogue that begins with the one it was trained on.

    Items beyond that keep a fresh id embedding and a count of 0. Raises `BundleError` when the file is damaged,
    or of a model of another shape.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            read = {name: arrays[name] for name in arrays.files}
        document = json.loads(str(read.pop(_FUSION)))
        fusion = None if document is None else Fusion(**document)
        vocabulary = Vocabulary(tuple(read.pop(_TOKENS).tolist()), tuple(read.pop(_PRICES).tolist()))
        learner = Learner(items, shape, plan, vocabulary)
        learner.load_state_dict(_grown(read, learner))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, zipfile.BadZipFile) as error:
        raise BundleError(f"{path}: cannot be resumed from ({error}). Train anew, without --resume.") from error
    return learner, fusion


def _grown(read: dict[str, np.ndarray], learner: Learner) -> dict[str, torch.Tensor]:
    state = {name.removeprefix(_PARAMETER): torch.from_numpy(array) for name, array in read.items()}
    fresh = learner.state_dict()
    for name in _GROWING:
        old = state[name]
        if len(old) > len(fresh[name]):
            raise ValueError(f"it knows {len(old) - 1} items, the catalogue has {len(fresh[name]) - 1}")
        state[name] = torch.cat([old, fresh[name][len(old) :]])
    return state
