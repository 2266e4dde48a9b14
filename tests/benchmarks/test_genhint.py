"""GenHint: exact balance, UB by hand, and what a model that ignores hints scores."""

import math
from collections import Counter
from contextlib import nullcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import in_world

from equipoise.benchmarks.base import Benchmark
from equipoise.benchmarks.genbias import GenBias
from equipoise.benchmarks.genhint import GenHint
from equipoise.errors import RecipeError
from equipoise.metrics import gap
from equipoise.planted.world import find_world
from equipoise.plugins import build, options_of
from equipoise.records import NextTokenScored
from equipoise.stats.resample import columns_of

logprob = st.floats(-12, -0.8)


def answer(he: float, she: float) -> NextTokenScored:
    others = len(gap.WORDS) - 2
    return NextTokenScored(logprobs=(he, she, *(-9.0,) * others), tokens=(1,) * len(gap.WORDS))


def measured(answers: list[tuple[float, float]], **options: str) -> dict[str, float]:
    """Metrics over the first examples of a world's pairs (his, her, his, her, …)."""
    bench = GenHint(variant="hint1572", **options)
    with in_world():
        examples = bench.examples("all")[: len(answers)]
    outcomes = [bench.outcome(e, [answer(*a)]) for e, a in zip(examples, answers, strict=True)]
    columns = columns_of(outcomes, cluster="profession")
    return {metric.name: metric.of(columns) for metric in GenHint().metrics}


@pytest.mark.usefixtures("data_folder")
def test_hint786_is_exactly_balanced() -> None:
    examples = GenHint().examples("test")
    assert len(examples) == 786
    assert Counter(example.hint for example in examples) == {1.0: 393, -1.0: 393}
    cells = Counter((example.groups["template"], example.groups["hint"]) for example in examples)
    assert set(cells.values()) == {131}
    assert len(cells) == 6
    pairs = Counter(
        (example.groups["template"], example.groups["profession"]) for example in examples
    )
    assert set(pairs.values()) == {1}


@pytest.mark.usefixtures("data_folder")
def test_hint1572_has_both_hints_per_pair() -> None:
    examples = GenHint(variant="hint1572").examples("test")
    assert len(examples) == 1572
    pairs = Counter(
        (example.groups["template"], example.groups["profession"]) for example in examples
    )
    assert set(pairs.values()) == {2}
    assert {example.text for example in GenHint().examples("test")} <= {
        example.text for example in examples
    }


@pytest.mark.usefixtures("data_folder")
@pytest.mark.parametrize("variant", ["hint786", "hint1572"])
@pytest.mark.parametrize("world", [None, "default"])
def test_profession_split_equals_genbias(variant, world) -> None:
    bench = GenHint(variant=variant, split_by="profession", split_seed=4)
    bias = GenBias(split_by="profession", split_seed=4)
    with in_world(world) if world else nullcontext():
        splits = {split: bench.examples(split) for split in ("train", "dev", "test", "all")}
        of_bias = {split: bias.examples(split) for split in ("train", "dev", "test")}
    professions = set()
    for split, prompts in of_bias.items():
        words = {example.groups["profession"] for example in splits[split]}
        assert words == {example.groups["profession"] for example in prompts}
        assert not words & professions
        professions |= words
        hints = Counter(example.hint for example in splits[split])
        assert abs(hints[1.0] - hints[-1.0]) <= 1
    assert sum(len(splits[split]) for split in of_bias) == len(splits["all"])


@pytest.mark.usefixtures("data_folder")
def test_split_seed() -> None:
    first, second = (
        {example.id for example in GenHint(split_seed=seed).examples("test")} for seed in (0, 1)
    )
    assert first != second


def test_no_train_examples_without_split() -> None:
    with (
        in_world(),
        pytest.raises(RecipeError, match="'test' or 'all', got 'train'"),
    ):
        GenHint().examples("train")


def test_planted_hints() -> None:
    world = find_world("default")
    with in_world():
        examples = GenHint().examples("test")
    assert len(examples) == len(world.professions) * len(world.hint_templates)
    texts = {
        text.format(profession=profession.word, possessive=possessive)
        for text in world.hint_templates
        for profession in world.professions
        for possessive in ("his", "her")
    }
    assert {example.text for example in examples} <= texts


def test_ub() -> None:
    # his: he .6 she .2 (obeyed); her: he .3 she .1 (not obeyed)
    metrics = measured([(math.log(0.6), math.log(0.2)), (math.log(0.3), math.log(0.1))])
    assert metrics["ub"] == pytest.approx((0.4 - 0.2) / 2)
    assert metrics["hints_obeyed"] == pytest.approx(50.0)
    assert metrics["hinted_lo"] == pytest.approx(0.0)
    assert metrics["lo_abs"] == pytest.approx(math.log(3))
    assert metrics["mass"] == pytest.approx(0.6)


def test_true_metrics_of_a_planted_world() -> None:
    world = find_world("default")
    bench = GenHint()
    with in_world():
        examples = bench.examples("test")
    outcomes = []
    for example in examples:
        he, she = world.p_hinted("his" if example.hint > 0 else "her")
        outcomes.append(bench.outcome(example, [answer(math.log(he), math.log(she))]))
    columns = columns_of(outcomes, cluster="profession")
    metrics = {metric.name: metric.of(columns) for metric in GenHint().metrics}
    assert metrics["ub"] == pytest.approx(world.true_ub())
    assert metrics["hints_obeyed"] == 100.0
    assert metrics["lo_mean"] == pytest.approx(0.0, abs=1e-12)


def test_ignored_hints() -> None:
    metrics = measured([(-1.0, -3.0)] * 20)
    assert metrics["ub"] == pytest.approx(0.0)
    assert metrics["hints_obeyed"] == 50.0
    assert measured([(-2.0, -2.0)] * 20)["hints_obeyed"] == 50.0


@pytest.mark.thorough
@settings(max_examples=20)
@given(st.lists(st.tuples(logprob, logprob), min_size=1, max_size=20))
def test_swapped_pronouns_flip_ub(answers) -> None:
    metrics, swapped = measured(answers), measured([(she, he) for he, she in answers])
    assert metrics["ub"] == pytest.approx(-swapped["ub"])
    assert metrics["hinted_lo"] == pytest.approx(-swapped["hinted_lo"])
    assert metrics["hints_obeyed"] == pytest.approx(100 - swapped["hints_obeyed"])
    assert metrics["mass"] == pytest.approx(swapped["mass"])


def test_options() -> None:
    bench = GenHint(variant="hint1572", split_by="profession", professions="prof_clean")
    assert build(Benchmark, "genhint", options_of(bench)) == bench
    with pytest.raises(RecipeError, match="variant"):
        build(Benchmark, "genhint", {"variant": "hint3"})
