"""The report in a real browser, as people open it: from disk, wide, on a phone, in the dark, on paper."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.browser

DRAWN_IN = ("#b8860b", "#c8641b", "#d33f49", "#2b7bc4", "#1b8a72", "#7a5fc7", "#d33f49")
"""A colour that each chart of ``fakerun`` must show: the fault, the standby, failures, the primary, and so on."""
CHARTS = len(DRAWN_IN)
A4_PX = (690, 1000)
"""What lies between the margins of a page."""

# The charts live in shadow roots: their drawn shapes are found from the outermost one inwards.
ALL = """const all = (node) =>
  [...node.querySelectorAll('*')].flatMap((e) => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])]);"""
SHAPES = f"""(root) => {{ {ALL}
  return all(root).filter((e) => ['path', 'text', 'line', 'rect'].includes(e.tagName)).length;
}}"""
TOOLTIP = f"""() => {{ {ALL}
  return all(document).filter((e) => e.matches('.bk-tooltip-content')).map((e) => e.textContent).join(' ');
}}"""
AXIS_COLOURS = """() => [...Bokeh.documents[0]._all_models.values()]
  .map((model) => model.attributes.major_label_text_color).filter((colour) => colour !== undefined)"""


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False)])
def test_opens_from_disk_without_error_or_request(passed: Path, visit: Any, width: int, dark: bool) -> None:
    opened = visit(passed / "report.html", width, dark=dark).on_paper()
    assert opened.errors == []
    assert opened.requests == []
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    charts = opened.page.locator(".chart")
    assert charts.count() == CHARTS
    assert all(charts.nth(i).evaluate(SHAPES) > 10 for i in range(CHARTS))
    for i, colour in enumerate(DRAWN_IN):
        assert share(charts.nth(i).screenshot(), colour) > 0.0003, f"chart {i + 1} shows what it is about"


def share(png: bytes, colour: str) -> float:
    """The share of a picture's pixels that are about of a colour: blended with paper and hatch, hue stays."""
    picture = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=np.int16)
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return float((np.abs(picture - wanted).sum(axis=2) < 90).mean())


def test_charts_are_as_wide_as_the_page_has_room(passed: Path, visit: Any) -> None:
    page = visit(passed / "report.html", 390).ready().page
    box = page.locator(".chart").nth(1).bounding_box()
    assert 340 <= box["width"] <= 390


def test_the_theme_follows_the_system_and_the_button_changes_it(passed: Path, visit: Any) -> None:
    page = visit(passed / "report.html", dark=True).ready().page
    background = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(background) == "rgb(20, 24, 29)"
    assert set(page.evaluate(AXIS_COLOURS)) == {"#a6afba"}
    page.locator("#theme").click()
    assert page.evaluate(background) == "rgb(255, 255, 255)"
    assert set(page.evaluate(AXIS_COLOURS)) == {"#57606b"}
    assert page.locator("#theme").get_attribute("aria-label") == "Switch to dark colours"


def test_hovering_says_the_figures(passed: Path, visit: Any) -> None:
    page = visit(passed / "report.html").ready().page
    chart = page.locator(".chart").nth(1)
    chart.evaluate("(chart) => chart.scrollIntoView({ behavior: 'instant', block: 'center' })")
    box = chart.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.15, box["y"] + box["height"] * 0.5)
    page.mouse.move(box["x"] + box["width"] * 0.16, box["y"] + box["height"] * 0.5)
    page.wait_for_timeout(300)
    assert re.fullmatch(r"at: -\d\.\d\d s ?primary: \d+\.0/s ?standby: 0\.0/s ?", page.evaluate(TOOLTIP))


def test_the_keyboard_zooms_every_chart_and_back(passed: Path, visit: Any) -> None:
    page = visit(passed / "report.html").ready().page
    starts = "Bokeh.documents[0].roots().map((plot) => plot.x_range.start)"
    assert set(page.evaluate(starts)) == {-8}
    page.get_by_role("button", name="Zoom to the failover").focus()
    page.keyboard.press("Enter")
    assert set(page.evaluate(starts)) == {-0.5}
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert set(page.evaluate(starts)) == {-8}


