"""``python -m recsvc.commands.train``: make a model bundle, or find it in the cache.

A bundle is found again by its recipe (`recsvc.recipe`), so a later run with the same data and settings makes nothing.
A warm start imports neither torch nor onnx nor numpy.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recsvc import bundle, data, recipe, registry
from recsvc.commands import asking
from recsvc.commands.running import run
from recsvc.recipe import Progress, Settings


@dataclass(frozen=True)
class Prepared:
    """A bundle ready for use; ``cached`` when nothing had to be made."""

    bundle: bundle.Bundle
    cached: bool


def prepare(
    cache: Path,
    choice: data.Choice | data.Request,
    settings: Settings,
    progress: Progress,
    *,
    again: bool = False,
) -> Prepared:
    """Return the bundle for these settings, making it first if the cache has none, or ``again``.

    Raises `data.DataError` when the data cannot be had. Any number of processes may call this at once: one
    makes the bundle, the others wait for it.
    """

    def say(message: str) -> None:
        progress("data", 0, 1, message)

    acquired = data.acquire(choice, cache, say, progress=progress, verify=False)
    progress("data", 1, 1, f"data from {acquired.source}")
    key = settings.key(acquired.sha256)
    damaged = lambda reason: progress("cache", 0, 1, f"making it again: {reason}")  # noqa: E731
    found = None if again else registry.find(cache, key, damaged)
    if found is not None:
        return Prepared(found, cached=True)
    with registry.lock(cache, key, lambda: progress("wait", 0, 1, "another process is making this bundle")):
        found = None if again else registry.find(cache, key, lambda _: None)
        if found is not None:
            return Prepared(found, cached=True)
        # Now the data are really needed: what was damaged is noticed here.
        acquired = data.acquire(choice, cache, say, progress=progress)
        build = _builder()
        made = registry.publish(cache, key, lambda folder: build.write(folder, acquired, settings, progress))
        return Prepared(made, cached=False)


def _builder() -> Any:
    # Waiting threads must sleep: spinning ones made training many times slower on cores that others use.
    # OpenMP reads this when torch is first imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from recsvc import build  # noqa: PLC0415 - torch takes seconds to import

    return build


def settings_of(options: argparse.Namespace) -> Settings:
    """The recipe's settings that the options ask for."""
    settings = recipe.PRESETS[options.preset]
    plan = settings.plan if options.budget_s is None else replace(settings.plan, budget_s=options.budget_s)
    return replace(settings, seed=options.seed, plan=plan)


def train(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Which bundle it is and how good; raises `data.DataError` or `bundle.BundleError`."""
    request = asking.request(options)
    prepared = prepare(options.cache, request, settings_of(options), progress, again=options.again)
    progress("done", 1, 1, "from the cache" if prepared.cached else "made")
    made = prepared.bundle
    return {
        "bundle": str(made.path),
        "cached": prepared.cached,
        "data_source": made.data_source,
        "synthetic": made.synthetic,
        "version": made.version,
        "manifest": made.manifest,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m recsvc.commands.train", description="Make or find a model bundle.")
    asking.add_data_options(parser)
    parser.add_argument("--preset", choices=sorted(recipe.PRESETS), default="default", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the training (default: %(default)s)")
    parser.add_argument("--budget-s", type=float, metavar="S", help="bound on training; default: the preset's")
    parser.add_argument("--again", action="store_true", help="train even if the cache has this bundle")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    return run(train, _parser(), arguments)


if __name__ == "__main__":
    sys.exit(main())
