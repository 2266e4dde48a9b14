"""A chapter: what its verdict corrects, in which words and tones; and a benchmark's section."""

from dataclasses import replace
from typing import Any

from equipoise.conclusions import Change, Verdict
from equipoise.report.chapters import (
    apply_verdict,
    comparison_chapters,
    leads,
    seed_texts,
    study_chapters,
    verdict_badges,
    verdict_tone,
)
from equipoise.report.html import page, study_page
from equipoise.study.study import Chapter

from .making import ABILITY, CHANGE, comparison, default_changes, edit, example, study, verdict


def test_section_has_every_comparison() -> None:
    compared = comparison(*default_changes(), seeds=2, examples=(example(),), notes=("n", "n"))
    text = page([compared], title="t")
    for what in (
        '<li class="reduced"><bdi>stereoset ss</bdi>: 65.6 → 52.4',
        '<li class="worse"><bdi>stereoset lms</bdi>: ',
        'All metrics, overall <span class="quiet">(2)</span>',
        'ss by group, on one scale <span class="quiet">(2)</span>',
        '<th scope="row" dir="auto">axis race</th>',
        'Groups of the other metrics <span class="quiet">(1)</span>',
        '<th scope="row" dir="auto">lms, axis race <span class="unit">%</span></th>',
        "Professions.",
        '<th scope="col" class="n">run 2</th>',
        'Known faults and coverage <span class="quiet">(1)</span>',
        "1 example that changed most",
    ):
        assert what in text, what
    assert '<th scope="col" class="n">seed 7</th>' in study_page(study())


def test_no_comparison_gives_an_empty_section() -> None:
    text = page([replace(comparison(), changes=())], title="t")
    assert "No metric was compared." in text
    assert "by group" not in text


def test_values_after_each_seed() -> None:
    other = replace(CHANGE, metric="lms")
    assert seed_texts([[CHANGE, other], [CHANGE]]) == {
        "ss": ["52.4 [49.0, 55.9]", "52.4 [49.0, 55.9]"],
        "lms": ["52.4 [49.0, 55.9]", "n/a"],
    }
    assert seed_texts([]) == {}


def test_only_headlines_have_the_direction_of_the_verdict() -> None:
    def corrected(*changes: Change, verdict: Verdict) -> tuple[Change, ...]:
        chapter = Chapter(
            model="m", mitigation="x", comparisons=(comparison(*changes),), verdict=verdict,
            edits=(),
        )  # fmt: skip
        return apply_verdict(chapter).comparisons[0].changes

    others = (replace(CHANGE, group={"axis": "race"}), replace(CHANGE, metric="lms"))
    unchanged = replace(CHANGE, p_holm=0.3, direction="unchanged")
    assert corrected(CHANGE, *others, verdict=verdict(unchanged)) == (unchanged, *others)
    elsewhere = replace(CHANGE, after=40.0, direction="unchanged")
    assert corrected(CHANGE, verdict=verdict(elsewhere)) == (CHANGE,)


def test_edits_are_shown_with_their_options() -> None:
    lftf, parity = study_chapters(study())
    assert (lftf.title, lftf.edits) == ("lftf on gpt2", ('lftf: objective "ce_both"',))
    assert parity.edits == ()
    compared = comparison()
    after = replace(compared.after, model_info={"edits": [edit(), "nonsense", {"method": "x"}]})
    (view,) = comparison_chapters([replace(compared, afters=(after,))], {})
    assert view.edits == ('lftf: objective "ce_both"',)


def test_a_main_plot_has_few_groups_of_a_bias_that_moved() -> None:
    moved = replace(CHANGE, group={"axis": "race"})
    still = replace(moved, direction="unchanged")
    assert leads([moved, still])
    assert not leads([still])
    assert not leads([moved] * 13)
    assert not leads([replace(moved, higher_is_better=True)])
    assert not leads([])


def test_verdicts_in_a_word() -> None:
    def words(*, ability: bool = True, **conclusion: object) -> list[str]:
        judged = verdict(CHANGE, ability=(ABILITY,) if ability else (), **conclusion)
        return [badge.word for badge in verdict_badges(judged)]

    assert words() == ["reduced", "kept"]
    assert words(kept=None) == ["reduced", "not shown kept"]
    assert words(kept=False) == ["reduced", "lost"]
    assert words(ability=False, kept=None) == ["reduced", "not measured"]
    assert words(direction="reversed", over_corrected=True)[0] == "over-corrected"
    assert {badge.word for badge in verdict_badges(verdict())} == {"not measured"}


def test_chapter_has_the_tone_of_its_gravest_result() -> None:
    def tone(**conclusion: Any) -> str:
        return verdict_tone(verdict(CHANGE, ability=(ABILITY,), **conclusion))

    assert tone() == "reduced"
    assert tone(kept=False) == "worse"
    assert tone(kept=None) == "unclear"
    assert tone(direction="reversed", over_corrected=True, kept=None) == "reversed"
