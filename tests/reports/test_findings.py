"""Losses, quality, margins, doubts: each finding on a literal run, and its silence where nothing was seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reports import findings
from reports.columns import Requests
from reports.facts import Facts
from reports.findings import Finding, Severity, doubts, losses, recommendations, shares, well
from reports.findings.finding import share_left
from reports.verdicts import measures as read_measures
from tests.reports.literal import DEPLOYED, event, facts, fault, measure, outage, replace, requests, trial

LOST = {
    "rpo_events": measure(
        82, "events", objective={"max": 0}, outcome="FAIL",
        evidence={"acknowledged": 2013, "lost_everywhere": 82, "lost_by_region": {"primary": 82, "standby": 82}},
    ),
    "rpo_s": measure(1.5, evidence={"lost_before_fault": 0, "lost_after_fault": 82}),
}  # fmt: skip


def run(measures: dict[str, Any], **changes: Any) -> Facts:
    outcome = changes.pop("outcome", None)
    given = {name: changes.pop(name) for name in ("events", "milestones", "modelled", "asked") if name in changes}
    return facts(trial(measures, outcome=outcome, **given), **changes)


def told(found: Finding | None) -> str:
    assert found is not None
    return f"{found.title} | {found.text} | {found.action}"


def test_what_async_replication_lost_is_explained_and_what_would_not_lose_it_named() -> None:
    lost = run(LOST, deployed=DEPLOYED | {"replication": "async"}, milestones={"promoted": 0.9})
    found = told(losses.lost(lost))
    assert found.startswith(
        "82 of 2,013 acknowledged events were lost | No region has them. 82 were acknowledged after"
    )
    assert "once another store is promoted, what it alone had is dropped" in found
    assert "| Try replication: semisync" in found


def test_without_a_promotion_nobody_is_said_to_have_dropped_anything() -> None:
    assert "dropped" not in told(losses.lost(run(LOST, deployed=DEPLOYED | {"replication": "async"})))


def test_a_loss_that_the_mode_should_prevent_is_called_that() -> None:
    assert "semisync replication acknowledges no event" in told(losses.lost(run(LOST)))


def test_a_loss_without_a_known_mode_is_told_without_an_explanation() -> None:
    found = losses.lost(run(LOST, deployed={}))
    assert found is not None
    assert found.action == ""
    assert "replication" not in found.text


@pytest.mark.parametrize("value", [0, None])
def test_nothing_lost_or_nothing_known_is_no_loss(value: int | None) -> None:
    assert losses.lost(run({"rpo_events": measure(value, "events", objective={"max": 0}, outcome="PASS")})) is None


@pytest.mark.parametrize("name", ["split_brain_events", "duplicated_events"])
def test_harm_that_no_objective_asks_about_says_so(name: str) -> None:
    finder: Callable[[Facts], Finding | None] = losses.split_brain if "split" in name else losses.twice
    found = finder(run({name: measure(3, "events")}))
    assert found is not None
    assert found.severity is Severity.UNASKED
    assert finder(run({name: measure(0, "events")})) is None
    assert finder(run({name: measure(None, "events")})) is None


def test_late_events_are_not_called_lost() -> None:
    assert "None of these is lost" in told(losses.late(run({"stale_events": measure(4, "events")})))


RECALL = {
    "value": 0.28, "unit": "ratio", "baseline": 0.33, "objective": {"min_ratio": 0.95}, "outcome": "FAIL",
    "evidence": {"ratio_interval": [0.8, 0.9]},
}  # fmt: skip


def test_recall_that_fell_is_told_against_the_baseline_and_by_phase() -> None:
    phases = {"recall_at_20@before": measure(0.33, "ratio"), "recall_at_20@during": measure(0.21, "ratio")}
    found = told(recommendations.worse(run({"recall_at_20": RECALL, **phases})))
    assert found.startswith("Recommendations were worse: Recall@20 0.280 | That is 84.8 % of the baseline's 0.330")
    assert "0.330 before the fault and 0.210 during the fault" in found


@pytest.mark.parametrize(
    "changes",
    [{"evidence": {"ratio_interval": [0.9, 1.1]}}, {"evidence": {}}, {"value": None}, {"baseline": None}],
)
def test_recall_within_its_doubt_is_not_called_worse(changes: dict[str, Any]) -> None:
    assert recommendations.worse(run({"recall_at_20": RECALL | {"objective": None, "outcome": None} | changes})) is None


def answered(models: tuple[str, ...] = ("a",), *, degraded: float = 0.0, every: int = 2) -> Requests:
    """Quality probes answered by two regions in turn; each region has a model of its own where there are two.

    ``degraded``: the share of answers that said so. ``every``: each so manieth answer came from the standby.
    """
    asked = requests(write=False)
    index = np.arange(len(asked))
    standby = index % every == every - 1
    return replace(
        asked,
        quality=asked.sent,
        hits=np.ones(len(asked)),
        expected=np.ones(len(asked)),
        regions=("primary", "standby"),
        region=standby.astype(np.int64),
        models=models,
        model=np.minimum(standby.astype(np.int64), len(models) - 1),
        degraded=index % 100 < 100 * degraded,
    )


def lists(by_region: dict[str, float], by_model: dict[str, float], usual: float = 1.0, every: int = 2) -> Facts:
    """Lists of one phase by region and model, and how alike the regions' are usually."""
    evidence = {"by_region": by_region, "by_model": by_model, "in_the_baseline": {"primary~standby": usual}}
    return run({"overlap_at_20@during": measure(0.9, "ratio", evidence=evidence)}, asked=answered(every=every))


