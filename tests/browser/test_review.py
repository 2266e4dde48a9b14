"""The page of pairs in a real headless Chromium: shown when asked for, kept, and saved."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from equipoise.mixes.grammar import draw_pairs
from equipoise.mixes.pair_file import read_pair_file, write_pairs
from equipoise.mixes.review import write_review

pytestmark = pytest.mark.browser


def open_page(page: Page, file: Path) -> list[str]:
    """Open the page without a network; gives the list of its errors, which grows."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.on("request", lambda request: errors.append(request.url)
            if request.url.startswith("http") else None)  # fmt: skip
    page.goto(file.as_uri())
    return errors


def test_decisions_are_kept_and_choose_pairs(browser: Browser, tmp_path: Path) -> None:
    hostile = "The </script><b>oak</b> by the lake is old."
    pairs = list(draw_pairs(9, seed=0))
    pairs[3] = replace(pairs[3], sent_more=hostile, sent_less=hostile.replace("old", "new"))
    file = write_review(tmp_path / "page.html", pairs)
    context = browser.new_context()
    page = context.new_page()
    errors = open_page(page, file)
    assert page.get_by_text(pairs[0].sent_more).count() == 0
    page.get_by_role("button", name="Show the pairs").click()
    assert page.locator("li").count() == 9
    assert page.locator("li").nth(3).locator("p").first.inner_text() == hostile
    for place, verdict in ((0, "Accept"), (1, "Reject"), (3, "Accept"), (4, "Accept")):
        page.locator("li").nth(place).get_by_role("button", name=verdict).click()
    page.locator("li").nth(4).get_by_role("button", name="Accept").click()  # taken back
    assert page.get_by_role("status").inner_text().startswith("2 accepted, 1 rejected, 6 open")
    page.reload()
    page.get_by_role("button", name="Show the pairs").click()
    assert page.get_by_role("status").inner_text().startswith("2 accepted, 1 rejected, 6 open")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save decisions").click()
    saved = tmp_path / download.value.suggested_filename
    download.value.save_as(saved)
    assert json.loads(saved.read_text())["rejected"] == [pairs[1].id]
    written = write_pairs(tmp_path / "pairs.jsonl", pairs)
    kept = read_pair_file(str(written), str(saved)).pairs
    assert [pair.id for pair in kept] == [pairs[0].id, pairs[3].id]
    page.emulate_media(media="print")
    assert page.get_by_role("button").count() == 0
    said = "getComputedStyle(document.querySelectorAll('li small')[{}], '::after').content"
    decided = [page.evaluate(said.format(place)) for place in (0, 1, 2)]
    assert decided == ['": accepted"', '": rejected"', "none"]
    assert errors == []
    context.close()
