"""What the commands refuse, and what they make of times, cut-offs and columns."""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
from pathlib import Path

import pytest

from recsvc import recipe
from recsvc.bundle import Bundle
from recsvc.commands import asking
from recsvc.commands.bundles import acquired_for
from recsvc.commands.evaluate import cut_offs
from recsvc.commands.train import Earlier, moment, settings_of
from recsvc.data import DataError, Request, acquire
from recsvc.data.keys import KEY_FILE

ORDERS = ("--data", "file:{folder}/orders.csv")


@pytest.mark.parametrize(
    ("command", "arguments", "complaint"),
    [
        ("prepare", ("--data", "ml-9"), "there is no such data set"),
        ("prepare", ("--data", "ml-1m", "--source", "http://127.0.0.1:1/x.zip"), "cannot be fetched"),
        ("prepare", ORDERS, "none of its columns (customer, sku, at) is known to hold the time"),
        ("prepare", (*ORDERS, "--columns", "user=x,item=sku,time=at"), "no column 'x' for user"),
        ("prepare", (*ORDERS, "--columns", "person=customer"), "write user=NAME,item=NAME,time=NAME"),
        ("prepare", (*ORDERS, "--key-file", "{folder}/nokey"), "nokey: the key file cannot be read"),
        ("train", ("--since", "2026-01-01"), "name that with --resume BUNDLE"),
        ("train", ("--resume", "abc"), "abc: there is no bundle of that version"),
        ("show", ("default",), "the reference model has not been trained yet"),
        ("evaluate", ("--k", "ten"), "--k ten: write cut-offs"),
        ("export", ("abc", "--output", "{folder}/new"), "abc: there is no bundle of that version"),
    ],
)
def test_what_is_wrong_is_the_last_line_with_a_remedy(
    command: str, arguments: tuple[str, ...], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "orders.csv").write_text("customer,sku,at\na,b,1\n")
    main = importlib.import_module(f"recsvc.commands.{command}").main
    given = [part.format(folder=tmp_path) for part in arguments]
    assert main([*given, "--cache", str(tmp_path / "cache")]) == 2
    said = capsys.readouterr()
    last = json.loads(said.err.splitlines()[-1])
    assert (last["stage"], said.out) == ("error", "")
    assert complaint in last["message"]
    assert not list((tmp_path / "cache").glob("datasets/*"))


def test_an_output_that_is_in_use_is_left_alone(
    small_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from recsvc.commands.export import main  # noqa: PLC0415

    (tmp_path / "kept").write_text("mine")
    assert main([str(small_bundle), "--output", str(tmp_path), "--cache", str(tmp_path / "cache")]) == 2
    assert "there is something already" in capsys.readouterr().err
    out = tmp_path / "new"
    assert main([str(small_bundle), "--variant", "fp32", "--output", str(out), "--cache", str(tmp_path)]) == 0
    assert {path.name for path in out.iterdir()} == {"model.onnx", "items.json", "item_embeddings.npy", "export.json"}
    about = json.loads((out / "export.json").read_text())
    assert about["variants"]["fp32"]["bytes"] == (out / "model.onnx").stat().st_size
    assert set(about["inputs"]) == {"history", "seen", "k"}


def test_what_a_killed_export_left_is_swept(small_bundle: Path, tmp_path: Path) -> None:
    from recsvc.commands.export import main  # noqa: PLC0415

    dead = tmp_path / ".partial-new-0123abcd"
    dead.mkdir()
    (dead / "model.onnx").write_text("half")
    given = [str(small_bundle), "--variant", "fp32", "--output", str(tmp_path / "new")]
    assert main([*given, "--cache", str(tmp_path / "cache")]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"new", "cache"}


def test_the_data_of_a_bundle_are_found_under_any_key_and_name(tmp_path: Path) -> None:
    log, cache = tmp_path / ".orders.csv", tmp_path / "cache"
    log.write_text("user,item,time\nu1,a,1\nu1,b,2\n")
    acquired = acquire(Request(f"file:{log}"), cache, lambda _: None)
    assert acquired.folder.name.startswith(".orders.csv-")
    shutil.copytree(acquired.folder, acquired.folder.with_name(".partial-a-0123abcd"))
    made = Bundle(tmp_path, {"version": "3f2a", "data": "log", "data_sha256": acquired.interactions_sha256})
    assert acquired_for(cache, made) == acquired
    (cache / KEY_FILE).unlink()
    assert acquire(Request(f"file:{log}"), cache, lambda _: None, again=True) == acquired
    assert acquired_for(cache, made).folder == acquired.folder
    with pytest.raises(DataError, match="3f2a: the data that it was made from"):
        acquired_for(cache, Bundle(tmp_path, {**made.manifest, "data_sha256": "0"}))


def test_times_are_iso_or_seconds() -> None:
    assert moment("1700000000") == 1_700_000_000
    assert moment("2023-11-14") == 1_699_920_000
    assert moment("20231114") == 1_699_920_000
    assert moment("2023-11-14T22:13:20Z") == 1_700_000_000
    assert moment("2023-11-14T23:13:20+01:00") == 1_700_000_000
    for wrong in ("soon", "\N{SUPERSCRIPT TWO}"):
        with pytest.raises(DataError, match=f"--since {wrong}: write a time as"):
            moment(wrong)


def test_cut_offs_and_columns() -> None:
    assert cut_offs("10, 5,5") == [5, 10]
    assert asking.columns("user=a b, item=c", "--columns", asking.ROLES) == {"user": "a b", "item": "c"}
    assert asking.columns("header=no", "--columns", asking.ROLES) == {"header": "no"}
    with pytest.raises(DataError, match="--columns header=maybe: write header=yes or header=no"):
        asking.columns("header=maybe", "--columns", asking.ROLES)
    with pytest.raises(DataError, match=r"--columns user: write user=NAME,item=NAME,time=NAME,header=yes\|no, any"):
        asking.columns("user", "--columns", asking.ROLES)


def test_what_goes_on_keeps_its_preset_and_takes_seed_and_time(small_bundle: Path) -> None:
    base = Bundle.load(small_bundle)
    earlier = Earlier(base, 7)
    own = recipe.settings_of(base)

    def asked(**given: object) -> argparse.Namespace:
        return argparse.Namespace(**{"preset": None, "seed": None, "budget_s": None, **given})

    assert settings_of(asked(), earlier) == own
    other = settings_of(asked(seed=9, budget_s=3.0), earlier)
    assert (other.seed, other.plan.budget_s, other.shape) == (9, 3.0, own.shape)
    with pytest.raises(DataError, match="--preset default: a model that is gone on from keeps its shape"):
        settings_of(asked(preset="default"), earlier)
    assert settings_of(asked()) == recipe.PRESETS["default"]
    assert settings_of(asked(preset="quality", seed=4)).seed == 4