APART = {"primary": 1.0, "standby": 0.856}


def test_other_lists_from_one_region_are_put_down_to_the_model_where_it_differs() -> None:
    found = told(recommendations.regions_differ(lists(APART, {"a": 1.0, "b": 0.856})))
    assert "2 model versions answered" in found
    assert "1.000 from primary and 0.856 from standby" in found
    assert "with the same model version" in told(recommendations.regions_differ(lists(APART, {"a": 0.93})))


def test_lists_that_differ_no_more_than_usual_are_no_finding() -> None:
    assert recommendations.regions_differ(lists(APART, {"a": 0.9}, usual=0.85)) is None
    assert recommendations.regions_differ(lists({"primary": 1.0, "standby": 0.99}, {"a": 0.99})) is None
    assert recommendations.regions_differ(lists(APART, {})) is None


def test_a_handful_of_answers_from_a_region_says_nothing_of_it() -> None:
    assert recommendations.regions_differ(lists(APART, {"a": 0.9})) is not None
    assert recommendations.regions_differ(lists(APART, {"a": 0.9}, every=100)) is None


def test_degraded_answers_are_counted_with_what_they_cost() -> None:
    m = {"recall_at_20@during": measure(0.31, "ratio", baseline=0.33)}
    found = told(recommendations.degraded(run(m, asked=answered(degraded=0.5))))
    assert found.startswith("50 % of the answers said they were degraded")
    assert "400 of 800." in found
    assert "0.310, 0.330 in the baseline" in found
    assert recommendations.degraded(run(m, asked=answered(degraded=0.0))) is None
    assert recommendations.degraded(run(m, asked=answered(degraded=0.5), events=[])) is None


def test_two_model_versions_at_once_are_told_unless_the_drill_rolled_one_out() -> None:
    two = answered(("new", "old"))
    assert "2 model versions" in told(recommendations.versions_seen(run({}, asked=two)))
    planned = fault(fault="model_stale", arguments={"region": "standby"})
    assert recommendations.versions_seen(run({}, asked=two, events=planned)) is None
    assert recommendations.versions_seen(run({}, asked=answered(("new",)))) is None


@pytest.mark.parametrize(
    ("m", "left"),
    [
        (measure(0.9, objective={"max": 1.0}), 0.1),
        (measure(0.96, "ratio", objective={"min": 0.95}), 0.2),
        (measure(0.32, "ratio", objective={"min_ratio": 0.9}, baseline=0.33), 0.023 / 0.033),
        (measure(11.0, objective={"min": 8, "max": 14}), 0.5),
        (measure(0, "events", objective={"max": 0}), None),
        (measure(30.0, objective={"max": 40}, censored=True), None),
        (measure(None, objective={"max": 40}), None),
    ],
)
def test_how_much_of_a_bound_is_left(m: dict[str, Any], left: float | None) -> None:
    [read] = read_measures({"x": m})
    assert share_left(read) == (None if left is None else pytest.approx(left))


