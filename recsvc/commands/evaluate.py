"""``python -m recsvc.commands.evaluate``: how good a bundle's answers are, on what its training never saw."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recsvc import data
from recsvc.bundle import Bundle
from recsvc.commands.running import run
from recsvc.commands.show import DEFAULT, chosen
from recsvc.data import Acquired, DataError, storage
from recsvc.recipe import Progress


def data_of(cache: Path, bundle: Bundle) -> Acquired:
    """The data set that a bundle was made from; raises `DataError` where the cache no longer has it."""
    for folder in sorted((cache / "datasets").glob("[!.]*")):
        acquired = storage.found(folder, verify=False)
        if acquired is not None and acquired.interactions_sha256 == bundle.manifest["data_sha256"]:
            verified = storage.found(folder, verify=True)
            if verified is not None:
                return verified
    raise DataError(
        f"{bundle.version}: the data that it was made from ({bundle.data}) are not in {cache / 'datasets'}. "
        "Get them again with the same `recdr model prepare` as before."
    )


def evaluate(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """The full report of a bundle; raises `DataError` or `BundleError`."""
    bundle = chosen(options.cache, options.bundle)
    acquired = data_of(options.cache, bundle)
    progress("read", 0, 1, f"reading {acquired.name}")
    dataset = data.read(acquired)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from recsvc import build, export, train  # noqa: PLC0415 - onnxruntime and torch take seconds to import

    split = data.hold_out(dataset.sequences)
    histories = train.pad(split.before_test, bundle.max_length)
    progress("evaluate", 0, 1, f"{len(histories):,} users")
    import numpy as np  # noqa: PLC0415

    figures = build.measure(export.user_vectors(bundle.model_path, histories), np.load(bundle.embeddings_path), split)
    progress("evaluate", 1, 1, "done")
    return {"bundle": str(bundle.path), "version": bundle.version, "data": bundle.data, "report": figures}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m recsvc.commands.evaluate", description="Evaluate a bundle.")
    parser.add_argument("bundle", nargs="?", default=DEFAULT, help="a folder, a version, or default")
    parser.add_argument("--k", default="", help="cut-offs, such as 5,10,20")
    return run(evaluate, parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
