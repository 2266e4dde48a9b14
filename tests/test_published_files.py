"""Files beside the package that say the same as it: the site, the citation, the Dockerfile."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    named = set(re.findall(r"([\w-]+\.md)", (ROOT / "mkdocs.yml").read_text()))
    pages = {page.name for page in (ROOT / "docs").glob("*.md")}
    assert pages <= named
    # the first is the README, the others are made as the site is built
    assert named - pages == {"index.md", "reference.md"}


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["version"] == project["version"] == metadata.version("equipoise")
    assert citation["license"] == project["license"]


def test_the_container_has_the_torch_that_is_tested() -> None:
    pinned = re.findall(r"^torch==\S+", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned == re.findall(
        r"^ARG TORCH=(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE
    )
