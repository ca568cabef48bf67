"""The report for those who do not see it, or see it otherwise: axe-core in a real browser, keyboard, contrast."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.reports import axe

pytestmark = pytest.mark.browser

ALL = """const all = (node) =>
  [...node.querySelectorAll('*')].flatMap((e) => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])]);"""
CHART_TEXTS = f"""() => {{ {ALL}
  return all(document).filter((e) => e.tagName === 'text' && e.textContent.trim()
    && e.getAttribute('fill') && e.getAttribute('fill') !== 'none')
    .map((e) => getComputedStyle(e).fill); }}"""
WHITE = (255, 255, 255)
STAMP = (74, 83, 96)
"""What white letters in charts stand on (``frame.STAMP_COLOUR``)."""


def opened(visit: Any, run_dir: Path, *, dark: bool = False, width: int = 1280) -> Any:
    """The page with everything in it unfolded and every chart drawn."""
    page = visit(run_dir / "report.html", width, dark=dark).ready().page
    page.eval_on_selector_all("details", "(all) => all.forEach((one) => { one.open = true; })")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.charts')].every((one) => one.dataset.state === 'drawn')"
    )
    return page


def violations(page: Any, where: str = "document") -> list[tuple[str, Any]]:
    """What axe finds; what lies inside a drawing is a picture to readers, and is looked at below."""
    page.evaluate(axe.source())
    found = page.evaluate(f"axe.run({where}, {{ resultTypes: ['violations'] }})")
    assert found["passes"], "it did look"
    return [(v["id"], [n["target"] for n in v["nodes"]]) for v in found["violations"] if v["impact"] != "minor"]


WITHOUT_DRAWINGS = "{ include: [['html']], exclude: [['.chart > *']] }"


@pytest.mark.parametrize(("dark", "width"), [(False, 1280), (True, 390)])
def test_axe_finds_nothing_serious(twice: Path, visit: Any, dark: bool, width: int) -> None:
    page = opened(visit, twice, dark=dark, width=width)
    assert violations(page, WITHOUT_DRAWINGS) == []
    page.locator("#theme").click()
    assert violations(page, WITHOUT_DRAWINGS) == []


def test_axe_would_find_what_is_wrong(twice: Path, visit: Any) -> None:
    page = visit(twice / "report.html").page
    page.evaluate("document.querySelector('.tile .name').style.color = '#d0d0d0'")
    assert [rule for rule, _ in violations(page, "'.tile'")] == ["color-contrast"]


def luminance(colour: tuple[int, int, int]) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    parts = [c / 255 for c in colour]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a: tuple[int, int, int], b: tuple[int, int, int]) -> float:
    dark, light = sorted((luminance(a), luminance(b)))
    return (light + 0.05) / (dark + 0.05)


def colour(css: str) -> tuple[int, int, int]:
    red, green, blue = (int(part) for part in re.findall(r"\d+", css)[:3])
    return red, green, blue


@pytest.mark.parametrize("dark", [False, True])
def test_what_is_written_in_charts_can_be_read(passed: Path, visit: Any, dark: bool) -> None:
    """axe cannot tell what lies behind a text in a drawing."""
    page = visit(passed / "report.html", dark=dark).ready().page
    paper = colour(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    written = {colour(css) for css in page.evaluate(CHART_TEXTS)}
    assert len(written) >= 3, "axes, labels and stamps"
    assert [ink for ink in written - {WHITE} if contrast(ink, paper) < 4.5] == []
    assert contrast(WHITE, STAMP) >= 4.5


def test_the_keyboard_reaches_the_parts_in_order_and_shows_where_it_is(twice: Path, visit: Any) -> None:
    page = visit(twice / "report.html").ready().page
    page.keyboard.press("Tab")
    skip = page.evaluate("document.activeElement.textContent")
    assert skip == "Skip to the objectives"
    box = page.locator(":focus").bounding_box()
    assert box["x"] >= 0
    assert box["y"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#objectives"
    page.locator(".multiples a").last.focus()
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.evaluate("document.querySelector('#trial-1').closest('details').open")


def test_every_state_has_a_pattern_and_a_letter_of_its_own(passed: Path, visit: Any) -> None:
    page = visit(passed / "report.html").ready().page
    strip = page.locator("figure", has_text="GPU of each node")
    keys = strip.locator(".key").all_inner_texts()
    assert keys == ["ok", "D degraded", "R recovering", "– no answer"]
    patterns = strip.locator(".key .swatch").evaluate_all("(all) => all.map((one) => one.className)")
    assert len(set(patterns)) == 4
    said = strip.locator(".chart").get_attribute("aria-label")
    assert "standby/node-2: ok for" in said
    assert "degraded for 4.0 s" in said


def test_landmarks_and_headings(twice: Path, visit: Any) -> None:
    page = visit(twice / "report.html").page
    for role in ("banner", "main", "contentinfo", "navigation"):
        assert page.get_by_role(role).count() == 1, role
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map((h) => Number(h.tagName[1]))")
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.locator("html").get_attribute("lang") == "en"
