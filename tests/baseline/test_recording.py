"""Recording with the real prober against a real HTTP service: what is kept, what is refused, what is said to lack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drills.baseline import Store
from tests.baseline.service import REGIONS, Shop, served, usual

Recdr = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def recdr(tmp_path: Path) -> Recdr:
    environment = {**os.environ, "RECDR_HOME": str(tmp_path / "home"), "NO_COLOR": "1", "COLUMNS": "120"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from drills.cli import main; main()", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=False)

    return run


def recorded(answer: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert answer.returncode == 0, answer.stderr
    document: dict[str, Any] = json.loads(answer.stdout)
    return document


@pytest.mark.slow
def test_the_first_is_accepted_and_holds_measures_with_spread_and_lists_from_everywhere(
    recdr: Recdr, tmp_path: Path
) -> None:
    with served(Shop()) as shop:
        drill = str(shop.drill(tmp_path / "shop.yaml"))
        first = recorded(recdr("baseline", "record", drill, "--note", "before the sale", "--json"))
        second = recorded(recdr("baseline", "record", drill, "--json"))
        third = recorded(recdr("baseline", "record", drill, "--json", "--accept"))
    assert (first["state"], first["note"], first["gaps"]) == (
        "accepted",
        "before the sale",
        ["Nobody knows what evaluation users should get, so there are lists but no quality."],
    )
    assert (second["state"], third["state"]) == ("candidate", "accepted")
    assert first["key"] == second["key"] == third["key"]
    assert first["measures"].keys() == {"availability", "throughput_rps", "p50_ms", "p99_ms"}
    throughput = first["measures"]["throughput_rps"]
    assert throughput["low"] <= throughput["value"] <= throughput["high"]
    assert first["quality"] == {}
    assert len(first["lists"]) == 20
    assert first["regions"] == dict.fromkeys(REGIONS, first["lists"])
    assert first["lists"] == second["lists"]

    listed = json.loads(recdr("baseline", "list", "--json").stdout)
    assert [row["state"] for row in listed["baselines"]] == ["replaced", "candidate", "accepted"]
    assert recdr("baseline", "accept", first["id"]).stdout == (
        f"{first['id']} counts from now on, in place of {third['id']}.\n"
    )
    assert not (tmp_path / "home" / "baselines" / "recording").exists(), "nothing is left lying about"


def test_a_region_that_serves_other_lists_is_seen_through_its_door(recdr: Recdr, tmp_path: Path) -> None:
    def yesterday(region: str, user: str, k: int) -> list[str] | None:
        return usual(region, user if region != "standby" else f"{user}, yesterday", k)

    with served(Shop(yesterday)) as shop:
        found = recorded(recdr("baseline", "record", str(shop.drill(tmp_path / "shop.yaml")), "--json"))
    assert found["regions"]["primary"] == found["lists"]
    assert all(found["regions"]["standby"][user] != found["lists"][user] for user in found["lists"])


def test_a_door_that_leads_elsewhere_or_nowhere_gives_no_lists(recdr: Recdr, tmp_path: Path) -> None:
    shop = Shop(lambda region, user, k: None if region == "primary" else usual(region, user, k))
    shop.says["standby"] = "primary"
    with served(shop):
        found = recorded(recdr("baseline", "record", str(shop.drill(tmp_path / "shop.yaml")), "--json"))
    assert found["regions"] == {}
    assert len(found["lists"]) == 20, "the edge is another matter"
    assert found["gaps"][1:] == [
        "The door of primary gave 0 of 20 evaluation users a list (http 500 20).",
        "The door of standby gave 0 of 20 evaluation users a list (answered by primary 20).",
    ]


def test_held_out_truth_gives_quality_and_recall(recdr: Recdr, tmp_path: Path) -> None:
    lines = []
    for number in range(40):
        items = usual("edge", f"user-{number}", 20) or []
        lines.append(json.dumps({"user": f"user-{number}", "items": [items[0]] if number % 2 else ["item-no"]}))
    (tmp_path / "held_out.jsonl").write_text("\n".join(lines))
    with served(Shop()) as shop:
        held_out = {"held_out": {"file": "held_out.jsonl"}}
        found = recorded(recdr("baseline", "record", str(shop.drill(tmp_path / "s.yaml", service=held_out)), "--json"))
    assert found["gaps"] == []
    assert len(found["quality"]) == 20
    assert found["measures"]["recall_at_20"]["value"] == pytest.approx(sum(found["quality"].values()) / 20)


def test_a_service_without_reads_has_neither_lists_nor_latencies(recdr: Recdr, tmp_path: Path) -> None:
    with served(Shop()) as shop:
        drill = shop.drill(
            tmp_path / "s.yaml",
            probes={"evaluation_users": 20, "reads_per_s": 50, "writes_per_s": 20, "quality_per_s": 0},
        )
        found = recorded(recdr("baseline", "record", str(drill), "--json"))
    assert (found["quality"], found["lists"]) == ({}, {})
    assert "The quality probe is off" in found["gaps"][0]
    assert found["measures"].keys() == {"availability", "throughput_rps", "p50_ms", "p99_ms"}
    assert found["regions"].keys() == set(REGIONS), "the doors can be asked all the same"


@pytest.mark.slow
def test_a_sick_service_gets_no_baseline_and_a_reason(recdr: Recdr, tmp_path: Path) -> None:
    with served(Shop(writes=False)) as shop:
        drill = str(shop.drill(tmp_path / "shop.yaml"))
        refused = recdr("baseline", "record", drill)
        ran = recdr("drill", "run", drill, "--json")
    assert refused.returncode == 3
    assert "no baseline could be recorded: with nothing broken only" in refused.stderr
    assert "http 503" in refused.stderr
    assert Store.of(tmp_path / "home").all() == []
    assert ran.returncode == 3
    (run,) = (tmp_path / "home" / "runs").iterdir()
    verdict = json.loads((run / "verdict.json").read_text())
    assert verdict["outcome"] == "UNKNOWN"
    assert any("no baseline could be recorded" in reason for reason in verdict["reasons"])


@pytest.mark.slow
def test_evaluation_users_without_an_answer_are_named_or_too_many(recdr: Recdr, tmp_path: Path) -> None:
    unlucky: set[str] = set()

    def listed(region: str, user: str, k: int) -> list[str] | None:
        return [] if user in unlucky else usual(region, user, k)

    with served(Shop(listed)) as shop:
        users = [f"user-{n}" for n in range(40)]
        drill = str(shop.drill(tmp_path / "shop.yaml", probes={"evaluation_users": 20, "reads_per_s": 200}))
        whole = recorded(recdr("baseline", "record", drill, "--json"))
        by_list = {json.dumps(usual("", user, 20)): user for user in users}
        asked = [by_list[json.dumps(items)] for items in whole["lists"].values()]
        unlucky.update(asked[:1])
        one = recorded(recdr("baseline", "record", drill, "--json"))
        unlucky.update(asked[:3])
        three = recdr("baseline", "record", drill)
    assert one["gaps"][0] == "1 of 20 evaluation users were not answered: q0."
    assert "q0" not in one["lists"]
    assert three.returncode == 3
    assert "only 17 of 20 evaluation users were answered (empty" in three.stderr


@pytest.mark.slow
def test_a_drill_uses_the_accepted_one_and_says_which(recdr: Recdr, tmp_path: Path) -> None:
    with served(Shop()) as shop:
        drill = str(shop.drill(tmp_path / "shop.yaml", settle_s=3))
        required = recdr("drill", "run", drill, "--require-baseline")
        assert required.returncode == 2
        assert "no baseline is accepted for shop.yaml" in required.stderr
        assert list((tmp_path / "home" / "runs").iterdir()) == [], "a refused run leaves no directory"

        first = recdr("drill", "run", drill, "--seed", "5")
        again = recdr("drill", "run", drill, "--seed", "5", "--require-baseline")
        elsewhere(tmp_path / "home")
        other_host = recdr("drill", "run", drill, "--seed", "6", "--json")
        quicker = shop.drill(tmp_path / "other.yaml", load={"rate": 1})
        (accepted,) = Store.of(tmp_path / "home").all()
        refused = recdr("drill", "run", str(quicker), "--baseline", accepted.id)
    assert "baseline recorded now" in first.stderr
    assert f"baseline recorded earlier, by {accepted.recorded_in}" in again.stderr
    document = json.loads(other_host.stdout)
    assert document["baseline"]["same_host"] is False
    assert document["baseline"]["host_differences"][0].startswith("cpus: 512 there")
    assert "ON ANOTHER KIND OF HOST (cpus: 512 there" in other_host.stderr
    assert refused.returncode == 2
    assert "load.rate: 0 there, 1 here" in refused.stderr

    listed = recdr("history")
    assert listed.returncode == 0
    assert listed.stdout.count("UNKNOWN") == 3, "a drill that breaks nothing proves nothing"
    moments = [jitters(path) for path in sorted((tmp_path / "home" / "runs").iterdir())]
    assert moments[0] == moments[1] != moments[2], "the same seed gives the same moments"


def elsewhere(home: Path) -> None:
    """Make the stored baseline one of a bigger machine."""
    (path,) = (home / "baselines").glob("*.json")
    document = json.loads(path.read_text())
    document["host"]["cpus"] = 512
    path.write_text(json.dumps(document))


def jitters(run: Path) -> list[float]:
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    return [event["data"]["jitter_s"] for event in events if event["kind"] == "trial.started"]
