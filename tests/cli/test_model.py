"""``recdr model`` as people run it: on tiny data, wrongly, and interrupted."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from drills import model
from drills.cli import model_tables
from drills.cli.app import app
from drills.errors import UsageError
from recsvc.bundle import Bundle
from tests.processes import commands_with

RECDR = str(Path(sys.executable).with_name("recdr"))
SHOP = {"lamp": "Lighting", "bulb": "Lighting", "shade": "Lighting", "desk": "Furniture", "chair": "Furniture"}


def recdr(cache: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RECDR_CACHE": str(cache), "COLUMNS": "200"}
    done = subprocess.run([RECDR, "model", *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``orders.csv`` and ``products.csv`` of a small shop."""
    folder = tmp_path_factory.mktemp("shop")
    draw = random.Random(4)
    names = [f"{item}-{number}" for item in SHOP for number in range(8)]
    orders = ["customer,sku,at"]
    for customer in range(60):
        start = draw.randrange(len(names))
        orders += [f"mail{customer}@example.com,{names[(start + n) % len(names)]},{10**9 + n}" for n in range(8)]
    (folder / "orders.csv").write_text("\n".join([*orders, "broken", ""]))
    rows = [f"{name},{name.title()},{SHOP[name.partition('-')[0]]},{9 + n}" for n, name in enumerate(names)]
    (folder / "products.csv").write_text("\n".join(["sku,name,category,price", *rows, "new-1,Newest,Furniture,3", ""]))
    return folder


