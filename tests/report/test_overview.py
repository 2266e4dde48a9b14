"""The page as a whole: what is counted, folded, and cut."""

from dataclasses import replace

from equipoise.conclusions import Finding
from equipoise.report.html import study_page
from equipoise.report.overview import group_findings, of_comparisons, of_study
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
    findings = of_study(study(), lead=()).findings
    assert findings is not None
    assert [finding.level for finding in findings] == ["error", "warning", "ok"]


def test_findings_alike_are_one_with_every_place() -> None:
    finding = Finding(check="grid", level="warning", where="a", text="3 of 5.")
    other, error = replace(finding, text="4 of 5."), replace(finding, level="error")
    groups = group_findings([finding, other, replace(finding, where="b"), error, finding])
    assert list(groups.items()) == [(error, ("a",)), (finding, ("a", "b")), (other, ("a",))]


def test_many_chapters_are_folded_and_their_lists_cut() -> None:
    groups = [replace(CHANGE, group={"axis": f"g{k}"}) for k in range(60)]
    others = [replace(change, metric="lms") for change in (CHANGE, *groups)]
    full = replace(study().chapters[0], comparisons=(comparison(CHANGE, *groups, *others),) * 65)
    overview = of_study(study(chapters=(full,) * 4), lead=())
    assert overview.folded
    section = overview.chapters[0].sections[0]
    assert section.groups is not None
    assert (len(section.groups.rows), section.groups.left_out) == (12, 48)
    assert (len(section.others), section.others_left_out) == (0, 60)
    usual = of_study(study(chapters=(replace(full, comparisons=full.comparisons[:1]),)), lead=())
    assert not usual.folded
    assert usual.chapters[0].sections[0].others_left_out == 0


def test_comparisons_alone_have_a_chapter_a_pair_and_a_verdict() -> None:
    other = comparison(afters=(measurement("gpt2@1+parity:1"),))
    overview = of_comparisons(
        [comparison(), comparison(), other], title="t", lead=["l"], names={"gpt2@1+lftf:0": "LFTF"}
    )
    assert [chapter.title for chapter in overview.chapters] == ["LFTF", "gpt2@1 → gpt2@1+parity:1"]
    assert [len(chapter.sections) for chapter in overview.chapters] == [2, 1]
    assert overview.chapters[0].verdict.startswith("Bias reduced in stereoset ss")
    assert overview.findings is None
    assert len(overview.matrix.rows) == 3
    assert overview.provenance.data


def test_nothing_to_compare_is_nothing() -> None:
    overview = of_comparisons([], title="t", lead=(), names={})
    assert (overview.chapters, overview.matrix.rows) == ((), ())


def test_what_is_on_no_side_of_a_comparison_is_shown_alone() -> None:
    assert of_study(study(), lead=()).baselines == ()
    alone = replace(study().measured[1], measurement=measurement("gpt2@1+lftf:9", notes=("n",)))
    (baseline,) = of_study(study(measured=(*study().measured, alone)), lead=()).baselines
    assert baseline == ("stereoset of gpt2 after lftf, seed 7", alone.measurement)
    overall, race, _ = measurement().estimates
    groups = tuple(replace(race, group={"axis": f"g{index}"}) for index in range(3001))
    many = replace(alone, measurement=measurement("m", estimates=(overall, *groups)))
    text = study_page(study(measured=(many,), chapters=()))
    assert "ss, axis g2999 <" in text
    assert "ss, axis g3000 <" not in text
    assert "1 further row is left out here" in text
