"""Metrics, alert rules and dashboard by promtool and against what nodes really tell."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

import recsvc
from recsvc.metrics import Family
from tests.recsvc.serving.cluster import Cluster, Node, Pair, eventually

HERE, SHIPPED = Path(__file__).parent, Path(recsvc.__file__).parent
ALERTS, DASHBOARD, TESTS = SHIPPED / "alerts.yaml", SHIPPED / "dashboard.json", HERE / "alerts.test.yaml"
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="no promtool here: apt-get install prometheus has it"
)
NOT_OURS = {"up"}
"""What Prometheus itself tells of a scrape."""


def promtool(*words: str | Path, told: str | None = None) -> str:
    """What it says; fails the test when it finds fault."""
    ended = subprocess.run(["promtool", *map(str, words)], input=told, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def scrape(node: Node) -> str:
    return node.http.get("/metrics").text


def sample(node: Node, series: str) -> float | None:
    """The value of a series; None where it has no sample."""
    found = re.search(rf"^{re.escape(series)} (\S+)$", scrape(node), re.MULTILINE)
    return None if found is None else float(found[1])


def names(text: str) -> set[str]:
    return set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def expressions() -> dict[str, str]:
    """Every expression of alerts and dashboard by where it stands, with Grafana's variables filled in."""
    shown = {
        f"{panel['title']} {target['refId']}": target["expr"].replace("$__rate_interval", "1m")
        for panel in panels()
        for target in panel["targets"]
    }
    return shown | {rule["alert"]: rule["expr"] for rule in rules()}


def test_every_part_of_a_request_is_counted_once(node: Node) -> None:
    def counts() -> dict[str, float]:
        stages = ("store_read", "queue", "inference", "encode")
        told = {stage: sample(node, f'recsvc_stage_seconds_count{{stage="{stage}"}}') or 0 for stage in stages}
        told["422"] = sample(node, 'recsvc_problems_total{kind="invalid"}') or 0
        told["1"] = sample(node, 'recsvc_events_acknowledged_total{copies="1"}') or 0
        return told

    before = counts()
    for _ in range(3):
        assert node.http.post("/v1/recommend", json={"user": "u1"}).status_code == 200
    assert node.http.post("/v1/recommend", json={"user": "u1", "k": 0}).status_code == 422
    assert node.event(f"counted-{time.monotonic_ns()}").status_code == 200
    grown = {name: value - before[name] for name, value in counts().items()}
    assert grown == {"store_read": 3, "queue": 3, "inference": 3, "encode": 3, "422": 1, "1": 1}
    assert sample(node, "recsvc_requests_in_flight") == 1, "the scrape itself"
    assert (sample(node, "process_resident_memory_bytes") or 0) > 1e7
    uptime_s = time.time() - (sample(node, "process_start_time_seconds") or 0)
    assert 0 < uptime_s < 600


def test_a_moment_is_told_with_all_its_digits() -> None:
    (told,) = [line for line in Family("x", "gauge", "Text.", 1795376543.25).lines() if not line.startswith("#")]
    assert told == "recsvc_x 1795376543.25"


@needs_promtool
def test_promtool_finds_nothing_in_a_scrape(node: Node) -> None:
    node.http.post("/v1/recommend", json={"user": "u1"})
    node.http.get("/nowhere")
    assert promtool("check", "metrics", told=scrape(node)) == ""


