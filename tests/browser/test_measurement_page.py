"""The page of measurements in a real browser: widths, names that explain themselves, and print."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page
from report.making import HOSTILE
from report.test_measurement_page import groups, measured

from equipoise.report.html import write_measurement_page

pytestmark = pytest.mark.browser

Scheme = Literal["light", "dark"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page in short, one in full, and one with many groups and hostile names."""
    folder = tmp_path_factory.mktemp("measured")
    hostile = measured(
        model="gpt2" + HOSTILE, benchmark="x" * 300, notes=(HOSTILE,),
        slices=(groups(count=60), replace(groups(), by=(HOSTILE, "y" * 200))),
    )  # fmt: skip
    both = [measured(), replace(measured(), benchmark="genbias")]
    return {
        "short": write_measurement_page(folder / "short.html", both),
        "full": write_measurement_page(folder / "full.html", both, full=True),
        "hostile": write_measurement_page(folder / "hostile.html", [hostile] * 2),
    }


@pytest.fixture
def plain(browser: Browser, files: dict[str, Path]) -> Iterator[Page]:
    """The page in short, on a telephone that runs no script."""
    context = browser.new_context(
        java_script_enabled=False, viewport={"width": 390, "height": 800}, has_touch=True
    )
    page = context.new_page()
    page.goto(files["short"].as_uri())
    yield page
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("name", ["short", "full", "hostile"])
def test_page_opens_without_errors_at_any_width(
    browser: Browser, files: dict[str, Path], name: str, width: int, scheme: Scheme
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto(files[name].as_uri())
    wide = "document.documentElement.scrollWidth"
    assert page.evaluate(wide) <= width
    page.evaluate("document.querySelectorAll('details').forEach((node) => { node.open = true })")
    assert page.evaluate(wide) <= width
    assert messages == []
    page.close()


def test_a_name_explains_itself_when_it_is_tapped(plain: Page) -> None:
    said = plain.locator("[popover]").first
    assert not said.is_visible()
    plain.locator("button.term").first.tap()
    assert said.is_visible()
    assert "the stereotype is likelier" in said.inner_text()
    plain.locator("h1").tap()
    assert not said.is_visible()


def test_a_table_of_groups_is_sorted_by_its_numbers(
    browser: Browser, files: dict[str, Path]
) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(files["short"].as_uri())
    table = page.locator("table.slices").first
    table.locator("button.sort", has_text="value").click()
    assert table.locator("tbody th").all_inner_texts() == ["g0", "g1", "few"]
    table.locator("button.sort", has_text="value").click()
    assert table.locator("tbody th").all_inner_texts() == ["few", "g1", "g0"]
    page.close()


def test_print_is_two_sheets_and_all_of_it_where_it_is_asked_for(
    browser: Browser, files: dict[str, Path]
) -> None:
    sheets = {}
    for name, file in files.items():
        page = browser.new_page()
        page.goto(file.as_uri())
        sheets[name] = len(re.findall(rb"/Type\s*/Page[^s]", page.pdf(format="A4")))
        page.emulate_media(media="print")
        assert page.locator("#answer").is_visible()
        assert page.locator("#provenance").is_visible() == (name == "full")
        size = "node => parseFloat(getComputedStyle(node).fontSize)"
        unit, table = page.locator(".headlines .unit").first, page.locator(".headlines")
        assert unit.evaluate(size) <= table.first.evaluate(size)
        page.close()
    assert sheets["short"] <= 2
    assert sheets["full"] > 2
