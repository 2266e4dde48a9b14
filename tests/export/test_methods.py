"""Methods as rows: values, changes and stars as chosen by hand, and what cannot be chosen."""

from dataclasses import replace
from typing import Any

import pytest
from report.small_study import change, measurement, small_study

from equipoise.conclusions import Comparison
from equipoise.errors import RecipeError
from equipoise.export.export import export
from equipoise.export.methods import methods, methods_table
from equipoise.records import Estimate, Measurement
from equipoise.stats.verdict import verdict_of
from equipoise.study.study import Chapter, Measured, Study

GROUPS: tuple[dict[str, str], ...] = ({}, {"association": "late"}, {"association": "spicy"})


def estimate(value: float, group: dict[str, str], **more: Any) -> Estimate:
    spread = 0.125
    fields = {"metric": "strength", "unit": "grade", "n": 30, "clusters": 10, "ideal": 0.0} | more
    return Estimate(value=value, low=value - spread, high=value + spread, group=group, **fields)


def base(model: str = "gpt2", *, values: tuple[float, ...] = (1.28, 1.0, 1.5)) -> Measurement:
    strength = [estimate(value, group) for value, group in zip(values, GROUPS, strict=True)]
    topic = estimate(9.0, {"topic": "food"})
    kept = estimate(0.9, {}, metric="kept", ideal=None, higher_is_better=True)
    return measurement("stereotypes", f"{model}@1", estimates=(*strength, topic, kept))


def chapter(name: str, *afters: float, model: str = "gpt2", before: Measurement) -> Chapter:
    befores = [each.value for each in before.estimates]
    changes = [
        change("strength", befores[index], after, group=group, unit="grade")
        for index, (after, group) in enumerate(zip(afters, GROUPS, strict=True))
    ]
    kept = change("kept", 0.9, 0.8, ideal=None, higher_is_better=True)
    comparison = Comparison(
        before=before, afters=(before,), seed=0, draws=9, changes=(*changes, kept)
    )
    return Chapter(
        model=model, mitigation=name, comparisons=(comparison,),
        verdict=verdict_of([comparison]), edits=(),
    )  # fmt: skip


def study(*models: str) -> Study:
    measured, chapters = [], []
    for model in models or ("gpt2",):
        before = base(model)
        measured.append(Measured(model=model, mitigation=None, seed=None, measurement=before))
        chapters.append(chapter("prompt", 0.65, 0.5, 0.75, model=model, before=before))
        chapters.append(chapter("both", 0.55, 0.625, 0.5, model=model, before=before))
    return Study(title="t", recipe={}, measured=tuple(measured), chapters=tuple(chapters))


def test_a_metric_has_a_column_a_group_and_one_overall() -> None:
    """As BiasGym's Table 2: associations, then the average; the least of each column starred."""
    table = methods_table(methods(study(), metric="stereotypes.strength"))
    assert list(table.columns) == ["method", "late", "spicy", "overall"]
    assert table.to_numpy().tolist() == [
        ["as it is", "1.00 [0.88, 1.12]", "1.50 [1.38, 1.62]", "1.28 [1.16, 1.41]"],
        [
            "prompt", "0.500 [0.375, 0.625] (-0.500) *", "0.750 [0.625, 0.875] (-0.750)",
            "0.650 [0.525, 0.775] (-0.630)",
        ],
        [
            "both", "0.625 [0.500, 0.750] (-0.375)", "0.50 [0.38, 0.62] (-1.00) *",
            "0.550 [0.425, 0.675] (-0.730) *",
        ],
    ]  # fmt: skip


def test_without_a_metric_a_column_is_a_benchmark() -> None:
    facts = measurement(
        "facts", "gpt2@1", estimates=(estimate(90.0, {}, metric="facts", ideal=None),)
    )
    more = Measured(model="gpt2", mitigation=None, seed=None, measurement=facts)
    known = study()
    table = methods_table(methods(replace(known, measured=(*known.measured, more))))
    assert list(table.columns) == ["method", "stereotypes strength", "facts"]
    assert list(table["facts"]) == ["90.0 [89.9, 90.1]", "", ""]


def test_the_best_is_the_most_able_and_nothing_is_best_alone_or_without_an_ideal() -> None:
    kept = methods(study(), metric="stereotypes.kept")
    assert list(kept["best"]) == [True, False, False]
    alone = methods(replace(study(), chapters=()), metric="stereotypes.strength")
    assert not alone["best"].any()
    aimless = base()
    aimless = replace(
        aimless, estimates=tuple(replace(each, ideal=None) for each in aimless.estimates)
    )
    twice = [Measured(model=name, mitigation=None, seed=None, measurement=aimless) for name in "ab"]
    assert not methods(Study(title="", recipe={}, measured=tuple(twice)))["best"].any()


def test_models_are_apart_where_there_are_several() -> None:
    table = methods_table(methods(study("gpt2", "opt"), metric="stereotypes.strength"))
    assert list(table["model"]) == ["gpt2"] * 3 + ["opt"] * 3
    assert [cell.endswith("*") for cell in table["overall"]] == [False, False, True] * 2


def test_a_group_may_be_called_as_a_column_is() -> None:
    named = replace(base(), estimates=(estimate(1.0, {"by": "method"}), estimate(2.0, {})))
    measured = Measured(model="gpt2", mitigation=None, seed=None, measurement=named)
    table = methods_table(
        methods(Study(title="", recipe={}, measured=(measured,)), metric="stereotypes.strength")
    )
    assert list(table.columns) == ["method", "group method", "overall"]
    assert list(table["method"]) == ["as it is"]


def test_groups_by_another_key() -> None:
    frame = methods(study(), metric="stereotypes.strength", by="topic")
    assert list(dict.fromkeys(frame["column"])) == ["overall", "food"]
    assert list(methods_table(frame).columns) == ["method", "food", "overall"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"metric": "stereotypes.strenght"}, "did you mean 'stereotypes.strength'"),
        ({"metric": "stereotypes.strength", "by": "axis"}, "has no groups by 'axis'; known: "),
        ({"by": "topic"}, "must be of a metric"),
    ],
)
def test_what_is_not_there(asked: dict[str, str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        methods(study(), **asked)


def test_formats_and_other_tables() -> None:
    latex = export(study(), "methods", "latex", metric="stereotypes.strength")
    assert r"\begin{tabular}{lrrr}" in latex
    markdown = export(study(), "methods", "markdown", metric="stereotypes.strength")
    assert "| both     | 0.625 [0.500, 0.750] (-0.375)   |" in markdown
    assert export(study(), "methods", "csv").count("\n") == 4
    with pytest.raises(RecipeError, match="can be chosen for the table methods, got changes"):
        export(small_study(), "changes", "csv", metric="genbias.afgb")
