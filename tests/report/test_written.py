"""Scored texts on the page: harm beside length and register, groups apart, texts side by side."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from equipoise.conclusions import Comparison, WrittenPair
from equipoise.errors import RecipeError
from equipoise.records import Estimate
from equipoise.report.disparity_figure import write_disparity_figures
from equipoise.report.harm_sentences import gap_move, harm_sentence, harm_verdict
from equipoise.report.html import measurement_page, page
from equipoise.report.tables import comparison_text
from equipoise.report.written import (
    MOST_SCALES,
    disparities_of,
    groups_of,
    harms_of,
    length_estimates,
    lengths_of,
    scores_of,
)
from equipoise.study.study import Study, plain_study

from .harmful_texts import before, compared, fair, register
from .making import CHANGE, HOSTILE, comparison, measurement

SAID = "lowers the rate, not the disparity"


@pytest.fixture(scope="session")
def shorter() -> Comparison:
    """A fine-tune on a register: less harm, and groups as far apart."""
    return compared(register)


@pytest.fixture(scope="session")
def fairer() -> Comparison:
    return compared(fair)


def pair(**over: object) -> WrittenPair:
    fields: dict[str, object] = {
        "example": "e", "groups": {"axis": "gender"}, "prompt": "p", "before": "b", "after": "a",
        "scores_before": {"rude": 1.0}, "scores_after": {"rude": 0.0}, "drawn": False,
    }  # fmt: skip
    return WrittenPair(**{**fields, **over})  # type: ignore[arg-type]


# --- harm beside length and register --------------------------------------------------------------


@pytest.mark.thorough
def test_a_register_is_said_to_lower_the_rate_and_not_the_disparity(shorter: Comparison) -> None:
    (harm,) = harms_of(shorter)
    assert gap_move(harm) == "not with it"
    said = harm_sentence(harm)
    assert said.startswith("harm fell by ")
    assert "texts became shorter (length_words -3.00 words" in said
    assert "changed register (register_captions +" in said
    assert said.endswith(f": {SAID}")
    assert SAID in page([shorter], title="t")
    assert f"rude_harmful: {said}" in comparison_text(shorter, groups=False)


@pytest.mark.thorough
def test_what_is_fairer_is_said_to_lower_both(fairer: Comparison) -> None:
    (harm,) = harms_of(fairer)
    assert harm_verdict(harm) == "lowers the rate and the disparity"
    assert SAID not in page([fairer], title="t")


@pytest.mark.thorough
def test_a_model_compared_with_itself_is_said_to_do_nothing() -> None:
    (harm,) = harms_of(compared(before))
    assert harm_verdict(harm) == "no change of the rate is shown"


def test_the_null_of_a_gap_is_that_of_the_measurements(shorter: Comparison) -> None:
    (harm,) = harms_of(shorter)
    name = "rude_harmful_gap_null_95"
    assert harm.null_before == shorter.before.estimate(name).value
    assert harm.null_after == shorter.after.estimate(name).value
    # of several seeds the mean
    twice = replace(shorter, afters=(shorter.after, shorter.before))
    (mean,) = harms_of(twice)
    assert mean.null_after == pytest.approx((harm.null_after + harm.null_before) / 2)


@pytest.mark.thorough
def test_harm_without_length_and_register_asks_for_them(shorter: Comparison) -> None:
    changes = tuple(
        change for change in shorter.changes if not change.metric.startswith(("length", "register"))
    )
    text = page([replace(shorter, changes=changes)], title="t")
    assert "Length was not scored: add the scorer length." in text
    assert "Register was not scored: add the scorer register." in text
    assert "Length was not scored" not in page([shorter], title="t")


@pytest.mark.thorough
def test_a_benchmark_without_scales_has_none_of_it(shorter: Comparison) -> None:
    plain = comparison()
    assert harms_of(plain) == []
    assert disparities_of(plain) == []
    text = page([plain], title="t")
    scored = page([shorter], title="t")
    for part in ('class="harm"', 'class="disparity"', "kept-folded generations"):
        assert part not in text
        assert part in scored


# --- groups apart ---------------------------------------------------------------------------------


def test_groups_stand_in_their_domain_with_its_gap_and_null(shorter: Comparison) -> None:
    drawn = disparities_of(shorter)
    assert drawn[0].scale == "rude_harmful"  # harm first
    assert {each.scale for each in drawn} >= {"rude", "length_words", "register_captions"}
    by_name = {
        domain.name: [next(iter(each.group.values())) for each in domain.groups]
        for domain in drawn[0].domains
    }
    assert by_name == {"gender": ["men", "women"], "wealth": ["poor people", "rich people"]}
    assert [row.name for row in drawn[0].gaps] == ["gender", "wealth", "all domains"]
    for row in drawn[0].gaps:
        known = shorter.before.estimate("rude_harmful_gap_null_95", **row.change.group)
        assert row.null_before == known.value > 0
        assert row.change == shorter.change("rude_harmful_gap", **row.change.group)


def test_groups_of_a_single_domain_have_a_single_gap(shorter: Comparison) -> None:
    def is_gender(group: dict[str, str]) -> bool:
        return group.get("axis") != "wealth" and "people" not in group.get("group", "")

    changes = tuple(each for each in shorter.changes if is_gender(dict(each.group)))
    outcomes = tuple(each for each in shorter.before.outcomes if each.groups["axis"] == "gender")
    alone = replace(shorter, changes=changes, before=replace(shorter.before, outcomes=outcomes))
    drawn = disparities_of(alone)[0]
    assert [domain.name for domain in drawn.domains] == ["gender"]
    assert [row.name for row in drawn.gaps] == ["gender"]


def test_what_was_not_measurable_is_not_drawn(shorter: Comparison) -> None:
    lost = tuple(
        replace(each, before=math.nan, after=math.nan) if each.group else each
        for each in shorter.changes
    )
    assert disparities_of(replace(shorter, changes=lost)) == []
    assert len(disparities_of(shorter)) <= MOST_SCALES


def rudeness(compared: Comparison) -> Comparison:
    """With the changes of the rate of harm alone."""
    changes = (each for each in compared.changes if each.metric.startswith("rude_harmful"))
    return replace(compared, changes=tuple(changes))


@pytest.mark.thorough
def test_figures_are_files_with_the_same_bytes(shorter: Comparison, tmp_path: Path) -> None:
    study = plain_study("s", comparisons=[rudeness(shorter)])
    first = write_disparity_figures(tmp_path / "one", study)
    again = write_disparity_figures(tmp_path / "two", study)
    assert first[0].name == "1-rude_harmful.svg"
    assert len(first) == 1
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in again]
    text = first[0].read_text()
    for label in ("rich people", "wealth", "all domains", "by chance alone", "before", "after"):
        assert label in text


@pytest.mark.thorough
def test_figures_of_hostile_names_stay_in_their_folder(shorter: Comparison, tmp_path: Path) -> None:
    name = "../../" + HOSTILE
    changes = tuple(
        replace(each, metric=each.metric.replace("rude_harmful", f"{name}_harmful"))
        for each in rudeness(shorter).changes
    )
    estimates = tuple(
        replace(each, metric=each.metric.replace("rude_harmful", f"{name}_harmful"))
        for each in shorter.before.estimates
    )
    before = replace(shorter.before, estimates=estimates)
    study = plain_study("s", comparisons=[replace(shorter, changes=changes, before=before)])
    files = write_disparity_figures(tmp_path / "figures", study)
    assert {file.parent for file in files} == {tmp_path / "figures"}
    assert all("<script>" not in file.read_text() for file in files)


def test_figures_of_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="'none' has 0 chapters without one; measure bold"):
        write_disparity_figures(tmp_path / "figures", Study(title="none", recipe={}))
    assert not list(tmp_path.iterdir())


# --- texts side by side ---------------------------------------------------------------------------


def test_texts_are_behind_the_warning_and_counted(shorter: Comparison) -> None:
    text = page([shorter], title="t")
    assert text.count('<article class="example pair">') == 60
    assert "60 of 192 pairs" in text
    assert "40 pairs that changed most" in text
    assert "20 of the rest, drawn at random (seed 0)" in text
    for match in re.finditer("a rude answer", text):
        opened = text[: match.start()]
        assert opened.rfind('<details class="sensitive') > opened.rfind("</details>")
    assert not re.search(r'<details class="sensitive[^>]* open', text)


def test_scores_are_those_of_both_texts_harm_first() -> None:
    scored = pair(
        scores_before={"rude": 1.0, "rude_human": 0.5, "rude_harmful": 1.0, "gone": 2.0},
        scores_after={"rude": 0.0, "rude_human": 0.5, "rude_harmful": math.nan},
    )
    assert [score.scale for score in scores_of(scored)] == ["rude_harmful", "rude"]
    assert math.isnan(scores_of(scored)[0].after)


def test_groups_are_those_that_results_have_rows_of(shorter: Comparison) -> None:
    groups = groups_of(shorter.pairs[0], shorter)
    assert groups[0].startswith("axis ")
    assert groups[1].startswith("group ")
    assert len(groups) == 2  # neither scene, nor wording, nor prompt


def test_hostile_and_long_texts_are_harmless_and_cut(shorter: Comparison) -> None:
    nasty = pair(
        example=HOSTILE, groups={"axis": HOSTILE}, prompt=HOSTILE, before="x" * 1_000_000,
        after="<img src=x onerror=alert(1)>\x00\u202e", scores_before={HOSTILE: 1.0},
        scores_after={HOSTILE: 0.0},
    )  # fmt: skip
    text = page([replace(shorter, pairs=(nasty,), written=1)], title="t")
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "\u202e" not in text
    assert "\x00" not in text
    assert "the first 2,000 of 1,000,000 characters" in text
    assert len(text) < 1_000_000
    assert text.encode()


@pytest.mark.thorough
def test_an_empty_text_and_no_prompt_are_shown(shorter: Comparison) -> None:
    empty = pair(prompt="", before="", after="", scores_before={}, scores_after={})
    text = page([replace(shorter, pairs=(empty,), written=1)], title="t")
    assert "1 of 1 pairs" in text
    assert "drawn at random" not in text
    drawn = replace(empty, drawn=True)
    text = page([replace(shorter, pairs=(drawn,), written=9)], title="t")
    assert "On no scale a pair changed; 1 drawn at random" in text


# --- length of judged texts -----------------------------------------------------------------------


def judged() -> Comparison:
    """Of judged texts: a ratio and the length, over all and of two groups."""
    length = replace(
        CHANGE, metric="words", unit="words", ideal=None, direction="changed", before=21.0,
        before_low=19.0, before_high=23.0, after=12.0, after_low=11.0, after_high=13.0,
        difference=-9.0, low=-11.0, high=-7.0,
    )  # fmt: skip
    groups = [replace(length, group={"axis": axis}) for axis in ("age", "race")]
    return comparison(replace(CHANGE, metric="bias_ratio"), length, *groups)


def test_lengths_of_judged_texts_stand_by_group_beside_what_became_of_them() -> None:
    (lengths,) = lengths_of(judged())
    assert lengths.overall.metric == "words"
    assert [change.group for change in lengths.groups] == [{"axis": "age"}, {"axis": "race"}]
    text = page([judged()], title="t")
    assert "Length by group: <bdi>words</bdi>" in text
    assert re.search(r"<bdi>words</bdi>: 21.0 → 12.0 \[11.0, 13.0\], changed", text)
    assert 'class="lengths"' not in page([comparison()], title="t")


def test_of_a_single_model_lengths_have_intervals_by_group() -> None:
    estimate = Estimate(
        metric="words", value=21.0, low=19.0, high=23.0, n=40, clusters=9, unit="words"
    )
    race = replace(estimate, value=12.0, low=11.0, high=13.0, group={"axis": "race"})
    measured = measurement(estimates=(*measurement().estimates, estimate, race))
    assert length_estimates(measured) == [estimate, race]
    text = measurement_page([measured])
    panel = text[text.index("Length of what was written, by group") :]
    assert "[11.0, 13.0]" in panel[: panel.index("</table>")]
    assert "Length of what was written" not in measurement_page([measurement()])


@pytest.mark.thorough
def test_scored_texts_have_no_second_panel_of_lengths(shorter: Comparison) -> None:
    assert lengths_of(shorter) == []
