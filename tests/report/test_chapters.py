"""A benchmark's section, and the chapter around it."""

from dataclasses import replace
from typing import Any

from equipoise.conclusions import Change, Comparison, Verdict
from equipoise.report.chapters import (
    ChapterView,
    RowLimits,
    apply_verdict,
    chapter_view,
    describe_edit,
    model_edits,
    section,
)
from equipoise.report.html import page
from equipoise.report.rows import badge_of
from equipoise.study.study import Chapter

from .making import ABILITY, CHANGE, comparison, default_changes, edit, example, study, verdict

LIMITS = RowLimits(groups=99, others=99, dots=99)


def test_a_section_has_everything_that_was_compared() -> None:
    compared = comparison(*default_changes(), seeds=2, examples=(example(),), notes=("n", "n"))
    view_ = section(compared, "stereoset", seeds={"gpt2@1+lftf:0": 7}, limits=LIMITS)
    assert [row.name for row in view_.overall] == ["ss", "lms"]
    assert view_.groups is not None
    assert [row.name for row in view_.groups.rows] == ["axis gender", "axis race"]
    assert [row.name for row in view_.others] == ["lms, axis race"]
    assert view_.professions is not None
    assert view_.runs == ("seed 7", "run 2")
    assert view_.by_seed["ss"] == ("52.4 [49.0, 55.9]", "52.4 [49.0, 55.9]")
    assert view_.notes == ("n",)


def test_what_is_said_of_a_benchmark_first() -> None:
    text = page([comparison(*default_changes())], title="t")
    assert '<li class="reduced"><bdi>stereoset ss</bdi>: 65.6 → 52.4' in text
    assert '<li class="worse"><bdi>stereoset lms</bdi>: ' in text


def test_lists_are_cut_where_a_page_could_not_hold_them() -> None:
    view_ = section(
        comparison(*default_changes()), "s", seeds={}, limits=RowLimits(groups=1, others=0, dots=2)
    )
    assert view_.groups is not None
    assert [row.name for row in view_.groups.rows] == ["axis race"]  # the one reversed
    assert view_.groups.left_out == 1
    assert (view_.others, view_.others_left_out) == ((), 1)
    assert view_.professions is not None
    assert (len(view_.professions.dots), len(view_.professions.listed)) == (5, 2)


def test_nothing_compared_is_an_empty_section() -> None:
    view_ = section(replace(comparison(), changes=()), "s", seeds={}, limits=LIMITS)
    assert (view_.overall, view_.groups, view_.by_seed) == ((), None, {})


def view(chapter: Chapter) -> ChapterView:
    """The chapter's view, as the page of a study has it."""
    edits = map(describe_edit, chapter.edits)
    return chapter_view(chapter, title="t", edits=edits, seeds={}, limits=LIMITS)


def chapter(*comparisons: Comparison, verdict: Verdict) -> Chapter:
    return Chapter(model="m", mitigation="x", comparisons=comparisons, verdict=verdict, edits=())


def test_a_chapter_rests_on_its_verdict() -> None:
    lftf = view(study().chapters[0])
    assert lftf.verdict.startswith("Bias reduced in stereoset ss")
    assert [headline.name for headline in lftf.headlines] == ["stereoset ss", "perplexity"]
    assert [badge.word for badge in lftf.badges] == ["reduced", "kept"]
    assert lftf.edits == ('lftf: objective "ce_both"',)


def test_a_chapter_without_comparisons_is_one() -> None:
    parity = view(study().chapters[1])
    assert (parity.sections, parity.headlines) == ((), ())


def test_what_a_verdict_corrects_is_corrected_in_its_sections() -> None:
    corrected = verdict(replace(CHANGE, p_holm=0.4, direction="unchanged"))
    corrected_view = view(chapter(comparison(CHANGE), verdict=corrected))
    assert badge_of(corrected_view.sections[0].overall[0].shown).word == "no change shown"


def test_only_headlines_have_the_direction_of_the_verdict() -> None:
    group = replace(CHANGE, group={"axis": "race"})
    other = replace(CHANGE, metric="lms")
    corrected = replace(CHANGE, p_holm=0.3, direction="unchanged")
    changes = apply_verdict(comparison(CHANGE, group, other), verdict(corrected))
    assert changes == (corrected, group, other)
    elsewhere = replace(CHANGE, after=40.0, direction="unchanged")
    assert apply_verdict(comparison(CHANGE), verdict(elsewhere)) == (CHANGE,)


def test_edits_of_a_model_are_told_with_their_options() -> None:
    info = {"edits": [edit(), "nonsense", {"method": "x"}]}
    assert list(model_edits(info)) == ['lftf: objective "ce_both"']  # type: ignore[arg-type]
    assert list(model_edits({})) == []


def test_a_main_plot_has_few_groups_of_a_bias_that_moved() -> None:
    def leads(*groups: Change) -> bool:
        return section(comparison(CHANGE, *groups), "s", seeds={}, limits=LIMITS).leads

    moved = replace(CHANGE, group={"axis": "race"})
    still = replace(moved, direction="unchanged")
    assert leads(moved, still)
    assert not leads(still)
    assert not leads(*[moved] * 13)
    assert not leads(replace(moved, higher_is_better=True))
    assert not leads()


def test_a_chapter_has_the_tone_of_what_is_graver() -> None:
    def tone(**conclusion: Any) -> str:
        return view(chapter(verdict=verdict(CHANGE, ability=(ABILITY,), **conclusion))).tone

    assert tone() == "reduced"
    assert tone(kept=False) == "worse"
    assert tone(kept=None) == "unclear"
    assert tone(direction="reversed", over_corrected=True, kept=None) == "reversed"
