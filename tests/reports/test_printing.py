"""A report printed by a real Chromium: every page, section and chart whole; and what is said when it cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from drills import printing
from drills.errors import HostError, TargetError
from tests.command import recdr
from tests.processes import commands_with, eventually_empty
from tests.reports import fakerun

A4_PT = (595, 842)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one run of two trials in it."""
    home = tmp_path_factory.mktemp("home")
    fakerun.write(home / "runs" / "20261122-000000-failover-0000", trials=2, load=20, outcome="FAIL")
    return home


@pytest.fixture(scope="module")
def printed(home: Path) -> Any:
    """The report as a PDF, opened."""
    pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed")
    if not any(map(shutil.which, printing.BROWSERS)):
        pytest.skip("no Chromium on this machine")
    ended = recdr(home, "report", "build", "--pdf")
    assert ended.returncode == 0, ended.stderr
    path = Path(ended.stdout.split()[-1])
    assert path.name == "report.pdf"
    return pypdf.PdfReader(path)


@pytest.mark.browser
def test_every_page_is_a4_and_numbered(printed: Any) -> None:
    assert len(printed.pages) > 6
    for number, page in enumerate(printed.pages, 1):
        assert (round(page.mediabox.width), round(page.mediabox.height)) == A4_PT
        assert f"page {number} of {len(printed.pages)}" in page.extract_text()


@pytest.mark.browser
def test_all_sections_and_both_trials_are_on_paper(printed: Any) -> None:
    text = " ".join(" ".join(page.extract_text() for page in printed.pages).split())
    for said in (
        *("Objectives", "Trials side by side", "Trial 1", "Trial 2", "Phases", "What was lost", "What recdr saw"),
        *("What the figures rest on", "Fidelity of the faults", "Environment", "Reproduce and check", "Known limits"),
        "Also measured, without an objective",
        "module: drills.faults.region_loss",
    ):
        assert said in text, said
    for closed in ("Evidence behind the figures", "Chaos Toolkit's journal", "The charts' figures as a table"):
        assert closed not in text, "what cannot be opened on paper does not take room there"
    assert text.count("Answers by region") == 2


@pytest.mark.browser
def test_charts_are_drawn_and_none_is_cut(printed: Any, home: Path, visit: Any) -> None:
    """Every figure fits on one page and is kept together, and no table is wider than the paper."""
    assert sum(len(page.get_contents().get_data()) for page in printed.pages) > 100_000, "charts are drawn, as lines"
    page = visit(home / "runs" / "20261122-000000-failover-0000" / "report.html").ready().page
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 690, "height": 1000})
    page.evaluate("document.querySelectorAll('.trial > details').forEach((one) => { one.open = true; })")
    sizes = page.locator("figure").evaluate_all(
        "(all) => all.map((one) => [one.getBoundingClientRect().right, one.getBoundingClientRect().height, "
        "getComputedStyle(one).breakInside])"
    )
    assert len(sizes) >= 2 * 5
    assert all(right <= 690 and height < 900 and kept == "avoid" for right, height, kept in sizes)
    wide = page.locator("table").evaluate_all("(all) => all.map((one) => one.getBoundingClientRect().right)")
    assert max(wide) <= 690, "no table is cut off at the margin"


@pytest.mark.browser
def test_nothing_is_left_running_or_lying_about(printed: Any, home: Path) -> None:
    assert eventually_empty(lambda: commands_with("recdr-pdf-"), 10) == []
    assert not list((home / "runs").glob("*/.report.pdf*"))


def test_without_a_browser_the_report_is_there_and_the_remedy_named(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv(printing.VARIABLE, raising=False)
    ended = recdr(home, "report", "build", "--pdf")
    assert ended.returncode == 2
    assert "report.html" in ended.stdout
    assert "install one (Debian: apt install chromium), or name one by the variable CHROMIUM" in " ".join(
        ended.stderr.split()
    )
    monkeypatch.setenv(printing.VARIABLE, "/no/such/browser")
    with pytest.raises(HostError, match="CHROMIUM=/no/such/browser: no program of this name"):
        printing.browser()


def test_a_suite_has_no_pdf(tmp_path: Path) -> None:
    (tmp_path / "suite.json").write_text("{}")
    assert recdr(tmp_path, "report", "build", str(tmp_path), "--pdf").returncode == 2


def script(folder: Path, text: str) -> str:
    """A program that is taken for a browser."""
    path = folder / "browser"
    path.write_text(f"#!{sys.executable}\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_browser_that_ends_at_once_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(printing.VARIABLE, script(tmp_path, "raise SystemExit('No usable sandbox!')"))
    with pytest.raises(HostError, match=r"ended before .*report\.html was printed: No usable sandbox!"):
        printing.to_pdf(tmp_path / "report.html", tmp_path / "report.pdf")
    assert not (tmp_path / "report.pdf").exists()


def test_a_browser_that_hangs_is_given_up_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printing, "LEAVING_S", 0.2)
    hanging = script(tmp_path, "import subprocess; subprocess.run(['sleep', '600'])")
    monkeypatch.setenv(printing.VARIABLE, hanging)
    begin = time.monotonic()
    with pytest.raises(TargetError, match=r"did not print .* within 1 s: no answer to Target\.createTarget"):
        printing.to_pdf(tmp_path / "report.html", tmp_path / "report.pdf", 1)
    assert time.monotonic() - begin < 30
    assert eventually_empty(lambda: commands_with(str(tmp_path)), 5) == []


@pytest.mark.browser
def test_it_prints_as_an_ordinary_user_and_as_root(printed: Any, home: Path, tmp_path: Path) -> None:
    """This test is one of them already; as root it also becomes somebody else, whose browser has its sandbox."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can become somebody else")
    shared = Path("/tmp") / f"recdr-pdf-test-{os.getpid()}"
    shutil.copytree(home / "runs" / "20261122-000000-failover-0000", shared)
    try:
        shutil.chown(shared, 65534, 65534)
        become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        code = (
            "import sys; from pathlib import Path; from drills.printing import to_pdf; to_pdf(*map(Path, sys.argv[1:]))"
        )
        environment = {**os.environ, "HOME": str(shared), "TMPDIR": "/tmp"}
        command = [*become, sys.executable, "-c", code, str(shared / "report.html"), str(shared / "mine.pdf")]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        if "sandbox" in ran.stderr or "Permission denied" in ran.stderr:
            pytest.skip(f"this machine gives others no sandbox, or not this Python: {ran.stderr[-200:]}")
        assert ran.returncode == 0, ran.stderr
        assert (shared / "mine.pdf").read_bytes().startswith(b"%PDF")
    finally:
        shutil.rmtree(shared)
