"""The overview: every model as it is and after each mitigation, whatever is missing."""

from dataclasses import replace

from equipoise.report.chapters import verdict_badges
from equipoise.report.overview import matrix
from equipoise.study.study import Chapter, Measured, Study

from .making import ABILITY, CHANGE, comparison, measurement, not_worse, study, verdict


def test_a_row_a_model_and_mitigation() -> None:
    table = matrix(study())
    assert [(row.model, row.chapter) for row in table.rows] == [
        ("gpt2", None), ("gpt2", 0), ("gpt2", 1),
    ]  # fmt: skip
    assert table.columns == {"stereoset": measurement().estimates[0]}
    base, lftf, parity = (row.entries[0] for row in table.rows)
    assert base is not None
    assert (base.cell.text, base.badge) == ("65.6 [62.0, 69.0]", None)
    assert lftf is not None
    assert (lftf.cell.value, lftf.before) == ("52.4", "65.6")
    assert lftf.badge is not None
    assert lftf.badge.word == "reduced"
    assert parity is None


def test_cells_say_what_the_verdict_says() -> None:
    corrected = replace(CHANGE, p_holm=0.4, direction="unchanged")
    chapter = Chapter(
        model="gpt2", mitigation="lftf", comparisons=(comparison(CHANGE),),
        verdict=verdict(corrected, direction="unchanged"), edits=(),
    )  # fmt: skip
    entry = matrix(Study(title="t", recipe={}, chapters=(chapter,))).rows[1].entries[0]
    assert entry is not None
    assert entry.badge is not None
    assert entry.badge.word == "no change shown"


def test_measurements_alone_have_their_rows_and_nothing_has_none() -> None:
    alone = Measured(
        model="gpt2", mitigation=None, seed=None, measurement=measurement(benchmark="facts")
    )
    table = matrix(Study(title="t", recipe={}, measured=(alone,)))
    assert [row.chapter for row in table.rows] == [None]
    assert list(table.columns) == ["facts"]
    assert matrix(Study(title="t", recipe={})).rows == ()


def test_a_measurement_without_estimates_is_a_gap() -> None:
    bare = Measured(model="gpt2", mitigation=None, seed=None, measurement=measurement(estimates=()))
    table = matrix(Study(title="t", recipe={}, measured=(bare,)))
    assert table.rows[0].entries == (None,)
    assert table.columns == {"stereoset": None}


def test_verdicts_in_a_word() -> None:
    def words(*, ability: bool = True, **said: object) -> list[str]:
        table = verdict(CHANGE, ability=(ABILITY,) if ability else (), **said)
        return [verdict_badge.word for verdict_badge in verdict_badges(table)]

    assert words() == ["reduced", "kept"]
    assert words(kept=None) == ["reduced", "not shown kept"]
    assert words(kept=False) == ["reduced", "lost"]
    assert words(ability=False, kept=None) == ["reduced", "not measured"]
    assert words(direction="reversed", over_corrected=True)[0] == "over-corrected"
    assert [badge.word for badge in verdict_badges(verdict(direction="unknown", kept=None))] == [
        "not measured", "not measured",
    ]  # fmt: skip


def test_a_cell_does_not_call_worse_what_the_verdict_calls_kept() -> None:
    lost = replace(ABILITY, direction="worse", claim=not_worse(0.01, 0.005, 0.015))
    chapter = Chapter(
        model="gpt2", mitigation="lftf",
        comparisons=(comparison(lost, before=measurement(benchmark="perplexity")),),
        verdict=verdict(CHANGE, ability=(lost,)), edits=(),
    )  # fmt: skip
    row = matrix(Study(title="t", recipe={}, chapters=(chapter,))).rows[1]
    assert verdict_badges(chapter.verdict)[1].word == "kept"
    assert row.entries[0] is not None
    assert row.entries[0].badge is not None
    assert row.entries[0].badge.word == "worse, within the margin"
