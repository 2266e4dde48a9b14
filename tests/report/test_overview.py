"""The study as a whole: what is counted, found and cut, and every model in a table."""

from dataclasses import replace

import pytest

from equipoise.conclusions import Change, Finding
from equipoise.records import Estimate
from equipoise.report import overview
from equipoise.report.chapters import apply_verdict
from equipoise.report.html import page, study_page
from equipoise.report.overview import (
    count_facts,
    group_findings,
    limit_rows,
    matrix,
    measured_alone,
)
from equipoise.report.rows import badge_of, matrix_cell
from equipoise.report.sentences import headlines
from equipoise.study.study import Chapter, Measured, Study

from .making import ABILITY, CHANGE, comparison, measurement, not_worse, study, verdict


def test_a_study_is_counted() -> None:
    assert list(count_facts(study())) == [
        ("1", "model"),
        ("2", "mitigations"),
        ("1", "benchmark"),
        ("2", "seeds of each mitigation"),
        ("5 of 7", "steps done"),
    ]
    assert list(count_facts(Study(title="t", recipe={}))) == []


def test_equal_findings_are_grouped_gravest_first() -> None:
    finding = Finding(check="grid", level="warning", where="a", text="3 of 5.")
    other, error = replace(finding, text="4 of 5."), replace(finding, level="error")
    groups = group_findings([finding, other, replace(finding, where="b"), error, finding])
    assert list(groups.items()) == [(error, ("a",)), (finding, ("a", "b")), (other, ("a",))]


def test_many_chapters_are_collapsed_and_their_lists_truncated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    groups = [replace(CHANGE, group={"axis": f"g{k}"}) for k in range(60)]
    others = [replace(change, metric="lms") for change in (CHANGE, *groups)]
    full = replace(study().chapters[0], comparisons=(comparison(CHANGE, *groups, *others),))

    def of(*chapters: Chapter) -> Study:
        return Study(title="t", recipe={}, chapters=chapters)

    big = replace(full, comparisons=full.comparisons * 65)
    assert limit_rows(of(full)) == (3000, 3000, 3000)
    assert limit_rows(of(big, big, big, big)) == (12, 0, 12)
    alone = study_page(of(full))
    assert '<details class="chapter" open>' in alone
    assert "left out here" not in alone
    monkeypatch.setattr(overview, "_ROWS", 12)
    monkeypatch.setattr(overview, "_EVERYTHING", 0)
    many = study_page(of(full, *study().chapters * 2))
    assert '<details class="chapter" open>' not in many
    assert "48 further rows are left out here" in many  # groups of the first metric
    assert "60 further rows are left out here" in many  # and of the others


def test_comparisons_alone_have_a_chapter_per_pair_and_a_verdict() -> None:
    other = comparison(afters=(measurement("gpt2@1+parity:1"),))
    text = page(
        [comparison(), comparison(), other], title="t", lead=["l"], names={"gpt2@1+lftf:0": "LFTF"}
    )
    assert text.count('<details class="chapter"') == 2
    assert '<h3 dir="auto">LFTF</h3>' in text
    assert '<h3 dir="auto">gpt2@1 → gpt2@1+parity:1</h3>' in text
    assert text.count('<section class="benchmark">') == 3
    assert "Bias reduced in stereoset ss" in text
    assert 'id="checks"' not in text


def test_uncompared_measurements_are_shown_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(measured_alone(study())) == []
    alone = replace(study().measured[1], measurement=measurement("gpt2@1+lftf:9", notes=("n",)))
    (baseline,) = measured_alone(study(measured=(*study().measured, alone)))
    assert baseline == ("stereoset of gpt2 after lftf, seed 7", alone.measurement)
    overall, race, _ = measurement().estimates
    groups = tuple(replace(race, group={"axis": f"g{index}"}) for index in range(21))
    many = replace(alone, measurement=measurement("m", estimates=(overall, *groups)))
    monkeypatch.setattr(overview, "_ROWS", 20)
    text = study_page(study(measured=(many,), chapters=()))
    assert "ss, axis g19 <" in text
    assert "ss, axis g20 <" not in text
    assert "1 further row is left out here" in text


