"""What several commands take: drills, runs, tags, ``--json``; and how a shell completes them."""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer

from drills import spec, suite
from drills.baseline import Store
from drills.errors import RecdrError
from drills.home import cache, home
from recsvc.bundle import listed


def complete_drill(incomplete: str) -> list[str]:
    """The shipped drills whose names begin so."""
    return [path.name for path in spec.shipped() if path.name.startswith(incomplete)]


def complete_tag(incomplete: str) -> list[str]:
    """The tags of shipped drills that begin so."""
    with contextlib.suppress(RecdrError):
        return [tag for tag in suite.known_tags() if tag.startswith(incomplete)]
    return []


def complete_run(incomplete: str) -> list[str]:
    """The ids of runs that begin so."""
    runs = home() / "runs"
    return sorted(path.name for path in runs.glob(f"{incomplete}*")) if runs.is_dir() else []


def complete_baseline(incomplete: str) -> list[str]:
    """The ids of stored baselines that begin so."""
    return [found.id for found in Store.of(home()).all() if found.id.startswith(incomplete)]


def complete_bundle(incomplete: str) -> list[str]:
    """The versions of the models in the cache that begin so."""
    versions = [path.name for path in listed(cache() / "bundles")]
    return [version for version in ("default", *versions) if version.startswith(incomplete)]


DrillName = Annotated[
    str,
    typer.Argument(metavar="DRILL", help="A drill file, or the name of a shipped one.", autocompletion=complete_drill),
]
DrillNames = Annotated[
    list[str] | None,
    typer.Argument(metavar="[DRILL]...", help="Drill files, or names of shipped ones.", autocompletion=complete_drill),
]
Tags = Annotated[
    list[str] | None,
    typer.Option(
        "--tag",
        metavar="TAG",
        help="Those that carry this tag: of the drills that are named, else of the shipped ones. May be repeated: any.",
        autocompletion=complete_tag,
    ),
]
RunName = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="A run's id, its beginning, or its directory; default: the latest.",
        autocompletion=complete_run,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="The model that the nodes serve: a bundle's directory or version, see 'recdr model show'; default: the "
        "reference model.",
        metavar="BUNDLE",
        autocompletion=complete_bundle,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON document on stdout, and nothing else there.")]
