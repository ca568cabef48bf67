"""An evaluation as tables for people: the model beside its baselines. Reads the report, computes nothing.

The report is what `recsvc.evaluation.full_report` returns; a program of its own makes it, so this needs
neither numpy nor the service.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

Report = Mapping[str, Any]
Estimate = Mapping[str, Any]
_SHORT_K = 10


def tables(report: Report) -> list[RenderableType]:
    """What to print, from top to bottom; 80 columns hold four contenders."""
    return [renderable for part in _PARTS for renderable in part(report)]


def _heading(report: Report) -> Iterator[RenderableType]:
    protocol, bundle = report["protocol"], report["bundle"]
    yield Text.assemble(
        ("Quality ", "bold"),
        f"of bundle {bundle['version']} on {protocol['users']:,} held-out users, {protocol['items']:,} items, "
        f"{protocol['interactions']:,} interactions. Leave-one-out, the whole catalogue ranked, seen items masked; "
        f"with one right item HR is recall. Beside each figure its {protocol['level']:.0%} bootstrap interval over "
        f"users ({protocol['draws']:,} draws).",
    )
    if bundle["synthetic"]:
        yield Text("Synthetic data: these figures say nothing about real users.", style="yellow")


def _accuracy(report: Report) -> Iterator[RenderableType]:
    models, ks = report["models"], report["protocol"]["ks"]
    table = _table("", [model["title"] for model in models])
    for name in [*(f"hr_at_{k}" for k in ks), *(f"ndcg_at_{k}" for k in ks), "mrr"]:
        table.add_row(_label(name), *(_shown(model["masked"][name]) for model in models))
    table.add_section()
    for name in _short(report):
        table.add_row(f"{_label(name)}*", *(_shown(model["unmasked"][name]) for model in models))
    yield table
    yield Text("* seen items not masked, as some papers count", style="dim")


def _differences(report: Report) -> Iterator[RenderableType]:
    if not report["differences"]:
        return
    rivals = [difference["figures"] for difference in report["differences"]]
    titles = _titles(report)
    table = _table("model minus", [titles[difference["to"]] for difference in report["differences"]])
    for name in _short(report):
        table.add_row(_label(name), *(_signed(figures[name]) for figures in rivals))
    yield _caption("The model against each baseline, on the same users")
    yield table


def _lists(report: Report) -> Iterator[RenderableType]:
    models = report["models"]
    k = _short_k(report)
    lists = [entry for model in models for entry in model["lists"] if entry["k"] == k]
    table = _table("", [model["title"] for model in models])
    table.add_row("coverage", *(_number(entry["coverage"]) for entry in lists))
    rows = (
        ("novelty, bits", "novelty_bits"),
        ("popularity", "average_popularity"),
        ("against taste", "popularity_ratio"),
    )
    for label, name in rows:
        table.add_row(label, *(_shown(entry["figures"][name]) for entry in lists))
    yield _caption(f"What the first {k} are like")
    yield table
    yield Text(
        "coverage: share of the catalogue in anybody's list. popularity: share of users who know a shown item; "
        "against taste: that over the same of the users' own items.",
        style="dim",
    )


def _buckets(report: Report) -> Iterator[RenderableType]:
    kinds = (
        ("users_by_history", "history", "HR@10 by how many items the user's history has"),
        ("users_as_if_new", "known", "HR@10 of the same users if only their newest items were known"),
        ("items_by_count", "seen", "HR@10 by how often the right item was seen in training"),
    )
    titles = _titles(report)
    for key, label, caption in kinds:
        table = _table(label, list(titles.values()), users=True)
        for bucket in report[key]:
            figures = bucket["figures"]
            shown = [_shown(figures[name]["hr_at_10"]) for name in titles]
            table.add_row(_range(bucket["first"], bucket["last"]), f"{bucket['users']:,}", *shown)
        yield _caption(caption)
        yield table


def _new_items(report: Report) -> Iterator[RenderableType]:
    study = report["items_as_if_new"]
    if study is None:
        return
    figures = study["figures"]["model"]
    yield Text.assemble(
        ("If nobody had met the right item ", "bold"),
        f"(scored by its content alone, {study['users']:,} users): HR@10 ",
        _shown(figures["hr_at_10"]),
        ", NDCG@10 ",
        _shown(figures["ndcg_at_10"]),
        f"; blindly {_number(study['chance'])}.",
    )


def _about(report: Report) -> Iterator[RenderableType]:
    for model in report["models"][1:]:
        chosen = ", ".join(_setting(name, value) for name, value in model["choice"].items())
        how = f"; chosen on validation items: {chosen}" if chosen else ""
        yield Text(f"{model['title']}: {model['about']}{how} ({model['seconds']:.1f} s)", style="dim")
    for refused in report["not_run"]:
        yield Text(f"not run: {refused['reason']}", style="yellow")


_PARTS = (_heading, _accuracy, _differences, _lists, _buckets, _new_items, _about)


def _table(corner: str, titles: Sequence[str], *, users: bool = False) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    table.add_column(corner, no_wrap=True)
    if users:
        table.add_column("users", justify="right", no_wrap=True)
    for title in titles:
        # On a narrow terminal intervals move below their figures instead of being cut.
        table.add_column(title)
    return table


def _setting(name: str, value: float) -> str:
    if name == "newest":
        return f"the newest {value:g} items of a user" if value else "all items of a user"
    return f"{name} {value:g}"


def _titles(report: Report) -> dict[str, str]:
    return {model["name"]: model["title"] for model in report["models"]}


def _short_k(report: Report) -> int:
    """The k to show where one must do: 10, or the largest asked for."""
    ks: list[int] = report["protocol"]["ks"]
    return _SHORT_K if _SHORT_K in ks else max(ks)


def _short(report: Report) -> list[str]:
    return [f"hr_at_{_short_k(report)}", f"ndcg_at_{_short_k(report)}", "mrr"]


def _caption(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _label(name: str) -> str:
    """``hr_at_10`` -> ``HR@10``."""
    return name.upper().replace("_AT_", "@")


def _range(first: int, last: int | None) -> str:
    if last is None:
        return f"{first} and more"
    return str(first) if first == last else f"{first} to {last}"


def _number(value: float, digits: int = 3) -> str:
    text = f"{value:.{digits}f}"
    # The zero before the point would cost a column a contender on 80 columns.
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def _shown(estimate: Estimate) -> Text:
    """The figure, and paler its interval, a dash where there is none."""
    if estimate["low"] is None:
        return Text.assemble(_number(estimate["value"]), (" –", "dim"))
    return Text.assemble(
        _number(estimate["value"]), (f" {_number(estimate['low'])}–{_number(estimate['high'])}", "dim")
    )


def _signed(estimate: Estimate) -> Text:
    """A difference: green when the whole interval lies above nothing, red when below it."""
    value, low, high = estimate["value"], estimate["low"], estimate["high"]
    sign = "+" if value > 0 else ""
    if low is None:
        return Text.assemble(f"{sign}{_number(value)}", (" –", "dim"))
    style = "green" if low > 0 else "red" if high < 0 else ""
    return Text.assemble((f"{sign}{_number(value)}", style), (f" {_number(low)}\u00a0to\u00a0{_number(high)}", "dim"))
