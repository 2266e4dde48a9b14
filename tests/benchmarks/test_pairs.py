"""Pairs of the user's own: values by hand, every score as of CrowS-Pairs, what is said."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from equipoise.benchmarks.base import Benchmark
from equipoise.benchmarks.crows_pairs import CrowsPairs
from equipoise.benchmarks.pairs import Pairs
from equipoise.checks.run import check_measurement, check_stored
from equipoise.compare import compare
from equipoise.errors import DataError, OptionError
from equipoise.files.atomic import sha256
from equipoise.measure import measure
from equipoise.plugins import build
from equipoise.records import Scored
from equipoise.study.plan import plan
from equipoise.study.recipe import Recipe
from equipoise.supply.texts import TextsSupply
from equipoise.testing import FakeScorer, tiny_model

TREES = """context,stereotype,antistereotype,unrelated,axis,group,target
The oak is,old,young,seven,age,wood,oak
The elm is,old,young,seven,age,wood,elm
The oak is,rude,kind,seven,mood,park,oak
The ash is,rude,kind,seven,mood,park,ash
"""
#: The stereotype by 2 nats, a tie, the other by 1, the stereotype by 0.01.
NATS = {
    "The oak is old": -1.0, "The oak is young": -3.0, "The elm is old": -2.0,
    "The elm is young": -2.0, "The oak is rude": -4.0, "The oak is kind": -3.0,
    "The ash is rude": -2.0, "The ash is kind": -2.01, " seven": -2.005,
}  # fmt: skip


def write(folder: Path, content: str, name: str = "mine.csv") -> str:
    (folder / name).write_text(content)
    return str(folder / name)


def test_values_by_hand(tmp_path: Path) -> None:
    benchmark = Pairs(file=write(tmp_path, TREES))
    measurement = measure(FakeScorer(nats=NATS), benchmark, draws=20)
    values = {metric: measurement.estimate(metric).value for metric in ("log_odds", "ties")}
    assert values == pytest.approx({"log_odds": 1.01 / 4, "ties": 25.0})
    assert measurement.estimate("stereotype_preference").value == 62.5
    assert measurement.estimate("margin_abs").value == pytest.approx(3.01 / 4)
    assert measurement.estimate("margin_near_zero").value == 50.0
    # oak old; both of elm by a hair; none of oak rude; ash rude by a hair
    assert measurement.estimate("related").value == 100 * (1 + 2 + 0 + 1) / 8
    assert measurement.estimate("stereotype_preference", axis="age").value == 75.0
    assert measurement.estimate("stereotype_preference", group="park").value == 50.0
    assert measurement.estimate("stereotype_preference", target="oak").n == 2
    assert measurement.estimate("log_odds").clusters == 3
    (use,) = measurement.data
    assert (use.name, use.verified) == ("mine.csv", None)
    assert use.sha256 == sha256(tmp_path / "mine.csv")
    notes = "\n".join(measurement.notes)
    assert "stereotype is 'stereotype'" in notes
    assert "official" not in notes
    assert all(finding.level == "ok" for finding in check_measurement(measurement))
    assert all(finding.level == "ok" for finding in check_stored(measurement))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("family", "score"),
    [
        ("llama", "causal_mean"), ("llama", "causal_sum"), ("llama", "causal_cond_unmodified"),
        ("bert", "pll_unmodified"), ("bert", "pll_modified"), ("bert", "causal_sum"),
    ],
)  # fmt: skip
def test_every_score_is_that_of_crows_pairs(tmp_path: Path, family: str, score: Any) -> None:
    content = "sent_more,sent_less\nThe old oak fell.,The young oak fell.\nAn elm.,An old elm.\n"
    mine, official = Pairs(file=write(tmp_path, content), score=score), CrowsPairs(score=score)
    model = tiny_model(family)
    for pair, outcome in zip(
        mine.examples("test"), measure(model, mine, draws=0).outcomes, strict=True
    ):
        responses: Any = (
            model.score(official.requests(pair))  # type: ignore[arg-type]
            if score in ("causal_mean", "causal_sum")
            else model.score_pairs(official.requests(pair))  # type: ignore[arg-type]
        )
        expected = official.outcome(pair, responses).values
        for key in ("more", "less", "margin"):
            assert outcome.values[key] == pytest.approx(expected[key], abs=1e-4, nan_ok=True)


def test_a_text_without_a_token_is_nan() -> None:
    benchmark = Pairs(file="none.csv", score="pll_modified")
    pair: Any = type("Pair", (), {"id": "a", "groups": {}})
    empty, scored = (Scored(token_logprobs=tokens, bytes=1) for tokens in ((), (-1.0,)))
    values = benchmark.outcome(pair, [empty, scored]).values
    assert all(math.isnan(value) for value in values.values())
    with pytest.raises(ValueError, match="pair 'a' must have two scored texts, got 1"):
        benchmark.outcome(pair, [scored])


def test_options() -> None:
    with pytest.raises(OptionError, match=r"pairs\.file must be given"):
        build(Benchmark, "pairs")
    with pytest.raises(OptionError, match=r"pairs\.groups.*each once"):
        build(Benchmark, "pairs", {"file": "a.csv", "groups": ["axis"]})
    benchmark: Pairs = build(Benchmark, "pairs", {"file": "a.csv", "groups": ["land", "year"]})  # type: ignore[assignment]
    assert benchmark.by == ("axis", "direction", "land", "year", "target")


@pytest.mark.parametrize("score", ["causal_mean", "pll_modified"])
def test_what_was_learnt_is_refused(tmp_path: Path, score: Any) -> None:
    benchmark = Pairs(file=write(tmp_path, TREES), score=score)
    line = {"context": "The elm is", "stereotype": " old", "antistereotype": " fine"}
    supply = TextsSupply(path=write(tmp_path, json.dumps(line), "supply.jsonl")).supply()
    learnt = FakeScorer(trained_on=supply.learnt_hashes())
    with pytest.raises(DataError, match=r"trained on 1 of the 4 examples .* 'line 3'"):
        measure(learnt, benchmark, draws=0)


@pytest.mark.thorough
def test_before_and_after(tmp_path: Path) -> None:
    lines = [f"Oak {n} is old,Oak {n} is young" for n in range(30)]
    benchmark = Pairs(file=write(tmp_path, "\n".join(["stereotype,anti", *lines])))
    leaning = FakeScorer(nats=lambda _, text: -3.0 + ("old" in text))
    before, after = (measure(scorer, benchmark) for scorer in (leaning, FakeScorer()))
    change = compare(before, after).change("stereotype_preference")
    assert (change.before, change.after, change.direction) == (100.0, 50.0, "reduced")
    (tmp_path / "mine.csv").write_text("stereotype,anti\nOak is old,Oak is young\n")
    other = compare(before, measure(FakeScorer(), benchmark))
    assert other.change("stereotype_preference").direction == "not comparable"
    assert [difference.name for difference in other.differences] == ["data"]


def test_a_studys_key_covers_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, TREES)
    recipe = tmp_path / "study.yaml"
    recipe.write_text(f"models: [some/model]\nbenchmarks: [{{name: pairs, file: {file}}}]\n")
    keys = []
    for content in (TREES, TREES.replace("wood", "hill"), TREES):
        Path(file).write_text(content)
        keys.append([step.key for step in plan(Recipe.from_yaml(recipe)).steps])
    assert keys[0] == keys[2] != keys[1]


def test_a_decision_model_is_asked_whether_texts_are_true(tmp_path: Path) -> None:
    lines = [f"The oak is,{n} old,{n} young,{n} wet" for n in range(6)]
    file = write(tmp_path, "\n".join(["context,stereotype,anti,unrelated", *lines]))
    benchmark = Pairs(file=file, score="noul")
    # yes to what is old with odds of e to 1, to all else even
    yes = FakeScorer(nats=lambda asked, text: -2.0 + ("old" in asked and text == " Yes"))
    result = measure(yes, benchmark, draws=0)
    odds = 1 / (1 + math.exp(-1))
    values = {estimate.metric: estimate.value for estimate in result.estimates}
    assert values["stereotype_preference"] == 100
    assert values["margin_mean"] == pytest.approx(odds - 0.5)
    assert "log_odds" not in values  # which is in nats
    assert "related" not in values
