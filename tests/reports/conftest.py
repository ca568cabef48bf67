"""Run directories to report on, and a real browser to open the reports in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import reports
from tests.reports import fakerun


@pytest.fixture(scope="session")
def passed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with one trial and its reports; tests only read it."""
    run_dir = fakerun.write(tmp_path_factory.mktemp("runs") / "passed")
    reports.build(run_dir)
    return run_dir


@pytest.fixture(scope="session")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with three trials, three lost events in each, and its reports; tests only read it."""
    run_dir = fakerun.write(tmp_path_factory.mktemp("runs") / "failed", trials=3, outcome="FAIL", lost=3)
    reports.build(run_dir)
    return run_dir


@pytest.fixture(scope="session")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two trials and its reports; tests only read it."""
    run_dir = fakerun.write(tmp_path_factory.mktemp("runs") / "twice", trials=2, outcome="FAIL", lost=3)
    reports.build(run_dir)
    return run_dir


@pytest.fixture
def run_dir(passed: Path, tmp_path: Path) -> Path:
    """A run directory of one's own to take things away from, without reports."""
    copy = tmp_path / "run"
    shutil.copytree(passed, copy, ignore=shutil.ignore_patterns("report.html", "junit.xml", "summary.md"))
    return copy


@dataclass
class Opened:
    """A report open in a browser, with all that it complained of or asked for."""

    page: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def ready(self) -> Opened:
        """Wait for the charts of the trial that stands open."""
        self.page.wait_for_selector("html[data-charts=drawn]", state="attached", timeout=60_000)
        return self

    def on_paper(self) -> Opened:
        """Wait for the charts' stills for paper too: of every trial."""
        self.page.wait_for_selector("html[data-print=ready]", state="attached", timeout=120_000)
        return self


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's Chromium, driven by playwright; skips where either is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    binary = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
        None,
    )
    if binary is None:
        pytest.skip("no Chromium on this machine")
    # Root has no user namespace to sandbox itself with; the pages are our own.
    sandbox = os.geteuid() != 0
    flags = [
        "--disable-gpu",
        "--disable-quic",
        "--disable-component-update",
        "--disable-background-networking",
    ]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=binary, args=flags, chromium_sandbox=sandbox)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any) -> Iterator[Any]:
    """``visit(path, width=1280, dark=False)`` opens a report and returns it as ``Opened``."""
    contexts = []

    def visit_(path: Path, width: int = 1280, *, dark: bool = False) -> Opened:
        scheme = "dark" if dark else "light"
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        opened = Opened(context.new_page())
        opened.page.on("pageerror", lambda error: opened.errors.append(str(error)))
        opened.page.on(
            "console",
            lambda said: opened.errors.append(said.text) if said.type in {"error", "warning"} else None,
        )
        opened.page.on("dialog", lambda dialog: (opened.errors.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        opened.page.on(
            "request",
            lambda request: (
                opened.requests.append(request.url) if not request.url.startswith(("file:", "data:", "blob:")) else None
            ),
        )
        opened.page.goto(path.as_uri())
        return opened

    yield visit_
    for context in contexts:
        context.close()
