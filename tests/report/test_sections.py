"""A benchmark's section, and the chapter around it."""

from dataclasses import replace
from typing import Any

from equipoise.conclusions import Change
from equipoise.report.chapters import Told, chapter_view, model_edits, titled
from equipoise.report.sections import Most, section

from .making import ABILITY, CHANGE, comparison, default_changes, edit, example, study, verdict

MOST = Most(groups=99, others=99, dots=99)


def test_a_section_has_everything_that_was_compared() -> None:
    one = comparison(*default_changes(), seeds=2, examples=(example(),), notes=("n", "n"))
    found = section(one, "stereoset", seeds={"gpt2@1+lftf:0": 7}, most=MOST)
    assert [row.name for row in found.overall] == ["ss", "lms"]
    assert found.groups is not None
    assert [row.name for row in found.groups.rows] == ["axis gender", "axis race"]
    assert [row.name for row in found.others] == ["lms, axis race"]
    assert found.professions is not None
    assert found.runs == ("seed 7", "run 2")
    assert next((row.metric, row.texts) for row in found.by_seed) == (
        "ss", ("52.4 [49.0, 55.9]", "52.4 [49.0, 55.9]"),
    )  # fmt: skip
    assert len(found.examples) == 1
    assert found.notes == ("n",)
    assert [(saying.subject, saying.badge.word) for saying in found.sayings] == [
        ("stereoset ss", "reduced"), ("stereoset lms", "worse"),
    ]  # fmt: skip


def test_lists_are_cut_where_a_page_could_not_hold_them() -> None:
    found = section(
        comparison(*default_changes()), "s", seeds={}, most=Most(groups=1, others=0, dots=2)
    )
    assert found.groups is not None
    assert [row.name for row in found.groups.rows] == ["axis race"]  # the one reversed
    assert found.groups.left_out == 1
    assert (found.others, found.others_left_out) == ((), 1)
    assert found.professions is not None
    assert (len(found.professions.dots), len(found.professions.listed)) == (5, 2)


def test_nothing_compared_is_an_empty_section() -> None:
    found = section(replace(comparison(), changes=()), "s", seeds={}, most=MOST)
    assert (found.overall, found.groups, found.sayings) == ((), None, ())


def test_a_chapter_rests_on_its_verdict() -> None:
    found = chapter_view(study().chapters[0], seeds={}, most=MOST)
    assert found.title == "lftf on gpt2"
    assert found.verdict.startswith("Bias reduced in stereoset ss")
    assert [headline.name for headline in found.headlines] == ["stereoset ss", "perplexity"]
    assert [badge.word for badge in found.badges] == ["reduced", "kept"]
    assert found.edits == ('lftf: objective "ce_both"',)
    assert (found.identities, found.further) == (("gpt2@1", "gpt2@1+lftf:0"), 1)


def test_a_chapter_without_comparisons_is_one() -> None:
    found = chapter_view(study().chapters[1], seeds={}, most=MOST)
    assert (found.sections, found.identities, found.headlines) == ((), None, ())


def test_what_a_verdict_corrects_is_corrected_in_its_sections() -> None:
    told = Told(
        title="t", model="m", mitigation="x",
        verdict=verdict(replace(CHANGE, p_holm=0.4, direction="unchanged")),
    )  # fmt: skip
    found = titled([comparison(CHANGE)], told, most=MOST)
    assert found.sections[0].overall[0].badge.word == "no change shown"
    assert found.sections[0].sayings[0].badge.word == "no change shown"


def test_edits_of_a_model_are_told_with_their_options() -> None:
    info = {"edits": [edit(), "nonsense", {"method": "x"}]}
    assert list(model_edits(info)) == ['lftf: objective "ce_both"']  # type: ignore[arg-type]
    assert list(model_edits({})) == []


def test_a_main_plot_has_few_groups_of_a_bias_that_moved() -> None:
    def leads(*groups: Change) -> bool:
        return section(comparison(CHANGE, *groups), "s", seeds={}, most=MOST).leads

    moved = replace(CHANGE, group={"axis": "race"})
    still = replace(moved, direction="unchanged")
    assert leads(moved, still)
    assert not leads(still)
    assert not leads(*[moved] * 13)
    assert not leads(replace(moved, higher_is_better=True))
    assert not leads()


def test_a_chapter_has_the_tone_of_what_is_graver() -> None:
    def tone(**said: Any) -> str:
        told = Told(
            title="t",
            model="m",
            mitigation="x",
            verdict=verdict(CHANGE, ability=(ABILITY,), **said),
        )
        return titled([], told, most=MOST).tone

    assert tone() == "reduced"
    assert tone(kept=False) == "worse"
    assert tone(kept=None) == "unclear"
    assert tone(direction="reversed", over_corrected=True, kept=None) == "reversed"
