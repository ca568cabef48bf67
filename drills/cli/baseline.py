"""``recdr baseline``: record what a service is like with nothing broken, and say which recording counts."""

from __future__ import annotations

import json
from contextlib import nullcontext
from datetime import datetime
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from drills import baseline, spec
from drills.baseline import Baseline, Store
from drills.cli.arguments import AsJson, DrillName
from drills.cli.terminal import ERR, OUT, Lines, Screen, measured
from drills.errors import UsageError
from drills.home import home
from drills.measures import definition
from drills.targets.opening import Wanted

app = typer.Typer(
    no_args_is_help=True,
    help="What a service is like with nothing broken: drills are held against it.\n\n"
    "A baseline belongs to one topology, model or data set, load and set of probes. A drill uses the accepted one of "
    "these; the first is recorded, and accepted, by itself. After a change of the service that you meant: "
    "[bold]recdr baseline record DRILL[/bold], look at [bold]recdr baseline diff[/bold], then "
    "[bold]recdr baseline accept ID[/bold]. In CI, [bold]recdr drill run --require-baseline[/bold] makes none up.",
)
STYLES = {"accepted": "green", "candidate": "yellow", "replaced": "dim"}


def complete_id(incomplete: str) -> list[str]:
    """The ids of stored baselines that begin so."""
    return [found.id for found in Store.of(home()).all() if found.id.startswith(incomplete)]


Id = Annotated[
    str,
    typer.Argument(metavar="ID", help="A baseline's id, or its beginning.", autocompletion=complete_id),
]
SomeId = Annotated[
    str | None,
    typer.Argument(
        metavar="[ID]", help="A baseline's id, or its beginning; default: the latest.", autocompletion=complete_id
    ),
]


