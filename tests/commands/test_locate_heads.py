"""`equipoise locate MODEL head_attribution`: the usual supply, seeds, the figure, bad input."""

import json
from pathlib import Path

import pytest

from equipoise.locate.head_attribution import HeadAttribution

from .conftest import Asked

FEW = (
    "--set", "head_attribution.target=France",
    "--set", "head_attribution.draws=50",
    "--set", "head_attribution.permutations=50",
    "--set", "association.questions=12",
    "--set", "association.paragraphs=0",
)  # fmt: skip


@pytest.mark.thorough
def test_heads_are_ranked_on_the_locators_usual_supply(
    model: Path, tmp_path: Path, ask: Asked
) -> None:
    figure = tmp_path / "heads.svg"
    status, out, err = ask("locate", model, "head_attribution", *FEW, "--figure", figure)
    assert (status, err) == (0, f"the figure is {figure}\n")
    header, _, *lines = out.splitlines()
    assert "head_attribution (nats of logit difference)" in header
    assert header.split()[-4:] == ["p,", "all", "corrected", "share"]
    assert "note: 12 prompts, intervals over them" in lines
    assert any(line.startswith("note: heads that pass: ") for line in lines)
    assert any(line.startswith("note: completeness: ") for line in lines)
    assert "note: about 'France' against 12 countries drawn by the seed, as plain text" in lines
    assert figure.read_text().startswith("<?xml")


@pytest.mark.thorough
def test_several_seeds_tell_which_heads_they_share(model: Path, tmp_path: Path, ask: Asked) -> None:
    page = tmp_path / "page.html"
    options = (*FEW, "--seeds", 2, "--sample", 8, "--top", 3)
    status, out, _ = ask("locate", model, "head_attribution", *options, "--html", page)
    assert status == 0
    assert "note: of the first 3 heads of each seed " in out
    assert "<rect class=" in page.read_text()
    status, out, _ = ask("locate", model, "head_attribution", *options, "--json")
    assert status == 0
    top = json.loads(out)["top"]
    assert top["k_requested"] == 3
    assert len(top["shared"]) <= 3
    assert 0 < top["p"] <= 1


@pytest.mark.thorough
def test_seeds_on_all_questions_have_no_p(model: Path, ask: Asked) -> None:
    options = (*FEW, "--seeds", 2, "--sample", 12, "--top", 3)
    status, out, _ = ask("locate", model, "head_attribution", *options)
    assert status == 0
    assert "p not given: the rankings are of the same prompts" in out


@pytest.mark.thorough
def test_without_a_target_the_remedy_is_named(model: Path, ask: Asked) -> None:
    status, out, err = ask("locate", model, "head_attribution")
    assert (status, out) == (2, "")
    assert "name the token or a country in target, or give an edit that injects a token" in err


@pytest.mark.thorough
def test_ending_and_top_are_checked_before_anything_is_ranked(
    model: Path, tmp_path: Path, ask: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locate(*_: object, **__: object) -> None:
        pytest.fail("it was ranked")

    monkeypatch.setattr(HeadAttribution, "locate", locate)
    named = ("locate", model, "head_attribution", *FEW)
    status, _, err = ask(*named, "--figure", tmp_path / "heads.jpg")
    assert (status, "must be a .svg or .png file" in err) == (2, True)
    status, _, err = ask(*named, "--seeds", 2, "--top", 99)
    assert (status, "top must be from 1 to 8 components" in err) == (2, True)


@pytest.mark.thorough
def test_a_map_of_blocks_and_too_many_heads_are_refused(
    model: Path, tmp_path: Path, ask: Asked
) -> None:
    blocks = ("locate", model, "random_block", "--data", "planted:default")
    status, _, err = ask(*blocks, "--figure", tmp_path / "a.svg")
    assert status == 2
    assert "a heat map must be of heads" in err
    options = (*FEW, "--seeds", 2, "--top", 99)
    status, _, err = ask("locate", model, "head_attribution", *options)
    assert status == 2
    assert "top must be from 1 to 8 components, got 99" in err
