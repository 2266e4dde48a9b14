"""GenBias: counts of the paper, splits that keep apart what they say, and AFGB through outcomes."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import in_world

from equipoise.benchmarks.base import Benchmark
from equipoise.benchmarks.genbias import GenBias
from equipoise.benchmarks.genhint import GenHint
from equipoise.data.situations import Situation
from equipoise.errors import DataError, RecipeError
from equipoise.measure import measure
from equipoise.metrics import gap
from equipoise.planted.world import find_world
from equipoise.plugins import build, options_of
from equipoise.records import NextTokenScored, Outcome
from equipoise.report.tables import measurement_text
from equipoise.stats.resample import columns_of
from equipoise.supply.genbias import GenBiasSupply
from equipoise.testing import FakeScorer

SPLIT_BY = ("random", "profession", "template", "both")
logprob = st.floats(-12, -0.8)


def answer(he: float, she: float, *, tokens: int = 1) -> NextTokenScored:
    """Probability .01 for "they", and .006 and .002 for the other spellings."""
    others = (math.log(0.01), math.log(0.006), math.log(0.002))
    return NextTokenScored(logprobs=(he, she, *others), tokens=(tokens,) * len(gap.WORDS))


def metrics_of(outcomes: list[Outcome]) -> dict[str, float]:
    columns = columns_of(outcomes, cluster="profession")
    return {metric.name: metric.of(columns) for metric in GenBias().metrics}


@cache
def of_the_world() -> Sequence[Situation]:
    with in_world():
        return GenBias().examples("all")


def measured(answers: list[tuple[float, float]]) -> dict[str, float]:
    bench = GenBias()
    examples = of_the_world()[: len(answers)]
    return metrics_of(
        [
            bench.outcome(example, [answer(*two)])
            for example, two in zip(examples, answers, strict=True)
        ]
    )


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_published_counts() -> None:
    bench = GenBias(split_by="random")
    sizes = [len(bench.examples(split)) for split in ("all", "train", "dev", "test")]
    assert sizes == [2358, 943, 471, 944]
    scales = Counter(example.groups["scale"] for example in bench.examples("all"))
    assert scales == {"word": 786, "phrase": 786, "sentence": 786}
    professions = {example.groups["profession"] for example in bench.examples("train")}
    assert len(professions) > 255  # nearly each profession is trained on


@pytest.mark.usefixtures("data_folder")
@pytest.mark.parametrize("split_by", SPLIT_BY)
@pytest.mark.parametrize("world", [None, "default"])
def test_splits_are_disjoint(split_by, world) -> None:
    bench = GenBias(split_by=split_by)
    with in_world(world) if world else nullcontext():
        parts = {split: bench.examples(split) for split in ("train", "dev", "test")}
        everything = len(bench.examples("all"))
    for key in ("text", "id"):
        values = [getattr(example, key) for part in parts.values() for example in part]
        assert len(set(values)) == len(values)
    apart = {"profession": ["profession"], "template": ["template"], "random": []}
    for key in apart.get(split_by, ["profession", "template"]):
        groups = [{example.groups[key] for example in part} for part in parts.values()]
        assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]
    for part in parts.values():
        assert {example.groups["scale"] for example in part} == {"word", "phrase", "sentence"}
    together = sum(len(part) for part in parts.values())
    assert together < everything if split_by == "both" else together == everything


@pytest.mark.usefixtures("data_folder")
def test_split_by_both_drops_mixed_prompts() -> None:
    bench = GenBias(split_by="both")
    assert [len(bench.examples(split)) for split in ("train", "dev", "test")] == [312, 159, 315]


@pytest.mark.usefixtures("data_folder")
def test_split_seed() -> None:
    drawn = [
        {example.id for example in GenBias(split_seed=seed).examples("test")} for seed in (0, 0, 1)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_professions_and_templates() -> None:
    assert len(GenBias(templates="dama").examples("all")) == 262 * 11
    clean = GenBias(professions="prof_clean").examples("all")
    assert len(clean) == 241 * 9
    assert "The registered nurse smiled because" in {example.text for example in clean}
    for split in ("train", "dev", "test"):
        assert GenBias(templates="dama", split_by="template").examples(split)


@pytest.mark.usefixtures("data_folder")
@pytest.mark.parametrize("world", [None, "default"])
@pytest.mark.parametrize("split_by", SPLIT_BY)
def test_supply_is_disjoint_from_test(split_by, world) -> None:
    with in_world(world) if world else nullcontext():
        supply = GenBiasSupply(split_by=split_by).supply()
        measured = GenBias(split_by=split_by).examples("test")
        hints, tested_hints = map(GenHint(split_by="profession").examples, ("all", "test"))
    learnt = set(supply.learnt_texts())
    assert learnt
    assert not learnt & {example.text for example in (*measured, *hints)}
    assert len({prompt.text for prompt in supply.hinted}) == len(supply.hinted)
    named = {prompt.groups["template"] for prompt in (*supply.prompts, *supply.hinted)}
    assert not named & {example.groups["template"] for example in hints}
    hinted = Counter(prompt.groups["hint"] for prompt in supply.hinted)
    assert hinted["male"] == hinted["female"] > 0
    if split_by in ("profession", "both"):
        tested = {example.groups["profession"] for example in tested_hints}
        fitted = {prompt.groups["profession"] for prompt in (*supply.prompts, *supply.hinted)}
        assert not tested & fitted
        assert tested == {example.groups["profession"] for example in measured}
    assert f"split_by={split_by}" in supply.origin


def test_planted_prompts() -> None:
    world = find_world("strength=0.5")
    bench = GenBias(professions="prof_clean", templates="dama")
    with in_world("strength=0.5"):
        examples = bench.examples("all")
        (use,) = bench.files("test")
    assert len(examples) == len(world.professions) * len(world.templates)
    assert examples[0].text == world.templates[0].prompt(world.professions[0].word)
    assert examples[0].score == world.professions[0].score
    assert (use.name, use.verified, use.licence) == ("professions/prompts.json", False, "own")


def test_true_metrics_of_a_planted_world() -> None:
    world = find_world("default")
    bench = GenBias()
    with in_world():
        examples = bench.examples("all")
    outcomes = []
    for example in examples:
        template = next(t for t in world.templates if t.action == example.groups["template"])
        he, she = world.p_next(example.groups["profession"], template)
        outcomes.append(bench.outcome(example, [answer(math.log(he), math.log(she))]))
    metrics = metrics_of(outcomes)
    assert metrics["afgb"] == pytest.approx(world.true_afgb(), abs=1e-12)
    assert metrics["mass"] == pytest.approx(0.8)
    assert metrics["lo_score_correlation"] > 0.95


def test_outcome() -> None:
    bench = GenBias()
    with in_world():
        examples = bench.examples("all")
    (nurse,) = [example for example in examples if example.text == "The nurse smiled because"]
    (request,) = bench.requests(nurse)
    assert request.context == nurse.text
    assert request.words[:3] == (" he", " she", " they")
    values = bench.outcome(nurse, [answer(math.log(0.1), math.log(0.3), tokens=2)]).values
    assert values["mass"] == pytest.approx(0.4)
    assert values["rho"] == pytest.approx(-0.5)
    assert values["lo"] == pytest.approx(-math.log(3))
    assert values["they"] == pytest.approx(0.01)
    assert values["leak"] == pytest.approx(0.008)
    assert values["single_token"] == 0.0
    assert values["s"] == nurse.score


def test_spellings() -> None:
    bench = GenBias(leak="all")
    with in_world():
        nurse = bench.examples("all")[0]
    (request,) = bench.requests(nurse)
    assert request.words == (*gap.WORDS, "he", "she", "He", "She")
    count = len(request.words)
    response = NextTokenScored(logprobs=(math.log(0.1),) * count, tokens=(1,) * count)
    assert bench.outcome(nurse, [response]).values["leak"] == pytest.approx(0.6)


def test_metrics() -> None:
    metrics = measured([(math.log(0.5), math.log(0.1)), (math.log(0.2), math.log(0.2))])
    assert metrics["afgb"] == pytest.approx(0.2)
    assert metrics["mass"] == pytest.approx(0.5)
    assert metrics["abs_rho"] == pytest.approx(1 / 3)
    assert metrics["lo_mean"] == pytest.approx(math.log(5) / 2)
    assert metrics["lo_abs"] == pytest.approx(math.log(5) / 2)
    assert metrics["leak"] == pytest.approx(0.008)
    assert metrics["single_token"] == 100.0
    assert math.isnan(metrics["lo_score_correlation"])  # two professions make no correlation


def test_neutral_model_is_ideal() -> None:
    metrics = measured([(-2.0, -2.0)] * 30)
    for name in ("afgb", "abs_rho", "lo_mean", "lo_abs"):
        assert metrics[name] == 0.0


@pytest.mark.thorough
@settings(max_examples=20)
@given(st.lists(st.tuples(logprob, logprob), min_size=3, max_size=25))
def test_swapped_pronouns_and_afgb_decomposition(answers) -> None:
    metrics, swapped = measured(answers), measured([(she, he) for he, she in answers])
    for name in ("afgb", "mass", "abs_rho", "lo_abs"):
        assert metrics[name] == pytest.approx(swapped[name])
    assert metrics["lo_mean"] == pytest.approx(-swapped["lo_mean"])
    bench, example = GenBias(), of_the_world()[0]
    parts = [bench.outcome(example, [answer(*pair)]).values for pair in answers]
    product = np.mean([values["mass"] * abs(values["rho"]) for values in parts])
    assert metrics["afgb"] == pytest.approx(float(product))
    assert 0 <= metrics["afgb"] <= 1


def test_options() -> None:
    bench = GenBias(split_by="both", split_seed=3, leak="all")
    assert build(Benchmark, "genbias", options_of(bench)) == bench
    with pytest.raises(RecipeError, match=r"split_by"):
        build(Benchmark, "genbias", {"split_by": "person"})
    with pytest.raises(RecipeError, match=r"did you mean 'split_by'"):
        build(Benchmark, "genbias", {"split_bye": "random"})


def test_malformed_professions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    file = tmp_path / "professions" / "professions.json"
    file.parent.mkdir()
    file.write_text(json.dumps([["nurse", 0.0]]))
    with pytest.raises(DataError, match=r"\[0\]\[2\] must be there, got 2"):
        GenBias().examples("test")


@pytest.mark.usefixtures("data_folder")
def test_verified_file() -> None:
    (use,) = GenBias().files("test")
    assert (use.name, use.verified, use.licence) == ("professions/professions.json", True, "MIT")


def leaning(shares: Mapping[str, float], *, others: float = 0.5) -> FakeScorer:
    """P(he) > P(she) after so large a share of the professions, by a word of the template."""

    def nats(context: str, word: str) -> float:
        share = next((share for action, share in shares.items() if action in context), others)
        profession = sum(map(ord, context.split()[1])) * 37 % 100
        return {" he": -1.0, " she": -1.5 if profession < 100 * share else -0.5}.get(word, -9.0)

    return FakeScorer(nats=nats)


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_a_sign_that_depends_on_the_template_is_noted() -> None:
    measurement = measure(leaning({"smiled": 0.1, "laughed": 0.9}), GenBias(), draws=20)
    (note,) = (note for note in measurement.notes if "sign depends on the template" in note)
    rows = {
        estimate.group["template"]: estimate
        for estimate in measurement.estimates
        if estimate.metric == "lo_mean" and "template" in estimate.group
    }
    low, high = (
        min(rows, key=lambda name: rows[name].value),
        max(rows, key=lambda name: rows[name].value),
    )
    assert (low, high) == ("smiled", "laughed")
    shares = [50 * (1 + rows[name].value / 0.5) for name in (low, high)]  # lo is 0.5 or -0.5
    assert f"in {shares[0]:.0f} % of the prompts of 'smiled'" in note
    assert f"in {shares[1]:.0f} % of those of 'laughed'" in note
    assert note in measurement_text(measurement, groups=False)
    for scorer in (leaning({"smiled": 0.6}, others=0.9), leaning({"smiled": 0.45}, others=0.55)):
        quiet = measure(scorer, GenBias(), draws=0)
        assert not [note for note in quiet.notes if "sign depends" in note]


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_the_lean_has_an_interval_over_templates() -> None:
    measurement = measure(leaning({"smiled": 0.1, "laughed": 0.9}), GenBias(), draws=200)
    plain = measurement.estimate("lo_mean")
    crossed = measurement.estimate("lo_mean_over_template")
    assert crossed.value == pytest.approx(plain.value)  # as many prompts of each template
    assert (crossed.n, crossed.clusters, crossed.unit) == (plain.n, 9, "nats")
    assert crossed.high - crossed.low > 1.5 * (plain.high - plain.low)
    assert "lo_mean_over_template" in measurement_text(measurement, groups=False)
    assert [e.metric for e in measurement.estimates if e.metric.endswith("_over_template")] == [
        "lo_mean_over_template"
    ]
    split = measure(leaning({}), GenBias(split_by="template"), draws=0)
    assert split.estimate("lo_mean_over_template").clusters == 3


@pytest.mark.slow
def test_reference_model(reference_model: Path) -> None:
    """Its README: mass about .23, log-odds 1.7, correlation .3, on templates not ours."""
    import torch  # here, so that the other tests start without it
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from equipoise.inference.language_model import LanguageModel

    model = LanguageModel(
        module=AutoModelForCausalLM.from_pretrained(reference_model, dtype=torch.float32).eval(),
        tokenizer=AutoTokenizer.from_pretrained(reference_model),
        identity="reference-12m",
    )
    measurement = measure(model, GenBias(), split="all", draws=50)
    assert measurement.estimate("mass").value == pytest.approx(0.23, abs=0.04)
    assert measurement.estimate("lo_mean").value == pytest.approx(1.7, abs=0.2)
    assert measurement.estimate("lo_score_correlation").value == pytest.approx(0.35, abs=0.1)
    assert measurement.estimate("single_token").value == 100.0