def test_the_thinnest_margin_is_told_and_what_it_is_a_share_of() -> None:
    two = {"rto_read_s": outage(0.9, 1.0), "rto_write_s": outage(1.0, 3.0)}
    found = shares.thinnest(run(two))
    assert found is not None
    assert found.severity is Severity.CLOSE
    assert "10 % of the room below the bound was left" in found.text
    ample = shares.thinnest(run({"rto_write_s": outage(0.5, 3.0)}))
    assert ample is not None
    assert ample.severity is Severity.WELL


def test_a_bound_within_the_figures_own_interval_may_be_missed_by_chance() -> None:
    doubt = RECALL | {"value": 0.327, "outcome": "PASS", "evidence": {"ratio_interval": [0.94, 1.01]}}
    assert "by chance alone" in told(shares.thinnest(run({"recall_at_20": doubt})))


def test_no_objective_was_close_is_never_said_of_a_run_that_missed_one() -> None:
    assert shares.thinnest(run({"rto_write_s": outage(0.5, 3.0), "rto_read_s": outage(2.0, 1.0)})) is None


def test_failed_requests_are_told_by_phase_and_kind() -> None:
    share = measure(
        0.9, "ratio", objective={"min": 0.95}, outcome="FAIL", evidence={"failed": 100, "errors": {"http 503": 100}}
    )
    by_phase = {f"availability@{p}": measure(0.9, "ratio", evidence={"failed": n}) for p, n in
                (("before", 0), ("during", 90), ("after", 10))}  # fmt: skip
    found = told(shares.requests_failed(run({"availability": share, **by_phase})))
    assert "0 before the fault, 90 during the fault and 10 after healing" in found
    assert "http 503 (100)" in found


def test_what_failed_before_the_fault_is_not_the_faults_doing() -> None:
    sick = run({"availability@before": measure(0.56, "ratio", evidence={})})
    assert told(shares.sick_before(sick)).startswith("44.0 % of the requests failed before anything was broken")
    assert shares.sick_before(run({"availability@before": measure(0.999, "ratio", evidence={})})) is None
    assert shares.sick_before(run({"availability@before": measure(None, "ratio", evidence={})})) is None


def test_a_missed_latency_tells_of_a_late_prober_and_of_the_time_before() -> None:
    slow = measure(198.0, "ms", objective={"max": 150, "phase": "after"}, outcome="FAIL", evidence={"raw_ms": 190.0})
    late = measure(8.9, "ms", reason="The prober itself fell behind.")
    found = told(shares.latency(run({"p99_ms@after": slow, "p99_ms@before": measure(245.0, "ms"),
                                     "lateness_p99_ms": late})))  # fmt: skip
    assert "245 ms before the fault, over the bound already" in found
    assert "8.9 ms or more after they were due" in found
    assert "counted from sending it was 190 ms" in found


def test_every_missed_objective_has_a_finding() -> None:
    odd = measure(3.0, "things", objective={"max": 1}, outcome="FAIL", reason="Something was 3.")
    unseen = measure(None, objective={"max": 3}, outcome="FAIL", reason="It was at least 17 s.")
    found = findings.find(run({"something_new": odd, "rto_write_s": unseen}))
    assert found[0].severity is Severity.MISSED
    assert set(found[0].measures) == {"something_new", "rto_write_s"}


def test_reads_that_stayed_slow_after_healing_need_intervals_apart() -> None:
    before = measure(10.0, "ms", interval=[9.0, 11.0])
    slow, near = measure(20.0, "ms", interval=[18.0, 22.0]), measure(20.0, "ms", interval=[10.5, 30.0])
    assert shares.latency_after(run({"p50_ms@before": before, "p50_ms@after": slow})) is not None
    assert shares.latency_after(run({"p50_ms@before": before, "p50_ms@after": near})) is None
    assert shares.latency_after(run({"p50_ms@after": slow})) is None


