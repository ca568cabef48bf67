"""How little data a model can be made of, and what is said of less before any time is lost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from recsvc import build, evaluation, export, train
from recsvc.baselines import PopularityKind
from recsvc.bundle import Bundle
from recsvc.commands import train as command
from recsvc.data import Acquired, Message, Request, acquire, read
from recsvc.recipe import Plan, Settings, Shape
from recsvc.train import TrainError

QUICK = Settings(shape=Shape(dimensions=8, max_length=8), plan=Plan(epochs=1, epoch_steps=2, refit_epochs=1))


def quiet(*_: object) -> None:
    """Nobody watches."""


say: Message = quiet


def log(folder: Path, *, items: int, events: int, users: int = 30) -> Path:
    """``log.csv``: each user takes so many items in turn, beginning at the user's own."""
    lines = [f"u{u},i{(u + n) % items},{1000 + n}" for u in range(users) for n in range(events)]
    (folder / "log.csv").write_text("\n".join(["user,item,time", *lines, ""]))
    return folder / "log.csv"


def acquired(path: Path, cache: Path) -> Acquired:
    return acquire(Request(f"file:{path}"), cache, say)


def test_a_catalogue_of_six_items_is_enough(tmp_path: Path) -> None:
    data = acquired(log(tmp_path, items=6, events=5), tmp_path / "cache")
    folder = tmp_path / "bundle"
    folder.mkdir()
    build.write(folder, data, QUICK, quiet, "cpu")
    bundle = Bundle.load(folder)
    assert not [about for about in bundle.manifest["variants"].values() if "error" in about]
    none = np.zeros((1, 0), dtype=np.int64)
    assert export.run(bundle.model_path, np.array([[1, 2]]), none, 6)[0].shape == (1, 6)
    report = evaluation.full_report(bundle, read(data), bootstrap=20, kinds=(PopularityKind(),))
    assert report["protocol"]["items"] == 6


@pytest.mark.parametrize(
    ("items", "events", "complaint"),
    [
        (9, 4, "log.csv: none of 30 users has 5 different items, the most is 4"),
        (5, 5, "log.csv: the catalogue has 5 items, and a model needs 6"),
    ],
)
def test_less_is_refused_before_training(
    items: int, events: int, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = log(tmp_path, items=items, events=events)
    assert command.main(["--data", f"file:{path}", "--cache", str(tmp_path / "cache")]) == 2
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert complaint in lines[-1]["message"] and "--columns" in lines[-1]["message"]
    assert "train" not in {line["stage"] for line in lines}


def test_a_device_that_is_not_there_is_said_on_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train.torch.cuda, "is_available", lambda: False)
    path = log(tmp_path, items=9, events=6)
    assert command.main(["--data", f"file:{path}", "--device", "cuda", "--cache", str(tmp_path / "cache")]) == 2
    last = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert last["message"].startswith("--device cuda: torch finds no usable GPU here; use --device cpu")
    assert issubclass(TrainError, command.DataError)
