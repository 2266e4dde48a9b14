"""Texts side by side in a real browser: they are filtered and ordered, and nothing sticks out."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Locator, Page
from report.harmful_texts import compared, register
from report.making import HOSTILE

from equipoise.conclusions import WrittenPair
from equipoise.report.html import write_page

from .test_page import PAPER, opened

pytestmark = pytest.mark.browser

#: By pair: its group, and its numbers before and after; the fourth has none on the scale "harm".
PAIRS = {
    "p0": ("men", (0.1, 0.2), (5.0, 9.0)),
    "p1": ("women", (0.9, 0.1), (6.0, 5.0)),
    "p2": ("women", (0.3, 0.9), (7.0, 7.0)),
    "p3": ("men", None, (1.0, 2.0)),
    HOSTILE: (HOSTILE, (0.4, 0.4), (3.0, 3.0)),
}


def pair_of(name: str) -> WrittenPair:
    group, harm, words = PAIRS[name]
    scores = [{"words": words[side]} | ({"harm": harm[side]} if harm else {}) for side in (0, 1)]
    return WrittenPair(
        example=name, groups={"group": group}, prompt=f"prompt of {name}", before="x" * 9000,
        after=HOSTILE, scores_before=scores[0], scores_after=scores[1], drawn=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    whole = replace(compared(register), pairs=tuple(map(pair_of, PAIRS)), written=5)
    return write_page(tmp_path_factory.mktemp("pages") / "page.html", [whole], title="Written")


@pytest.fixture
def page(browser: Browser, file: Path) -> Iterator[Page]:
    opened_page = opened(browser, file)
    yield opened_page
    opened_page.close()


@pytest.fixture
def texts(page: Page) -> Locator:
    folded = page.locator("details.generations")
    assert not folded.locator("blockquote").first.is_visible()
    folded.locator("summary").click()
    assert folded.locator("blockquote").first.is_visible()
    return folded


def names(texts: Locator) -> list[str]:
    """The pairs that are seen, from top to bottom."""
    shown = [each for each in texts.locator("article").all() if each.is_visible()]
    return [each.locator("bdi").first.inner_text()[:2] for each in shown]


def choose(texts: Locator, label: str, option: str) -> None:
    texts.locator(f"select[aria-label={label}]").select_option(label=option)


def test_texts_are_filtered_by_group(texts: Locator) -> None:
    assert names(texts) == ["p0", "p1", "p2", "p3", "<s"]
    choose(texts, "Group", "group women")
    assert names(texts) == ["p1", "p2"]
    assert texts.locator("output").inner_text() == "2 of 5 pairs"
    choose(texts, "Group", "every group")
    assert texts.locator("output").inner_text() == "5 of 5 pairs"


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("largest change", ["p1", "p2", "p0", "<s"]),
        ("largest rise", ["p2", "p0", "<s", "p1"]),
        ("largest fall", ["p1", "<s", "p0", "p2"]),
        ("highest before", ["p1", "<s", "p2", "p0"]),
        ("highest after", ["p2", "<s", "p0", "p1"]),
        ("lowest after", ["p1", "p0", "<s", "p2"]),
    ],
)
def test_texts_of_a_scale_are_ordered(texts: Locator, order: str, expected: list[str]) -> None:
    assert not texts.locator("select[aria-label=Order]").is_visible()
    choose(texts, "Scale", "harm")
    choose(texts, "Order", order)
    assert names(texts) == expected  # p3 has no such number
    assert texts.locator(".scores li:visible").count() == 4


def test_scale_and_group_together_and_back(texts: Locator) -> None:
    choose(texts, "Scale", "words")
    choose(texts, "Group", "group men")
    assert names(texts) == ["p0", "p3"]
    choose(texts, "Order", "lowest before")
    assert names(texts) == ["p3", "p0"]
    choose(texts, "Scale", "every scale")
    choose(texts, "Group", "every group")
    assert names(texts) == ["p0", "p1", "p2", "p3", "<s"]


def test_hostile_texts_are_text_and_long_ones_cut(page: Page, texts: Locator) -> None:
    assert page.locator("script").count() == 1
    assert (
        texts.locator("article")
        .first.locator("blockquote")
        .last.inner_text()
        .startswith("<script>alert(1)</script>⟨U+202E⟩ & ␇")
    )
    assert "the first 2,000 of 9,000 characters" in texts.locator(".cut").first.inner_text()
    choose(texts, "Group", texts.locator("select[aria-label=Group] option").last.inner_text())
    assert names(texts) == ["<s"]


def test_without_javascript_all_pairs_are_there(browser: Browser, file: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    page.locator("details.generations summary").click()
    assert len(names(page.locator("details.generations"))) == 5
    assert page.locator("button:not(.term), input, select").count() == 0
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_sticks_out_and_nothing_is_fetched(
    browser: Browser,
    file: Path,
    width: int,
    scheme: Literal["light", "dark"],
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    messages: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(file.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach((node) => { node.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == PAPER[scheme]
    said, table = page.locator(".harm .sayings li").first, page.locator(".harm table")
    assert "lowers the rate, not the disparity" in said.inner_text()
    for part in (said, table, page.locator(".harm > p")):
        box = part.bounding_box()
        assert box is not None
        assert 200 < box["width"] <= width
        assert box["height"] < 600
    plot = page.locator(".apart tbody td.plot").first.bounding_box()
    assert plot is not None
    assert plot["width"] > (330 if width == 390 else 300)
    assert messages == []
    assert requests == [file.as_uri()]
    page.close()


def test_texts_are_printed_only_while_they_are_open(page: Page) -> None:
    page.emulate_media(media="print")
    assert not page.locator("details.generations blockquote").first.is_visible()
    assert page.locator(".apart").first.is_visible()
