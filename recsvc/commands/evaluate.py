"""``python -m recsvc.commands.evaluate``: how good a bundle's answers are, on what its training never saw."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from recsvc.commands.bundles import DEFAULT, chosen, data_of, passive_threads
from recsvc.commands.running import run
from recsvc.data import DataError
from recsvc.recipe import Progress


def cut_offs(text: str) -> list[int]:
    """``5,10,20`` as numbers; raises `DataError` for anything else."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() and int(part) for part in parts):
        raise DataError(f"--k {text}: write cut-offs above 0 with commas between them, such as 5,10,20.")
    return sorted({int(part) for part in parts})


def evaluate(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """`evaluation.full_report` of a bundle, with `search_task.report` as ``search``, None where it was not asked for.

    Raises `DataError` or `BundleError`.
    """
    ks = cut_offs(options.k)
    bundle = chosen(options.cache, options.bundle)
    dataset = data_of(options.cache, bundle, progress)
    passive_threads()
    from recsvc import evaluation, search_task  # noqa: PLC0415 - onnxruntime takes a while to import

    try:
        report = evaluation.full_report(bundle, dataset, ks=ks, progress=progress)
    except evaluation.EvaluationError as error:
        raise DataError(str(error)) from error
    search = None
    if options.search:
        search = search_task.report(bundle, say=lambda line: progress("search", 0, 1, line))
        progress("search", 1, 1, f"{search['kinds']['all']['cases']} queries")
    return {**report, "search": search}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m recsvc.commands.evaluate", description="Evaluate a bundle.")
    parser.add_argument("bundle", nargs="?", default=DEFAULT, help="a folder, a version, or default")
    parser.add_argument("--k", default="1,5,10,20", help="cut-offs (default: %(default)s)")
    parser.add_argument("--no-search", dest="search", action="store_false", help="leave the query task out")
    return run(evaluate, parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