@app.command()
def record(
    name: DrillName,
    note: Annotated[str, typer.Option(help="Why it is recorded; kept with it.", metavar="TEXT")] = "",
    accept_it: Annotated[bool, typer.Option("--accept", help="Have it count at once.")] = False,
    as_json: AsJson = False,
    accelerator: Annotated[
        str | None,
        typer.Option(help="auto, cuda, cpu or simulated; default: what the drill says.", metavar="KIND"),
    ] = None,
    ephemeral: Annotated[bool, typer.Option("--ephemeral", help="Use a lab of its own even if one is up.")] = False,
) -> None:
    """Deploy what a drill describes, run its users and probes with nothing broken, and keep what was seen.

    Every evaluation user's own list is kept, through the edge and from each region; takes a quarter of a minute.

    It is a candidate until you accept it, unless none is accepted yet for this topology, model, load and kind of host.
    """
    if accelerator not in (None, "auto", "cuda", "cpu", "simulated"):
        raise UsageError(f"--accelerator {accelerator}: choose auto, cuda, cpu or simulated")
    drill = spec.load(spec.find(name))
    screen = Screen(f"baseline of: {drill.title}") if ERR.is_terminal and not as_json else None
    with screen or nullcontext():
        wanted = Wanted(accelerator, ephemeral)
        found = baseline.record_alone(drill, wanted, screen or Lines(), note=note, accept=accept_it)
    if as_json:
        _print_json(found)
        return
    _print(found)
    if Store.of(home()).state(found) == "candidate":
        OUT.print(f"To have it count: recdr baseline accept {found.id}", soft_wrap=True)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the baselines that are kept; of each key (topology, model, load, probes) the accepted one counts."""
    store = Store.of(home())
    known, broken = store.all(), store.unreadable()
    if as_json:
        rows = [{**_summary(found), "state": store.state(found)} for found in known]
        OUT.print_json(json.dumps({"baselines": rows, "unreadable": broken}))
        return
    if not known:
        ERR.print("no baselines yet: a drill records its first one, or 'recdr baseline record DRILL'", soft_wrap=True)
    else:
        OUT.print(_table(store, known))
    for name, problem in broken.items():
        ERR.print(Text.assemble(("not read: ", "yellow"), f"{store.folder / name}: {problem}"), soft_wrap=True)


@app.command()
def show(name: SomeId = None, as_json: AsJson = False) -> None:
    """Show a baseline: its measures with their spread, what it belongs to, where it was recorded, what it lacks."""
    found = Store.of(home()).find(name)
    if as_json:
        _print_json(found)
    else:
        _print(found)


@app.command()
def accept(name: Id, as_json: AsJson = False) -> None:
    """Have a baseline count from now on: drills of the same topology, model, load and probes are held against it."""
    store = Store.of(home())
    found = store.find(name)
    before = store.accepted(found.key, found.host, same_host=True)
    accepted = store.accept(found)
    if as_json:
        _print_json(accepted)
        return
    instead = f", in place of {before.id}" if before is not None and before.id != found.id else ""
    OUT.print(f"{accepted.id} counts from now on{instead}.", soft_wrap=True)


@app.command()
def diff(a: Id, b: Id, as_json: AsJson = False) -> None:
    """Compare two baselines: measures with their ratio, how alike the lists are, and what else differs.

    Lists are compared by rank-biased overlap (1: the same, 0: nothing in common), user by user.
    """
    store = Store.of(home())
    found = baseline.difference(store.find(a), store.find(b))
    if as_json:
        OUT.print_json(json.dumps(found))
        return
    OUT.print(Text(f"A  {found['a']}\nB  {found['b']}"))
    OUT.print(_differences(found))
    for place, overlap in found["lists"].items():
        OUT.print(
            f"lists, {place}: {overlap['identical']:.1%} of {overlap['users']} users get the same; overlap "
            f"{overlap['mean']:.4f} on average, {overlap['least']:.4f} at least ({overlap['least_user']})",
            soft_wrap=True,
        )
    for what in ("conditions", "host", "versions"):
        for one in found[what]:
            text = one.replace(" there,", " in A,").removesuffix("here") + "in B"
            OUT.print(Text.assemble((f"{what.removesuffix('s')} differs: ", "yellow"), text), soft_wrap=True)


def _table(store: Store, known: list[Baseline]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("id", "state", "recorded", "drill", "identity", "host", "note"):
        table.add_column(name, overflow="fold", no_wrap=name in ("id", "state"))  # ids are there to be copied
    for found in known:
        state = store.state(found)
        identity = str(found.conditions.get("identity"))
        cells = (_when(found.recorded_at), found.drill, identity, _host(found), found.note)
        table.add_row(found.id, Text(state, STYLES[state]), *cells)
    return table


def _differences(found: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("measure", "A", "B", "B / A", ""):
        table.add_column(name)
    for name, one in found["measures"].items():
        ratio = "" if one["ratio"] is None else f"{one['ratio']:.3f}"
        apart = Text("beyond the spread of both", "yellow") if one["beyond_spread"] else Text("")
        table.add_row(name, _value(name, one["a"]), _value(name, one["b"]), ratio, apart)
    return table


def _print(found: Baseline) -> None:
    state = Store.of(home()).state(found)
    OUT.print(Text.assemble(found.id, "  ", (state, STYLES[state])))
    identity, target = found.conditions.get("identity"), found.conditions.get("target")
    OUT.print(f"of         {found.drill}, {target} target, {identity} (key {found.key})", soft_wrap=True)
    OUT.print(f"recorded   {_when(found.recorded_at)} over {found.seconds:g} s, by {found.recorded_in}", soft_wrap=True)
    OUT.print(f"host       {_host(found)}", soft_wrap=True)
    if found.note:
        OUT.print(Text(f"note       {found.note}"), soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("measure", "value", "least and greatest in slices"):
        table.add_column(name)
    for name, steady in found.measures.items():
        spread = "" if steady.low is None else f"{_value(name, steady.low)} to {_value(name, steady.high)}"
        table.add_row(name, _value(name, steady.value), spread)
    OUT.print(table)
    regions = "".join(f", {len(lists)} from {region}" for region, lists in found.regions.items())
    lists = f"lists      {len(found.lists)} through the edge{regions}; hits of {len(found.quality)} users"
    OUT.print(lists, soft_wrap=True)
    for gap in found.gaps:
        OUT.print(Text(f"lacks      {gap}", "yellow"), soft_wrap=True)


def _summary(found: Baseline) -> dict[str, Any]:
    """All but the lists, which are long."""
    whole: dict[str, Any] = msgspec.to_builtins(found)
    return {name: value for name, value in whole.items() if name not in ("quality", "lists", "regions")}


def _print_json(found: Baseline) -> None:
    OUT.print_json(json.dumps({**msgspec.to_builtins(found), "state": Store.of(home()).state(found)}))


def _value(name: str, value: float | None) -> str:
    known = definition(name)
    return "" if value is None else measured({"value": value, "unit": known.unit if known else ""})


def _host(found: Baseline) -> str:
    host = found.host
    known = (f"{host.get('cpus')} CPUs", f"{host.get('memory_gib')} GiB", host.get("machine"), host.get("accelerator"))
    return ", ".join(str(part) for part in known if part)


def _when(stamp: str) -> str:
    try:
        return datetime.fromisoformat(stamp).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return stamp