@pytest.fixture(scope="module")
def trained(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A cache with a model of the shop, trained for a moment, and its version."""
    cache = tmp_path_factory.mktemp("cache")
    done = recdr(cache, "train", *data_of(shop), "--budget-s", "1", "--device", "cpu", "--json")
    return cache, str(json.loads(done.stdout)["version"])


def data_of(shop: Path) -> tuple[str, ...]:
    columns = "user=customer,item=sku,time=at"
    return "--data", f"file:{shop / 'orders.csv'}", "--columns", columns, "--items", str(shop / "products.csv")


def test_cleaning_is_told_in_a_table_and_as_json(shop: Path, tmp_path: Path) -> None:
    done = recdr(tmp_path, "prepare", *data_of(shop))
    assert "unreadable or incomplete, dropped (line 482)" in done.stdout
    assert "user ids as pseudonyms" in done.stdout
    assert "480  interactions kept" in done.stdout and "1  of them without an interaction" in done.stdout


def test_a_first_line_that_counts_as_an_interaction_is_told(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("kunde,artikel\nk1,a1\n")
    given = ("--data", f"file:{tmp_path / 'log.csv'}", "--columns")
    told = recdr(tmp_path / "cache", "prepare", *given, "user=1,item=2,time=none").stdout
    assert "2  interactions kept" in told and "no header: its first line is an interaction" in told
    told = recdr(tmp_path / "cache", "prepare", *given, "user=1,item=2,time=none,header=yes").stdout
    assert "1  interactions kept" in told and "no header" not in told


def test_a_model_of_ones_own_is_trained_shown_and_drilled(trained: tuple[Path, str], shop: Path) -> None:
    cache, version = trained
    bundle = Bundle.load(cache / "bundles" / version)
    assert (bundle.data, bundle.data_source, bundle.items[-1].id) == ("orders.csv", "file", "new-1")
    assert bundle.manifest["cleaning"]["unreadable_lines"] == [482]
    everything = b"".join(path.read_bytes() for path in cache.rglob("*") if path.is_file())
    assert b"@example.com" not in everything, "no raw user id anywhere, bundles included"
    shown = recdr(cache, "show", version[:5]).stdout
    assert version in shown and "HR@10" in shown and "interactions kept" in shown and "model.onnx" in shown
    assert version in recdr(cache, "show").stdout
    assert model.prepare(cache, lambda *_: None, version[:5]) == bundle.path
    again = recdr(cache, "train", *data_of(shop), "--budget-s", "1", "--device", "cpu", "--json")
    assert json.loads(again.stdout)["cached"] is True


def test_it_is_evaluated_on_the_data_that_it_was_made_from(trained: tuple[Path, str], tmp_path: Path) -> None:
    cache, version = trained
    told = recdr(cache, "evaluate", version, "--k", "3,10").stdout
    assert version in told and "HR@3" in told and "popularity" in told.lower()
    alone = tmp_path / "bundle"
    shutil.copytree(cache / "bundles" / version, alone)
    assert "Get them again" in recdr(tmp_path, "evaluate", str(alone), code=2).stderr


def test_a_month_later_it_goes_on(trained: tuple[Path, str], shop: Path, tmp_path: Path) -> None:
    cache, version = trained
    later = tmp_path / "orders.csv"
    more = [f"mail{customer}@example.com,new-1,{2 * 10**9 - 10**9 + 100}" for customer in range(40)]
    later.write_text((shop / "orders.csv").read_text() + "\n".join([*more, ""]))
    options = [f"file:{later}" if part.startswith("file:") else part for part in data_of(shop)]
    found = json.loads(recdr(cache, "train", *options, "--resume", version, "--device", "cpu", "--json").stdout)
    assert found["manifest"]["resumed_from"]["version"] == version
    assert found["manifest"]["resumed_from"]["new_events"] > 0
    report = json.loads(recdr(cache, "evaluate", found["version"], "--json").stdout)
    assert report["bundle"]["version"] == found["version"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("prepare", "--data", "file:/nowhere.csv"), "/nowhere.csv: cannot be read"),
        (("train", "--preset", "best"), "invalid choice: 'best'"),
        (("train", "--resume", "--since", "2026-01-01"), "reference model has not been trained"),
    ],
)
def test_what_is_wrong_is_said_once(arguments: tuple[str, ...], complaint: str, tmp_path: Path) -> None:
    done = recdr(tmp_path, *arguments, code=2)
    assert done.stderr.count(complaint) == 1, done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""


def until(reached: Callable[[], object]) -> None:
    """Wait for something; fails after a minute."""
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextlib.contextmanager
def training(shop: Path, cache: Path) -> Iterator[subprocess.Popen[str]]:
    """A training that would take an hour, in a process group of its own, as soon as it has begun to write."""
    environment = {**os.environ, "RECDR_CACHE": str(cache)}
    command = [RECDR, "model", "train", *data_of(shop), "--preset", "quality", "--device", "cpu"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, process_group=0) as running:
        until(lambda: running.poll() is not None or list(cache.glob("bundles/.partial-*")))
        yield running


def test_the_training_of_a_killed_recdr_ends_with_it(shop: Path, tmp_path: Path) -> None:
    with training(shop, tmp_path) as running:
        (child,) = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        # Its words go on being read, so that it does not end for want of a reader.
        heard = os.open(f"/proc/{running.pid}/fd/{stderr_of(int(child), running.pid)}", os.O_RDONLY | os.O_NONBLOCK)
        running.kill()
        until(lambda: not commands_with(str(tmp_path)))
        os.close(heard)
    assert list((tmp_path / "bundles").iterdir()) == []


def stderr_of(child: int, parent: int) -> int:
    """The parent's descriptor of the pipe that is the child's stderr."""
    pipe = Path(f"/proc/{child}/fd/2").readlink()
    named = {entry.readlink(): int(entry.name) for entry in Path(f"/proc/{parent}/fd").iterdir()}
    return named[pipe]


@pytest.mark.parametrize("to_group", [True, False], ids=["terminal", "kill"])
def test_an_interrupted_training_leaves_nothing_half_done(to_group: bool, shop: Path, tmp_path: Path) -> None:
    with training(shop, tmp_path) as running:
        if to_group:
            os.killpg(running.pid, signal.SIGINT)
        else:
            running.send_signal(signal.SIGTERM)
        said = running.communicate(timeout=60)[1]
    assert running.returncode == 130, said
    assert "nothing half done is left" in said
    assert list((tmp_path / "bundles").iterdir()) == []


def test_a_model_that_is_not_there_is_refused_before_anything_is_deployed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--model 3f2a: there is no bundle"):
        model.prepare(tmp_path, lambda *_: None, "3f2a")


def test_an_answer_longer_than_a_pipe_holds_arrives(tmp_path: Path) -> None:
    folder = tmp_path / "bundles" / "abc"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"format": -1, "data": "x" * 300_000}))
    environment = {**os.environ, "RECDR_CACHE": str(tmp_path)}
    command = [RECDR, "model", "show", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert len(json.loads(done.stdout)["bundles"][0]["data"]) == 300_000


def test_the_list_of_models_fits_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    monkeypatch.setattr(model_tables, "OUT", console)
    figures = {"hr_at_10": 0.12345, "ndcg_at_10": 0.0567}
    row = {"version": "a2863358170a", "created": "2026-11-22T10:00:00+00:00", "metrics": figures, "usable": True}
    names = ("orders-of-the-whole-year.parquet", "ml-100k")
    model_tables.print_bundles([{**row, "data": name, "preset": "default", "default": True} for name in names])
    told = console.export_text()
    for whole in ("version", "preset", "a2863358170a", "2026-11-22", "HR@10", "NDCG@10", "0.1235", "0.0567"):
        assert whole in told
    assert "…" not in told and max(map(len, told.splitlines())) <= 80
    folded = "".join(line[14:].split("  ")[0] for line in told.splitlines()[1:3])
    assert names[0] in folded.replace(" ", "")
    assert told.count("default") == 4


def test_a_model_that_was_cut_short_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    monkeypatch.setattr(model_tables, "OUT", console)
    manifest = {"device": "cpu", "settings": {"plan": {"budget_s": 120.0}}}
    about = {"version": "a28", "bundle": "/b", "manifest": manifest, "cut_short": "after 3 of 14 epochs"}
    model_tables.print_bundle({**about, "cut_short": None})
    assert "CUT SHORT" not in console.export_text()
    model_tables.print_bundle(about)
    told = console.export_text()
    assert "CUT SHORT: the time of 120 s ran out after 3 of 14 epochs, on cpu" in told and "--again" in told
    row: dict[str, object] = {
        "version": "a28",
        "data": "d",
        "preset": "p",
        "created": None,
        "metrics": {},
        "usable": True,
    }
    model_tables.print_bundles([{**row, "default": True, "cut_short": "in its last stage"}])
    assert "default, cut short" in " ".join(console.export_text().split())


def test_versions_are_completed(trained: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    from drills.cli.arguments import complete_bundle  # noqa: PLC0415 - read after the cache is chosen

    cache, version = trained
    monkeypatch.setenv("RECDR_CACHE", str(cache))
    assert complete_bundle(version[:3]) == [version]
    assert complete_bundle("d")[0] == "default"


def test_help_has_examples() -> None:
    for command in ("prepare", "train", "evaluate", "export", "show"):
        shown = CliRunner().invoke(app, ["model", command, "--help"]).stdout
        assert f"recdr model {command}" in shown


@pytest.mark.parametrize(
    ("arguments", "resumed"), [([], None), (["--resume"], "default"), (["--resume", "3f2a"], "3f2a")]
)
def test_train_takes_no_argument_and_resume_no_name(
    arguments: list[str], resumed: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def call(command: str, given: list[str], *_: object) -> dict[str, object]:
        asked.extend([command, *given])
        raise UsageError("enough")

    monkeypatch.setattr(model, "call", call)
    assert CliRunner().invoke(app, ["model", "train", *arguments]).exit_code != 0
    assert asked[0] == "train"
    assert (asked[asked.index("--resume") + 1] if "--resume" in asked else None) == resumed
