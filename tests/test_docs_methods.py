"""What the documentation says of mitigations: each is listed, and has a page."""

import re
from pathlib import Path

import pytest

from equipoise.mitigate.base import Mitigation
from equipoise.plugins import available, find

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "methods.md").read_text()
FOLDER = ROOT / "docs" / "methods"
PAGES = sorted(page.stem for page in FOLDER.glob("*.md"))


def text_of(name: str) -> str:
    return (FOLDER / f"{name}.md").read_text()


@pytest.mark.parametrize("name", available(Mitigation))
def test_every_mitigation_is_listed_with_a_link(name: str) -> None:
    links = re.findall(rf"^\| \[`{name}`\]\((\S+)\) \| \S", TEXT, re.MULTILINE)
    assert len(links) == 1
    page, _, anchor = links[0].partition("#")
    text = TEXT if anchor else (FOLDER.parent / page).read_text()
    assert f"<!-- options: mitigation {name} -->" in text


def test_no_other_mitigation_is_listed() -> None:
    listed = re.findall(r"^\| \[`(\w+)`\]", TEXT, re.MULTILINE)
    assert sorted(listed) == sorted(available(Mitigation))


@pytest.mark.parametrize("name", PAGES)
def test_method_trained_without_a_supply_uses_a_documented_benchmark(name: str) -> None:
    for method in re.findall(
        r"^equipoise mitigate \S+ (\w+)(?!.*--supply)", text_of(name), re.MULTILINE
    ):
        if find(Mitigation, method).learns:
            teacher = find(Mitigation, method).taught_by
            assert f"benchmarks/{teacher}.md)" in text_of(name)
