"""Runs as metrics, read back by Prometheus' own parsers."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from reports import metrics, reading
from tests.command import recdr
from tests.reports import fakerun

Found = dict[tuple[str, frozenset[tuple[str, str]]], float]
HOSTILE = 'x"} 1\n# EOF\n\\recdr_evil{a="b"} 1 \x1b[31m' + "é" * 10


def samples(text: str, parser: Any = openmetrics) -> Found:
    found: Found = {}
    for family in parser(text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, f"{key} stands there twice"
            found[key] = sample.value
    return found


def get(found: Found, name: str, **labels: str) -> float | None:
    return found.get((name, frozenset({"drill": "failover.yaml", **labels}.items())))


def rendered(run: Path, form: str = metrics.OPENMETRICS) -> str:
    return metrics.render([reading.read(run)], form)


def changed(run: Path, file: str, change: Any) -> None:
    document = json.loads((run / file).read_text())
    change(document)
    (run / file).write_text(json.dumps(document))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fakerun.write(tmp_path_factory.mktemp("runs") / "20261122-013000-failover", trials=2, load=2, length_s=25)


@pytest.fixture
def run(written: Path, tmp_path: Path) -> Path:
    return shutil.copytree(written, tmp_path / written.name)


@pytest.mark.parametrize(("form", "parser"), [(metrics.OPENMETRICS, openmetrics), (metrics.PROMETHEUS, plain)])
def test_values_are_those_of_the_verdict_in_base_units(run: Path, form: str, parser: Any) -> None:
    found = samples(rendered(run, form), parser)
    assert get(found, "recdr_drill_outcome", outcome="PASS") == 1
    assert get(found, "recdr_drill_outcome", outcome="FAIL") == 0
    assert get(found, "recdr_measure_seconds", measure="rto_read") == 0.4
    assert get(found, "recdr_measure_seconds", measure="p99", phase="during") == 0.512
    assert get(found, "recdr_measure_ratio", measure="recall_at_20", phase="post_fault") == 0.2884
    assert get(found, "recdr_measure_events", measure="rpo_events") == 0
    assert get(found, "recdr_baseline_seconds", measure="p99", phase="post_fault") == 0.0084
    assert get(found, "recdr_measure_resolution_seconds", measure="rto_read") == 0.02
    assert get(found, "recdr_measure_interval_seconds", measure="rto_write", end="low") == 0.88
    assert get(found, "recdr_objective_bound_seconds", measure="rto_write", bound="max") == 3
    assert get(found, "recdr_objective_margin_seconds", measure="rto_write") == 2.1
    bound = get(found, "recdr_objective_bound_ratio", measure="recall_at_20", phase="post_fault", bound="min")
    assert bound == pytest.approx(0.95 * 0.2925)
    assert get(found, "recdr_phase_seconds", trial="2", phase="promoted") == 0.72
    assert get(found, "recdr_phase_bound_seconds", trial="2", phase="promoted") == 1.1
    assert get(found, "recdr_phase_seconds", trial="1", phase="first_good") is None, "not observed"
    assert get(found, "recdr_heal_confirmed", trial="1") == 1


def test_what_was_not_observed_has_no_sample(tmp_path: Path) -> None:
    run = fakerun.write(tmp_path / "run", outcome="UNKNOWN", load=5, length_s=30)
    found = samples(rendered(run))
    assert get(found, "recdr_measure_events", measure="rpo_events") is None
    assert get(found, "recdr_objective_margin_events", measure="rpo_events") is None
    assert get(found, "recdr_measure_observed", measure="rpo_events") == 0
    assert get(found, "recdr_measure_observed", measure="rto_read") == 1
    assert get(found, "recdr_objective_outcome", measure="rpo_events", outcome="UNKNOWN") == 1
    assert not any(math.isnan(value) for value in found.values())


def test_a_lower_bound_says_so(run: Path) -> None:
    def censor(verdict: dict[str, Any]) -> None:
        verdict["measures"]["rto_write_s"] |= {"value": 12.0, "censored": True, "outcome": "FAIL"}

    changed(run, "verdict.json", censor)
    found = samples(rendered(run))
    assert get(found, "recdr_measure_seconds", measure="rto_write") == 12
    assert get(found, "recdr_measure_censored", measure="rto_write") == 1
    assert get(found, "recdr_measure_censored", measure="rto_read") == 0
    assert get(found, "recdr_objective_margin_seconds", measure="rto_write") == -9


def test_every_sample_is_of_the_moment_when_its_run_ended(run: Path) -> None:
    times = {float(s.timestamp) for family in openmetrics(rendered(run)) for s in family.samples}
    (at,) = times
    started = 1795311000  # 2026-11-22T01:30:00Z, as fakerun's meta.json has it
    assert started + 2 * fakerun.FAULT_S < at < started + 200
    found = samples(rendered(run))
    assert get(found, "recdr_run_start_timestamp_seconds") == started
    assert get(found, "recdr_run_end_timestamp_seconds") == pytest.approx(at, abs=0.001)


def test_hostile_names_stay_in_their_labels(run: Path) -> None:
    def poison(verdict: dict[str, Any]) -> None:
        verdict["measures"][HOSTILE] = {"value": 1.5, "unit": HOSTILE, "objective": {"max": 2}, "outcome": "PASS"}
        verdict["measures"]["rto_read_s"] |= {"value": "NaN", "interval": ["x", None], "baseline": float("inf")}
        verdict["trials"][0]["variant"] = HOSTILE

    changed(run, "verdict.json", poison)
    changed(run, "meta.json", lambda meta: meta["drill"].update(file=HOSTILE, title=HOSTILE))
    for form, parser in ((metrics.OPENMETRICS, openmetrics), (metrics.PROMETHEUS, plain)):
        text = rendered(run, form)
        found = samples(text, parser)
        assert {name for name, _ in found if not name.startswith("recdr_")} == set()
        assert "recdr_evil" not in {name for name, _ in found}
        assert "\x1b" not in text
        assert 1.5 in {value for (name, _), value in found.items() if name == "recdr_measure_other"}
    assert text.count("# EOF") > 0, "only within a label"


def test_the_same_run_gives_the_same_bytes_wherever_it_lies(run: Path, tmp_path: Path) -> None:
    elsewhere = shutil.copytree(run, tmp_path / "elsewhere" / run.name)
    assert rendered(run) == rendered(elsewhere)


def test_a_damaged_run_has_what_is_left(run: Path) -> None:
    for name in ("verdict.json", "requests.parquet"):
        (run / name).unlink()
    found = samples(rendered(run))
    assert get(found, "recdr_drill_judged") == 0
    assert get(found, "recdr_drill_outcome", outcome="UNKNOWN") == 1
    assert (get(found, "recdr_run_gaps") or 0) >= 2
    (run / "meta.json").write_text("{}")
    assert samples(rendered(run)), "without a time, too"


def test_several_runs_are_one_document(tmp_path: Path) -> None:
    runs = [
        fakerun.write(tmp_path / name, load=2, length_s=25, outcome=o) for name, o in (("a", "FAIL"), ("b", "PASS"))
    ]
    changed(runs[1], "meta.json", lambda meta: meta.update(started_at="2026-11-23T01:30:00+00:00"))
    changed(runs[0], "verdict.json", lambda verdict: verdict.update(run="a"))
    changed(runs[1], "verdict.json", lambda verdict: verdict.update(run="b"))
    facts = [reading.read(run) for run in reversed(runs)]
    families = {family.name: family for family in openmetrics(metrics.render(facts))}
    passed = [s for s in families["recdr_drill_outcome"].samples if s.labels["outcome"] == "PASS"]
    assert [sample.value for sample in passed] == [0, 1], "the earlier one first"
    latest = samples(metrics.render(facts, metrics.PROMETHEUS), plain)
    assert get(latest, "recdr_drill_outcome", outcome="PASS") == 1


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_itself_takes_them(run: Path, tmp_path: Path) -> None:
    said = subprocess.run(
        ["promtool", "check", "metrics"],
        input=rendered(run, metrics.PROMETHEUS),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (said.returncode, said.stdout, said.stderr) == (0, "", ""), "neither a mistake nor bad style"
    (tmp_path / "all.om").write_text(rendered(run))
    command = [
        "promtool",
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        str(tmp_path / "all.om"),
        str(tmp_path / "tsdb"),
    ]
    filled = subprocess.run(command, capture_output=True, text=True, check=False)
    assert filled.returncode == 0, filled.stderr
    assert any((tmp_path / "tsdb").iterdir())


def test_the_command(tmp_path: Path) -> None:
    run = fakerun.write(tmp_path / "runs" / "20261122-013000-failover", load=2, length_s=25)
    printed = recdr(tmp_path, "report", "metrics")
    assert (printed.returncode, printed.stderr) == (0, "")
    assert printed.stdout == rendered(run)
    out = tmp_path / "recdr.prom"
    written = recdr(tmp_path, "report", "metrics", run.name, "--format", "prometheus", "--out", str(out))
    assert (written.returncode, written.stdout) == (0, "")
    assert out.read_text() == rendered(run, metrics.PROMETHEUS)
    assert [path.name for path in tmp_path.iterdir()].count("recdr.prom") == 1
    (tmp_path / "runs" / "broken").mkdir()
    every = recdr(tmp_path, "report", "metrics", *map(str, sorted((tmp_path / "runs").iterdir())))
    assert every.stdout == printed.stdout
    assert "left out:" in every.stderr
    missing = recdr(tmp_path, "report", "metrics", "nosuch")
    assert missing.returncode == 2


def test_a_range_of_what_may_have_been_is_no_value(run: Path) -> None:
    def doubt(document: Any) -> None:
        document["measures"]["rto_read_s"] |= {"value": 32.1, "possible": [0.26, 32.1], "outcome": "UNKNOWN"}

    changed(run, "verdict.json", doubt)
    found = samples(rendered(run))
    named = {key for key in found if dict(key[1]).get("measure", "").startswith("rto_read")}
    assert not [key for key in named if key[0] == "recdr_measure_seconds"]
    assert [found[key] for key in named if key[0] == "recdr_measure_observed"] == [0.0]
    assert sorted(found[key] for key in named if key[0] == "recdr_measure_interval_seconds") == [0.26, 32.1]
