"""The command as people and recdr run it."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from recsvc import synthetic
from recsvc.bundle import Bundle
from recsvc.commands import train as command
from recsvc.recipe import Plan, Settings, Shape

QUICK = Settings(shape=Shape(dimensions=16), plan=Plan(epochs=1, epoch_steps=1, refit_epochs=0))


def run_main(cache: Path, *more: str) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-m", "recsvc.commands.train", "--cache", str(cache), *more]
    return subprocess.run(arguments, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache as the command leaves it, with a quickly trained bundle under the default settings' key."""
    folder = tmp_path_factory.mktemp("cache")
    patch = pytest.MonkeyPatch()
    make = synthetic.make
    patch.setattr(synthetic, "make", lambda: make(users=60, items_per_genre=6, events=12))
    default = Settings()
    # Only the time that training takes is cut; the key stays that of the defaults.
    patch.setattr(Settings, "key", lambda self, data: f"{data[:8]}-{self.seed}")
    made = command.prepare(folder, "synthetic", dataclasses.replace(QUICK, seed=default.seed), lambda *_: None)
    patch.undo()
    assert not made.cached
    document = json.loads((folder / "datasets" / "synthetic" / "source.json").read_text())
    assert document["source"] == "synthetic"
    acquired = command.data.acquire("synthetic", folder, lambda _: None)
    key = folder / "keys" / f"{acquired.sha256[:8]}-0.json"
    key.rename(folder / "keys" / f"{default.key(acquired.sha256)}.json")
    return folder


def test_a_warm_start_answers_fast_on_one_line_without_torch(cache: Path) -> None:
    code = (
        "import sys; from recsvc.commands.train import main; code = main(sys.argv[1:]);"
        "sys.exit(code or len({'torch', 'onnx', 'onnxruntime', 'numpy', 'rich'} & set(sys.modules)))"
    )
    arguments = [sys.executable, "-c", code, "--cache", str(cache), "--data", "synthetic"]
    begun = time.monotonic()
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    took_s = time.monotonic() - begun
    assert done.returncode == 0, done.stderr
    assert took_s < 2.0
    answer = json.loads(done.stdout)
    assert answer["cached"] is True
    assert (answer["data_source"], answer["synthetic"]) == ("synthetic", True)
    assert Bundle.load(answer["bundle"]).version == answer["version"]
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert all(set(line) == {"stage", "done", "total", "message"} for line in lines)
    assert lines[-1]["stage"] == "done"


def test_a_model_that_was_cut_short_is_found_with_a_word_on_how_to_train_it_anew(cache: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(cache, tmp_path / "cache"))
    sound = run_main(own, "--data", "synthetic")
    (path,) = own.glob("bundles/*/manifest.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "out_of_time": True}))
    done = run_main(own, "--data", "synthetic")
    assert (json.loads(done.stdout)["cached"], json.loads(done.stdout)["cut_short"]) == (True, "in its last stage")
    assert "was cut short in its last stage: `recdr model train --again`" in done.stderr
    assert "cut short" not in sound.stderr


def test_bars_leave_stdout_to_the_answer(cache: Path) -> None:
    done = run_main(cache, "--data", "synthetic", "--progress", "bar")
    assert json.loads(done.stdout)["cached"] is True
    assert "done" in done.stderr


def test_every_setting_changes_the_key() -> None:
    base = Settings()
    others = [
        dataclasses.replace(base, seed=1),
        dataclasses.replace(base, shape=Shape(dimensions=32)),
        dataclasses.replace(base, plan=Plan(learning_rate=1e-3)),
    ]
    keys = {settings.key("data") for settings in (base, *others)} | {base.key("other data")}
    assert len(keys) == 5


def test_two_at_once_make_one_bundle(small_tables: None, tmp_path: Path) -> None:
    """Threads stand in for processes: flock treats each open file on its own."""
    said: list[tuple[Any, ...]] = []
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(command.prepare, tmp_path, "synthetic", QUICK, lambda *line: said.append(line))
            for _ in range(2)
        ]
        made = [job.result() for job in jobs]
    assert sorted(result.cached for result in made) == [False, True]
    assert made[0].bundle.path == made[1].bundle.path
    assert len(list((tmp_path / "bundles").iterdir())) == 1
    assert any(line[0] == "wait" for line in said)


def test_a_cache_that_cannot_be_written_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = run_main(tmp_path / "file" / "cache", "--data", "synthetic")
    assert (done.returncode, done.stdout) == (2, "")
    assert json.loads(done.stderr.splitlines()[-1])["stage"] == "error"


@pytest.fixture
def small_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    make = synthetic.make
    monkeypatch.setattr(synthetic, "make", lambda: make(users=60, items_per_genre=6, events=12))