def test_dragging_over_one_chart_zooms_all(passed: Path, visit: Any) -> None:
    page = visit(passed / "report.html").ready().page
    chart = page.locator(".chart").nth(1)
    chart.evaluate("(chart) => chart.scrollIntoView({ behavior: 'instant', block: 'center' })")
    box = chart.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.5, steps=4)
    page.mouse.up()
    ranges = page.evaluate("Bokeh.documents[0].roots().map((p) => [p.x_range.start, p.x_range.end].join())")
    assert len(set(ranges)) == 1
    start, end = (float(edge) for edge in ranges[0].split(","))
    assert -4 < start < 4 < end < 16


def test_a_legend_entry_hides_its_series_by_keyboard(passed: Path, visit: Any) -> None:
    page = visit(passed / "report.html").ready().page
    entry = page.get_by_role("button", name="standby", exact=True)
    entry.focus()
    page.keyboard.press("Enter")
    assert entry.get_attribute("aria-pressed") == "false"
    visible = "Bokeh.documents[0].roots()[1].renderers.filter((r) => r.name === 'answers1').map((r) => r.visible)"
    assert page.evaluate(visible) == [False]


def test_a_closed_trial_is_drawn_when_it_is_opened(failed: Path, visit: Any) -> None:
    opened = visit(failed / "report.html").ready()
    assert opened.page.locator(".multiples li").count() == 3
    first = opened.page.locator("#trial-1-chart-2")
    assert first.evaluate("(chart) => chart.closest('.charts').dataset.state") is None
    opened.page.get_by_role("navigation").get_by_role("link", name="Trial 1").click()
    opened.page.wait_for_selector("#trial-1-chart-2", state="visible")
    opened.page.wait_for_function("() => document.querySelector('.charts').dataset.state === 'drawn'")
    assert first.bounding_box()["width"] > 900
    assert first.evaluate(SHAPES) > 10
    assert opened.errors == []


def test_paper_shows_every_trial_and_a_still_of_every_chart(twice: Path, visit: Any) -> None:
    page = visit(twice / "report.html", 390, dark=True).on_paper().page
    assert page.pdf(prefer_css_page_size=True, print_background=True).startswith(b"%PDF")
    page.emulate_media(media="print", color_scheme="dark")
    page.set_viewport_size({"width": A4_PX[0], "height": A4_PX[1]})
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("document.documentElement.scrollWidth") <= A4_PX[0]
    stills = page.locator(".chart img")
    assert stills.count() == 2 * CHARTS
    assert all(stills.nth(i).is_visible() for i in range(2 * CHARTS)), "the trials are open on paper"
    for box in page.locator("figure").evaluate_all("(all) => all.map((one) => one.getBoundingClientRect().toJSON())"):
        assert box["right"] <= A4_PX[0]
        assert box["height"] < A4_PX[1] / 2, "a chart and its words fit on a page: none is cut in two"
    for i, colour in enumerate(DRAWN_IN):
        assert share(stills.nth(i).screenshot(), colour) > 0.0003, f"still {i + 1} shows what the chart shows"


def test_the_pdf_has_every_chart(passed: Path, visit: Any, tmp_path: Path) -> None:
    if shutil.which("pdftoppm") is None:
        pytest.skip("pdftoppm (poppler-utils) is not installed: the pages cannot be looked at")
    page = visit(passed / "report.html", dark=True).on_paper().page
    (tmp_path / "report.pdf").write_bytes(page.pdf(prefer_css_page_size=True, print_background=True))
    subprocess.run(["pdftoppm", "-r", "60", "-png", "report.pdf", "page"], cwd=tmp_path, check=True)
    pages = [path.read_bytes() for path in sorted(tmp_path.glob("page-*.png"))]
    width, height = Image.open(io.BytesIO(pages[0])).size
    assert height / width == pytest.approx(297 / 210, abs=0.01)
    inked = [1 - share(png, "#ffffff") for png in pages]
    assert min(inked) > 0.0005, "no page is blank"
    for colour in set(DRAWN_IN):
        assert max(share(png, colour) for png in pages) > 0.0005, colour


def test_every_part_can_be_reached_and_is_named(failed: Path, visit: Any) -> None:
    page = visit(failed / "report.html").page
    assert page.get_by_role("main").count() == 1
    assert page.get_by_role("navigation", name="Parts of this report").count() == 1
    assert page.get_by_role("img", name="FAIL", exact=True).count() == 1
    unnamed = page.locator(".chart").evaluate_all(
        "(all) => all.filter((one) => !one.getAttribute('aria-label')).length"
    )
    assert unnamed == 0
    broken = page.evaluate(
        "[...document.links].filter((a) => a.hash && !document.getElementById(a.hash.slice(1))).length"
    )
    assert broken == 0
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))
