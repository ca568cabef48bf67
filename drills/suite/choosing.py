"""Which drills a suite runs: found, read and checked before the first one begins."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from drills import baseline, engine, experiment, spec
from drills.engine import Options
from drills.errors import HostError, UsageError
from drills.spec import Drill
from drills.spec.rules import nearest
from drills.suite.grouping import Group, groups
from drills.system import identity
from drills.targets import opening
from drills.targets.external.target import ExternalTarget
from drills.targets.local import standing


@dataclass(frozen=True)
class Chosen:
    """``drills`` are run, in the order in which they were named; ``skipped`` cannot run on this machine, and why."""

    drills: tuple[Drill, ...]
    skipped: tuple[tuple[Drill, str], ...] = ()


def known_tags() -> list[str]:
    """The tags of the drills that come with recdr."""
    return sorted({tag for path in spec.shipped() for tag in spec.load(path).tags})


def choose(names: Sequence[str], tags: Sequence[str], *, recorded: bool = False) -> list[Drill]:
    """The drills of these names, in this order, or all that come with recdr; with ``tags`` those that have one of them.

    ``recorded``: they are not to run here, so what a drill needs beside its file is not asked for. Raises UsageError
    that names every file that is wrong.
    """
    drills: list[Drill] = []
    problems: list[UsageError] = []
    for name in names or map(str, spec.shipped()):
        try:
            drills.append(spec.load(spec.find(name), recorded=recorded))
        except UsageError as error:
            problems.append(error)
    _refuse(problems, len(names))
    chosen = [drill for drill in drills if not tags or set(tags) & set(drill.tags)]
    if not chosen:
        there = sorted({tag for drill in drills for tag in drill.tags})
        where = "none of these drills has" if names else "no drill that comes with recdr has"
        raise UsageError(f"{where} the tag {' or '.join(tags)}. {nearest(tags[0], there)}".strip())
    return chosen


def options_of(drill: Drill, options: Options) -> Options:
    """The options as they concern this drill: those about recdr's own lab mean nothing to another target."""
    if drill.target != ExternalTarget.kind:
        return options
    return replace(options, accelerator=None, ephemeral=False, port=0, model=None)


def check(drills: Sequence[Drill], options: Options, *, skip: bool) -> Chosen:
    """The drills that can run here; raises UsageError that names every one that cannot.

    ``skip``: what only this machine does not allow is no error: such drills are left out, unless all are.
    Nothing is deployed.
    """
    skipped: dict[int, str] = {}
    problems: list[UsageError] = []
    refused = _chaos_toolkit(drills)
    for position, drill in enumerate(drills):
        try:
            _check(drill, options_of(drill, options), refused)
        except HostError as error:
            skipped[position] = str(error)
            problems += [] if skip else [error]
        except UsageError as error:
            problems.append(error)
    if why := _no_lab([drill for i, drill in enumerate(drills) if i not in skipped], options):
        local = [i for i, drill in enumerate(drills) if drill.target != ExternalTarget.kind and i not in skipped]
        skipped |= dict.fromkeys(local, str(why))
        problems += [] if skip else [why]
    if busy := _busy(groups(drills, options)):
        problems.append(busy)
    if skipped and not skip and len(drills) > 1:
        problems.append(UsageError("To run the others: add --skip-unable"))
    _refuse(problems, len(drills))
    if len(skipped) == len(drills):
        raise HostError(_listed("none of these drills can run on this machine", dict.fromkeys(skipped.values())))
    return Chosen(
        tuple(drill for i, drill in enumerate(drills) if i not in skipped),
        tuple((drills[i], why) for i, why in sorted(skipped.items())),
    )


def check_baselines(drills: Iterable[Drill], options: Options, version: Callable[[], str]) -> None:
    """Raise UsageError, naming each drill, where a baseline that is named or required is not to be had.

    ``version`` tells that of the model that recdr's own lab serves; it is asked only if that matters.
    """
    if options.baseline is None and not options.require_baseline:
        return
    problems: list[UsageError] = []
    here = list(drills)
    for drill in here:
        name = version() if drill.service is None else identity(drill.service)
        try:
            baseline.check(drill, name, options)
        except UsageError as error:
            problems.append(error)
    _refuse(problems, len(here))


def _check(drill: Drill, options: Options, refused: dict[Path, UsageError]) -> None:
    engine.check_trials(drill, options)
    if error := refused.get(drill.path):
        raise error
    opening.check_drill(drill, options.wanted)


def _chaos_toolkit(drills: Sequence[Drill]) -> dict[Path, UsageError]:
    with tempfile.TemporaryDirectory() as folder:
        said = experiment.refusals(drills, Path(folder) / "chaos-check.log")
    return {Path(error.path): error for error in said}


def _no_lab(drills: Sequence[Drill], options: Options) -> HostError | None:
    """Why no lab can be deployed here for those of the drills that need one of their own; None where it can."""
    if all(group.standing for group in groups(drills, options)):
        return None
    try:
        standing.check(True, options.port)
    except HostError as error:
        return error
    return None


def _busy(planned: Sequence[Group]) -> UsageError | None:
    """The refusal where another drill is running on the lab that these drills would use."""
    try:
        if any(group.standing for group in planned):
            with standing.exclusive(standing.standing_dir()):
                pass
    except UsageError as error:
        return error
    return None


def _refuse(problems: Sequence[UsageError], total: int) -> None:
    if len(problems) == 1 and total <= 1:
        raise problems[0]
    if problems:
        raise UsageError(_listed("nothing was run", dict.fromkeys(map(str, problems))))


def _listed(what: str, problems: Iterable[str]) -> str:
    return f"{what}:" + "".join(f"\n  {problem}" for problem in problems)
