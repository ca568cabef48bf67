"""``python -m recsvc.commands.show``: what is known of one bundle, or which bundles the cache holds."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recsvc.bundle import FORMAT_VERSION, MANIFEST, Bundle, listed
from recsvc.commands.bundles import chosen, default_version, preset_of
from recsvc.commands.running import run
from recsvc.recipe import Progress


def show(options: argparse.Namespace, _progress: Progress) -> dict[str, Any]:
    """One bundle with its manifest, or ``{"bundles": [...]}``; raises `DataError` or `BundleError`."""
    if options.bundle is not None:
        return about(chosen(options.cache, options.bundle))
    reference = default_version(options.cache)
    rows = [_row(path, reference) for path in listed(options.cache / "bundles")]
    return {"bundles": sorted(rows, key=lambda row: str(row["created"]), reverse=True)}


def about(bundle: Bundle) -> dict[str, Any]:
    """A bundle as the commands tell of it."""
    return {
        "bundle": str(bundle.path),
        "version": bundle.version,
        "data": bundle.data,
        "preset": preset_of(bundle),
        "cut_short": bundle.cut_short,
        "manifest": bundle.manifest,
    }


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
        "preset": preset_of(Bundle(path, manifest)) if usable else None,
        "cut_short": Bundle(path, manifest).cut_short if usable else None,
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
