"""Going on from a bundle: indices stay, what is new is learnt, and what is worse is thrown away."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pytest

from recsvc import build, bundle, checkpoint, export, recipe, resume, synthetic
from recsvc.bundle import Bundle, BundleError, Item
from recsvc.data import Acquired, DataError, read, store
from recsvc.movielens import Tables
from recsvc.recipe import Settings, Shape
from recsvc.windows import Timed
from tests.recsvc.small_data import SMALL, Small

NEW = Item("new", "Fresh Comet", 2020, ("Comedy",))


def quiet(*_: object) -> None:
    """Nobody watches."""


@dataclass(frozen=True)
class Later:
    """The small data set some time later, and when that time began."""

    acquired: Acquired
    since_s: int
    hit: str


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Later:
    """Everybody goes on, with an item that few had touched, a new one, and three others, in any order."""
    before = synthetic.make(**SMALL)
    rows = [line.split("\t") for line in before.interactions.decode().splitlines()]
    since_s = max(int(row[3]) for row in rows) + 1
    counts = Counter(row[1] for row in rows)
    hit = min((item.id for item in before.items), key=lambda item: counts[item])
    rng = np.random.default_rng(0)
    lines = []
    for user in sorted({row[0] for row in rows}):
        taken = {row[1] for row in rows if row[0] == user}
        free = [item.id for item in before.items if item.id not in taken | {hit}]
        more = [item for item in (hit, NEW.id, *rng.permutation(free)[:3]) if item not in taken]
        lines += [f"{user}\t{item}\t1\t{since_s + 60 * (n - 1)}\n" for n, item in enumerate(rng.permutation(more), 1)]
    tables = Tables(before.interactions + "".join(lines).encode(), (NEW, *before.items))
    return Later(store(tmp_path_factory.mktemp("later"), "synthetic", tables), since_s, hit)


@pytest.fixture(scope="module")
def resumed(small_bundle: Path, later: Later, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("resumed")
    build.resume(folder, Bundle.load(small_bundle), later.acquired, later.since_s, quiet)
    return Bundle.load(folder)


def test_old_indices_stay_and_new_items_come_behind(small_bundle: Path, resumed: Bundle) -> None:
    base = Bundle.load(small_bundle)
    assert [item.id for item in resumed.items] == [*(item.id for item in base.items), NEW.id]
    assert len(np.load(resumed.embeddings_path)) == len(base.items) + 2
    assert [item.id for item in resumed.previous().items] == [item.id for item in resumed.items]


def test_what_became_popular_rises(resumed: Bundle, later: Later) -> None:
    """Ranked by the cold user and by warm ones: how far up the two items come, base against resumed."""
    places = {}
    for name, one in (("base", resumed.previous()), ("resumed", resumed)):
        table = np.load(one.embeddings_path)
        users = export.user_vectors(one.model_path, np.arange(1, 61).reshape(12, 5))
        scores = users @ table[1:].T
        order = (-scores).argsort(axis=1).argsort(axis=1)
        places[name] = {item: float(np.median(order[:, one.index_of[item] - 1])) for item in (later.hit, NEW.id)}
    assert places["resumed"][later.hit] < places["base"][later.hit] - 10
    assert places["resumed"][NEW.id] < places["base"][NEW.id]


def test_the_manifest_says_where_it_comes_from_and_that_it_is_no_worse(
    small_bundle: Path, resumed: Bundle, later: Later
) -> None:
    origin = resumed.manifest["resumed_from"]
    assert origin["version"] == Bundle.load(small_bundle).version != resumed.version
    assert origin["since_s"] == later.since_s
    assert origin["new_events"] > 0
    assert resumed.manifest["metrics"]["validation_ndcg_at_10"] >= origin["validation_ndcg_at_10"]
    assert set(origin["metrics"]) == set(resumed.manifest["metrics"])


def test_with_nothing_new_the_base_stays(small: Small, small_bundle: Path) -> None:
    base = Bundle.load(small_bundle)
    again = resume.fit(small.dataset, small.split, base, 2_000_000_000, progress=quiet)
    assert (again.fitted.best_epoch, again.new_events) == (0, 0)
    np.testing.assert_allclose(again.fitted.release.table, np.load(base.embeddings_path), atol=1e-6)


def test_nothing_new_is_refused_before_training(small: Small, small_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing in it came at or after 2033-05-18T03:33:20"):
        build.resume(tmp_path, Bundle.load(small_bundle), small.acquired, 2_000_000_000, quiet)


def test_what_came_at_the_given_time_is_new(later: Later) -> None:
    dataset = read(later.acquired)
    times = np.concatenate(dataset.times_s)
    assert resume.new_events(dataset, later.since_s) == (times >= later.since_s).sum()
    assert (times == later.since_s).any()
    known = Timed.cut(dataset.sequences, dataset.times_s)
    before = resume.until(known, later.since_s)
    assert sum(map(len, before)) == (times < later.since_s).sum()
    settings = Settings(shape=Shape(max_length=100))
    learnt = resume.material(known, later.since_s, settings, np.random.default_rng(0)).sequences()
    fresh = [sequence for sequence in learnt if (sequence < 0).any()]
    assert sum(int((sequence > 0).sum()) for sequence in fresh) == (times >= later.since_s).sum()


def test_only_what_is_new_chooses(small: Small, later: Later) -> None:
    newest = int(max(times[-2] for times in small.dataset.times_s))
    assert len(resume.validated(small.dataset, small.split, newest + 1).targets) == 0
    few = resume.validated(small.dataset, small.split, newest)
    assert 0 < len(few.targets) < resume.FEWEST_VALIDATED


def test_descriptions_stay_where_the_new_data_have_none(later: Later) -> None:
    dataset = read(later.acquired)
    told = dataset.items
    renamed = dataclasses.replace(told[1], title="Another title")
    items = (Item(told[0].id, told[0].id, None, ()), renamed, *told[2:])
    aligned = resume.align(dataclasses.replace(dataset, items=items), told[:3])
    assert aligned.items[:2] == (told[0], renamed)
    assert aligned.cleaning.items_without_description == 0


def test_it_can_be_resumed_again(resumed: Bundle, later: Later) -> None:
    dataset = resume.align(read(later.acquired), resumed.items)
    settings = recipe.settings_of(resumed)
    learner, fusion = checkpoint.load(resume.checkpoint_of(resumed), dataset.items, settings.shape, settings.plan)
    kept = np.load(resumed.embeddings_path)[:, : settings.shape.dimensions]
    np.testing.assert_allclose(learner.fold()[0].item_embedding.weight.detach().numpy(), kept, atol=1e-6)
    assert (None if fusion is None else asdict(fusion)) == resumed.manifest["fusion"]


def test_what_cannot_be_resumed_is_said(small_bundle: Path, small: Small, tmp_path: Path) -> None:
    base = Bundle.load(small_bundle)
    document = {**base.manifest, "files": {n: f for n, f in base.manifest["files"].items() if n != bundle.CHECKPOINT}}
    with pytest.raises(BundleError, match=r"no checkpoint\.npz"):
        build.resume(tmp_path, Bundle(base.path, document), small.acquired, 0, quiet)
    other = {**base.manifest, "settings": {"seed": 1}}
    with pytest.raises(BundleError, match="another version"):
        build.resume(tmp_path, Bundle(base.path, other), small.acquired, 0, quiet)
    assert json.dumps(asdict(recipe.settings_of(base))) == json.dumps(base.manifest["settings"])
