"""``recdr model``: get data, train the recommender on them, see how good it is, take it elsewhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from drills import model
from drills.cli import quality, search_quality
from drills.cli.arguments import AsJson, complete_bundle
from drills.cli.bars import bars
from drills.cli.model_tables import print_bundle, print_bundles, print_cleaning, print_export
from drills.cli.terminal import ERR, OUT
from drills.home import cache
from drills.interruption import interruptible

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="The recommender that drills break: its data, its training, how good it is.\n\n"
    "A drill needs none of this: it trains the reference model once by itself. Use it for data of your own, then drill "
    "what came of them with [bold]recdr drill run failover --model BUNDLE[/bold]. docs/recommender.md tells it all.",
)

Data = Annotated[
    str,
    typer.Option(
        "--data",
        metavar="NAME",
        help="ml-100k (the default), ml-1m, ml-20m, synthetic, or file:PATH for any file of interactions.",
    ),
]
Source = Annotated[
    str | None,
    typer.Option(
        metavar="PATH|URL", help="Where a named set's original files are: folder, zip or address; default: GroupLens."
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(
        metavar="SPEC",
        help="Which columns of file:PATH are which: user=NAME,item=NAME,time=NAME; numbers where it has no header; "
        "time=none where its lines are in order of time; header=yes or header=no where that is guessed wrong. Usual "
        "names are recognised.",
    ),
]
Items = Annotated[
    Path | None,
    typer.Option(
        help="A catalogue: CSV, TSV, Parquet or JSON lines with item id, title and, where known, year, genres or "
        "categories, brand, price.",
    ),
]
ItemColumns = Annotated[
    str | None,
    typer.Option(metavar="SPEC", help="Which columns of --items are which: id=NAME,title=NAME,genres=NAME,brand=NAME."),
]
MinUser = Annotated[
    int, typer.Option("--min-user-interactions", min=0, metavar="N", help="Leave out users with fewer; 0: nobody.")
]
MinItem = Annotated[
    int, typer.Option("--min-item-interactions", min=0, metavar="N", help="Leave out items with fewer; 0: none.")
]
KeyFile = Annotated[
    Path | None,
    typer.Option(help="Key under which user ids become pseudonyms; default: the cache's own, drawn when first needed."),
]
Bundle = Annotated[
    str | None,
    typer.Argument(
        metavar="[BUNDLE]",
        help="A bundle's directory, the beginning of its version, or default.",
        autocompletion=complete_bundle,
    ),
]


class WithBareResume(TyperCommand):
    """Takes ``--resume`` without a name for ``--resume default``."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        following = [*args[1:], "-"]
        named: list[str] = []
        for part, after in zip(args, following, strict=False):  # without any argument there is one "-" too many
            named += [part, model.DEFAULT] if part == "--resume" and after.startswith("-") else [part]
        return super().parse_args(ctx, named)


@app.command()
def prepare(
    context: typer.Context,
    data: Data = "auto",
    source: Source = None,
    columns: Columns = None,
    items: Items = None,
    item_columns: ItemColumns = None,
    min_user_interactions: MinUser = 0,
    min_item_interactions: MinItem = 0,
    key_file: KeyFile = None,
    again: Annotated[bool, typer.Option("--again", help="Read the source again even if it is stored.")] = False,
    as_json: AsJson = False,
) -> None:
    """Get a data set, clean it, replace user ids by pseudonyms, store it, and say what cleaning did.

    [bold]recdr model prepare[/bold]   MovieLens-100k

    [bold]recdr model prepare --data ml-1m --source ~/ml-1m.zip[/bold]   from a file that is there already

    [bold]recdr model prepare --data file:orders.parquet --items products.csv[/bold]   a shop's own

    [bold]recdr model prepare --data file:log.csv --columns user=who,item=what,time=at[/bold]

    Exits 2 where the data cannot be had or read, with the reason.
    """
    found = _call("prepare", _options(context), as_json)
    if not _print_json(found, as_json):
        print_cleaning(found)


