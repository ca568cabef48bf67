"""What people see of data sets and models: what cleaning did, a model's figures, the models in the cache."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from drills.cli.terminal import OUT

CLEANING = {
    "interactions_read": "interactions read",
    "unreadable_dropped": "unreadable or incomplete, dropped",
    "future_dropped": "in the future, dropped",
    "before_1970_dropped": "before 1970, dropped",
    "duplicates_dropped": "repeated (user, item), the earliest stays",
    "rare_interactions_dropped": "of rare users and items, dropped",
    "interactions": "interactions kept",
    "out_of_order": "out of order, sorted by time",
    "ties": "of the same second as the one before, in file order",
    "blank_lines": "blank lines",
    "rare_users_dropped": "users with too few interactions, dropped",
    "users": "users kept",
    "users_not_evaluated": "of them with fewer than 5 interactions: trained on, not evaluated",
    "rare_items_dropped": "items with too few interactions, dropped",
    "items": "items in the catalogue",
    "items_without_description": "of them without a description",
    "items_without_interactions": "of them without an interaction",
}
"""The counts of a cleaning in the order of its work; those below `_ALWAYS` are left out where they are 0."""
_ALWAYS = ("interactions_read", "interactions", "users", "items")
METRICS = {
    "hr_at_10": "HR@10",
    "ndcg_at_10": "NDCG@10",
    "recall_at_20": "recall@20",
    "mrr": "MRR",
}
_LISTED = {name: METRICS[name] for name in ("hr_at_10", "ndcg_at_10")}


def print_cleaning(found: Mapping[str, Any]) -> None:
    """A data set: what it is, and what cleaning did."""
    _said_if_synthetic(found)
    OUT.print(Text.assemble(("data ", "dim"), found["data"], ("   from ", "dim"), found["source"]))
    OUT.print(cleaning_table(found["cleaning"]))
    OUT.print(Text.assemble(("stored in ", "dim"), found["folder"], ", user ids as pseudonyms"), soft_wrap=True)


def cleaning_table(cleaning: Mapping[str, Any]) -> Table:
    """What cleaning found and changed; what never happened is left out."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right", no_wrap=True)
    table.add_column()
    for name, label in CLEANING.items():
        count = cleaning.get(name, 0)
        if not count and name not in _ALWAYS:
            continue
        more = _lines(cleaning) if name == "unreadable_dropped" else ""
        style = "yellow" if name.endswith("_dropped") and name != "duplicates_dropped" else ""
        table.add_row(Text(f"{count:,}", style), Text(label + more))
    if cleaning.get("timed") and cleaning.get("first_s") is not None:
        table.add_row("", Text(f"from {_day(cleaning['first_s'])} to {_day(cleaning['last_s'])}"))
    elif cleaning.get("timed") is False:
        table.add_row("", Text("no times: the order of the lines is the order of events"))
    if cleaning.get("headerless"):
        table.add_row("", Text("no header: its first line is an interaction (else add header=yes to --columns)"))
    return table


def print_bundle(found: Mapping[str, Any]) -> None:
    """A model: its figures, its data and what cleaning did to them, its files."""
    manifest = found["manifest"]
    _said_if_synthetic(manifest)
    data = manifest.get("data") or manifest.get("data_source")
    name = (found["version"], "bold")
    OUT.print(Text.assemble(("model ", "dim"), name, ("   made of ", "dim"), str(data), _age(manifest)))
    if cut := found.get("cut_short"):
        OUT.print(_cut_short(cut, manifest), soft_wrap=True)
    if origin := manifest.get("resumed_from"):
        OUT.print(_origin(origin), soft_wrap=True)
    if metrics := manifest.get("metrics"):
        OUT.print(figures_table(metrics))
    if cleaning := manifest.get("cleaning"):
        OUT.print(cleaning_table(cleaning))
    files = manifest.get("files") or {}
    sizes = ", ".join(f"{name} {_size(entry.get('bytes'))}" for name, entry in files.items())
    OUT.print(Text.assemble(("files ", "dim"), f"{found['bundle']}: {sizes}"), soft_wrap=True)


