"""``python -m recsvc.commands.show``: what is known of one bundle, or which bundles the cache holds."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recsvc import data, recipe, registry
from recsvc.bundle import FORMAT_VERSION, MANIFEST, Bundle, find, listed
from recsvc.commands.running import run
from recsvc.data import storage
from recsvc.recipe import Progress

DEFAULT = "default"


def chosen(cache: Path, which: str) -> Bundle:
    """The bundle that a path, the beginning of a version, or ``default`` names; raises `BundleError`."""
    if which == DEFAULT:
        reference = default_version(cache)
        if reference is None:
            raise data.DataError("the reference model has not been trained yet: `recdr model train` does it.")
        return find(cache / "bundles", reference)
    return find(cache / "bundles", which)


def default_version(cache: Path) -> str | None:
    """The version of the reference model, which drills deploy; None where it has not been made."""
    for name in ("ml-100k", "synthetic"):
        acquired = storage.found(cache / "datasets" / name, verify=False)
        if acquired is not None:
            return registry.version_of(cache, recipe.PRESETS[DEFAULT].key(acquired.sha256))
    return None


def show(options: argparse.Namespace, _progress: Progress) -> dict[str, Any]:
    """One bundle with its manifest, or ``{"bundles": [...]}``; raises `BundleError`."""
    if options.bundle is not None:
        bundle = chosen(options.cache, options.bundle)
        return {"bundle": str(bundle.path), "version": bundle.version, "manifest": bundle.manifest}
    reference = default_version(options.cache)
    rows = [_row(path, reference) for path in listed(options.cache / "bundles")]
    return {"bundles": sorted(rows, key=lambda row: str(row["created"]), reverse=True)}


def _row(path: Path, reference: str | None) -> dict[str, Any]:
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        usable = manifest["format"] == FORMAT_VERSION
    except (OSError, ValueError, KeyError, TypeError):
        manifest, usable = {}, False
    return {
        "version": path.name,
        "bundle": str(path),
        "usable": usable,
        "default": path.name == reference,
        "data": manifest.get("data") or manifest.get("data_source"),
        "preset": manifest.get("preset"),
        "created": manifest.get("created"),
        "metrics": manifest.get("metrics") or {},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m recsvc.commands.show", description="Show a bundle, or list them.")
    parser.add_argument("bundle", nargs="?", help="a bundle's folder, the beginning of its version, or default")
    return run(show, parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
