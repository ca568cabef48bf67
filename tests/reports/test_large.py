"""Large runs: the page stays small, and what happened once in a million requests is still drawn."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from reports import charts, html, multiples, reading
from reports.columns import Requests
from reports.facts import Trial
from tests.reports import fakerun

NS = 1_000_000_000
MILLION = 1_000_000
SPIKE = 654_321


def million(trial: Trial) -> Requests:
    """A million good requests over the trial, one of which failed, and one of which was slow."""
    at = trial.clock
    due = np.linspace(at.start, at.end - NS, MILLION).astype(np.int64)
    took = np.full(MILLION, 4_000_000)
    took[SPIKE] = 1_777_000_000
    ok = np.ones(MILLION, np.bool_)
    ok[SPIKE + 1] = False
    nothing, ones, region = np.zeros(MILLION, np.bool_), np.ones(MILLION, np.int64), np.zeros(MILLION, np.int64)
    unknown, ids = np.full(MILLION, np.nan), pa.chunked_array([pa.nulls(MILLION, pa.string())])
    return Requests(
        trial=ones,
        due=due,
        done=due + took,
        ok=ok,
        sent=~nothing,
        write=nothing,
        quality=nothing,
        region=region,
        hits=unknown,
        expected=unknown,
        ids=ids,
        regions=("primary",),
        model=region,
        degraded=nothing,
        models=("m-1",),
    )


def values(document: str, column: str) -> list[float]:
    """What the charts draw of a column, whichever way Bokeh has written it down."""
    from bokeh.core.serialization import Deserializer  # noqa: PLC0415 - most of a second to import

    found: list[float] = []

    def look(node: Any) -> None:
        if isinstance(node, dict):
            entries = node.get("entries", []) if node.get("type") == "map" else []
            for name, value in entries:
                if name == column:
                    found.extend(np.asarray(Deserializer().deserialize(value), dtype=float).tolist())
            for child in node.values():
                look(child)
        elif isinstance(node, list):
            for child in node:
                look(child)

    look(json.loads(document))
    return found


@pytest.fixture(scope="module")
def trial(passed: Path) -> Trial:
    """One of ten minutes: a point of its charts stands for a second."""
    short = reading.read(passed).trials[0]
    longer = dataclasses.replace(short.clock, end=short.clock.start + 600 * NS)
    long = dataclasses.replace(short, clock=longer)
    return dataclasses.replace(long, requests=million(long))


def test_one_failure_and_one_slow_answer_in_a_million_are_drawn(trial: Trial) -> None:
    drawing = charts.draw(trial, {})
    assert drawing is not None
    failed = np.array(values(drawing.document, "reads_high"))
    assert np.nanmax(failed) == 1
    assert np.nansum(failed) == 1
    slowest = np.array(values(drawing.document, "slowest"))
    assert slowest[~np.isnan(slowest)] == pytest.approx([1_777], abs=1)
    assert len(values(drawing.document, "p50")) <= 601


def test_they_are_in_the_small_pictures_too(trial: Trial) -> None:
    calm = dataclasses.replace(trial, number=2)
    found = multiples.multiples([trial, calm])
    assert found is not None
    assert found.most_failed == 1
    heights = {float(y) for y in re.findall(r" ([\d.]+)H", found.trials[0].failed)}
    floor = multiples.ANSWERS + multiples.GAP + multiples.FAILED
    assert heights == {floor, floor - multiples.FAILED}


def test_a_report_of_a_million_requests_is_small(passed: Path, trial: Trial) -> None:
    facts = dataclasses.replace(reading.read(passed), trials=[trial])
    assert len(html.render(facts).encode()) < 2_000_000


def test_a_report_of_twenty_long_trials_is_small(tmp_path: Path) -> None:
    # As long as it takes for every line to have all its points; how often was asked adds nothing.
    facts = reading.read(fakerun.write(tmp_path / "run", load=1.0, length_s=59.5))
    (one,) = facts.trials
    facts = dataclasses.replace(facts, trials=[dataclasses.replace(one, number=n) for n in range(1, 21)])
    assert len(html.render(facts).encode()) < 5_000_000
