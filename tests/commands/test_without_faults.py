"""`equipoise measure --without-faults`: what each benchmark is given, and what is refused."""

import json
from pathlib import Path

import pytest

from equipoise.commands.measure import _leave_out
from equipoise.errors import RecipeError

from .conftest import Asked, Refused


def test_each_benchmark_gets_the_kinds_that_it_knows() -> None:
    options = {"crows_pairs": {"score": "causal_sum"}, "stereoset": {}, "genbias": {}}
    assert _leave_out("line_feed, close_vote,audit:mine", options) == {
        "crows_pairs": {"score": "causal_sum", "without_faults": ["line_feed", "audit:mine"]},
        "stereoset": {"without_faults": ["close_vote", "audit:mine"]},
        "genbias": {},
    }
    assert _leave_out("all", options)["stereoset"] == {"without_faults": ["all"]}
    assert _leave_out(None, options) == options


@pytest.mark.parametrize(
    ("kinds", "options", "message"),
    [
        ("line_fed", {"crows_pairs": {}}, r"of crows_pairs, got 'line_fed'; did you mean 'line_f"),
        ("close_vote", {"crows_pairs": {}}, r"got 'close_vote'; known: all, few_annotators"),
        ("all", {"genbias": {}}, r"must name known faults of genbias, got 'all'; known: none"),
        (
            "all",
            {"bbq": {"without_faults": ["brace"]}},
            r"by --without-faults or by --set bbq\.without_faults, got both \('all'\); drop one",
        ),
    ],
)
def test_what_is_refused(kinds: str, options: dict[str, dict[str, object]], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        _leave_out(kinds, options)  # type: ignore[arg-type]


def test_a_misspelt_kind_is_refused_before_a_model_is_opened(refused: Refused) -> None:
    error = refused("measure", "no/model", "crows_pairs", "--without-faults", "several_span")
    assert "did you mean 'several_spans'?" in error


@pytest.fixture
def answers(data_folder: Path) -> tuple[str | int | Path, ...]:
    """Published answers to a category of BBQ, and how they are measured."""
    file = data_folder / "golden" / "preds_Age.jsonl.gz"
    model = f"predictions:{file}#unifiedqa-t5-11b_pred_race"
    return (model, "bbq", "--set", "bbq.categories=Age", "--data", data_folder, "--draws", 0)


@pytest.mark.thorough
def test_headlines_are_printed_without_faulty_items(
    ask: Asked, answers: tuple[str | int | Path, ...]
) -> None:
    status, out, _ = ask("measure", *answers, "--all")
    assert status == 0
    assert "\n\nwithout faulty items:\n\nfault" in out
    assert out.partition("unbalanced_order")[2].split()[:2] == ["72", "bias_ambig"]


@pytest.mark.thorough
def test_what_is_left_out_is_in_the_result(
    ask: Asked, answers: tuple[str | int | Path, ...]
) -> None:
    _, out, _ = ask("measure", *answers, "--without-faults", "all", "--json")
    (row,) = json.loads(out)["equipoise"]["benchmarks"].values()
    assert row["options"]["without_faults"] == ["all"]
    assert row["notes"][0].startswith("without faults: 72 of 3680 examples are left out, for all")
    assert "without" not in [reference["kind"] for reference in row["references"]]
