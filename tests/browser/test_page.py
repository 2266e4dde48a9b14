"""The report in a real headless Chromium: no errors, no network, nothing cut off, tables work."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Locator, Page
from report.making import CHANGE, HOSTILE, comparison, hostile, measurement, study

from equipoise.conclusions import Change
from equipoise.report.html import write_page, write_study_page
from equipoise.study.study import Study

pytestmark = pytest.mark.browser

Scheme = Literal["light", "dark"]
PAPER = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 21, 27)"}


def groups() -> list[Change]:
    """Twelve groups: g0 worse and not measurable before, the others from 51 to 61, odd ones so."""
    changes = [
        replace(
            CHANGE, group={"axis": f"g{k}"}, before=50.0 + k, p_holm=0.01 * k,
            direction="worse" if k % 2 else "reduced",
        )
        for k in range(12)
    ]  # fmt: skip
    return [replace(changes[0], before=float("nan")), *changes[1:]]


def wide() -> Study:
    """A study of six benchmarks, with numbers as long as they come."""
    long = replace(CHANGE, after=100.0, after_low=100.0, after_high=100.0, direction="unchanged")
    compared = tuple(
        comparison(long, before=measurement(benchmark=name), afters=(measurement(benchmark=name),))
        for name in ("genbias", "stereoset", "genhint", "facts", "perplexity", "planted")
    )
    return study(measured=(), chapters=(replace(study().chapters[0], comparisons=compared),))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page each of: a usual study, a hostile one, an empty one, many chapters, comparisons."""
    folder = tmp_path_factory.mktemp("pages")
    usual = study()
    compared = replace(usual.chapters[0].comparisons[0], changes=(CHANGE, *groups()))
    chapter = replace(usual.chapters[0], comparisons=(compared,))
    noted = (CHANGE, replace(groups()[0], reason="too few clusters"), *groups()[1:])
    noted_chapter = replace(chapter, comparisons=(replace(compared, changes=noted),))
    studies = {
        "usual": study(chapters=(chapter, usual.chapters[1])),
        "hostile": hostile(),
        "empty": study(
            measured=(),
            chapters=(),
            located=(),
            calibrations=(),
            findings=(),
            missing=(),
            planned=0,
        ),
        "many": study(chapters=(chapter,) * 6),
        "wide": wide(),
        "noted": study(chapters=(noted_chapter,)),
    }
    files = {
        name: write_study_page(folder / f"{name}.html", each, lead=(HOSTILE,))
        for name, each in studies.items()
    }
    files["full"] = write_study_page(folder / "full.html", studies["many"], full=True)
    # each item is a cluster of its own: the longest count that CrowS-Pairs has
    items = replace(CHANGE, n=1508, clusters=1508)
    files["pair"] = write_page(folder / "pair.html", [comparison(items)], title=HOSTILE)
    return files


def opened(browser: Browser, file: Path, *, width: int = 1440, scheme: Scheme = "light") -> Page:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.goto(file.as_uri())
    return page


@pytest.fixture
def usual(browser: Browser, files: dict[str, Path]) -> Iterator[Page]:
    page = opened(browser, files["usual"])
    yield page
    page.close()


@pytest.fixture
def forest(usual: Page) -> Locator:
    return usual.locator("table.forest")


def names(table: Locator) -> list[str]:
    """The groups in the order in which the reader sees them."""
    shown = [row for row in table.locator("tbody tr").all() if row.is_visible()]
    return [row.locator("th").inner_text() for row in shown]


