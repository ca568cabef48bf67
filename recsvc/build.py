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

from recsvc import bundle, checkpoint, evaluation, export, tables, train
from recsvc.data import Acquired, Dataset, Split, hold_out, read
from recsvc.recipe import RECIPE_VERSION, Progress, Settings
from recsvc.windows import pad


def write(
    folder: Path, acquired: Acquired, settings: Settings, progress: Progress, device: train.Device = "auto"
) -> None:
    """Fill an empty folder with a complete bundle and the release before it; each one's manifest comes last."""
    dataset = read(acquired)
    split = hold_out(dataset.sequences)
    fitted = train.fit(dataset, split, settings, progress=progress, device=device)
    if fitted.out_of_time:
        progress("train", fitted.epochs, settings.plan.epochs, "the machine is busy: training was cut short")
    made = Making(acquired, dataset, split, settings, fitted)
    progress("export", 0, 2, "exporting to ONNX")
    (folder / bundle.PREVIOUS).mkdir()
    _write_release(folder / bundle.PREVIOUS, fitted.previous, made)
    progress("export", 1, 2, "the release before, without the newest interactions")
    checkpoint.save(folder / bundle.CHECKPOINT, fitted.learner)
    metrics = _write_release(folder, fitted.release, made)
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


def _write_release(folder: Path, release: train.Release, made: Making) -> dict[str, float]:
    """Write one bundle into a folder that holds none; returns its figures."""
    model, table = release.model, release.table
    export.export(model, folder / bundle.MODEL)
    histories = pad(made.split.before_test, made.settings.shape.max_length)
    export.check(model, folder / bundle.MODEL, histories[:64])
    np.save(folder / bundle.EMBEDDINGS, table)
    np.save(folder / bundle.CONTENT, release.content)
    metrics = evaluation.measure(export.user_vectors(folder / bundle.MODEL, histories), table, made.split)
    metrics["validation_ndcg_at_10"] = round(made.fitted.validation_ndcg_at_10, 5)
    tables.write(folder, made.dataset, made.split)
    variants = export.write_variants(folder, histories, made.split.before_test, made.split.test)
    manifest = _manifest(folder, made.acquired, made.settings) | _account(made.fitted, made.dataset, metrics)
    manifest |= {"variants": variants}
    _write_json(folder / bundle.MANIFEST, manifest, indent=2)
    return metrics


def _manifest(folder: Path, acquired: Acquired, settings: Settings) -> dict[str, Any]:
    present = [name for name in (*bundle.PAYLOAD, *bundle.OPTIONAL) if (folder / name).exists()]
    digests = {name: bundle.file_sha256(folder / name) for name in present}
    files = {name: {"sha256": digest, "bytes": (folder / name).stat().st_size} for name, digest in digests.items()}
    return {
        "format": bundle.FORMAT_VERSION,
        "version": bundle.content_version(digests),
        "recipe": RECIPE_VERSION,
        "data": acquired.name,
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
        "device": fitted.device,
        "parameters": sum(parameter.numel() for parameter in fitted.release.model.parameters()),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "torch": torch.__version__,
        "onnx": onnx.__version__,
    }


def _write_json(path: Path, document: object, indent: int | None = None) -> None:
    path.write_text(json.dumps(document, ensure_ascii=False, indent=indent) + "\n", encoding="utf-8")
