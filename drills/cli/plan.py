"""``recdr drill plan``: what a drill would do, to what, for how long; nothing is done."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from drills import suite
from drills.cli.arguments import AsJson, DrillNames, Tags
from drills.cli.terminal import OUT, bound
from drills.engine import Options
from drills.errors import EXIT_USAGE, UsageError
from drills.naming import shown
from drills.planning import Plan
from drills.planning import plan as planned
from drills.planning.steps import Course, Planned


def plan(
    names: DrillNames = None,
    tags: Tags = None,
    trials: Annotated[
        int | None, typer.Option(min=1, max=100, help="How many trials; default: what the drill says.")
    ] = None,
    accelerator: Annotated[
        str | None, typer.Option(help="auto, cuda, cpu or simulated; default: what the drill says.", metavar="KIND")
    ] = None,
    ephemeral: Annotated[
        bool, typer.Option("--ephemeral", help="Plan with a lab of its own even if one is up.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print what a drill would do, to what, for how long and with which blast radius, and do nothing at all.

    Nothing is deployed, started or written. Exits 2 if a drill cannot run here, and says why.

    [bold]recdr drill plan failover.yaml[/bold]   one drill

    [bold]recdr drill plan --tag nightly[/bold]   a suite: also which drills share a lab, and how long it takes
    """
    if accelerator not in (None, "auto", "cuda", "cpu", "simulated"):
        raise UsageError(f"--accelerator {accelerator}: choose auto, cuda, cpu or simulated")
    if not names and not tags:
        raise UsageError("name a drill, such as failover.yaml, or a --tag; 'recdr drill list' shows both")
    drills = suite.choose(names or [], tags or [])
    options = Options(trials=trials, accelerator=accelerator, ephemeral=ephemeral)
    groups = suite.groups(drills, options)
    plans = [planned(drill, suite.options_of(drill, options)) for group in groups for drill in group.drills]
    total = _total(groups, plans)
    if as_json:
        labs = [{"drills": [drill.path.name for drill in group.drills], "standing": group.standing} for group in groups]
        document = {"drills": [one.to_document() for one in plans], "labs": labs, "expected_s": total}
        OUT.print_json(json.dumps(document))
    else:
        for one in plans:
            _print(one)
        if len(plans) > 1:
            _print_groups(groups, total)
    if any(one.refused for one in plans):
        raise typer.Exit(EXIT_USAGE)


def _total(groups: list[suite.Group], plans: list[Plan]) -> float:
    """What all of them take together: one lab a group, one baseline for drills that are held against the same."""
    seconds, position = 0.0, 0
    for group in groups:
        seen: set[str] = set()
        for number, drill in enumerate(group.drills):
            expected = plans[position].expected_s
            position += 1
            key = repr((drill.load, drill.probes))
            spared = ("deploying",) * (number > 0) + ("baseline",) * (key in seen)
            seconds += expected["total"] - sum(expected[name] for name in spared) + 3.0 * (number > 0)
            seen.add(key)
    return round(seconds, 1)


def _print(found: Plan) -> None:
    OUT.print(Text.assemble((found.title, "bold"), f"  ({found.path})"), soft_wrap=True)
    for why in found.refused:
        OUT.print(Text.assemble(("cannot run here: ", "bold red"), why), soft_wrap=True)
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    for name, value in _facts(found):
        rows.add_row(name, value)
    OUT.print(rows)
    for course in found.courses:
        _print_course(course, found)
    OUT.print(Text("healing", "dim"))
    for sentence in found.healing:
        OUT.print(Text(f"  {sentence}"), soft_wrap=True)
    OUT.print("")


def _facts(found: Plan) -> list[tuple[str, str]]:
    early, late = found.method_at_s
    load, probes = found.load, found.probes
    each = f", in turn {', '.join(str(c.variant) for c in found.courses)}" if found.courses[0].variant else ""
    spent = [f"{name} {seconds:.0f} s" for name, seconds in found.expected_s.items() if name != "total" and seconds]
    objectives = [f"{name} {bound(entry)}" for name, entry in found.objectives.items()]
    return [
        *_target(found.target),
        ("load", f"{load['rate']:g} requests/s of {load['users']} users" if load["rate"] else "none but the probes"),
        (
            "probes",
            f"{probes['reads_per_s']:g} reads/s, {probes['writes_per_s']:g} writes/s, "
            f"{probes['quality_per_s']:g} recommendations/s of {probes['evaluation_users']} held-out users",
        ),
        ("baseline", found.baseline),
        ("trials", f"{found.trials}{each}"),
        ("before", f"{early:g} s of users and probes undisturbed; the method begins {early:g} to {late:g} s in"),
        *(
            [("steady state", ", ".join(found.steady_state) + ": before and after the method")]
            * bool(found.steady_state)
        ),
        ("after", f"{found.tail_s:g} s of users and probes, then every acknowledged write is looked for"),
        ("guard", _guard(found.guard)),
        ("objectives", "; ".join(objectives)),
        ("takes", f"about {found.expected_s['total']:.0f} s ({', '.join(spent)})"),
    ]


