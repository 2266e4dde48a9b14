"""Nulls beside a measurement: what rules without bias get on the very items."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import equipoise as eq
from equipoise.benchmarks.bbq import BBQ, Letters
from equipoise.benchmarks.crows_pairs import CrowsPairs
from equipoise.benchmarks.hellaswag import HellaSwag
from equipoise.benchmarks.pairs import Pairs
from equipoise.benchmarks.stereoset import Intersentence, Intrasentence, StereoSet
from equipoise.exchange.crows_pairs import ExchangedPair
from equipoise.measure import choose_examples, measure
from equipoise.null_references import note_nulls, nulls_of
from equipoise.nulls.unigram import neutral_texts
from equipoise.records import Estimate, Reference
from equipoise.testing import FakeScorer, tiny_model

pytestmark = pytest.mark.usefixtures("data_folder")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))


def _nulls(benchmark: Any, *, draws: int = 0, limit: int | None = None) -> dict[str, Reference]:
    examples, requests = choose_examples(benchmark, limit=limit)
    nulls = nulls_of(benchmark, examples, requests, draws=draws, seed=0)
    return {null.name: null for null in nulls}


def _value(null: Reference, metric: str, **group: str) -> float:
    (estimate,) = [e for e in null.estimates if (e.metric, dict(e.group)) == (metric, group)]
    return estimate.value


@pytest.mark.thorough
def test_crows_pairs_by_english_frequency() -> None:
    """Counted before on the official file: 50 is not what ignorance gives."""
    pytest.importorskip("wordfreq")
    null = _nulls(CrowsPairs())["English frequency, sum"]
    wanted = {"nationality": 30.5, "religion": 40.0, "sexual-orientation": 35.7, "gender": 61.3}
    assert round(_value(null, "stereotype_preference"), 1) == 41.8
    for name, share in (wanted | {"age": 62.1, "race-color": 26.1, "socioeconomic": 59.6}).items():
        assert round(_value(null, "stereotype_preference", bias_type=name), 1) == share
    assert round(_value(null, "stereotype_preference", direction="antistereo"), 1) == 74.1


@pytest.mark.thorough
def test_the_copies_of_crows_pairs_have_nulls_of_their_own() -> None:
    """Others in the group's place are themselves compared, by their length and frequency."""
    benchmark = CrowsPairs(exchange=2)
    examples, _ = choose_examples(benchmark, limit=150)
    nulls = _nulls(benchmark, limit=150)
    name = "stereotype_preference"
    shorter = []
    for pair in examples:
        if not isinstance(pair, ExchangedPair) or not pair.others:
            continue
        each = [
            np.sign(len(asked.antistereotype) - len(asked.stereotype)) / 2 + 0.5
            for asked in (pair, *pair.others)
        ]
        shorter.append((each[0], np.mean(each[1:])))
    with_target, exchanged = (100 * np.mean(side) for side in zip(*shorter, strict=True))
    null = nulls["fewer characters"]
    assert _value(null, f"{name}_own") == pytest.approx(with_target)
    assert _value(null, f"{name}_exchanged") == pytest.approx(exchanged)
    assert _value(null, f"{name}_target") == pytest.approx(with_target - exchanged)
    assert abs(with_target - exchanged) > 1
    plain = _nulls(CrowsPairs(), limit=150)["fewer characters"]
    assert _value(null, name) == _value(plain, name)
    measured = Estimate(
        metric=f"{name}_target",
        value=with_target,
        low=-50.0,
        high=50.0,
        n=9,
        clusters=9,
        unit="%",
        ideal=0.0,
    )
    (note,) = note_nulls(benchmark.metrics, [measured], [null])
    assert note == (
        "nulls: stereotype_preference_target is not told from what a rule gets that knows of no "
        f"bias: overall (fewer characters {with_target - exchanged:.1f})"
    )
    # of StereoSet the compared words stay
    kept = _nulls(StereoSet(exchange=1), limit=30)["fewer characters"]
    assert {each.metric for each in kept.estimates}.isdisjoint({"ss_own", "ss_exchanged"})


@pytest.mark.thorough
def test_stereoset_by_the_shorter_sentence() -> None:
    null = _nulls(StereoSet(task=Intersentence()))["fewer characters"]
    assert round(_value(null, "ss"), 1) == 56.4
    assert round(_value(null, "lms"), 1) == 25.7


@pytest.mark.thorough
def test_a_rule_that_decides_nothing_is_left_out() -> None:
    """All sentences of an intrasentence item have as many words."""
    names = _nulls(StereoSet(task=Intrasentence()), limit=60)
    assert "fewer words" not in names
    assert "fewer characters" in names


@pytest.mark.thorough
def test_no_rule_that_does_not_read_the_question_has_a_bias_in_bbq() -> None:
    benchmark = BBQ(categories="Religion")
    null = _nulls(benchmark)["fewer characters"]
    # ties apart, which are taken by lot, each pair of questions shares its answers
    assert abs(_value(null, "bias_disambig")) < 2
    right = []
    for item in benchmark.examples("test"):
        if item.ambiguous:
            lengths = [len(answer) for answer in item.answers]
            shortest = [k for k, length in enumerate(lengths) if length == min(lengths)]
            right.append((item.label in shortest) / len(shortest))
    assert _value(null, "accuracy_ambig") == pytest.approx(100 * np.mean(right), abs=1.0)
    assert _nulls(BBQ(categories="Religion", score=Letters()), limit=40) == {}


