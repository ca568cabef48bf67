"""``recdr report postmortem``: begun once, kept for good."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command import recdr
from tests.reports import fakerun


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return fakerun.write(tmp_path / "runs" / "20261122-013000-failover", outcome="FAIL", lost=3)


def test_it_is_created_once_and_survives_building_and_judging_again(run_dir: Path) -> None:
    home = run_dir.parent.parent
    created = recdr(home, "report", "postmortem")
    path = Path(created.stdout.strip())
    assert (created.returncode, path) == (0, run_dir / "postmortem.yaml")
    edited = path.read_text().replace("authors: []", "authors: [Ada Example]")
    path.write_text(edited)
    for again in (("report", "build"), ("drill", "judge"), ("report", "postmortem")):
        assert recdr(home, *again).returncode in {0, 1, 3}, again
        assert path.read_text() == edited
        assert "Ada Example" in (run_dir / "report.html").read_text()


def test_a_mistake_ends_with_2_and_the_report_stays_as_it_was(run_dir: Path) -> None:
    home = run_dir.parent.parent
    (run_dir / "postmortem.yaml").write_text("actons: []\n")
    ended = recdr(home, "report", "postmortem")
    assert ended.returncode == 2
    assert "postmortem.yaml:1: actons: this key is not known here. Did you mean 'actions'?" in ended.stderr
    built = recdr(home, "report", "build")
    assert built.returncode == 0
    assert "The report was built without it." in built.stderr
    assert (run_dir / "postmortem.yaml").read_text() == "actons: []\n"


def test_it_opens_the_editor_that_is_asked_for(run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = tmp_path / "my editor"
    editor.write_text("#!/bin/sh\nprintf 'notes: by hand\\n' > \"$1\"\n")
    editor.chmod(0o755)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"'{editor}'")
    assert recdr(run_dir.parent.parent, "report", "postmortem", "--edit").returncode == 0
    assert "by hand" in (run_dir / "report.html").read_text()
    monkeypatch.delenv("EDITOR")
    ended = recdr(run_dir.parent.parent, "report", "postmortem", "--edit")
    assert ended.returncode == 2
    assert "export EDITOR=nano" in ended.stderr