def _target(target: dict[str, Any]) -> list[tuple[str, str]]:
    if target["kind"] == "external":
        regions = "".join(f"; {name} {url}" for name, url in target["regions"].items())
        headers = [("headers", ", ".join(target["headers"]) + " (values are not shown)")] if target["headers"] else []
        hooks = [(f"hook {name}", what) for name, what in target["hooks"].items()]
        where = [("run in", target["folder"])] if hooks else []
        return [("target", f"a service that recdr did not deploy: {target['edge']}{regions}"), *headers, *hooks, *where]
    what = (
        f"{target['nodes']['primary']} + {target['nodes']['standby']} nodes, {target['replication']}, "
        f"accelerator {target['accelerator']}"
    )
    if target["lab"] == "standing":
        return [("target", f"the lab that is up at {target['edge']}: {what}")]
    return [("target", f"a lab of the drill's own, deployed for it and gone afterwards: {what}")]


def _guard(guard: dict[str, Any]) -> str:
    limit = guard["abort_if"]
    hurt = (
        f"; or if fewer than {100 * limit['availability_below']:g} % of requests succeed for {limit['for_s']:g} s, or "
        "nobody can tell"
        if limit
        else ""
    )
    return f"a trial is stopped and healed after {guard['max_duration_s']:g} s{hurt}"


def _print_course(course: Course, found: Plan) -> None:
    variant = f", variant {course.variant}" if course.variant else ""
    OUT.print(Text(f"method{variant}: seconds from its beginning, without what the steps themselves take", "dim"))
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 1))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for step in course.steps:
        runs = f": {step.runs}" if step.runs else ""
        pause = f", then {_s(step.pause_after_s)} pause" if step.pause_after_s != 0 else ""
        table.add_row(f"  {_s(step.at_s)}", Text(f"{step.name} ({step.does}{runs}){pause}"))
    table.add_row(f"  {_s(course.method_s)}", Text("the method has ended"))
    OUT.print(table)
    for fault in course.faults:
        _print_fault(fault)
    if course.rollbacks:
        OUT.print(Text(f"  then rollbacks: {', '.join(course.rollbacks)}"), soft_wrap=True)


def _print_fault(fault: Planned) -> None:
    name = f"{fault.fault} ({shown(fault.arguments)})" if fault.arguments else fault.fault
    OUT.print(Text.assemble("  fault ", (name, "bold"), f", in force {_s(fault.in_force_s)}"), soft_wrap=True)
    rows = Table.grid(padding=(0, 1))
    rows.add_column(no_wrap=True)
    rows.add_column(overflow="fold")
    rows.add_row("    hits", fault.blast_radius + (f" [{', '.join(fault.places)}]" if fault.places else ""))
    if fault.fidelity is None:
        rows.add_row("    is", "real or simulated: known once the target is up")
    else:
        rows.add_row("    is", f"{fault.fidelity['kind']}; certifies {fault.fidelity['certifies']}")
        rows.add_row("", f"does not certify {fault.fidelity['does_not_certify']}")
    rows.add_row("    healed by", fault.healed_by)
    OUT.print(rows, markup=False)


def _s(seconds: float | None) -> str:
    return "? s" if seconds is None else f"{seconds:g} s"


def _print_groups(groups: list[suite.Group], total: float) -> None:
    OUT.print(Text(f"As a suite: about {total / 60:.0f} minutes", "bold"))
    for group in groups:
        names = ", ".join(drill.path.name for drill in group.drills)
        lab = "the lab that is up" if group.standing else "one lab" if group.topology else "its own service"
        OUT.print(Text(f"  {lab}: {names}"), soft_wrap=True)
