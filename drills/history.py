"""What has been run: one row a run directory, from its verdict and its facts; broken directories are rows too."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from drills.measures import definition

BETTER, WORSE, SAME = "better", "worse", "same"


@dataclass(frozen=True)
class Row:
    """A run. ``problem``: why it has no verdict; then only what could be read is there."""

    run: str
    problem: str | None = None
    started_at: str | None = None
    drill: str | None = None
    title: str | None = None
    outcome: str | None = None
    trials: int | None = None
    seed: int | None = None
    baseline: str | None = None
    same_host: bool | None = None
    drill_sha256: str | None = None
    host: dict[str, Any] = field(default_factory=dict)
    """What its measures may depend on: system, machine, cpus, memory_gib, accelerator, as far as known."""
    measures: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The objectives' measures: value, unit, censored, outcome, ``objective``, ``baseline``, and ``trend`` since the
    drill's run before."""


def history(runs: Path, drill: str | None = None, limit: int | None = None) -> list[Row]:
    """The runs in ``runs``, the latest first; ``drill`` is a file name, its stem, or a title.

    A directory that is no whole run is listed with what is wrong with it, unless a drill was asked for.
    """
    rows: list[Row] = []
    for row in _rows(runs):
        if drill is None or _is_of(row, drill):
            rows.append(row)
        if limit is not None and len(rows) > limit:  # one more: the trend of the last needs its predecessor
            break
    with_trends = [_with_trend(row, rows[position + 1 :]) for position, row in enumerate(rows)]
    return with_trends if limit is None else with_trends[:limit]


def before(run: Path) -> Row | None:
    """The last judged run of the same drill before ``run``, in the folder that it lies in; None where there is none."""
    own = read(run)
    earlier = (row for row in _rows(run.absolute().parent) if row.run < run.name and row.problem is None)
    return next((row for row in earlier if own.drill is not None and row.drill == own.drill), None)


def drills_in(runs: Path) -> list[str]:
    """The file names of the drills that were run, in alphabetic order."""
    return sorted({row.drill for row in _rows(runs) if row.drill})


def _rows(runs: Path) -> Iterator[Row]:
    if runs.is_dir():
        for path in sorted((path for path in runs.iterdir() if _may_be_run(path)), key=lambda p: p.name, reverse=True):
            yield read(path)


def _may_be_run(path: Path) -> bool:
    """Whether it is a folder other than that of the suites, which lies beside the runs of ``--out``."""
    return path.is_dir() and (path.name != "suites" or (path / "meta.json").exists())


def read(run: Path) -> Row:
    """The row of one run directory; never raises, whatever lies there."""
    meta, why = _document(run / "meta.json")
    if meta is None:
        return Row(run.name, problem=f"meta.json {why}: it ended before anything was deployed, or is no run")
    facts: dict[str, Any] = {
        "started_at": _text(meta.get("started_at")),
        "drill": _text(_mapping(meta.get("drill")).get("file")),
        "title": _text(_mapping(meta.get("drill")).get("title")),
        "trials": _whole(meta.get("trials")),
        "seed": _whole(_mapping(meta.get("seeds")).get("run")),
        "drill_sha256": _text(_mapping(meta.get("drill")).get("sha256")),
        "host": _host(meta),
    }
    verdict, why = _document(run / "verdict.json")
    if verdict is None:
        return Row(run.name, problem=f"verdict.json {why}: it still runs, or 'recdr drill judge {run.name}'", **facts)
    baseline = _mapping(verdict.get("baseline"))
    same_host = baseline.get("same_host")
    return Row(
        run.name,
        outcome=_text(verdict.get("outcome")) or "UNKNOWN",
        baseline=_text(baseline.get("id")),
        same_host=same_host if isinstance(same_host, bool) else None,
        measures=dict(_asked(_mapping(verdict.get("measures")))),
        **facts,
    )


def _host(meta: Mapping[str, Any]) -> dict[str, Any]:
    known = {**_mapping(meta.get("host")), "accelerator": _text(meta.get("accelerator"))}
    found = {name: known.get(name) for name in ("system", "machine", "cpus", "memory_gib", "accelerator")}
    return {name: value for name, value in found.items() if isinstance(value, str) or _is_finite(value)}


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) < 2**63  # NaN is not less than anything


def _asked(measures: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The measures that an objective asks for."""
    for name, raw in measures.items():
        entry = _mapping(raw)
        if entry.get("objective"):
            value = entry.get("value")
            known = isinstance(value, int | float) and not isinstance(value, bool)
            yield (
                str(name),
                {
                    "value": value if known else None,
                    "unit": _text(entry.get("unit")) or "",
                    "censored": entry.get("censored") is True,
                    "outcome": _text(entry.get("outcome")),
                    "objective": _mapping(entry.get("objective")),
                    "baseline": entry.get("baseline"),
                },
            )


def _with_trend(row: Row, older: list[Row]) -> Row:
    """Each measure with its direction since the same drill's run before: seen from two values, not tested."""
    before = next((o for o in older if o.drill == row.drill and o.measures), None)
    measures = {
        name: {**entry, "trend": _trend(name, before.measures.get(name) if before else None, entry)}
        for name, entry in row.measures.items()
    }
    return replace(row, measures=measures)


def _trend(name: str, before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> str | None:
    if before is None or before["value"] is None or now["value"] is None:
        return None
    known = definition(name.partition("@")[0])
    sign = -1 if known and known.higher_is_better else 1
    worse = (now["censored"], sign * now["value"]), (before["censored"], sign * before["value"])
    return SAME if worse[0] == worse[1] else WORSE if worse[0] > worse[1] else BETTER


def _is_of(row: Row, drill: str) -> bool:
    name = Path(drill).name
    return row.drill is not None and (name in (row.drill, Path(row.drill).stem) or drill == row.title)


def _document(path: Path) -> tuple[dict[str, Any] | None, str]:
    """The object in a file, else None and why."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None, "is missing"
    except (OSError, ValueError, RecursionError) as error:
        return None, f"cannot be read ({type(error).__name__})"
    return (found, "") if isinstance(found, dict) else (None, "is no object")


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
