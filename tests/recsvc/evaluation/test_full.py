"""The whole report on a trained model: it adds up, it is what serving serves, and it can be read."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from drills.cli import quality
from recsvc import evaluation, export, tables
from recsvc.baselines import EaseKind, IalsKind, PopularityKind
from recsvc.bundle import Bundle
from recsvc.evaluation.encoding import Encoder
from recsvc.evaluation.studies import Study
from recsvc.windows import pad
from tests.recsvc.small_data import Small

KINDS = (PopularityKind(), EaseKind(), EaseKind(name="ease-small", most_items=5), IalsKind(factors=16))


@pytest.fixture(scope="module")
def report(small: Small, small_bundle: Path) -> dict[str, Any]:
    found = evaluation.full_report(Bundle.load(small_bundle), small.dataset, bootstrap=200, kinds=KINDS)
    return dict(json.loads(json.dumps(found)))


def figure(report: dict[str, Any], model: str, name: str, section: str = "masked") -> float:
    (chosen,) = [each for each in report["models"] if each["name"] == model]
    return float(chosen[section][name]["value"])


def test_it_agrees_with_the_manifest(report: dict[str, Any], small_bundle: Path) -> None:
    metrics = Bundle.load(small_bundle).manifest["metrics"]
    for model, prefix in (("model", ""), ("popularity", "popularity_")):
        for here, there in (("hr_at_10", "hr_at_10"), ("ndcg_at_10", "ndcg_at_10"), ("hr_at_20", "recall_at_20")):
            assert figure(report, model, here) == pytest.approx(metrics[prefix + there], abs=1e-5)
    assert metrics["hr_at_10_low"] < metrics["hr_at_10"] < metrics["hr_at_10_high"]


def test_the_collaborative_baselines_stand_beside_the_model(report: dict[str, Any]) -> None:
    assert [model["name"] for model in report["models"]] == ["model", "popularity", "ease", "ials"]
    assert "at most 5 items" in report["not_run"][0]["reason"]
    for name in ("ease", "ials"):
        assert figure(report, name, "hr_at_10") > figure(report, "popularity", "hr_at_10")
    ease = report["models"][2]
    shown = " ".join(f"{name}={value:g}" for name, value in ease["choice"].items())
    assert max(ease["validation"], key=ease["validation"].get) == shown


def test_buckets_add_up_to_the_whole(report: dict[str, Any]) -> None:
    for key in ("users_by_history", "items_by_count"):
        users = [bucket["users"] for bucket in report[key]]
        assert sum(users) == report["protocol"]["users"]
        hits = [b["figures"]["model"]["hr_at_10"]["value"] * b["users"] for b in report[key]]
        assert sum(hits) / sum(users) == pytest.approx(figure(report, "model", "hr_at_10"), abs=1e-5)


def test_a_difference_is_that_of_the_two_figures(report: dict[str, Any]) -> None:
    difference = report["differences"][0]
    assert (difference["of"], difference["to"]) == ("model", "popularity")
    expected = figure(report, "model", "ndcg_at_10") - figure(report, "popularity", "ndcg_at_10")
    assert difference["figures"]["ndcg_at_10"]["value"] == pytest.approx(expected, abs=2e-6)
    assert difference["figures"]["ndcg_at_10"]["low"] > 0


def test_unmasked_items_only_stand_in_the_way(report: dict[str, Any]) -> None:
    for model in ("model", "popularity", "ease", "ials"):
        assert figure(report, model, "mrr", "unmasked") <= figure(report, model, "mrr")
    assert figure(report, "popularity", "mrr", "unmasked") < figure(report, "popularity", "mrr")


def test_who_is_known_by_nothing_gets_the_popular_and_more_is_known_the_better(report: dict[str, Any]) -> None:
    hits = {each["first"]: each["figures"] for each in report["users_as_if_new"]}
    popular = figure(report, "popularity", "hr_at_10")
    assert hits[0]["ease"]["hr_at_10"]["value"] == pytest.approx(popular, abs=1e-6)
    assert hits[0]["model"]["hr_at_10"]["value"] < hits[5]["model"]["hr_at_10"]["value"]


def test_what_is_measured_is_what_the_graph_serves(small: Small, small_bundle: Path) -> None:
    bundle = Bundle.load(small_bundle)
    histories = [np.array([], dtype=np.int64), *small.split.before_test[:300]]
    through_the_graph = export.user_vectors(bundle.model_path, pad(histories, bundle.max_length))
    np.testing.assert_allclose(Encoder(bundle).users(histories), through_the_graph, atol=1e-5)


def test_other_data_is_refused(small: Small, small_bundle: Path) -> None:
    shorter = dataclasses.replace(small.dataset, sequences=tuple(s[:-1] for s in small.dataset.sequences))
    with pytest.raises(evaluation.EvaluationError, match="made from other data"):
        evaluation.full_report(Bundle.load(small_bundle), shorter)
    nobody = dataclasses.replace(small.dataset, sequences=tuple(s[:2] for s in small.dataset.sequences))
    with pytest.raises(evaluation.EvaluationError, match="nobody to evaluate"):
        evaluation.full_report(Bundle.load(small_bundle), nobody)


def test_data_under_another_pseudonym_key_are_the_same_data(small: Small, small_bundle: Path) -> None:
    renamed = dataclasses.replace(small.dataset, users=tuple(f"other-{user}" for user in small.dataset.users))
    found = evaluation.full_report(Bundle.load(small_bundle), renamed, bootstrap=20, kinds=())
    assert found["models"][0]["masked"]["hr_at_10"]["value"] == pytest.approx(
        Bundle.load(small_bundle).manifest["metrics"]["hr_at_10"], abs=1e-5
    )
    turned = dataclasses.replace(
        small.dataset, sequences=small.dataset.sequences[::-1], times_s=small.dataset.times_s[::-1]
    )
    with pytest.raises(evaluation.EvaluationError, match="made from other data"):
        evaluation.full_report(Bundle.load(small_bundle), turned)


def test_a_bundle_that_keeps_a_sample_of_many_users_is_evaluated_on_all(
    small: Small, small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "EVALUATED_USERS", 50)
    folder = Path(shutil.copytree(small_bundle, tmp_path / "bundle"))
    tables.write(folder, small.dataset, small.split)
    bundle = Bundle(folder, Bundle.load(small_bundle).manifest)
    assert len(bundle.evaluation.users) == 50
    found = evaluation.full_report(bundle, small.dataset, bootstrap=20, kinds=())
    assert found["protocol"]["users"] == len(small.split.test) > 50


def test_new_items_are_scored_by_content_where_the_bundle_tells_it_apart(
    small: Small, small_bundle: Path, tmp_path: Path, report: dict[str, Any]
) -> None:
    assert report["items_as_if_new"]["figures"]["model"]["hr_at_10"]["value"] > 2 * report["items_as_if_new"]["chance"]
    folder = Path(shutil.copytree(small_bundle, tmp_path / "bundle"))
    bundle = Bundle.load(folder)
    table = np.load(bundle.embeddings_path)
    study = Study.of(small.split, np.arange(len(small.split.test)), len(table) - 1, 100, 0)
    # Content that says all there is to know must score as the table does, and content that says nothing must not.
    knowing = study.items_as_if_new(Encoder(bundle), table, table)
    assert knowing["figures"]["model"]["hr_at_10"]["value"] == pytest.approx(figure(report, "model", "hr_at_10"))
    np.save(bundle.content_path, -table)
    found = evaluation.full_report(bundle, small.dataset, bootstrap=50, kinds=())["items_as_if_new"]
    assert found["figures"]["model"]["hr_at_10"]["value"] < found["chance"]


def test_other_cut_offs_are_shown_too(small: Small, small_bundle: Path) -> None:
    found = evaluation.full_report(Bundle.load(small_bundle), small.dataset, ks=(3, 500), bootstrap=20, kinds=())
    console = Console(width=80, record=True, file=io.StringIO())
    for renderable in quality.tables(found):
        console.print(renderable)
    text = console.export_text()
    assert "HR@3 " in text
    assert "What the first 500 are like" in text


@pytest.mark.parametrize("width", [80, 120])
def test_the_tables_fit_the_terminal_and_cut_nothing(report: dict[str, Any], width: int) -> None:
    console = Console(width=width, record=True, file=io.StringIO())
    for renderable in quality.tables(report):
        console.print(renderable)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for word in (
        "HR@10",
        "NDCG@20",
        "iALS",
        "EASE",
        "popularity",
        "not run",
        "Synthetic data",
        "coverage",
        "not masked",
    ):
        assert word in text
    shown = f"{figure(report, 'model', 'hr_at_10'):.3f}".removeprefix("0")
    assert shown in text
