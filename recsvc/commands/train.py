"""``python -m recsvc.commands.train``: make a model bundle, or find it in the cache.

A bundle is found again by its recipe (`recsvc.recipe`), so a later run with the same data and settings makes nothing.
A warm start imports neither torch nor onnx nor numpy.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recsvc import bundle, data, recipe, registry
from recsvc.commands import asking
from recsvc.commands.bundles import DEFAULT, chosen, late
from recsvc.commands.running import run
from recsvc.commands.show import about
from recsvc.data import Acquired, DataError
from recsvc.data.storage import report_of
from recsvc.recipe import Progress, Settings

Make = Callable[[Path, Acquired], None]

ANEW = "`recdr model train --again` and the options of that training train it anew"
"""What to do about a model whose training the clock ended: on another device or a quieter machine more is learnt."""


@dataclass(frozen=True)
class Prepared:
    """A bundle ready for use; ``cached`` when nothing had to be made."""

    bundle: bundle.Bundle
    cached: bool


@dataclass(frozen=True)
class Earlier:
    """What a training goes on from: a bundle, and from when on interactions are new, in seconds since 1970."""

    base: bundle.Bundle
    since_s: int


def prepare(
    cache: Path,
    choice: data.Choice | data.Request,
    settings: Settings,
    progress: Progress,
    *,
    earlier: Earlier | None = None,
    device: str = "auto",
    again: bool = False,
) -> Prepared:
    """Return the bundle for these settings, making it first if the cache has none, or ``again``.

    Raises `data.DataError` when the data cannot be had, `bundle.BundleError` when ``earlier`` cannot be gone on from.
    Any number of processes may call this at once: one makes the bundle, the others wait for it.
    """

    def say(message: str) -> None:
        progress("data", 0, 1, message)

    acquired = data.acquire(choice, cache, say, progress=progress, verify=False)
    progress("data", 1, 1, f"data from {acquired.source}")
    key = _key(settings, acquired, earlier)
    found = None if again else registry.find(cache, key, lambda why: progress("cache", 0, 1, f"making it again: {why}"))
    if found is not None:
        if found.cut_short:
            progress("cache", 1, 1, f"found {found.version}, whose training was cut short {found.cut_short}: {ANEW}")
        return Prepared(found, cached=True)
    with registry.lock(cache, key, lambda: progress("wait", 0, 1, "another process is making this bundle")):
        found = None if again else registry.find(cache, key, lambda _: None)
        if found is not None:
            return Prepared(found, cached=True)
        # Now the data are really needed: what was damaged is noticed here.
        acquired = data.acquire(choice, cache, say, progress=progress)
        made = registry.publish(cache, key, _writer(acquired, settings, progress, earlier, device))
        return Prepared(made, cached=False)


def _key(settings: Settings, acquired: Acquired, earlier: Earlier | None) -> str:
    if earlier is None:
        return settings.key(acquired.sha256)
    return settings.key(f"{acquired.sha256} {earlier.base.version} {earlier.since_s}")


def _writer(
    acquired: Acquired, settings: Settings, progress: Progress, earlier: Earlier | None, device: str
) -> registry.Writer:
    build = late("build")
    if earlier is None:
        return lambda folder: build.write(folder, acquired, settings, progress, device=device)
    if not report_of(acquired).timed:
        raise DataError(f"--since needs times, and {acquired.name} has none. Train on it anew, without --resume.")
    base, since_s = earlier.base, earlier.since_s
    return lambda folder: build.resume(folder, base, acquired, since_s, progress, device=device, settings=settings)


def settings_of(options: argparse.Namespace, earlier: Earlier | None = None) -> Settings:
    """The settings that the options ask for, over those of the preset or of what is gone on from.

    Raises `DataError` where they ask for what cannot be changed, `bundle.BundleError` as `recipe.settings_of` does.
    """
    if earlier is not None and options.preset is not None:
        raise DataError(
            f"--preset {options.preset}: a model that is gone on from keeps its shape and its plan. Leave --preset "
            "out, or train anew, without --resume."
        )
    settings = recipe.settings_of(earlier.base) if earlier else recipe.PRESETS[options.preset or DEFAULT]
    plan = settings.plan if options.budget_s is None else replace(settings.plan, budget_s=options.budget_s)
    return replace(settings, seed=settings.seed if options.seed is None else options.seed, plan=plan)


def earlier_of(options: argparse.Namespace) -> Earlier | None:
    """What the options say to go on from; without ``--since``, new is what came after the newest that it knows."""
    if options.resume is None:
        if options.since is not None:
            raise DataError("--since says what is new to an earlier model: name that with --resume BUNDLE.")
        return None
    base = chosen(options.cache, options.resume)
    newest = (base.manifest.get("cleaning") or {}).get("last_s")
    if options.since is not None:
        return Earlier(base, moment(options.since))
    if newest is None:
        raise DataError(f"--resume {base.version}: it does not say how new its data are. Add --since TIME.")
    return Earlier(base, int(newest) + 1)


def moment(text: str) -> int:
    """Seconds since 1970 of ISO 8601, in UTC where it has no offset, or of a number of them; raises `DataError`."""
    if text.isdecimal() and text.isascii() and len(text) != len("20260101"):
        return int(text)
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise DataError(
            f"--since {text}: write a time as 2026-01-31, 2026-01-31T12:00:00Z or seconds since 1970."
        ) from None
    return int((found if found.tzinfo else found.replace(tzinfo=datetime.UTC)).timestamp())


def train(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Which bundle it is and how good; raises `data.DataError` or `bundle.BundleError`."""
    request, earlier = asking.request(options), earlier_of(options)
    prepared = prepare(
        options.cache,
        request,
        settings_of(options, earlier),
        progress,
        earlier=earlier,
        device=options.device,
        again=options.again,
    )
    progress("done", 1, 1, "from the cache" if prepared.cached else "made")
    made = prepared.bundle
    facts = {"cached": prepared.cached, "data_source": made.data_source, "synthetic": made.synthetic}
    return about(made) | facts


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m recsvc.commands.train", description="Make or find a model bundle.")
    asking.add_data_options(parser)
    parser.add_argument("--preset", choices=sorted(recipe.PRESETS), help="default: default; not with --resume")
    parser.add_argument("--seed", type=int, help="of the training; default: 0, or the resumed model's")
    parser.add_argument("--device", choices=("auto", "cuda", "cpu"), default="auto", help="default: %(default)s")
    parser.add_argument(
        "--budget-s", type=float, metavar="S", help="bound on training; default: the preset's, or the resumed model's"
    )
    parser.add_argument("--resume", metavar="BUNDLE", help="go on from this bundle, or default, with newer data")
    parser.add_argument(
        "--since", metavar="TIME", help="what came at or after it is new; default: what came after its newest"
    )
    parser.add_argument("--again", action="store_true", help="train even if the cache has this bundle")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    return run(train, _parser(), arguments)


if __name__ == "__main__":
    sys.exit(main())