# --- opening ----------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("name", ["usual", "hostile", "empty", "many", "pair"])
def test_page_opens_without_errors_at_any_width(
    browser: Browser, files: dict[str, Path], name: str, width: int, scheme: Scheme
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    messages: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("dialog", lambda dialog: messages.append(dialog.message))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(files[name].as_uri())
    wide = "document.documentElement.scrollWidth"
    assert page.evaluate(wide) <= width
    page.evaluate("document.querySelectorAll('details').forEach((node) => { node.open = true })")
    assert page.evaluate(wide) <= width
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == PAPER[scheme]
    assert messages == []
    assert requests == [files[name].as_uri()]
    page.close()


def test_hostile_text_is_read_as_text(browser: Browser, files: dict[str, Path]) -> None:
    page = opened(browser, files["hostile"])
    assert page.inner_text("h1").startswith("<script>alert(1)</script>⟨U+202E⟩ & ␇")
    assert page.locator("script").count() == 1
    assert page.locator("img").count() == 0
    page.locator("details.chapter details.sensitive > summary").click()
    assert "<img src=x onerror=alert(1)>" in page.locator("blockquote").all_inner_texts()
    page.close()


def test_an_injected_script_cannot_run(
    browser: Browser, files: dict[str, Path], tmp_path: Path
) -> None:
    """Were escaping to fail, the page's own policy would still stop what came in."""
    text = files["usual"].read_text(encoding="utf-8")
    bad = (
        "<script>document.title = 'taken'</script>"
        "<img src='data:,' onerror=\"document.title = 'taken'\">"
        "<img src='https://example.invalid/x.png'>"
    )
    file = tmp_path / "injected.html"
    file.write_text(text.replace("<main>", f"<main>{bad}"), encoding="utf-8")
    page = browser.new_page()
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.goto(file.as_uri())
    assert page.title() == "A study"
    assert len([line for line in messages if "Content Security Policy" in line]) >= 3
    assert page.locator(".controls").count() > 0  # our own script still runs
    page.close()


def test_a_partly_failed_study_says_what_is_missing(
    browser: Browser, files: dict[str, Path]
) -> None:
    page = opened(browser, files["usual"])
    alarm = page.locator(".alarms")
    assert "2 of 7 steps have no result" in alarm.inner_text()
    alarm.locator("a[href='#missing']").click()
    missing = page.locator("#missing")
    assert "the loss is nan" in missing.inner_text()
    assert "waits for the fit" in missing.inner_text()
    assert "Nothing was compared here" in page.locator("#c2").inner_text()
    page.close()


def test_empty_study_has_a_notice(browser: Browser, files: dict[str, Path]) -> None:
    page = opened(browser, files["empty"])
    text = page.inner_text("body")
    for notice in (
        "nothing measured in this study yet",
        "No check has been run",
        "no step was plan",
    ):
        assert notice in text
    page.close()


def test_long_text_is_truncated_with_a_notice(browser: Browser, files: dict[str, Path]) -> None:
    page = opened(browser, files["hostile"], width=390)
    page.locator("details.chapter details.sensitive > summary").click()
    cut = page.locator(".cut").first
    assert cut.is_visible()
    assert "the first 2,000 of 1,000,000 characters" in cut.inner_text()
    longest = page.evaluate(
        "Math.max(...Array.from(document.querySelectorAll('blockquote'), (q) => q.offsetHeight))"
    )
    assert 0 < longest <= 24 * 16
    page.close()


def test_page_is_readable_without_javascript(browser: Browser, files: dict[str, Path]) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(files["usual"].as_uri())
    # names that explain themselves need no script
    assert page.locator("button:not(.term), input, select").count() == 0
    assert page.locator("table.forest tbody tr").first.is_visible()
    row = page.locator("details.metrics tbody tr").first
    assert not row.is_visible()
    page.locator("details.metrics > summary").first.click()
    assert row.is_visible()
    context.close()


@pytest.mark.parametrize("width", [390, 768, 1200, 1440])
def test_overview_fits_its_width(browser: Browser, files: dict[str, Path], width: int) -> None:
    page = opened(browser, files["wide"], width=width)
    scroll = page.locator("#overview .scroll")
    assert scroll.locator("thead th.n").count() == 6
    assert scroll.evaluate("(node) => node.scrollWidth <= node.clientWidth")
    assert scroll.locator("tbody td.n").last.is_visible()
    page.close()


# --- tables -----------------------------------------------------------------------------------


def test_click_sorts_and_second_click_reverses(forest: Locator) -> None:
    header = forest.locator("thead th").nth(1)
    assert names(forest) == [f"axis g{k}" for k in range(12)]
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert names(forest) == [f"axis g{k}" for k in [*range(1, 12), 0]]  # nan last
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    assert names(forest) == [f"axis g{k}" for k in [*range(11, 0, -1), 0]]  # nan last, too


def test_natural_sort_of_names_and_sorting_by_keyboard(usual: Page, forest: Locator) -> None:
    button = forest.locator("thead th").nth(0).locator("button")
    button.focus()
    usual.keyboard.press("Enter")
    assert names(forest) == [f"axis g{k}" for k in range(12)]  # g2 before g10
    usual.keyboard.press("Space")
    assert names(forest) == [f"axis g{k}" for k in range(11, -1, -1)]
    other = forest.locator("thead th").nth(7)
    other.locator("button").click()
    assert forest.locator("thead th[aria-sort]").count() == 1
    assert names(forest)[0] == "axis g0"


def test_filters_by_text_and_by_direction(usual: Page, forest: Locator) -> None:
    controls = usual.locator("details.groups .controls")
    controls.locator("input").fill("G1")
    assert names(forest) == ["axis g1", "axis g10", "axis g11"]
    assert controls.locator("output").inner_text() == "3 of 12 rows"
    controls.locator("select").select_option(label="worse")
    assert names(forest) == ["axis g1", "axis g11"]
    controls.locator("input").fill("")
    assert names(forest) == [f"axis g{k}" for k in range(1, 12, 2)]
    controls.locator("select").select_option(label="every direction")
    assert controls.locator("output").inner_text() == "12 rows"


def test_notes_move_with_their_rows(browser: Browser, files: dict[str, Path]) -> None:
    page = opened(browser, files["noted"])
    table = page.locator("table.forest")
    follows = "(note) => note.previousElementSibling.cells[0].textContent"
    note = table.locator("tr.note")
    assert note.count() == 1
    table.locator("thead th").nth(1).locator("button").click()
    assert note.evaluate(follows) == "axis g0"
    assert table.locator("tbody tr").last.inner_text() == "too few clusters"
    controls = page.locator("details.groups .controls")
    assert controls.locator("output").inner_text() == "12 rows"
    controls.locator("input").fill("g3")
    assert not note.is_visible()
    controls.locator("input").fill("too few")
    assert note.is_visible()
    assert controls.locator("output").inner_text() == "1 of 12 rows"
    page.close()


def test_sorting_on_a_narrow_screen(browser: Browser, files: dict[str, Path]) -> None:
    page = opened(browser, files["usual"], width=390)
    table = page.locator("table.forest")
    table.locator("thead th").nth(1).locator("button").click()
    assert names(table)[0] == "axis g1"
    row = table.locator("tbody tr").first
    plot = row.locator("td.plot svg").first.bounding_box()
    assert plot is not None
    assert plot["width"] > 330
    assert table.locator("svg.scale").bounding_box() is not None
    page.close()


# --- folding ----------------------------------------------------------------------------------


def test_examples_are_collapsed_at_first(usual: Page) -> None:
    examples = usual.locator("details.sensitive")
    summary = examples.locator("summary")
    assert "Content warning" in summary.inner_text()
    text = examples.locator("blockquote").first
    assert not text.is_visible()
    summary.click()
    assert text.is_visible()


def test_link_expands_its_chapter(browser: Browser, files: dict[str, Path]) -> None:
    page = opened(browser, files["many"])
    chapter = page.locator("#c4")
    assert not chapter.is_visible()
    page.locator(".verdicts a").nth(3).click()
    assert chapter.is_visible()
    assert not page.locator("#c5").is_visible()
    page.close()


def test_sides_stack_on_narrow_screens(browser: Browser, files: dict[str, Path]) -> None:
    for width, beside in ((1440, True), (390, False)):
        page = opened(browser, files["usual"], width=width)
        page.locator("details.sensitive summary").click()
        boxes = [
            node.bounding_box() for node in page.locator(".sides").first.locator("> div").all()
        ]
        before, after = boxes
        assert before is not None
        assert after is not None
        assert (before["y"] == after["y"]) is beside
        page.close()


# --- print ------------------------------------------------------------------------------------


FOLDED = (
    "table.forest tbody tr", "details.metrics tbody tr", "#provenance .card", "#missing pre",
    "details.listed tbody tr",
)  # fmt: skip


def test_print_is_a_summary(browser: Browser, files: dict[str, Path]) -> None:
    page = opened(browser, files["many"])
    folded = [page.locator(node).first for node in FOLDED]
    assert not any(node.is_visible() for node in folded)
    assert not page.locator(".printed").is_visible()
    page.emulate_media(media="print")
    assert not any(node.is_visible() for node in folded)
    for node in (".printed", "#verdicts", "#overview"):
        assert page.locator(node).is_visible()
    page.close()


def test_print_of_all_expands_chapters_but_not_examples(
    browser: Browser, files: dict[str, Path]
) -> None:
    """By the style sheet alone, too, where nothing tells the script that it prints."""
    page = opened(browser, files["full"])
    folded = [page.locator(node).first for node in FOLDED]
    assert folded[0].is_visible()  # in an open chapter
    assert not all(node.is_visible() for node in folded)
    page.emulate_media(media="print")
    assert all(node.is_visible() for node in folded)
    assert not page.locator("blockquote").first.is_visible()
    assert not page.locator("#provenance pre").first.is_visible()  # raw records would fill pages
    assert not page.locator(".controls").first.is_visible()
    page.close()


def test_examples_are_printed_only_if_they_are_open(
    browser: Browser, files: dict[str, Path]
) -> None:
    usual = opened(browser, files["full"])
    usual.emulate_media(media="print", color_scheme="dark")
    assert not usual.locator("blockquote").first.is_visible()
    usual.emulate_media(media="screen")
    usual.locator("details.sensitive summary").first.click()
    usual.emulate_media(media="print", color_scheme="dark")
    assert usual.locator("blockquote").first.is_visible()
    background = usual.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == PAPER["light"]
    usual.close()


def test_collapsed_state_is_restored_after_printing(usual: Page) -> None:
    opened_ = "Array.from(document.querySelectorAll('details'), (node) => node.open)"
    before = usual.evaluate(opened_)
    assert False in before
    usual.evaluate("dispatchEvent(new Event('beforeprint'))")
    folded = (
        "Array.from(document.querySelectorAll('details:not([open])'), (node) => node.className)"
    )
    assert set(usual.evaluate(folded)) == {"sensitive kept-folded", "kept-folded"}
    usual.evaluate("dispatchEvent(new Event('afterprint'))")
    assert usual.evaluate(opened_) == before


def test_it_prints_to_paper(usual: Page) -> None:
    assert usual.pdf(format="A4").startswith(b"%PDF")