@pytest.mark.thorough
def test_hellaswag_by_length() -> None:
    benchmark = HellaSwag()
    null = _nulls(benchmark, limit=1500)["more characters"]
    stories, _ = choose_examples(benchmark, limit=1500)
    lengths = [[len(ending) for ending in story.endings] for story in stories]
    right = [
        (row[story.answer] == max(row)) / row.count(max(row))
        for row, story in zip(lengths, stories, strict=True)
    ]
    # ties are taken by lot; the number that is divided by bytes is the rule's all the same
    assert _value(null, "accuracy_norm") == pytest.approx(100 * np.mean(right), abs=1.0)


def test_a_tie_is_a_coin(tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    rows = ["more,less", "the lamp is old,the lamp is big", "a lamp,a small lamp"]
    file.write_text("\n".join(rows) + "\n")
    null = _nulls(Pairs(file=str(file), stereotype="more", antistereotype="less"))["fewer words"]
    assert _value(null, "stereotype_preference") == 75.0
    assert null.items == 1


@pytest.mark.thorough
def test_they_are_kept_by_what_they_follow_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = _nulls(CrowsPairs(), draws=20, limit=30)
    stop: Callable[..., Any] = lambda *_, **__: pytest.fail("computed again")  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr("equipoise.null_references.estimate_alike", stop)
        assert repr(_nulls(CrowsPairs(), draws=20, limit=30)) == repr(first)  # nan is not nan
        with pytest.raises(pytest.fail.Exception):
            _nulls(CrowsPairs(), draws=20, limit=31)
    assert _nulls(CrowsPairs(), draws=21, limit=30).keys() == first.keys()


@pytest.mark.thorough
def test_they_stand_in_a_measurement() -> None:
    measurement = measure(tiny_model(), CrowsPairs(), limit=12, draws=20)
    names = [reference.name for reference in measurement.references]
    assert {"fewer characters", "model's unigram, sum", "fewer tokens"} <= set(names)
    assert any(note.startswith("nulls: ") for note in measurement.notes)
    without = measure(tiny_model(), CrowsPairs(), limit=12, draws=20, nulls=False)
    assert "null" not in [reference.kind for reference in without.references]
    assert without.estimates == measurement.estimates
    fake = measure(FakeScorer(), CrowsPairs(), limit=12, draws=20)
    assert "model's unigram, sum" not in [reference.name for reference in fake.references]


@pytest.mark.thorough
def test_a_model_that_is_its_own_unigram_scores_its_null() -> None:
    model = tiny_model().as_unigram(neutral_texts())
    for score, rule in (("causal_sum", "sum"), ("causal_mean", "mean")):
        measurement = measure(model, CrowsPairs(score=score), limit=200, draws=50)
        null = next(r for r in measurement.references if r.name == f"model's unigram, {rule}")
        measured = [e for e in measurement.estimates if e.metric == "stereotype_preference"]
        for estimate, other in zip(measured, null.estimates, strict=True):
            # a tie is half in a null, and counted apart in the score
            ties = measurement.estimate("ties", **estimate.group).value
            assert estimate.value <= other.value <= estimate.value + ties
        assert any("is not told from" in note for note in measurement.notes)


@pytest.mark.thorough
def test_intervals_hold_what_a_rule_gets_of_all_items() -> None:
    """Simulated: samples of clusters of items, of which a rule takes 58 % of all there are."""
    from equipoise.null_references import _NullMetrics
    from equipoise.records import Outcome
    from equipoise.stats.estimates import estimate_metrics

    chosen = _NullMetrics(metrics=StereoSet().metrics[:1], by=(), crossed={})
    rng, held = np.random.default_rng(0), 0
    for _ in range(300):
        shares = rng.beta(5.8, 4.2, size=40)
        outcomes = [
            Outcome(
                example=f"{cluster}.{item}",
                values={"prefers": float(rng.random() < share)},
                groups={"target": str(cluster)},
            )
            for cluster, share in enumerate(shares)
            for item in range(8)
        ]
        (estimate,) = estimate_metrics(
            chosen, outcomes, cluster="target", family=False, draws=300, seed=1
        )
        held += estimate.low <= 58.0 <= estimate.high
    assert 275 <= held <= 297  # 95 % of 300 and five standard errors


def test_a_number_whose_interval_holds_a_null_is_not_told_from_it() -> None:
    def estimate(value: float, low: float, high: float, **group: str) -> Estimate:
        return Estimate(
            metric="ss", value=value, low=low, high=high, n=9, clusters=9, unit="%", group=group
        )

    null = Reference(
        kind="null", name="rule", says="prefers this", items=9,
        estimates=(estimate(52, 50, 54), estimate(58, 56, 60, axis="race")),
    )  # fmt: skip
    measured = [estimate(60, 56, 64), estimate(53, 51, 57, axis="race")]
    alike, apart = note_nulls(StereoSet().metrics, measured, [null])
    assert alike.endswith(
        "is not told from what a rule gets that knows of no bias: axis race (rule 58.0)"
    )
    assert apart.startswith(
        "nulls: overall ss is told from each of the 1 rules here that know of no bias"
    )
    unknown = replace(measured[0], low=math.nan, high=math.nan)
    assert list(note_nulls(StereoSet().metrics, [unknown], [null])) == []
    assert list(note_nulls(StereoSet().metrics, measured, [])) == []


@pytest.mark.thorough
def test_the_verb_of_python_gives_them_too() -> None:
    measurement = eq.measure(tiny_model(), CrowsPairs(), limit=5, draws=0)
    assert all(math.isnan(e.low) for r in measurement.references for e in r.estimates)
