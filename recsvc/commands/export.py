"""``python -m recsvc.commands.export``: a model as ONNX files that run elsewhere, without anything about its users."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recsvc import data, registry
from recsvc.bundle import EMBEDDINGS, ITEMS, MODEL, Bundle
from recsvc.commands.bundles import DEFAULT, chosen, data_of, late
from recsvc.commands.running import run
from recsvc.data import DataError
from recsvc.recipe import Progress

VARIANTS = ("fp32", "fp16", "int8")
ABOUT = "export.json"
INPUTS = {
    "history": "int64 [batch, length]: a user's newest items, oldest first, padded on the left with 0",
    "seen": "int64 [batch, seen]: items that must not come back, padded with 0",
    "k": "int64 [1]: how many items to return",
}
OUTPUTS = {
    "items": "int64 [batch, k]: best first; item n is the n-th of items.json, counted from 1",
    "scores": "float32 [batch, k]",
    "user": "float32 [batch, dimensions]: the encoded user; a score is its product with a row of the item table",
}


def export(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Write the variants asked for into a new folder and say what each costs; raises `DataError` or `BundleError`."""
    bundle = chosen(options.cache, options.bundle)
    output: Path = options.output.expanduser().absolute()
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise DataError(f"{output}: there is something already. Name a new folder with --output.")
    wanted = VARIANTS if options.variant == "all" else (options.variant,)
    with _locked(options.cache, output, progress), registry.partial(output) as partial:
        for name in (MODEL, ITEMS, EMBEDDINGS):
            shutil.copyfile(bundle.path / name, partial / name)
        losses = _variants(options.cache, bundle, partial, progress) if set(wanted) - {"fp32"} else {}
        found = _keep(partial, wanted, losses)
        answer = {"version": bundle.version, "data": bundle.data, "variants": found}
        about = {**answer, "inputs": INPUTS, "outputs": OUTPUTS, "max_length": bundle.max_length}
        (partial / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        if output.exists():
            output.rmdir()
        partial.rename(output)
    progress("export", 1, 1, f"written to {output}")
    return {"output": str(output), **answer}


def _locked(cache: Path, output: Path, progress: Progress) -> contextlib.AbstractContextManager[None]:
    """The lock of an output folder, which another process may be writing."""
    name = hashlib.sha256(bytes(output)).hexdigest()[:16]
    return registry.lock(cache, f"export-{name}", lambda: progress("wait", 0, 1, "another process is writing there"))


def _variants(cache: Path, bundle: Bundle, folder: Path, progress: Progress) -> dict[str, Any]:
    """Put every smaller variant beside the model; returns by precision what was lost, as measured on test users."""
    written: dict[str, Any] = {name: dict(about) for name, about in bundle.manifest.get("variants", {}).items()}
    if written:
        for about in (about for about in written.values() if "file" in about):
            shutil.copyfile(bundle.path / about["file"], folder / about["file"])
        return written
    split = data.hold_out(data_of(cache, bundle, progress).sequences)
    progress("export", 0, 1, f"writing and measuring variants on {len(split.test):,} users")
    histories = late("windows").pad(split.before_test, bundle.max_length)
    losses: dict[str, Any] = late("export").write_variants(folder, histories, split.before_test, split.test)
    return losses


def _keep(folder: Path, wanted: Sequence[str], losses: dict[str, Any]) -> dict[str, Any]:
    """Leave the files of the variants asked for; raises `DataError` where one could not be written."""
    found: dict[str, Any] = {"fp32": {"file": MODEL}} if "fp32" in wanted else {}
    for name, about in losses.items():
        if name in wanted and "file" not in about:
            raise DataError(f"--variant {name}: it cannot be written here: {about.get('error')}")
        if name in wanted:
            found[name] = about
        elif "file" in about:
            (folder / about["file"]).unlink()
    if "fp32" not in wanted:
        (folder / MODEL).unlink()
    for about in found.values():
        about["bytes"] = (folder / about["file"]).stat().st_size
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m recsvc.commands.export", description="Export a model as ONNX.")
    parser.add_argument("bundle", nargs="?", default=DEFAULT, help="a folder, a version, or default")
    parser.add_argument("--variant", choices=(*VARIANTS, "all"), default="all", help="default: %(default)s")
    parser.add_argument("--output", type=Path, required=True, help="a folder that does not exist or is empty")
    return run(export, parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
