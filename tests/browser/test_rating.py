"""The page to rate on in a real headless Chromium: by keyboard, through a kill, at any width."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect
from rating.making import pairs

from equipoise.rating.pairs import RatedPair
from equipoise.rating.questions import Mode
from equipoise.rating.store import RatingStore, open_for

pytestmark = pytest.mark.browser

Scheme = Literal["light", "dark"]
HOSTILE = "is <img src=x onerror=alert(1)> \u202eold\u202c \x07 اسم شجرة"


class Command:
    """`equipoise rate` on a database, at the same port after each start."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.port = "0"
        self.address = ""
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "equipoise", "rate", "--database", str(self.file)]
        self.process = subprocess.Popen(
            [*command, "--port", self.port, "--rater", "ann"], stderr=subprocess.PIPE, text=True,
            env=dict(os.environ),
        )  # fmt: skip
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if match := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
                self.address, self.port = match[0], match[1]
                return
        raise AssertionError(f"no address was said, the status is {self.process.wait()}")

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.communicate()
            self.process = None


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    command = Command(tmp_path / "ratings.sqlite")
    yield command
    command.kill()


def prepared(command: Command, mode: Mode = "pairs", count: int = 10) -> RatingStore:
    """A database with hostile and very long texts among others; its server is started."""
    whole = pairs(count)
    odd = RatedPair(id="odd", prompt=f"The elm {HOSTILE}", first=HOSTILE, second="x" * 1_000_000)
    whole = replace(whole, pairs=(odd, *whole.pairs[1:]))
    opened = open_for(command.file, whole, mode=mode, seed=0)
    command.start()
    return opened


def begin(page: Page, command: Command, errors: list[str]) -> None:
    """Open the page and go behind the warning; errors and foreign requests are gathered."""
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: errors.append(dialog.message))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.on("request", lambda request: None if request.url.startswith((command.address, "data:"))
            else errors.append(request.url))  # fmt: skip
    page.goto(command.address)
    expect(page.get_by_text("Content warning")).to_be_visible()
    expect(page.locator("#rating")).to_be_hidden()
    expect(page.locator("#rater")).to_have_value("ann")  # once the page has asked for it
    page.get_by_role("button", name="Show the texts").click()
    expect(page.locator("#rating")).to_be_visible()


def press(page: Page, key: str) -> None:
    """Press a key and wait until the answer is kept."""
    with page.expect_response(lambda response: response.request.method == "POST"):
        page.keyboard.press(key)
    expect(page.locator("#rating")).to_have_attribute("aria-busy", "false")


def test_ten_pairs_by_keyboard_through_a_kill(browser: Browser, command: Command) -> None:
    opened = prepared(command)
    errors: list[str] = []
    page = browser.new_page()
    begin(page, command, errors)
    for keys in ("12", "33", "21", "13"):
        for key in keys:
            press(page, key)
    press(page, "1")
    expect(page.locator("#progress")).to_have_text("5 of 11")
    expect(page.locator("#asked")).to_contain_text("Relevance")
    press(page, "u")
    expect(page.locator("#asked")).to_contain_text("Harm")
    assert errors == []
    command.kill()
    page.keyboard.press("1")
    expect(page.locator("#rating .problem")).to_contain_text("Not saved")
    assert len(opened.ratings()) == 8
    command.start()
    for _ in range(7):
        press(page, "2")
        press(page, "3")
    expect(page.get_by_text("All rated")).to_be_visible()
    ratings = opened.ratings()
    assert len(ratings) == 22
    assert [rating.answer for rating in ratings[:8]] == ["A", "B", "tie", "tie", "B", "A", "A",
                                                         "tie"]  # fmt: skip
    assert {rating.answer for rating in ratings[8::2]} == {"B"}
    assert all("ERR_CONNECTION_REFUSED" in error for error in errors)
    page.close()


def test_two_tabs_neither_lose_nor_double(browser: Browser, command: Command) -> None:
    opened = prepared(command)
    context = browser.new_context()
    one, other = context.new_page(), context.new_page()
    for page in (one, other):
        begin(page, command, [])
    press(one, "1")
    press(other, "2")
    expect(other.locator("#rating .problem")).to_contain_text("must be answered once")
    expect(other.locator("#asked")).to_contain_text("Relevance")
    press(other, "3")
    press(one, "3")
    expect(one.locator("#progress")).to_have_text("2 of 11")
    assert [rating.answer for rating in opened.ratings()] == ["A", "tie"]
    context.close()


def test_texts_are_shown_as_text(browser: Browser, command: Command) -> None:
    opened = prepared(command)
    errors: list[str] = []
    page = browser.new_page()
    begin(page, command, errors)
    place = [showing.pair for showing in opened.showings("ann")].index("odd")
    for _ in range(place):
        press(page, "3")
        press(page, "3")
    texts = sorted(page.locator("#texts .text").all_inner_texts(), key=len)
    assert "<img src=x onerror=alert(1)> ⟨U+202E⟩old⟨U+202C⟩ ␇" in texts[0]
    assert texts[1] == "x" * 5_000
    expect(page.get_by_text("5,000 of 1,000,000 characters")).to_be_visible()
    assert page.locator("#texts img").count() == 0
    assert page.locator("#texts .text[dir=auto]").count() == 2
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    assert errors == []
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("mode", ["pairs", "grades", "texts"])
def test_page_fits_and_every_answer_can_be_clicked(
    browser: Browser, command: Command, mode: Mode, width: int, scheme: Scheme
) -> None:
    prepared(command, mode)
    errors: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    begin(page, command, errors)
    pictures = os.environ.get("EQUIPOISE_PICTURES")
    for count in range(3):
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        buttons = page.locator("#answers button")
        assert buttons.count() == (4 if mode == "grades" else 3)
        for button in buttons.all():
            expect(button).to_be_in_viewport()
        if pictures:
            page.screenshot(path=Path(pictures) / f"{mode}-{width}-{scheme}-{count}.png")
        with page.expect_response("**/answer"):
            buttons.nth(count).click()
        expect(page.locator("#rating")).to_have_attribute("aria-busy", "false")
    expect(page.get_by_role("button", name="Undo")).to_be_enabled()
    assert errors == []
    page.close()