# --- every model in a table -------------------------------------------------------------------


def test_a_row_per_model_and_mitigation() -> None:
    columns, rows = matrix(study())
    assert [(row.model, row.chapter) for row in rows] == [("gpt2", None), ("gpt2", 0), ("gpt2", 1)]
    assert columns == {"stereoset": measurement().estimates[0]}
    base, lftf, parity = (row.entries[0] for row in rows)
    assert isinstance(base, Estimate)
    assert (matrix_cell(base)[0].text, matrix_cell(base)[1]) == ("65.6 [62.0, 69.0]", "")
    assert isinstance(lftf, Change)
    cell, before = matrix_cell(lftf)
    assert (cell.value, before, badge_of(lftf).word) == ("52.4", "65.6", "reduced")
    assert parity is None


def test_measurements_alone_have_their_rows_and_nothing_has_none() -> None:
    alone = Measured(
        model="gpt2", mitigation=None, seed=None, measurement=measurement(benchmark="facts")
    )
    columns, rows = matrix(Study(title="t", recipe={}, measured=(alone,)))
    assert ([row.chapter for row in rows], list(columns)) == ([None], ["facts"])
    assert matrix(Study(title="t", recipe={})) == ({}, [])


def test_a_measurement_without_estimates_is_a_gap() -> None:
    bare = Measured(model="gpt2", mitigation=None, seed=None, measurement=measurement(estimates=()))
    columns, rows = matrix(Study(title="t", recipe={}, measured=(bare,)))
    assert (columns, rows[0].entries) == ({"stereoset": None}, [None])


def test_a_cell_says_what_the_verdict_says() -> None:
    corrected = replace(CHANGE, p_holm=0.4, direction="unchanged")
    lost = replace(ABILITY, direction="worse", claim=not_worse(0.01, 0.005, 0.015))
    chapter = Chapter(
        model="gpt2", mitigation="lftf", edits=(),
        comparisons=(
            comparison(CHANGE), comparison(lost, before=measurement(benchmark="perplexity")),
        ),
        verdict=verdict(corrected, ability=(lost,), direction="unchanged"),
    )  # fmt: skip
    _, rows = matrix(Study(title="t", recipe={}, chapters=(apply_verdict(chapter),)))
    words = [badge_of(entry).word for entry in rows[1].entries if isinstance(entry, Change)]
    assert words == ["no change shown", "worse, within the margin"]


def test_a_benchmark_is_in_the_table_by_what_it_says_first() -> None:
    ability = replace(CHANGE, metric="lms", before=90.0, higher_is_better=True)
    named = measurement(headline=("silent",))
    compared = comparison(CHANGE, replace(ability, metric="silent"), before=named)
    chapter = replace(study().chapters[0], comparisons=(compared,))
    columns, rows = matrix(study(measured=(), chapters=(chapter,)))
    (column,) = columns.values()
    assert column is not None
    assert [getattr(row.entries[0], "metric", None) for row in rows] == ["silent", "silent"]
    plain = replace(compared, before=replace(named, headline=()))
    columns, _ = matrix(study(measured=(), chapters=(replace(chapter, comparisons=(plain,)),)))
    assert [getattr(column, "metric", None) for column in columns.values()] == ["ss"]


def test_chosen_headlines_are_said_first() -> None:
    second = replace(CHANGE, metric="lms", direction="unchanged")
    third = replace(CHANGE, metric="third", direction="worse", difference=3.0)
    compared = comparison(CHANGE, second, third)
    assert [change.metric for change in headlines(compared)] == ["ss", "third"]
    chosen = replace(compared, headline=("lms", "ss"))
    assert [change.metric for change in headlines(chosen)] == ["lms", "ss", "third"]
