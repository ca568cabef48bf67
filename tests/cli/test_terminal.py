"""What people read at the terminal."""

from __future__ import annotations

import io

from rich.console import Console

from drills.cli.terminal import Lines, bound, measured, print_verdict, words
from drills.recording.record import Event


def test_a_measure_says_what_it_does_not_know() -> None:
    assert measured({"value": None, "unit": "s"}) == "not observed"
    assert measured({"value": 2.5, "unit": "s", "censored": True}) == ">= 2.5 s"
    assert measured({"value": 0.31, "unit": "s", "interval": [0.3, 0.33]}) == "0.31 s [0.3, 0.33]"
    assert measured({"value": 0.31, "unit": "s", "interval": [0.3, None], "resolution": 0.02}) == "0.31 s ±0.02"
    assert measured({"value": 3, "unit": "events"}) == "3"


def test_a_bound_reads_like_a_sentence() -> None:
    assert bound({"max": 1.0}) == "<= 1"
    assert bound({"min_ratio": 0.98, "phase": "after"}) == ">= 0.98 x baseline (after)"


def test_events_for_people_and_events_for_the_record() -> None:
    data = {"fault": "noop", "arguments": {}, "observed": False, "evidence": "nothing to see"}
    assert words(Event(t=1, kind="fault.effect", data=data)) == "NO EFFECT seen: nothing to see"
    assert words(Event(t=1, kind="edge.server", data={"up": True})) is None
    failed = {"name": "break-it", "error": "no such node"}
    assert words(Event(t=1, kind="step.ended", data=failed)) == "step break-it failed: no such node"


def test_what_is_deployed_is_said_with_its_model_s_flaw() -> None:
    data = {"deploy_seconds": 3.2, "edge_url": "http://x"}
    assert words(Event(t=1, kind="target.deployed", data=data)) == "deployed in 3.2 s, edge at http://x"
    said = words(Event(t=1, kind="target.deployed", data={**data, "model_cut_short": "after 3 of 14 epochs"}))
    assert said is not None and said.endswith("; ITS MODEL'S TRAINING WAS CUT SHORT after 3 of 14 epochs")


def test_markup_in_names_is_shown_not_obeyed() -> None:
    out = io.StringIO()
    lines = Lines(Console(file=out, force_terminal=False, width=200))
    lines.event(Event(t=1, kind="abort", data={"reason": "[red]not red[/red]"}))
    assert "[red]not red[/red]" in out.getvalue()


def test_a_verdict_without_colour_is_complete() -> None:
    out = io.StringIO()
    measure = {"value": 1.5, "unit": "s", "objective": {"max": 1.0}, "outcome": "FAIL"}
    document = {"outcome": "FAIL", "drill": "the [title]", "reasons": ["because"], "measures": {"rto_read_s": measure}}
    print_verdict(document, Console(file=out, force_terminal=False, width=120))
    assert "FAIL  the [title]" in out.getvalue()
    assert "because" in out.getvalue()
    assert "1.5 s" in out.getvalue()


def test_a_baseline_of_another_kind_of_host_is_warned_about_when_used_and_at_the_end() -> None:
    data = {"new": False, "recorded_in": "run-1", "same_host": False, "host_differences": ["cpus: 4 there, 2 here"]}
    said = words(Event(t=1, kind="baseline.recorded", data=data))
    assert said is not None
    assert "ON ANOTHER KIND OF HOST (cpus: 4 there, 2 here)" in said
    same = {**data, "same_host": True, "host_differences": []}
    assert words(Event(t=1, kind="baseline.recorded", data=same)) == "baseline recorded earlier, by run-1"
    out = io.StringIO()
    document = {"outcome": "PASS", "drill": "d", "reasons": [], "measures": {}, "baseline": data}
    print_verdict(document, Console(file=out, force_terminal=False, width=200))
    assert "warning: the baseline is of another kind of host (cpus: 4 there, 2 here)" in out.getvalue()
    out = io.StringIO()
    print_verdict({**document, "baseline": same}, Console(file=out, force_terminal=False, width=200))
    assert "warning" not in out.getvalue()
