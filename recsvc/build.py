"""Make a bundle: read, split, train, export, measure, write. Imports torch, so `prepare` loads it late."""

from __future__ import annotations

import datetime
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from recsvc import bundle, evaluate, export, train
from recsvc.data import Acquired, Dataset, Split, hold_out, read
from recsvc.recipe import RECIPE_VERSION, Progress, Settings


def write(folder: Path, acquired: Acquired, settings: Settings, progress: Progress) -> None:
    """Fill an empty folder with a complete bundle; the manifest comes last."""
    dataset = read(acquired)
    split = hold_out(dataset.sequences)
    fitted = train.fit(split, len(dataset.items), settings, progress=progress)
    if fitted.out_of_time:
        progress("train", fitted.epochs, settings.plan.epochs, "the machine is busy: training was cut short")
    progress("export", 0, 1, "exporting to ONNX")
    export.export(fitted.model, folder / bundle.MODEL)
    histories = train.pad(split.before_test, settings.shape.max_length)
    export.check(fitted.model, folder / bundle.MODEL, histories[:64])
    progress("export", 1, 1, "the ONNX graph ranks as the model does")
    table: NDArray[np.float32] = fitted.model.item_embedding.weight.detach().numpy()
    np.save(folder / bundle.EMBEDDINGS, table)
    metrics = measure(export.user_vectors(folder / bundle.MODEL, histories), table, split)
    metrics["validation_ndcg_at_10"] = round(fitted.validation_ndcg_at_10, 5)
    progress("evaluate", 1, 1, f"test HR@10 {metrics['hr_at_10']:.4f}, NDCG@10 {metrics['ndcg_at_10']:.4f}")
    _write_tables(folder, dataset, split)
    manifest = _manifest(folder, acquired, settings) | _account(fitted, dataset, metrics)
    _write_json(folder / bundle.MANIFEST, manifest, indent=2)


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
    digests = {name: bundle.file_sha256(folder / name) for name in bundle.PAYLOAD}
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
