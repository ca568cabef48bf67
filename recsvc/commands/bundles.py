"""Which bundle a command is about, and the data that it was made from."""

from __future__ import annotations

import importlib
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from recsvc import data, recipe, registry
from recsvc.bundle import Bundle, find
from recsvc.data import Acquired, DataError, Dataset, storage
from recsvc.recipe import Progress

DEFAULT = "default"
"""The reference model: what a drill deploys where nobody names another."""


def chosen(cache: Path, which: str) -> Bundle:
    """The bundle that a path, the beginning of a version, or ``default`` names; raises `DataError`, `BundleError`."""
    if which != DEFAULT:
        return find(cache / "bundles", which)
    reference = default_version(cache)
    if reference is None:
        raise DataError("the reference model has not been trained yet: `recdr model train` does it.")
    return find(cache / "bundles", reference)


def default_version(cache: Path) -> str | None:
    """The version of the reference model; None where it has not been made."""
    for name in ("ml-100k", "synthetic"):
        acquired = storage.found(cache / "datasets" / name, verify=False)
        version = registry.version_of(cache, recipe.PRESETS[DEFAULT].key(acquired.sha256)) if acquired else None
        if version is not None:
            return version
    return None


def preset_of(bundle: Bundle) -> str | None:
    """The preset that a bundle was made with, whatever its seed and time were; None where it fits none."""
    settings = bundle.manifest.get("settings") or {}
    plan = {key: value for key, value in (settings.get("plan") or {}).items() if key != "budget_s"}
    for name, preset in recipe.PRESETS.items():
        own = asdict(preset)
        own["plan"].pop("budget_s")
        if own["shape"] == settings.get("shape") and own["plan"] == plan:
            return name
    return None


def acquired_for(cache: Path, bundle: Bundle) -> Acquired:
    """The data set that a bundle was made from, under whatever pseudonym key it is stored, so that its users may have
    other names than the bundle's; their order is the same. Raises `DataError` where the cache does not have it.
    """
    for folder in sorted((cache / "datasets").glob("*")):
        if folder.name.startswith(registry.PARTIAL):
            continue
        acquired = storage.found(folder, verify=False)
        if acquired is not None and acquired.interactions_sha256 == bundle.manifest["data_sha256"]:
            verified = storage.found(folder, verify=True)
            if verified is not None:
                return verified
    raise DataError(
        f"{bundle.version}: the data that it was made from ({bundle.data}) are not in {cache / 'datasets'}. "
        "Get them again with `recdr model prepare` and the options of that training."
    )


def data_of(cache: Path, bundle: Bundle, progress: Progress) -> Dataset:
    """The data that a bundle was made from, by the bundle's own catalogue; raises `DataError`."""
    acquired = acquired_for(cache, bundle)
    progress("read", 0, 1, f"reading {acquired.name}")
    dataset = data.read(acquired)
    if "resumed_from" in bundle.manifest:
        # A training that went on from an earlier bundle keeps that one's catalogue and appends to it.
        dataset = late("resume").align(dataset, bundle.items)
    progress("read", 1, 1, f"{len(dataset.users):,} users, {len(dataset.items):,} items")
    return dataset


def passive_threads() -> None:
    """Let waiting threads sleep: spinning ones made training many times slower on cores that others use.

    OpenMP reads this when torch is first imported, so it comes before that.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def late(name: str) -> Any:
    """A module of recsvc that brings in torch or onnx, which takes seconds, so only where it is needed."""
    passive_threads()
    return importlib.import_module(f"recsvc.{name}")
