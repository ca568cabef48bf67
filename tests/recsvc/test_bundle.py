"""A bundle that was altered is never used, and the message names the file."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recsvc import bundle
from recsvc.bundle import Bundle, BundleError
from tests.recsvc.small_data import QUICK, Small


@pytest.fixture
def copy(small_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_bundle, tmp_path / "copy"))


def test_it_holds_what_it_promises(small_bundle: Path, small: Small) -> None:
    loaded = Bundle.load(small_bundle)
    assert (loaded.data_source, loaded.synthetic) == ("synthetic", True)
    assert len(loaded.version) == 12
    assert loaded.items == small.dataset.items
    assert loaded.index_of[loaded.items[7].id] == 8
    table = np.load(loaded.embeddings_path)
    assert (table.shape, table.dtype) == ((len(loaded.items) + 1, loaded.manifest["dimensions"]), np.float32)
    assert loaded.manifest["dimensions"] in (32, 32 + QUICK.shape.factors)
    assert not table[0].any()
    assert list(loaded.evaluation.users) == list(small.dataset.users)
    for user, sequence in zip(small.dataset.users, small.dataset.sequences, strict=True):
        ids = tuple(loaded.items[index - 1].id for index in sequence)
        assert loaded.histories[user] == ids[:-1]
        assert loaded.evaluation.expected[user] == ids[-1:]
    metrics = loaded.manifest["metrics"]
    assert metrics["hr_at_10"] > metrics["popularity_hr_at_10"]
    assert metrics["users"] == 200


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({"out_of_time": False, "epochs": 3, "best_epoch": 3}, None),
        ({"out_of_time": True, "epochs": 3, "best_epoch": 3}, "after 3 of 14 epochs"),
        ({"out_of_time": True, "epochs": 14, "best_epoch": 14}, "in its last stage"),
        ({"out_of_time": True, "epochs": 8, "best_epoch": 3}, "in its last stage"),
        ({"out_of_time": True, "epochs": 2, "best_epoch": 2, "resumed_from": {}}, "after 2 of 6 epochs"),
    ],
)
def test_it_says_how_far_a_training_came_whose_time_ran_out(
    about: dict[str, object], told: str | None, tmp_path: Path
) -> None:
    settings = {"plan": {"epochs": 14, "resume_epochs": 6, "patience": 5}}
    assert Bundle(tmp_path, {**about, "settings": settings}).cut_short == told


@pytest.mark.parametrize("name", bundle.PAYLOAD)
def test_an_altered_or_missing_file_is_named(name: str, copy: Path) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(BundleError, match=rf"{name}: SHA-256"):
        Bundle.load(copy)
    (copy / name).unlink()
    with pytest.raises(BundleError, match=rf"{name}: cannot be read"):
        Bundle.load(copy)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"format": 99}, "bundle format 99"),
        ({"version": "000000000000"}, "version is not that of the files"),
        ({"files": {}}, "SHA-256"),
        ({"files": 3}, "not the manifest"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(change: dict[str, object], complaint: str, copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | change))
    with pytest.raises(BundleError, match=complaint):
        Bundle.load(copy)


def test_what_is_no_bundle_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="not a model bundle"):
        Bundle.load(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(BundleError, match="not valid JSON"):
        Bundle.load(tmp_path)


def test_reading_a_bundle_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'numpy', 'onnx', 'onnxruntime'}"
    code = f"import sys, recsvc.bundle; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_release_before_shares_the_catalogue_and_ranks_nearly_as_well(small_bundle: Path) -> None:
    made = bundle.Bundle.load(small_bundle)
    before = made.previous()
    assert before.version != made.version
    assert before.items == made.items
    metrics, earlier = made.manifest["metrics"], before.manifest["metrics"]
    assert earlier["hr_at_10"] > 1.5 * metrics["popularity_hr_at_10"]
    assert earlier != metrics
    with pytest.raises(bundle.BundleError, match="previous"):
        before.previous()
