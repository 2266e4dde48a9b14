"""Which requirements hold: the whole interval decides, and what is not measured shows nothing."""

import pytest

from equipoise.errors import RecipeError
from equipoise.gate.gate import Ruling, judge_results
from equipoise.gate.requirement import parse_requirement

from .conftest import STEREOSET, estimate, measurement

SINGLE = (measurement("stereoset", *STEREOSET),)


def judged(*sentences: str) -> list[Ruling]:
    return judge_results(SINGLE, [parse_requirement(sentence) for sentence in sentences])


@pytest.mark.parametrize(
    ("sentence", "state"),
    [
        ("stereoset.ss within 50..54", "holds"),  # its very ends
        ("stereoset.ss within 45 .. 55", "holds"),
        ("stereoset.ss within 51..55", "not shown"),
        ("stereoset.ss within 55..60", "fails"),
        ("stereoset.ss Within -1e1..+45.5", "fails"),
        ("stereoset.ss at least 50", "holds"),
        ("stereoset.ss at least 50.5", "not shown"),
        ("stereoset.ss at most 54", "holds"),
        ("stereoset.ss at most 49.9", "fails"),
        ("stereoset.silent at most 1e9", "not measured"),
        ("stereoset.seeds at most 1e9", "not measured"),
        ("stereoset.ss[axis=gender] within 45..60", "holds"),
        ("stereoset.ss[ axis = race ] within 45..60", "fails"),
        ("stereoset.ss[target=Jews, all] at most 53", "holds"),
    ],
)
def test_the_whole_interval_decides(sentence: str, state: str) -> None:
    (ruling,) = judged(sentence)
    assert (ruling.state, ruling.holds) == (state, state == "holds")


@pytest.mark.parametrize(
    ("sentence", "states"),
    [
        ("no group of stereoset.ss outside 39..57", ["holds"] * 3),
        ("no group of stereoset.ss by axis outside 45..60", ["holds", "fails"]),
        ("no group of stereoset.ss by axis above 53", ["not shown", "holds"]),
        ("no group of stereoset.ss by axis below 50", ["not shown", "fails"]),
        # as near the ideal of 50 as 60 is, and as 40: on both sides
        ("no group of stereoset.ss by axis worse than 60", ["holds", "not shown"]),
        ("no group of stereoset.ss by axis worse than 40", ["holds", "not shown"]),
        ("no group of stereoset.lms worse than 70", ["holds"]),
        ("no group of stereoset.lms worse than 71", ["not shown"]),
        ("no group worse than 61", ["holds", "holds", "holds"]),
    ],
)
def test_every_group_must_hold(sentence: str, states: list[str]) -> None:
    assert [ruling.state for ruling in judged(sentence)] == states


def test_a_metric_whose_less_is_better_is_worse_above() -> None:
    row = estimate("cost", 5.0, 4.0, 6.0, higher_is_better=False, group={"k": "g"})
    requirement = parse_requirement("no group worse than 6")
    (ruling,) = judge_results([measurement("toy", row)], [requirement])
    assert ruling.holds
    assert ruling.high == 6.0


def test_sentences_say_number_interval_n_and_why() -> None:
    sentences = [
        ruling.sentence
        for ruling in judged(
            "stereoset.ss within 45..55",
            "stereoset.ss at most 45",
            "stereoset.ss[axis=gender] within 50..55",
            "stereoset.silent at most 5",
            "stereoset.seeds at most 5",
        )
    ]
    assert sentences == [
        "stereoset.ss: 52.0 [50.0, 54.0] % (95 %, n = 100) lies within 45..55",
        "stereoset.ss: 52.0 [50.0, 54.0] % (95 %, n = 100) lies above 45",
        "stereoset.ss (axis gender): 53.0 [49.0, 57.0] % (95 %, n = 100) reaches above 55 and "
        "below 50, so it is not shown to lie within 50..55",
        "stereoset.silent: could not be measured (n = 100): no texts | at all",
        "stereoset.seeds: 3.00 has no 95 % interval (n = 100): nothing is shown",
    ]


def test_a_benchmark_measured_twice_must_hold_twice_unless_its_key_is_named() -> None:
    again = measurement("stereoset", estimate("ss", 58.0, 53.0, 63.0, ideal=50.0))
    both = (*SINGLE, again)
    names = {
        name: [
            (ruling.name, ruling.holds)
            for ruling in judge_results(both, [parse_requirement(f"{name}.ss at most 55")])
        ]
        for name in ("stereoset", "stereoset#2")
    }
    assert names["stereoset"] == [("stereoset.ss", True), ("stereoset#2.ss", False)]
    assert names["stereoset#2"] == [("stereoset#2.ss", False)]


@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        (
            "sterioset.ss at most 5",
            "the result has no metric 'sterioset.ss'; did you mean 'stereoset.ss'",
        ),
        ("stereoset.s at most 5", "did you mean 'stereoset.ss'"),
        ("ss within 45..55", "the result has no metric 'ss'; write stereoset.ss"),
        (
            "stereoset.ss[axis=gendre] at most 5",
            "it has no group axis=gendre; did you mean 'axis=gender'",
        ),
        ("stereoset.silent[axis=gender] at most 5", "it has no group axis=gender; known: none"),
        ("no group of stereoset.ss by axes above 5", "it has none by 'axes'; did you mean 'axis'"),
        ("no group of stereoset.silent above 5", "it has none; require something of its overall"),
        ("no group of stereoset.seeds worse than 5", "it has none; require"),
    ],
)
def test_a_metric_or_group_that_is_not_there_is_refused(sentence: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        judged(sentence)
    assert message in str(caught.value)
    assert str(caught.value).startswith("--require: ")


def test_worse_needs_an_ideal_or_a_direction() -> None:
    row = estimate("seeds", 5.0, 4.0, 6.0, group={"k": "g"})
    with pytest.raises(RecipeError, match=r"got toy\.seeds, which has none; write 'outside A..B'"):
        judge_results([measurement("toy", row)], [parse_requirement("no group worse than 6")])
    remedy = parse_requirement("no group of toy.seeds outside 3..7")
    assert [ruling.holds for ruling in judge_results([measurement("toy", row)], [remedy])] == [True]


def test_without_a_name_there_must_be_a_single_benchmark() -> None:
    other = measurement("genbias", estimate("afgb", 0.1, 0.0, 0.2))
    with pytest.raises(RecipeError, match=r"got stereoset, genbias; write 'no group of NAME"):
        judge_results([*SINGLE, other], [parse_requirement("no group worse than 60")])
