"""Make a bundle: read, split, train, export, measure, write. Imports torch, so `prepare` loads it late."""

from __future__ import annotations

import datetime
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from recsvc import bundle, evaluate, export, train
from recsvc.data import Acquired, Dataset, Split, hold_out, read
from recsvc.model import SasRec
from recsvc.recipe import RECIPE_VERSION, Progress, Settings


def write(folder: Path, acquired: Acquired, settings: Settings, progress: Progress) -> None:
    """Fill an empty folder with a complete bundle and the release before it; each one's manifest comes last."""
    dataset = read(acquired)
    split = hold_out(dataset.sequences)
    fitted = train.fit(split, len(dataset.items), settings, progress=progress)
    if fitted.out_of_time:
        progress("train", fitted.epochs, settings.plan.epochs, "the machine is busy: training was cut short")
    made = Making(acquired, dataset, split, settings, fitted)
    progress("export", 0, 2, "exporting to ONNX")
    (folder / bundle.PREVIOUS).mkdir()
    _write_release(folder / bundle.PREVIOUS, fitted.previous, made)
    progress("export", 1, 2, "the release before, without the newest interactions")
    metrics = _write_release(folder, fitted.model, made)
    progress("export", 2, 2, "the ONNX graph ranks as the model does")
    progress("evaluate", 1, 1, f"test HR@10 {metrics['hr_at_10']:.4f}, NDCG@10 {metrics['ndcg_at_10']:.4f}")


@dataclass(frozen=True)
class Making:
    """What both releases are made from."""

    acquired: Acquired
    dataset: Dataset
    split: Split
    settings: Settings
    fitted: train.Fitted


def _write_release(folder: Path, model: SasRec, made: Making) -> dict[str, float]:
    """Write one bundle into a folder that holds none; returns its figures."""
    export.export(model, folder / bundle.MODEL)
    histories = train.pad(made.split.before_test, made.settings.shape.max_length)
    export.check(model, folder / bundle.MODEL, histories[:64])
    table: NDArray[np.float32] = model.item_embedding.weight.detach().numpy()
    np.save(folder / bundle.EMBEDDINGS, table)
    metrics = measure(export.user_vectors(folder / bundle.MODEL, histories), table, made.split)
    metrics["validation_ndcg_at_10"] = round(made.fitted.validation_ndcg_at_10, 5)
    _write_tables(folder, made.dataset, made.split)
    variants = export.write_variants(folder, histories, made.split.before_test, made.split.test)
    manifest = _manifest(folder, made.acquired, made.settings) | _account(made.fitted, made.dataset, metrics)
    manifest |= {"variants": variants}
    _write_json(folder / bundle.MANIFEST, manifest, indent=2)
    return metrics


def measure(users: NDArray[np.float32], table: NDArray[np.float32], split: Split) -> dict[str, float]:
    """Test figures of user vectors [users, d] and an item table [items + 1, d], with popularity's beside."""
    own = evaluate.ranks(users @ table.T, split.before_test, split.test)
    # Popularity may count what the model was trained on: everything but the test items.
    counts = evaluate.popularity([*split.before_test, *split.not_evaluated], len(table) - 1)
    popular = evaluate.ranks(np.tile(counts, (len(users), 1)), split.before_test, split.test)
    figures = evaluate.report(own) | evaluate.report(popular, "popularity_")
    return figures | {"users": len(users)}


def _write_tables(folder: Path, dataset: Dataset, split: Split) -> None:
    ids = ["", *(item.id for item in dataset.items)]
    histories = {
        user: [ids[index] for index in sequence]
        for user, sequence in zip(dataset.users, dataset.sequences, strict=True)
    }
    expected = {}
    for position, target in zip(split.evaluated.tolist(), split.test.tolist(), strict=True):
        user = dataset.users[position]
        histories[user].pop()
        expected[user] = [ids[target]]
    _write_json(folder / bundle.ITEMS, [asdict(item) for item in dataset.items])
    _write_json(folder / bundle.HISTORIES, histories)
    _write_json(folder / bundle.EVALUATION, {"users": list(expected), "expected": expected})


def _manifest(folder: Path, acquired: Acquired, settings: Settings) -> dict[str, Any]:
    digests = bundle.digests_in(folder)
    files = {name: {"sha256": digest, "bytes": (folder / name).stat().st_size} for name, digest in digests.items()}
    return {
        "format": bundle.FORMAT_VERSION,
        "version": bundle.content_version(digests),
        "recipe": RECIPE_VERSION,
        "data_source": acquired.source,
        "data_sha256": acquired.interactions_sha256,
        "synthetic": acquired.synthetic,
        "max_length": settings.shape.max_length,
        "dimensions": settings.shape.dimensions,
        "settings": asdict(settings),
        "files": files,
    }


def _account(fitted: train.Fitted, dataset: Dataset, metrics: dict[str, float]) -> dict[str, Any]:
    """What people want to know of how the bundle came about."""
    return {
        "metrics": metrics,
        "cleaning": asdict(dataset.cleaning),
        "train_seconds": round(fitted.seconds, 2),
        "epochs": fitted.epochs,
        "best_epoch": fitted.best_epoch,
        "out_of_time": fitted.out_of_time,
        "parameters": sum(parameter.numel() for parameter in fitted.model.parameters()),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "torch": torch.__version__,
        "onnx": onnx.__version__,
    }


def _write_json(path: Path, document: object, indent: int | None = None) -> None:
    path.write_text(json.dumps(document, ensure_ascii=False, indent=indent) + "\n", encoding="utf-8")