def test_a_fault_without_effect_leaves_only_what_leaves_it_open() -> None:
    idle = run({"rto_write_s": outage(9.0, 3.0)}, events=fault(seen=False), outcome="UNKNOWN")
    assert [f.severity for f in findings.find(idle)] == [Severity.OPEN]
    assert "had no effect that recdr could see" in told(doubts.without_effect(idle))
    assert doubts.without_effect(run({})) is None


def test_nothing_broken_and_nothing_healed_are_told_apart() -> None:
    assert "Nothing was broken" in told(doubts.not_injected(run({}, events=[], outcome="UNKNOWN")))
    unhealed = [*fault(healed_s=None), event(16, "heal.confirmed", fault="region_loss", confirmed=False, evidence="no")]
    assert "was not seen to be healed" in told(doubts.not_healed(run({}, events=unhealed)))
    later = [*unhealed, event(20, "heal.confirmed", fault="region_loss", confirmed=True, evidence="yes")]
    assert doubts.not_healed(run({}, events=later)) is None


def test_slower_than_predicted_leaves_out_what_came_after_healing() -> None:
    bound = {"promoted": {"bound_s": 1.1, "parts": {"x_s": 1.1}, "dominating": "x_s"}}
    slow = run({}, milestones={"promoted": 3.0}, modelled=bound)
    assert "store promoted (3.00 s, at most 1.10 s)" in told(doubts.slower_than_predicted(slow))
    assert doubts.slower_than_predicted(run({}, milestones={"promoted": 17.0}, modelled=bound)) is None
    assert doubts.slower_than_predicted(run({}, milestones={"promoted": 1.0}, modelled=bound)) is None


def test_reads_that_failed_before_the_edge_noticed() -> None:
    hit = requests((0.0, 0.3), write=False)
    found = told(doubts.before_the_edge_noticed(run({}, milestones={"detected": 0.31}, asked=hit)))
    assert found.startswith("15 of the 15 reads that failed under the fault were sent before the edge")
    assert doubts.before_the_edge_noticed(run({}, asked=hit)) is None


def test_trials_that_do_not_agree() -> None:
    good, bad = trial({"rto_read_s": outage(0.2, 1.0)}), trial({"rto_read_s": outage(2.0, 1.0)}, number=2)
    found = told(doubts.trials_disagree(facts(good, bad, over={"rto_read_s": outage(2.0, 1.0)})))
    assert "1 of 2 missed “reads disturbed”" in found
    assert doubts.trials_disagree(facts(good, good)) is None
    assert doubts.trials_disagree(facts(bad)) is None


def test_one_trial_far_off_is_told_by_its_number() -> None:
    both = [trial({"rto_read_s": outage(v, 9.0)}, number=n) for n, v in ((1, 0.5), (2, 0.5), (3, 4.0))]
    over = outage(4.0, 9.0, over_trials={"values": [0.5, 0.5, 4.0], "censored": [], "median": 0.5, "worst": 4.0})
    assert "Trial 3 took far longer" in told(doubts.trials_disagree(facts(*both, over={"rto_read_s": over})))


def test_what_went_well_is_told_only_of_what_was_seen() -> None:
    kept = measure(0, "events", objective={"max": 0}, outcome="PASS", evidence={"acknowledged": 2000})
    good = {"rto_read_s": outage(0.0), "rto_write_s": outage(0.0), "rpo_events": kept}
    assert told(well.went_well(run(good))).startswith("No disturbance of reads and writes was seen | None of 2,000")
    assert well.went_well(run({"rpo_events": measure(None, "events")}, outcome="PASS")) is None
    assert well.went_well(run(good, events=[], outcome="PASS")) is None


def test_findings_are_ordered_by_how_much_they_matter() -> None:
    found = findings.find(run({"rto_write_s": outage(4.0, 3.0), **LOST, "rto_read_s": outage(0.0)}))
    ranks = [f.severity.rank for f in found]
    assert ranks == sorted(ranks)
    assert found[0].title.startswith("82 of 2,013")


def test_a_run_that_was_not_judged_has_no_findings() -> None:
    assert findings.find(facts(judged=False)) == []
