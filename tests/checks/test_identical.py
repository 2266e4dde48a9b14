"""Different models with the same numbers: a published table, edits that were not attached."""

import math
from dataclasses import replace
from typing import Any

import pytest

from equipoise.checks.across_models import identical_faults, same_setting
from equipoise.checks.run import check_measurements
from equipoise.records import Estimate, Measurement, Outcome

#: LFTF, table of base models: word, phrase, sentence, their mean, UB. Two pairs are copies.
LFTF = {
    "Qwen2.5-7B": (0.2820, 0.3532, 0.3549, 0.3305, 0.5321),
    "Qwen2.5-14B": (0.4151, 0.3477, 0.2808, 0.3480, 0.6623),
    "Meta-Llama3-8B": (0.2741, 0.2888, 0.1492, 0.2388, 0.5265),
    "Llama3.2-1B": (0.2156, 0.3113, 0.1816, 0.2381, 0.4167),
    "Llama3.2-3B": (0.2845, 0.2905, 0.1928, 0.2568, 0.5048),
    "Llama2-7B": (0.2741, 0.2888, 0.1492, 0.2388, 0.5265),
    "Llama2-13B": (0.3300, 0.3081, 0.2214, 0.2872, 0.5064),
    "Llama2-70B": (0.3119, 0.2540, 0.1429, 0.2369, 0.4974),
    "Vicuna-7B-v1.5": (0.4697, 0.4794, 0.3139, 0.4226, 0.7438),
    "Vicuna-13B-v1.5": (0.4151, 0.3477, 0.2808, 0.3480, 0.6623),
}


def measurement(model: str, values: tuple[float, ...], **change: Any) -> Measurement:
    """One outcome a value, and one estimate a value."""
    plain: dict[str, Any] = {
        "model": model, "benchmark": "toy", "version": "1", "options": {"x": 1}, "split": "test",
        "seed": 0, "draws": 0, "limit": None, "examples_sha256": "ab", "data": (),
        "model_info": {}, "environment": {}, "cluster": None,
        "estimates": tuple(
            Estimate(metric=f"m{k}", value=value, low=value, high=value, n=9, clusters=9, unit="x")
            for k, value in enumerate(values)
        ),
        "outcomes": tuple(
            Outcome(example=str(k), values={"v": value}) for k, value in enumerate(values)
        ),
    }  # fmt: skip
    return Measurement(**{**plain, **change})


def levels(*measurements: Measurement) -> list[str]:
    return [check_measurement.level for check_measurement in check_measurements(measurements)]


def test_copied_rows_of_a_published_table() -> None:
    table = [measurement(name, values, outcomes=()) for name, values in LFTF.items()]
    result = check_measurements(table)
    assert [first.text for first in result] == [
        f"{first} and {second} have the same 5 values in all estimates: "
        "one was measured as the other, or copied"
        for first, second in (("Qwen2.5-14B", "Vicuna-13B-v1.5"), ("Meta-Llama3-8B", "Llama2-7B"))
    ]
    assert {(first.check, first.level, first.where) for first in result} == {
        ("identical", "error", "toy (test)")
    }
    distinct = {values: first for first, values in zip(table, LFTF.values(), strict=True)}
    (fine,) = check_measurements(list(distinct.values()))
    assert (fine.level, fine.text) == ("ok", "8 models compared with each other")


VALUES = (0.25, 1.7, math.nan)


def test_an_edit_that_was_not_attached_is_a_warning() -> None:
    base, edit = measurement("gpt2@1", VALUES), measurement("gpt2@1+lftf:ab", VALUES)
    (fault,) = identical_faults([base, edit])
    assert fault.level == "warning"
    assert fault.text == (
        "gpt2@1 and gpt2@1+lftf:ab have the same 2 values in all outcomes of 3 examples: "
        "the edit changes nothing here, or was not attached"
    )
    rounded = measurement("gpt2@1+lftf:ab", tuple(value + 1e-8 for value in VALUES))
    assert levels(base, rounded) == ["warning"]


@pytest.mark.parametrize(
    ("first_model", "second_model", "values", "level"),
    [
        ("gpt2@1", "opt@2", VALUES, "error"),
        ("gpt2@1+lftf:ab", "opt@2", VALUES, "error"),
        ("gpt2@1", "copy@1", VALUES, "warning"),  # one revision, two names
        ("gpt2@1+lftf:ab", "gpt2@1+lftf:cd", VALUES, "warning"),
        ("gpt2@1", "opt@2", (0.0, 1.0, 0.5), "warning"),  # counts
        ("gpt2@1", "opt@2", (math.nan, math.nan), "ok"),  # nothing measured
    ],
)
def test_level(first_model: str, second_model: str, values: tuple[float, ...], level: str) -> None:
    assert levels(measurement(first_model, values), measurement(second_model, values)) == [level]


def test_predictions_are_known_by_their_file() -> None:
    info = {"kind": "predictions", "sha256": "ab", "column": None}
    first, second = (measurement(f"predictions:{k}.json", VALUES, model_info=info) for k in "ab")
    assert levels(first, second) == ["warning"]
    assert levels(first, replace(second, model_info={**info, "column": "x"})) == ["error"]


def test_order_of_examples_does_not_matter_but_one_value_does() -> None:
    first, second = measurement("a@1", VALUES), measurement("b@2", VALUES)
    assert levels(first, replace(second, outcomes=second.outcomes[::-1])) == ["error"]
    assert levels(first, measurement("b@2", (0.25, 1.7, 3.0))) == ["ok"]
    assert levels(first, measurement("b@2", (0.25, 1.71, math.nan))) == ["ok"]


def test_only_measurements_of_equal_settings_are_compared() -> None:
    first = measurement("a@1", VALUES)
    for change in (
        {"benchmark": "other"}, {"version": "2"}, {"options": {"x": 2}}, {"split": "dev"},
        {"examples_sha256": "cd"}, {"model": "a@1"},
    ):  # fmt: skip
        assert levels(first, measurement(**{"model": "b@2", "values": VALUES, **change})) == []
    assert [len(group) for group in same_setting([first, first, measurement("b@2", VALUES)])] == [2]