def _cut_short(how: str, manifest: Mapping[str, Any]) -> Text:
    budget_s = ((manifest.get("settings") or {}).get("plan") or {}).get("budget_s")
    bound = "" if budget_s is None else f" of {budget_s:g} s"
    return Text(
        f"CUT SHORT: the time{bound} ran out {how}, on {manifest.get('device', 'an unknown device')}, so it is worse "
        "than its settings allow. Train it anew with --again and the same options, where more of the machine is free, "
        "or with a larger --budget-s.",
        "yellow",
    )


def _origin(origin: Mapping[str, Any]) -> Text:
    told = f"{origin['new_events']:,} new interactions since {_day(origin['since_s'])}"
    text = Text.assemble(("goes on from ", "dim"), origin["version"], f": {told}")
    if origin.get("base_stays"):
        text.append("; nothing that was learnt from them validated better, so the earlier model stays", "yellow")
    return text


def figures_table(metrics: Mapping[str, Any]) -> Table:
    """The model's figures beside those of recommending what is popular."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("")
    for label in METRICS.values():
        table.add_column(label, justify="right")
    for title, prefix in (("this model", ""), ("popularity", "popularity_")):
        cells = [metrics.get(prefix + name) for name in METRICS]
        if any(cell is not None for cell in cells):
            table.add_row(title, *("-" if cell is None else f"{cell:.4f}" for cell in cells))
    return table


def print_export(found: Mapping[str, Any]) -> None:
    """The variants of a model that were written, and what each costs."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("variant", "file", "size", "recall@20 kept", ""):
        table.add_column(name, justify="right" if name in ("size", "recall@20 kept") else "left")
    for name, about in found["variants"].items():
        kept = about.get("recall_at_20_ratio")
        note = "" if about.get("usable", True) else f"below {about['minimum_recall_ratio']:g}: no node serves it"
        share = "-" if kept is None else f"{kept:.4f}"
        table.add_row(name, about["file"], _size(about["bytes"]), share, Text(note, "yellow"))
    OUT.print(table)
    OUT.print(
        Text.assemble(("written to ", "dim"), found["output"], "; export.json says how to ask it"), soft_wrap=True
    )


def print_bundles(rows: Sequence[Mapping[str, Any]]) -> None:
    """The models in the cache, the newest first."""
    if not rows:
        OUT.print("No models yet: 'recdr model train' makes the reference model.")
        return
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("version", "data", "preset", "made", *_LISTED.values(), "note"):
        # Only what people named themselves may be long: it folds, and all else stays whole.
        free = name in ("data", "note")
        table.add_column(
            name, justify="right" if name in METRICS.values() else "left", no_wrap=not free, overflow="fold"
        )
    for row in rows:
        figures = (row["metrics"].get(name) for name in _LISTED)
        cells = ("-" if figure is None else f"{figure:.4f}" for figure in figures)
        about = (row["version"], str(row["data"] or "-"), str(row["preset"] or "-"), _when(row["created"]))
        table.add_row(*about, *cells, _note(row), style="" if row["usable"] else "dim")
    OUT.print(table)


def _note(row: Mapping[str, Any]) -> str:
    if not row["usable"]:
        return "other format"
    return ", ".join(["default"] * row["default"] + ["cut short"] * bool(row.get("cut_short")))


def _said_if_synthetic(about: Mapping[str, Any]) -> None:
    if about.get("synthetic"):
        OUT.print(Text("SYNTHETIC DATA: figures say nothing about real recommendations", "bold yellow"))


def _lines(cleaning: Mapping[str, Any]) -> str:
    lines = cleaning.get("unreadable_lines") or ()
    more = ", ..." if cleaning["unreadable_dropped"] > len(lines) else ""
    return f" (line {', '.join(map(str, lines))}{more})" if lines else ""


def _age(manifest: Mapping[str, Any]) -> str:
    created = manifest.get("created")
    if not created:
        return ""
    age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(created)
    return f", {age.days} days old" if age.days else f", {age.seconds // 3600} hours old"


def _when(created: str | None) -> str:
    return created[:10] if created else "-"


def _day(time_s: int) -> str:
    return datetime.datetime.fromtimestamp(time_s, datetime.UTC).date().isoformat()


def _size(size: int | None) -> str:
    if size is None:
        return "?"
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
