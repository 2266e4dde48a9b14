"""Curves, costs and named professions of a page in a real browser: drawn, legible, not cut off."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page
from report.test_costs import COST
from report.test_named_professions import compared, outcomes
from report.test_training_curves import edit, with_edits

from equipoise.report.html import write_study_page

pytestmark = pytest.mark.browser

METHODS = ("BiasUnlearn", "DPO", "SFT", "parity", "a method of a long name that wraps somewhere")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    known = with_edits(edit(), methods=METHODS)
    nurses = outcomes({"a": 0.1, "b": 0.3}), outcomes({"a": 0.4, "b": 0.5})
    chapters = [replace(chapter, comparisons=(compared(*nurses),)) for chapter in known.chapters]
    study = replace(known, chapters=tuple(chapters), costs=(COST,))
    return write_study_page(tmp_path_factory.mktemp("page") / "curves.html", study, full=True)


@pytest.fixture
def errors() -> list[str]:
    return []


@pytest.fixture
def page(browser: Browser, file: Path, errors: list[str]) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.on("console", lambda message: errors.append(message.text))
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(file.as_uri())
    yield opened
    opened.close()


def test_every_line_is_inside_its_picture(page: Page, errors: list[str]) -> None:
    figures = page.locator("figure.curve")
    assert figures.count() == 9
    outside = page.evaluate(
        """() => [...document.querySelectorAll('figure.curve svg.panel')].filter((picture) => {
          const frame = picture.getBoundingClientRect();
          return [...picture.querySelectorAll('polyline, polygon, text')].some((mark) => {
            const box = mark.getBoundingClientRect();
            return box.left < frame.left - 2 || box.right > frame.right + 2
              || box.top < frame.top - 2 || box.bottom > frame.bottom + 2;
          });
        }).length"""
    )
    assert outside == 0
    assert errors == []


def test_lines_keep_their_width_and_differ_in_color_or_dashes(page: Page) -> None:
    styles = page.evaluate(
        """() => [...document.querySelector('figure.curve').querySelectorAll('polyline')].map(
          (line) => { const style = getComputedStyle(line);
            return [style.stroke, style.strokeDasharray, style.strokeWidth,
              style.vectorEffect]; })"""
    )
    assert len(styles) == len(METHODS)
    assert len({(stroke, dashes) for stroke, dashes, _, _ in styles}) == len(METHODS)
    assert {(width, effect) for _, _, width, effect in styles} == {("1.5px", "non-scaling-stroke")}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_lines_stand_out_from_the_paper(
    browser: Browser, file: Path, scheme: Literal["light", "dark"]
) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    page.goto(file.as_uri())
    paper, *strokes = page.evaluate(
        """() => [getComputedStyle(document.body).backgroundColor,
          ...[...document.querySelectorAll('figure.curve polyline')].map(
            (line) => getComputedStyle(line).stroke)]"""
    )
    page.close()
    light = [_luminance(color) for color in (paper, *set(strokes))]
    for line in light[1:]:
        high, low = max(line, light[0]), min(line, light[0])
        assert (high + 0.05) / (low + 0.05) > 3  # what WCAG asks of graphics


def _luminance(color: str) -> float:
    channels = [int(part) / 255 for part in color.strip("rgba()").split(",")[:3]]
    linear = [x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in channels]
    return sum(share * x for share, x in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_the_table_is_there_for_who_cannot_see_the_picture(page: Page) -> None:
    figure = page.locator("figure.curve").first
    assert "BiasUnlearn" in str(figure.locator("svg.panel").get_attribute("aria-label"))
    figure.locator("summary").click() if not figure.locator("details[open]").count() else None
    table = figure.locator("table")
    assert table.locator("thead th").count() == 1 + len(METHODS)
    assert "60.0 [55.0, 65.0]" in table.inner_text()


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_cut_off(browser: Browser, file: Path, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for selector in ("#curves", "#costs", "figure.named"):
        box = page.locator(selector).first.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width + 1
    page.close()
