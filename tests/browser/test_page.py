"""The comparison page in a real headless Chromium: no errors, no network, nothing cut off."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from equipoise.benchmarks.genbias import GenBias
from equipoise.compare import compare
from equipoise.measure import measure
from equipoise.report.html import write_page
from equipoise.testing import FakeScorer

pytestmark = pytest.mark.browser

HOSTILE = "<script>alert(1)</script>\u202e & \x07"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    benchmark = GenBias(world="default")

    def leaning(gap: float) -> FakeScorer:
        return FakeScorer(
            identity=f"model {gap} {HOSTILE}",
            nats=lambda _, word: -1.0 + (gap if word == " he" else 0.0),
        )

    before = measure(leaning(1.0), benchmark, draws=50)
    after = measure(leaning(0.1), benchmark, draws=50)
    found = compare(before, after, draws=50)
    file = tmp_path_factory.mktemp("page") / "page.html"
    return write_page(file, [found], title=f"before and after {HOSTILE}", lead=(HOSTILE,))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_it_opens_clean_at_any_width(
    browser: Browser, page_file: Path, width: int, scheme: str
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(page_file.as_uri())
    assert said == []
    assert asked == [page_file.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("script").count() == 0
    assert "<script>alert(1)</script>" in page.inner_text("h1")
    assert page.locator(".verdicts li.reduced").count() > 0
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 29)"}[scheme]
    page.close()


def test_print_shows_what_is_folded(browser: Browser, page_file: Path) -> None:
    page = browser.new_page()
    page.goto(page_file.as_uri())
    folded = page.locator("details dl").first
    assert not folded.is_visible()
    page.emulate_media(media="print")
    assert folded.is_visible()
    page.close()
