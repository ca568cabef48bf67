"""``python -m recsvc.prepare``: make the model bundle, or find it in the cache.

On stdout one JSON line ``{"bundle": PATH, "cached": bool, "data_source": ..., "synthetic": bool, "version":
...}``; on stderr progress, one JSON object a line ``{"stage", "done", "total", "message"}`` or, for people,
bars (``--progress bar``). Exit code 0; 2 when the data or the cache cannot be used, with the reason on
stderr.

A bundle is found again by its recipe (`recsvc.recipe`), so a later run with the same data and settings
makes nothing. A warm start imports neither torch nor onnx.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsvc import bundle, data, registry
from recsvc.recipe import Progress, Settings


@dataclass(frozen=True)
class Prepared:
    """A bundle ready for use; ``cached`` when nothing had to be made."""

    bundle: bundle.Bundle
    cached: bool


def prepare(cache: Path, choice: data.Choice, settings: Settings, progress: Progress) -> Prepared:
    """Return the bundle for these settings, making it first if the cache has none.

    Raises `data.DataError` when the data cannot be had. Any number of processes may call this at once: one
    makes the bundle, the others wait for it.
    """
    acquired = data.acquire(choice, cache, lambda message: progress("data", 0, 1, message))
    progress("data", 1, 1, f"data from {acquired.source}")
    key = settings.key(acquired.sha256)
    found = registry.find(cache, key, lambda reason: progress("cache", 0, 1, f"making it again: {reason}"))
    if found is not None:
        return Prepared(found, cached=True)
    with registry.lock(cache, key, lambda: progress("wait", 0, 1, "another process is making this bundle")):
        found = registry.find(cache, key, lambda _: None)
        if found is not None:
            return Prepared(found, cached=True)
        # Waiting threads must sleep: spinning ones made training many times slower on cores that others use.
        # OpenMP reads this when torch is first imported.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        from recsvc import build  # noqa: PLC0415 - torch takes seconds to import

        made = registry.publish(cache, key, lambda folder: build.write(folder, acquired, settings, progress))
        return Prepared(made, cached=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(arguments)
    settings = Settings(seed=options.seed)
    with _display(options.progress) as progress:
        try:
            prepared = prepare(options.cache.resolve(), options.data, settings, progress)
        except (data.DataError, bundle.BundleError, OSError) as error:
            progress("error", 0, 1, str(error))
            return 2
        progress("done", 1, 1, "from the cache" if prepared.cached else "made")
    _print(_answer(prepared))
    return 0


def _answer(prepared: Prepared) -> dict[str, Any]:
    made = prepared.bundle
    return {
        "bundle": str(made.path),
        "cached": prepared.cached,
        "data_source": made.data_source,
        "synthetic": made.synthetic,
        "version": made.version,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m recsvc.prepare", description="Make or find the model bundle.")
    parser.add_argument("--cache", type=Path, required=True, help="folder for data and bundles; made if missing")
    parser.add_argument("--data", choices=("auto", "ml-100k", "synthetic"), default="auto", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the training (default: %(default)s)")
    parser.add_argument("--progress", choices=("lines", "bar"), default="lines", help="default: %(default)s")
    return parser


def _print(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def _display(style: str) -> contextlib.AbstractContextManager[Progress]:
    if style == "lines":
        return contextlib.nullcontext(_lines)
    from recsvc.progress import bars  # noqa: PLC0415 - rich costs 0.1 s, and only people ask for it

    return bars()


def _lines(stage: str, done: int, total: int, message: str) -> None:
    line = {"stage": stage, "done": done, "total": total, "message": message}
    sys.stderr.write(json.dumps(line, ensure_ascii=False) + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
