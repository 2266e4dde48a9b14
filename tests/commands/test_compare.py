"""`equipoise compare`: several seeds after, a card, and margins."""

import json
import math
import re
import shutil
from pathlib import Path

import pytest

from equipoise.compare import compare_all
from equipoise.conclusions import margin_of
from equipoise.errors import RecipeError
from equipoise.study.results import read_results

from .conftest import Asked, Refused


def measured(folder: Path, title: str) -> Path:
    """What `measure --out` would have written: the results of a step of the study."""
    for step in (folder / "steps").iterdir():
        if json.loads((step / "step.json").read_text())["title"] == title:
            return step / "results"
    raise LookupError(title)


@pytest.fixture(scope="module")
def before(finished: Path) -> Path:
    return measured(finished, "measure genbias on tiny")


@pytest.fixture(scope="module")
def afters(finished: Path) -> list[Path]:
    return [
        measured(finished, f"measure genbias on tiny with parity, seed {seed}") for seed in (0, 1)
    ]


@pytest.fixture
def edit(finished: Path, tmp_path: Path) -> Path:
    """The edit of seed 0, to write a card into."""
    return Path(shutil.copytree(finished / "edits" / "tiny-parity-seed0", tmp_path / "edit"))


def changes(ask: Asked, *arguments: object) -> dict[str, dict[str, object]]:
    """The overall changes that `compare --json` prints, by metric."""
    status, out, _ = ask("compare", "--draws", 40, *arguments, "--json")
    assert status == 0
    (item,) = json.loads(out)["comparisons"]
    return {change["metric"]: change for change in item["changes"] if not change["group"]}


@pytest.mark.thorough
def test_several_results_after_are_seeds_of_one_method(
    before: Path, afters: list[Path], ask: Asked
) -> None:
    alone = [changes(ask, before, after)["afgb"] for after in afters]
    both = changes(ask, before, *afters)["afgb"]
    assert both["seeds"] == 2
    assert [entry["seeds"] for entry in alone] == [1, 1]
    values = [float(str(entry["after"])) for entry in alone]
    assert values[0] != values[1]
    assert both["after"] == pytest.approx(sum(values) / 2, rel=1e-12)
    assert both["before"] == alone[0]["before"]
    spread = abs(values[0] - values[1]) / math.sqrt(2)  # of two, with ddof 1
    assert both["seed_spread"] == pytest.approx(spread, rel=1e-9)
    assert alone[0]["seed_spread"] is None


def test_benchmarks_missing_on_one_side_are_reported(
    before: Path, finished: Path, ask: Asked
) -> None:
    other = measured(finished, "measure stereoset on tiny with parity, seed 0")
    status, out, err = ask("compare", before, other)
    assert (status, out) == (2, "")
    assert "['genbias'] before and ['stereoset'] after; measure both alike" in err


# --- cards ------------------------------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.parametrize(("flags", "form"), [((), "short"), (("--full",), "full")])
def test_a_page_prints_in_short_unless_asked_for_all(
    flags: tuple[str, ...], form: str, before: Path, afters: list[Path], ask: Asked, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    assert ask("compare", before, afters[0], "--draws", 0, "--html", page, *flags)[0] == 0
    text = page.read_text(encoding="utf-8")
    assert f'<html lang="en" class="{form}">' in text
    assert ("<code>--full</code>" in text) == (form == "short")


@pytest.mark.thorough
def test_card_gets_the_results_and_nothing_else_changes(
    before: Path, afters: list[Path], edit: Path, ask: Asked
) -> None:
    (edit / "README.md").write_text("by hand")
    others = {part.name: part.read_bytes() for part in edit.iterdir() if part.name != "README.md"}
    status, _, err = ask("compare", before, afters[0], "--card", edit, "--draws", 40)
    assert status == 0
    assert f"the card is {edit / 'README.md'}\n" in err
    card = (edit / "README.md").read_text()
    assert len(re.findall(r"\| genbias +\| afgb +\| ", card)) == 1
    assert "seeds of the method: 0; 40 draws" in card
    assert "by hand" not in card
    now = {part.name: part.read_bytes() for part in edit.iterdir() if part.name != "README.md"}
    assert now == others


@pytest.mark.thorough
def test_card_has_the_results_of_its_seed_in_any_order(
    before: Path, afters: list[Path], edit: Path, ask: Asked
) -> None:
    cards = []
    for order in (afters[:1], afters, afters[::-1]):
        assert ask("compare", before, *order, "--card", edit, "--draws", 40)[0] == 0
        text = (edit / "README.md").read_text()
        cards.append([line for line in text.splitlines() if line.startswith("| genbias ")])
    assert len(cards[0]) > 3
    assert cards[0] == cards[1] == cards[2]


@pytest.mark.thorough
def test_a_card_of_another_edit_is_refused(
    before: Path, afters: list[Path], edit: Path, refused: Refused
) -> None:
    said = refused("compare", before, afters[1], "--card", edit, "--draws", 20)
    assert "got tiny@" in said
    assert f"for {edit}; " in said
    said = refused("compare", before, afters[0], "--card", edit.parent, "--draws", 20)
    assert f"'{edit.parent / 'edit.json'}' must be there" in said


# --- margins ----------------------------------------------------------------------------------


@pytest.mark.thorough
def test_a_margin_decides_what_is_shown(before: Path, afters: list[Path], ask: Asked) -> None:
    after = float(str(changes(ask, before, afters[0])["afgb"]["after"]))
    for margin, shown in ((100 * after, True), (after / 100, False)):
        result = changes(ask, before, afters[0], "--margin", f"genbias.afgb={margin!r}")["afgb"]
        claim = result["claim"]
        assert isinstance(claim, dict)
        assert claim["margin"] == {"size": margin, "relative": False}
        assert (claim["kind"], claim["shown"]) == ("within", shown)


@pytest.mark.thorough
def test_several_margins(finished: Path, ask: Asked) -> None:
    sides = [
        measured(finished, f"measure stereoset on tiny{more}")
        for more in ("", " with parity, seed 0")
    ]
    actual = changes(ask, *sides, "--margin", "stereoset.ss=3", "--margin", "stereoset.lms=20")
    claims = {metric: change["claim"] for metric, change in actual.items() if change["claim"]}
    assert claims["ss"]["margin"] == {"size": 3.0, "relative": False}  # type: ignore[index]
    assert claims["lms"]["margin"] == {"size": 20.0, "relative": False}  # type: ignore[index]


@pytest.mark.thorough
def test_a_bad_margin_is_refused(before: Path, afters: list[Path], refused: Refused) -> None:
    sides = [read_results(side) for side in (before, *afters)]
    for name, margin, part in (
        ("genbias.afbg", "1", "got 'genbias.afbg'; did you mean 'genbias.afgb'"),
        ("stereoset.ss", "3", "got 'stereoset.ss'"),
        ("genbias.afgb", "5%", "must be in 'probability', got 5%"),
    ):
        with pytest.raises(RecipeError, match=part):
            compare_all(*sides, margins={name: margin_of(margin)}, draws=0)
    said = refused("compare", before, *afters, "--margin", "genbias.afgb=-1", "--draws", 20)
    assert "got 'genbias.afgb=-1'" in said
