"""A run's vault: what it takes away is its own, whatever its pointer says; and nothing of it gets into a report."""

from __future__ import annotations

from pathlib import Path

import pytest

import reports
from drills.privacy import known, vault
from drills.undo import UndoLog, unhealed

TOKEN = "kv9Zq3-planted-value-77"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of a home of its own; whoever works is in a folder with a file."""
    monkeypatch.setenv("RECDR_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(known.VARIABLE, raising=False)
    here = tmp_path / "work"
    here.mkdir()
    (here / "precious.txt").write_text("precious")
    monkeypatch.chdir(here)
    folder = tmp_path / "home" / "runs" / "20261122-101112-shop-ab12"
    folder.mkdir(parents=True)
    return folder


def lost(tmp_path: Path) -> bool:
    return not (tmp_path / "work" / "precious.txt").exists()


@pytest.mark.parametrize("said", ["", ".", "/", "{work}", "{work}/private/20261122-101112-shop-ab12", "\0"])
def test_a_pointer_that_is_torn_or_forged_takes_nothing_of_others_away(run: Path, tmp_path: Path, said: str) -> None:
    with vault.opened(run):
        vault.keep_arguments(run, {"token": TOKEN})
    own = vault.place(run)
    forged = tmp_path / "work" / "private" / run.name
    forged.mkdir(parents=True)
    (forged / "theirs.txt").write_text("theirs")
    (run / vault.POINTER).write_text(said.format(work=tmp_path / "work"))
    vault.forget(run)
    assert not lost(tmp_path)
    assert (forged / "theirs.txt").read_text() == "theirs"
    assert not (run / vault.POINTER).exists()
    if "private" not in said:
        assert not own.exists(), "its own is where it always is"


def test_a_vault_goes_whole_and_its_folder_with_it(run: Path, tmp_path: Path) -> None:
    with vault.opened(run) as folder:
        vault.keep(run, "target.json", b"{}")
        vault.keep_arguments(run, {"token": TOKEN})
    assert folder.is_dir()
    vault.forget(run)
    assert not (tmp_path / "home" / "private").exists()
    vault.forget(run)


def test_the_vault_of_a_run_that_was_deleted_goes_with_the_next(run: Path, tmp_path: Path) -> None:
    with vault.opened(run) as folder:
        pass
    run.rename(tmp_path / "elsewhere")
    other = run.with_name("20261122-101113-shop-cd34")
    other.mkdir()
    with vault.opened(other):
        assert not folder.exists()
    vault.forget(other)


def test_a_report_of_what_is_unhealed_has_no_secret_of_the_vault(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known.learn([TOKEN])
    arguments = {"inject": {"command": ["./kill.sh", "--with", TOKEN]}, "heal": {"command": ["./heal.sh", TOKEN]}}
    with vault.opened(run):
        UndoLog(run, 1).intend("custom", arguments)
    (intent,) = unhealed(run)
    assert intent.arguments == arguments, "healing needs the true ones"
    assert TOKEN not in intent.told
    (run / "drill.yaml").write_text("title: x\n")
    for path in reports.build(run).values():
        text = path.read_text()
        assert TOKEN not in text
    assert "./kill.sh" in (run / "report.html").read_text()
