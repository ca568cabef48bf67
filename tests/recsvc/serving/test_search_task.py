"""The held-out query task: queries that can be checked by eye, and a bundle whose users have a taste."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recsvc import bundle as bundles
from recsvc.bundle import Bundle, Item
from recsvc.search_task import report
from recsvc.search_task.queries import BEGINNING, CATEGORY, DECADE, TITLE, TYPO, WORD, cases
from tests.recsvc.serving import tiny_bundle

FILMS = (
    Item("1", "Return of the Jedi", 1983, ("Sci-Fi", "Action")),
    Item("2", "Return of the Pink Panther", 1975, ("Comedy",)),
    Item("3", "Heat", None, ()),
    *(Item(str(n), f"The film {n}", 1990, ("Drama",)) for n in range(4, 60)),
)
USERS = 60


def test_queries_are_made_from_the_item_alone_and_always_the_same() -> None:
    made = {case.kind: case.query for case in cases(FILMS, ["u"], [1])}
    assert made[CATEGORY] == "Sci-Fi Action"
    assert made[DECADE] in {"Sci-Fi 1980s", "Action 1980s"}
    assert made[WORD] == "return"
    assert made[BEGINNING] == "retu"
    assert made[TYPO] != "return"
    assert abs(len(made[TYPO]) - 6) <= 1
    assert made[TITLE] == "Return of the Jedi"
    assert cases(FILMS, ["u"], [1]) == cases(FILMS, ["u"], [1])


def test_an_item_that_gives_nothing_away_is_searched_for_by_its_title() -> None:
    assert [case.kind for case in cases(FILMS, ["u"], [3])] == [TITLE]


@pytest.fixture(scope="module")
def tasteful(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle with users who took next what the model likes best for them, popular or not."""
    folder = tiny_bundle.write(tmp_path_factory.mktemp("tasteful") / "bundle")
    generator = np.random.default_rng(5)
    table, histories, expected = tiny_bundle.embeddings(), {}, {}
    for n in range(USERS):
        seen = (generator.choice(tiny_bundle.ITEMS, 20, replace=False) + 1).tolist()
        scores = table @ tiny_bundle.user_vector(seen)
        scores[[0, *seen]] = -np.inf
        histories[f"t{n}"] = [f"i{item}" for item in seen]
        expected[f"t{n}"] = [f"i{int(scores.argmax())}"]
    (folder / bundles.HISTORIES).write_text(json.dumps(histories))
    (folder / bundles.EVALUATION).write_text(json.dumps({"users": list(expected), "expected": expected}))
    return folder


def test_taste_wins_where_words_leave_it_open(tasteful: Path) -> None:
    manifest = json.loads((tasteful / bundles.MANIFEST).read_text())
    measured = report(Bundle(tasteful, manifest), resamples=200)
    assert measured["users"] == USERS
    assert measured["weight"] is None, "there is no release before it to validate with"
    assert measured["seen_again"]["first"] == 1
    open_, title = measured["kinds"]["ambiguous"], measured["kinds"][TITLE]
    assert open_["personal"]["mrr"] == 1
    assert open_["fused_minus_text"]["mrr"]["low"] > 0.1
    assert open_["fused"]["hr_at_10"] >= open_["text"]["hr_at_10"]
    assert title["fused"]["mrr"] == 1
    difference = open_["fused_minus_text"]["mrr"]
    assert difference["low"] <= difference["difference"] <= difference["high"]
    assert difference["difference"] == pytest.approx(open_["fused"]["mrr"] - open_["text"]["mrr"], abs=2e-4)


def test_the_command_prints_the_report_or_says_what_is_wrong(bundle: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "recsvc.search_task", "--resamples", "20"]
    ran = subprocess.run([*command, str(bundle)], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout)["users"] == 1
    failed = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "not a model bundle" in failed.stderr
