"""The page as a whole: what is counted, folded, and cut."""

from dataclasses import replace

from equipoise.report.baselines import uncompared
from equipoise.report.overview import of_comparisons, of_study
from equipoise.study.study import Study

from .making import CHANGE, comparison, measurement, study


def test_a_study_is_counted() -> None:
    assert of_study(study(), lead=()).facts == (
        ("1", "model"),
        ("2", "mitigations"),
        ("1", "benchmark"),
        ("2", "seeds of each mitigation"),
        ("5 of 7", "steps done"),
    )
    assert of_study(Study(title="t", recipe={}), lead=()).facts == ()


def test_findings_are_told_gravest_first() -> None:
    found = of_study(study(), lead=()).findings
    assert found is not None
    assert [one.level for one in found] == ["error", "warning", "ok"]


def test_many_chapters_are_folded_and_their_lists_cut() -> None:
    groups = [replace(CHANGE, group={"axis": f"g{k}"}) for k in range(60)]
    others = [replace(one, metric="lms") for one in (CHANGE, *groups)]
    full = replace(study().chapters[0], comparisons=(comparison(CHANGE, *groups, *others),) * 65)
    found = of_study(study(chapters=(full,) * 4), lead=())
    assert found.folded
    section = found.chapters[0].sections[0]
    assert section.groups is not None
    assert (len(section.groups.rows), section.groups.left_out) == (12, 48)
    assert (len(section.others), section.others_left_out) == (0, 60)
    usual = of_study(study(chapters=(replace(full, comparisons=full.comparisons[:1]),)), lead=())
    assert not usual.folded
    assert usual.chapters[0].sections[0].others_left_out == 0


def test_comparisons_alone_have_a_chapter_a_pair_and_a_verdict() -> None:
    other = comparison(afters=(measurement("gpt2@1+parity:1"),))
    found = of_comparisons(
        [comparison(), comparison(), other], title="t", lead=["l"], names={"gpt2@1+lftf:0": "LFTF"}
    )
    assert [chapter.title for chapter in found.chapters] == ["LFTF", "gpt2@1 → gpt2@1+parity:1"]
    assert [len(chapter.sections) for chapter in found.chapters] == [2, 1]
    assert found.chapters[0].verdict.startswith("Bias reduced in stereoset ss")
    assert found.findings is None
    assert found.matrix is not None
    assert len(found.matrix.lines) == 3
    assert found.provenance.data


def test_nothing_to_compare_is_nothing() -> None:
    found = of_comparisons([], title="t", lead=(), names={})
    assert (found.chapters, found.matrix) == ((), None)


def test_what_is_on_no_side_of_a_comparison_is_shown_alone() -> None:
    assert uncompared(study(), most=9) == ()
    alone = replace(study().measured[1], measurement=measurement("gpt2@1+lftf:9", notes=("n",)))
    (found,) = uncompared(study(measured=(*study().measured, alone)), most=9)
    assert found.title == "stereoset of gpt2 after lftf, seed 7"
    assert [one.name for one in found.overall] == ["ss", "silent"]
    assert [group.name for group in found.groups] == ["ss, axis race"]
    assert (found.notes, found.left_out) == (("n",), 0)
    (cut,) = uncompared(study(measured=(alone,), chapters=()), most=0)
    assert (cut.groups, cut.left_out) == ((), 1)