@app.command(cls=WithBareResume)
def train(
    context: typer.Context,
    data: Data = "auto",
    source: Source = None,
    columns: Columns = None,
    items: Items = None,
    item_columns: ItemColumns = None,
    min_user_interactions: MinUser = 0,
    min_item_interactions: MinItem = 0,
    key_file: KeyFile = None,
    preset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="default (minutes on two cores) or quality (an hour, or a GPU)."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of everything random; default: 0, or that of the resumed model.")
    ] = None,
    device: Annotated[str, typer.Option(metavar="KIND", help="auto, cuda or cpu.")] = "auto",
    budget_s: Annotated[
        float | None,
        typer.Option(
            min=1, metavar="S", help="Bound on the time of training; default: the preset's, or the resumed model's."
        ),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="[BUNDLE]",
            help="Go on from this model, in its preset, with what is new in the data; without a name: from default.",
            autocompletion=complete_bundle,
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="New is what came at TIME or later; default: after the newest that the model knows."
        ),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Train even if the cache has this model.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train a model and keep it in the cache, or find it there: the same data and settings are trained once.

    [bold]recdr model train[/bold]   the reference model, as the first drill does

    [bold]recdr model train --data file:orders.csv --items products.csv[/bold]   a shop's own

    [bold]recdr model train --data ml-1m --preset quality --device cuda[/bold]   the published level

    [bold]recdr model train --data file:orders.csv --resume 3f2a --since 2026-11-01[/bold]   a month later

    Then [bold]recdr drill run failover --model VERSION[/bold]. Exits 2 where the data cannot be had or read.
    """
    found = _call("train", _options(context), as_json)
    if not _print_json(found, as_json):
        print_bundle(found)
        ERR.print("from the cache" if found["cached"] else "trained and kept in the cache")


@app.command()
def evaluate(
    bundle: Bundle = None,
    k: Annotated[str, typer.Option(metavar="K,K", help="Cut-offs, such as 5,10,20.")] = "1,5,10,20",
    search: Annotated[bool, typer.Option(help="Measure search too, on queries made from held-out items.")] = True,
    as_json: AsJson = False,
) -> None:
    """Measure how good a model is on what its training never saw, beside simple baselines.

    Leave-one-out over the full catalogue, seen items masked; search on queries made from the same held-out items.
    Without a name: the reference model.

    [bold]recdr model evaluate[/bold]

    [bold]recdr model evaluate 3f2a --k 5,10,50 --json > report.json[/bold]
    """
    found = _call("evaluate", [bundle or model.DEFAULT, "--k", k, *([] if search else ["--no-search"])], as_json)
    if not _print_json(found, as_json):
        for renderable in [*quality.tables(found), *search_quality.tables(found["search"])]:
            OUT.print(renderable)


@app.command()
def export(
    output: Annotated[Path, typer.Option(help="A folder that does not exist or is empty.", file_okay=False)],
    bundle: Bundle = None,
    variant: Annotated[str, typer.Option(metavar="KIND", help="fp32, fp16, int8 or all.")] = "all",
    as_json: AsJson = False,
) -> None:
    """Write a model as ONNX files that run elsewhere, with the loss of each variant. Nothing about users is in them.

    [bold]recdr model export --output reference/[/bold]   the reference model, in all variants

    [bold]recdr model export 3f2a --variant int8 --output edge/[/bold]
    """
    arguments = [bundle or model.DEFAULT, "--variant", variant, "--output", str(output)]
    found = _call("export", arguments, as_json)
    if not _print_json(found, as_json):
        print_export(found)


@app.command()
def show(bundle: Bundle = None, as_json: AsJson = False) -> None:
    """Show a model: its figures, its data, what cleaning did, how old it is, its files. Without a name: list all.

    [bold]recdr model show[/bold]   what the cache holds

    [bold]recdr model show default[/bold]   the one that drills deploy
    """
    found = _call("show", [bundle] if bundle else [], True)
    if _print_json(found, as_json):
        return
    if bundle:
        print_bundle(found)
    else:
        print_bundles(found["bundles"])


def _options(context: typer.Context) -> list[str]:
    """The options of a command as recsvc's command of that name takes them: the names are the same."""
    given = {name: value for name, value in context.params.items() if name != "as_json" and value not in (None, False)}
    return [
        part
        for name, value in given.items()
        for part in (f"--{name.replace('_', '-')}", *([] if value is True else [str(value)]))
    ]


def _call(command: str, arguments: Sequence[str], as_json: bool) -> dict[str, Any]:
    with interruptible("nothing half done is left"), bars(quiet=as_json) as progress:
        return model.call(command, arguments, cache(), progress)


def _print_json(document: dict[str, Any], as_json: bool) -> bool:
    if as_json:
        OUT.print_json(json.dumps(document))
    return as_json
