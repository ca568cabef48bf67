"""Make a bundle: read, split, train, export, measure, write. Imports torch, so `prepare` loads it late."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from recsvc import bundle, checkpoint, evaluation, export, tables, train
from recsvc import resume as warm
from recsvc.data import MIN_EVALUATED, Acquired, DataError, Dataset, Split, hold_out, read
from recsvc.recipe import RECIPE_VERSION, Progress, Settings, settings_of
from recsvc.windows import pad

FEWEST_ITEMS = 6
"""Whoever holds two items out has seen three, so that something is left to rank them against."""


def write(
    folder: Path, acquired: Acquired, settings: Settings, progress: Progress, device: train.Device = "auto"
) -> None:
    """Fill an empty folder with a complete bundle and the release before it; each one's manifest comes last."""
    dataset = read(acquired)
    split = measurable(acquired, dataset)
    fitted = train.fit(dataset, split, settings, progress=progress, device=device)
    _finish(folder, Making(acquired, dataset, split, settings, fitted), progress)


def resume(
    folder: Path,
    base: bundle.Bundle,
    acquired: Acquired,
    since_s: int,
    progress: Progress,
    *,
    device: train.Device = "auto",
    settings: Settings | None = None,
) -> None:
    """Fill an empty folder with a bundle that goes on from ``base``, trained on what came at or after ``since_s``.

    ``since_s`` is in seconds since 1970; ``settings`` are the base's where there are none. The base's catalogue keeps
    its indices, new items come behind it. The manifest's ``resumed_from`` holds the base's version and its figures on
    the same held-out items; the release before (``previous``) is the base over the grown catalogue. Raises
    `bundle.BundleError` where the base has no checkpoint, or one of another version, and `DataError` where nothing is
    new.
    """
    settings = settings or settings_of(base)
    dataset = warm.align(read(acquired), base.items)
    split = measurable(acquired, dataset)
    if not warm.new_events(dataset, since_s):
        raise DataError(
            f"{acquired.name}: nothing in it came at or after {_time(since_s)}, which is where --resume begins."
        )
    resumed = warm.fit(dataset, split, base, since_s, progress=progress, device=device, settings=settings)
    fitted = resumed.fitted
    if fitted.best_epoch == 0:
        progress("train", fitted.epochs, settings.plan.resume_epochs, "nothing validated better: the base stays")
    origin = {
        "version": base.version,
        "since_s": since_s,
        "new_events": resumed.new_events,
        "base_stays": fitted.best_epoch == 0,
        "validation_users": resumed.validation_users,
        "validation_ndcg_at_10": round(resumed.base_validation_ndcg_at_10, 5),
    }
    _finish(folder, Making(acquired, dataset, split, settings, fitted, origin), progress)


def measurable(acquired: Acquired, dataset: Dataset) -> Split:
    """The split of a data set; raises `DataError` where nobody holds anything out or there is next to no choice."""
    longest = max(map(len, dataset.sequences))
    if longest < MIN_EVALUATED:
        raise DataError(
            f"{acquired.name}: none of {len(dataset.users):,} users has {MIN_EVALUATED} different items, the most is "
            f"{longest}, so nothing can be held out to measure a model by. Train on a longer period, or see --columns: "
            "is the user's column the right one?"
        )
    if len(dataset.items) < FEWEST_ITEMS:
        raise DataError(
            f"{acquired.name}: the catalogue has {len(dataset.items)} items, and a model needs {FEWEST_ITEMS} to "
            "choose among. Train on more data, or see --columns: is the item's column the right one?"
        )
    return hold_out(dataset.sequences)


def _finish(folder: Path, made: Making, progress: Progress) -> None:
    if made.fitted.out_of_time:
        progress(
            "train",
            made.fitted.epochs,
            made.settings.plan.epochs,
            "the time ran out before all epochs: training was cut short",
        )
    progress("export", 0, 2, "exporting to ONNX")
    (folder / bundle.PREVIOUS).mkdir()
    before = _write_release(folder / bundle.PREVIOUS, made.fitted.previous, made)
    if made.resumed_from is not None:
        made = replace(made, resumed_from={**made.resumed_from, "metrics": before})
    progress("export", 1, 2, "the release before, without the newest interactions")
    checkpoint.save(folder / bundle.CHECKPOINT, made.fitted.learner, made.fitted.fusion)
    metrics = _write_release(folder, made.fitted.release, made)
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
    resumed_from: Mapping[str, Any] | None = None


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
    manifest = _manifest(folder, made, table.shape[1]) | _account(made.fitted, made.dataset, metrics)
    manifest["variants"] = variants
    if made.resumed_from is not None:
        manifest["resumed_from"] = made.resumed_from
    _write_json(folder / bundle.MANIFEST, manifest, indent=2)
    return metrics


def _manifest(folder: Path, made: Making, dimensions: int) -> dict[str, Any]:
    acquired, settings = made.acquired, made.settings
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
        "dimensions": dimensions,
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
        "fusion": None if fitted.fusion is None else asdict(fitted.fusion),
        "parameters": sum(parameter.numel() for parameter in fitted.release.model.parameters()),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "torch": torch.__version__,
        "onnx": onnx.__version__,
    }


def _time(time_s: int) -> str:
    return datetime.datetime.fromtimestamp(time_s, datetime.UTC).isoformat()


def _write_json(path: Path, document: object, indent: int | None = None) -> None:
    path.write_text(json.dumps(document, ensure_ascii=False, indent=indent) + "\n", encoding="utf-8")