def test_lag_is_told_by_the_masters_node_and_grows_while_the_replica_is_silent(two_regions: Pair) -> None:
    node, standby = two_regions.node, two_regions.standby_node
    eventually(lambda: node.event(f"lag-{time.monotonic_ns()}").status_code == 200)
    eventually(lambda: (sample(node, "recsvc_replication_lag_seconds") or 9) < 0.5)
    assert sample(node, "recsvc_replication_lag_bytes") is not None
    for name in ("recsvc_replication_lag_seconds", "recsvc_replication_lag_bytes"):
        assert sample(standby, name) is None, "a replica cannot know"
    assert (sample(node, "recsvc_store_master"), sample(standby, "recsvc_store_master")) == (1, 0)
    two_regions.standby.signal(signal.SIGSTOP)
    try:
        eventually(lambda: (sample(node, "recsvc_replication_lag_seconds") or 0) > 1.0, within_s=5)
        eventually(lambda: node.event(f"lag-{time.monotonic_ns()}", item="i3").status_code == 200, within_s=5)
        assert eventually(lambda: sample(node, "recsvc_replication_lag_bytes") or 0, within_s=5) > 0
    finally:
        two_regions.standby.signal(signal.SIGCONT)
    eventually(lambda: (sample(node, "recsvc_replication_lag_seconds") or 9) < 0.5)


def test_whatever_alerts_and_dashboard_ask_for_is_told(two_regions: Pair) -> None:
    """By the names alone: a panel over a metric that was renamed stays empty, and nobody notices."""
    eventually(lambda: two_regions.node.event("told").status_code == 200)
    told = names(scrape(two_regions.node)) | NOT_OURS
    for where, expression in expressions().items():
        bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^]]*\]', "", expression)
        for name in re.findall(r"\b(?:recsvc|process|up)(?:_\w+)?\b", bare):
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            known = told | {"recsvc_reload_success", "recsvc_recall_canary", "recsvc_recall_canary_timestamp_seconds"}
            assert name in known or base in known, f"{where} asks for {name}, which no node tells"


@needs_promtool
def test_every_expression_of_the_dashboard_is_promql(tmp_path: Path) -> None:
    records = [
        {"record": "x:y", "expr": expression, "labels": {"of": where}} for where, expression in expressions().items()
    ]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": records}]}))
    assert f"{len(records)} rules found" in promtool("check", "rules", tmp_path / "rules.yaml")


def test_panels_stand_side_by_side_and_say_what_they_show() -> None:
    cells: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & cells, f"{panel['title']} lies over another panel"
        assert at["x"] + at["w"] <= 24
        cells |= own
    ids = [panel["id"] for panel in json.loads(DASHBOARD.read_text())["panels"]]
    assert len(set(ids)) == len(ids)
    assert all(panel["title"] and panel["fieldConfig"]["defaults"]["unit"] for panel in panels())


@needs_promtool
def test_alerts_fire_when_they_should_and_not_else(tmp_path: Path) -> None:
    document = yaml.safe_load(ALERTS.read_text())
    for group in document["groups"]:
        for rule in group["rules"]:
            del rule["annotations"]  # promtool compares them word by word
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump(document))
    shutil.copy(TESTS, tmp_path)
    promtool("check", "rules", ALERTS)
    promtool("test", "rules", tmp_path / TESTS.name)


def test_every_alert_is_tested_and_says_what_it_means_and_what_to_do() -> None:
    tests = yaml.safe_load(TESTS.read_text())["tests"]
    fired = {case["alertname"] for test in tests for case in test["alert_rule_test"] if case["exp_alerts"]}
    assert fired == {rule["alert"] for rule in rules()}
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert re.search(r"^Means: .* Do: ", rule["annotations"]["description"]), rule["alert"]
        assert rule["annotations"]["summary"]


def test_the_canary_tells_how_good_the_answers_are(cluster: Cluster) -> None:
    """The tiny bundle's held-out user finds its item; with no history in the store it finds what the prior finds."""
    node = cluster.node("primary/node-1", cluster.store("store"), "--canary-s", "0.1", replication="async")
    assert eventually(lambda: sample(node, 'recsvc_recall_canary{k="20"}') is not None)
    assert sample(node, 'recsvc_recall_canary{k="20"}') in (0, 1)
    before = node.http.get("/v1/events").json()["events"]
    eventually(lambda: (sample(node, "recsvc_recall_canary_users") or 0) > 5)
    assert node.http.get("/v1/events").json()["events"] == before == []
    asked_s = sample(node, "recsvc_recall_canary_timestamp_seconds") or 0
    assert abs(time.time() - asked_s) < 60
