"""Single examples of a measurement: which come first, what is said of them, what is refused."""

import math
from dataclasses import replace

import pytest

from equipoise.benchmarks.genbias import GenBias
from equipoise.errors import DataError, RecipeError
from equipoise.measure import measure
from equipoise.records import Measurement, Outcome
from equipoise.study.shown_examples import ShownExamples, show_examples
from equipoise.testing import FakeScorer


def measure_few() -> Measurement:
    scorer = FakeScorer(nats=lambda _, text: -0.1 * len(text))
    return measure(scorer, GenBias(), draws=0, limit=3)


def measured(*rows: tuple[str, dict[str, float], str]) -> Measurement:
    outcomes = tuple(
        Outcome(example=id, values=values, groups={"scale": scale, "profession": id})
        for id, values, scale in rows
    )
    return replace(measure_few(), outcomes=outcomes)


def order(shown: ShownExamples) -> list[str]:
    return [row.example for row in shown.examples]


#: AFGB, the first metric of GenBias, is of a single example the distance of he from she.
GAPS = measured(
    ("a", {"he": 0.4, "she": 0.2, "lo": 9.0}, "word"),
    ("b", {"he": 0.0, "she": 0.9, "lo": 1.0}, "phrase"),
    ("c", {"he": math.nan, "she": 0.1, "lo": 2.0}, "word"),
    ("d", {"he": 0.6, "she": 0.1, "lo": -3.0}, "word"),
)


def test_without_more_the_farthest_from_the_ideal_come_first() -> None:
    shown = show_examples(GAPS, count=2)
    assert order(shown) == ["b", "d"]
    assert [row.by for row in shown.examples] == pytest.approx([0.9, 0.5])
    assert (shown.of, shown.without) == (4, 1)
    assert "afgb" in shown.order


def test_a_margin_orders_with_its_sign() -> None:
    rows = [("a", {"margin": -4.0, "lo": 9.0}, "word"), ("b", {"margin": 1.0}, "word")]
    shown = show_examples(measured(*rows), count=5)
    assert (order(shown), shown.order) == (["b", "a"], "margin")


def test_by_a_value_of_a_group_and_from_the_other_end() -> None:
    assert order(show_examples(GAPS, count=9, by="lo")) == ["a", "c", "b", "d"]
    assert order(show_examples(GAPS, count=9, by="lo", groups={"scale": "word"})) == ["a", "c", "d"]
    least = show_examples(GAPS, count=1, by="lo", least=True)
    assert order(least) == ["d"]
    assert least.order.endswith("the least first")


def test_those_that_moved_most_have_both_values() -> None:
    before = measured(
        ("a", {"lo": 8.0}, "word"), ("b", {"lo": -4.0}, "phrase"), ("d", {"lo": 6.0}, "word")
    )
    shown = show_examples(GAPS, count=2, before=before, by="lo")
    assert order(shown) == ["d", "b"]  # c was not measured before
    assert shown.examples[0].before == {"lo": 6.0}
    assert shown.examples[0].by == 9.0


def test_texts_are_those_that_were_asked() -> None:
    real = measure_few()
    (row, *_) = show_examples(real, count=3, texts=True).examples
    assert row.texts
    assert row.groups["profession"] in row.texts[0]
    assert show_examples(real, count=3).examples[0].texts == ()
    with pytest.raises(DataError, match="must ask what it asked"):
        show_examples(replace(real, examples_sha256="0" * 64), count=1, texts=True)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"by": "eh"}, r"must be there to order by, got 'eh'; .*he"),
        ({"groups": {"scal": "word"}}, r"must name what its .*, got 'scal'; .*scale"),
        ({"groups": {"scale": "wrd"}}, r"a group that was measured \(2 are\), got 'wrd'.*word"),
        ({"before": measured(("z", {"lo": 0.1}, "word"))}, "examples in common, got none"),
    ],
)
def test_what_no_example_has_is_refused(options: dict[str, object], says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        show_examples(GAPS, count=1, **options)  # type: ignore[arg-type]
