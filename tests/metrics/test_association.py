"""Effect sizes of SEAT against a plain loop, tests of significance, and what is wrong with one."""

import importlib.util
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.metrics.association import Deals, cosine_difference, deal, effect_sizes, metrics_of
from equipoise.metrics.weighted import Weights
from equipoise.records import Metric, Outcome
from equipoise.stats.resample import bootstrap, columns_of

METRICS: dict[str, Metric] = {metric.name: metric for metric in metrics_of(100_000)}


def outcomes(
    first: Sequence[Sequence[float]], second: Sequence[Sequence[float]], test: str = "t"
) -> list[Outcome]:
    """Associations of the texts of each word of both targets."""
    return [
        Outcome(
            example=f"{test}/{side}/{word}/{text}",
            values={"association": value, "first": 1.0 - side},
            groups={"test": test, "word": f"{side}/{word}"},
        )
        for side, words in enumerate((first, second))
        for word, texts in enumerate(words)
        for text, value in enumerate(texts)
    ]


def value(name: str, rows: Sequence[Outcome]) -> float:
    return float(METRICS[name].of(columns_of(rows, cluster="word")))


def plain_d(first: Sequence[float], second: Sequence[float]) -> float:
    """May et al.'s formula, in Python's own arithmetic."""
    both = [*first, *second]
    mean = math.fsum(both) / len(both)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in both) / (len(both) - 1))
    return (math.fsum(first) / len(first) - math.fsum(second) / len(second)) / spread


def dealt(first: Sequence[float], second: Sequence[float], most: int = 100_000) -> Deals:
    values = np.array([*first, *second])
    in_first = np.arange(len(values)) < len(first)
    return deal(values, np.ones(len(values)), in_first, most=most)


# --- effect sizes ---------------------------------------------------------------------------------


def test_d_by_hand() -> None:
    # means 2 and -2, variance of {3, 1, -1, -3} with ddof 1: 20 / 3
    rows = outcomes([[3.0], [1.0]], [[-1.0], [-3.0]])
    assert value("d", rows) == pytest.approx(4 / math.sqrt(20 / 3))
    assert value("d_words", rows) == pytest.approx(value("d", rows))
    turned = outcomes([[-1.0], [-3.0]], [[3.0], [1.0]])
    assert value("d", turned) == pytest.approx(-value("d", rows))
    assert value("d_abs", turned) == pytest.approx(value("d", rows))


association = st.floats(min_value=-2, max_value=2)
words = st.lists(st.lists(association, min_size=1, max_size=4), min_size=2, max_size=5)


@pytest.mark.thorough
@settings(max_examples=40)
@given(words, words)
def test_d_equals_the_plain_formula(first: list[list[float]], second: list[list[float]]) -> None:
    flat = [[text for word in side for text in word] for side in (first, second)]
    measured = value("d", outcomes(first, second))
    if np.std(flat[0] + flat[1], ddof=1) > 1e-5:
        assert measured == pytest.approx(plain_d(*flat), rel=1e-6, abs=1e-6)
        means = [[sum(word) / len(word) for word in side] for side in (first, second)]
        if np.std(means[0] + means[1], ddof=1) > 1e-5:
            by_word = value("d_words", outcomes(first, second))
            assert by_word == pytest.approx(plain_d(*means), rel=1e-6, abs=1e-6)


def test_resampled_d_is_that_of_the_repeated_rows() -> None:
    rows = outcomes([[0.3, 0.1], [0.5]], [[-0.2], [0.4, 0.0, 0.1]])
    counts = np.array([[2.0, 0.0, 1.0, 3.0], [1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 0.0, 0.0]])
    columns = columns_of(rows, cluster="word")
    drawn = effect_sizes(columns, Weights(Weights.once(columns["@cluster"]).clusters, counts))[:, 0]
    repeated = plain_d([0.3, 0.1] * 2, [-0.2] + [0.4, 0.0, 0.1] * 3)
    assert drawn[0] == pytest.approx(repeated)
    assert drawn[1] == pytest.approx(value("d", rows))
    assert math.isnan(drawn[2])  # no word of the second target


def test_a_test_without_two_words_of_a_target_has_no_number_and_says_why() -> None:
    rows = outcomes([[0.4, 0.2, 0.3]], [[-0.1], [0.1]])
    for interval in bootstrap(
        [*METRICS.values()], columns_of(rows, cluster="word"), draws=20, seed=0
    ):
        assert math.isnan(interval.value)
        assert interval.reason is not None
        assert "two words of each target" in interval.reason


def test_associations_that_are_all_alike_have_no_effect_size() -> None:
    noise = [[0.25 + 1e-8, 0.25], [0.25]]
    assert math.isnan(value("d", outcomes(noise, [[0.25], [0.25 - 1e-8]])))


def test_several_tests_are_averaged_with_and_without_signs() -> None:
    above = outcomes([[3.0], [1.0]], [[-1.0], [-3.0]], test="above")
    below = outcomes([[-1.0], [-3.0]], [[3.0], [2.0]], test="below")
    sizes = [value("d", above), value("d", below)]
    assert sizes[0] > 0 > sizes[1]
    assert value("d", above + below) == pytest.approx(sum(sizes) / 2)
    assert value("d_abs", above + below) == pytest.approx(sum(map(abs, sizes)) / 2)
    assert all(math.isnan(value(name, above + below)) for name in METRICS if name.startswith("p"))
    # a test without a number takes the mean with it: that of the others would be of other tests
    assert math.isnan(value("d", above + outcomes([[1.0]], [[2.0], [0.0]], test="broken")))


def test_cosines_by_hand() -> None:
    first, second = np.array([[2.0, 0.0], [0.0, 3.0]]), np.array([[-1.0, 0.0]])
    assert cosine_difference(np.array([5.0, 0.0]), first, second) == pytest.approx(0.5 + 1.0)
    for nothing in (np.zeros(2), np.array([1.0, 1.0])):
        zero = np.zeros((1, 2)) if nothing.any() else second
        assert math.isnan(cosine_difference(nothing, first, zero))


# --- dealing words at random ----------------------------------------------------------------------


@pytest.mark.parametrize("first", [[0.9, 0.5], [0.9, 0.1], [0.9, 0.5, 0.2]])
def test_exact_p_counts_all_deals(first: list[float]) -> None:
    second = [0.4, 0.3, 0.0][: len(first)]
    both = [*first, *second]
    gaps = [
        sum(both[place] for place in places) * 2 / len(both) * 2 - sum(both) * 2 / len(both)
        for places in combinations(range(len(both)), len(first))
    ]
    observed = gaps[0]
    result = dealt(first, second)
    assert result.exact
    assert result.p == pytest.approx(np.mean([gap >= observed - 1e-12 for gap in gaps]))
    assert result.p_two_sided == pytest.approx(
        np.mean([abs(gap) >= abs(observed) - 1e-12 for gap in gaps])
    )
    assert result.mean_absolute == pytest.approx(np.mean(np.abs(gaps)))


def test_smallest_and_largest_p() -> None:
    assert dealt([3.0, 2.0], [1.0, 0.0]).p == pytest.approx(1 / 6)
    assert dealt([1.0, 0.0], [3.0, 2.0]).p == 1.0
    # ties count: with all alike every deal is as large
    assert dealt([0.1 + 0.2, 0.3], [0.3, 0.3]).p == 1.0
    assert dealt([0.1 + 0.2, 0.3], [0.3, 0.3]).p_two_sided == 1.0


def test_exact_and_sampled_p_agree() -> None:
    generator = np.random.default_rng(3)
    first, second = generator.normal(0.5, 1, 8), generator.normal(0, 1, 8)
    exact, sampled = dealt(first, second), dealt(first, second, most=12_000)
    assert (exact.exact, sampled.exact) == (True, False)  # 12,870 deals
    assert sampled.p == pytest.approx(exact.p, abs=4 * math.sqrt(exact.p / 12_000))
    assert sampled.p_two_sided == pytest.approx(exact.p_two_sided, abs=0.02)
    assert sampled.mean_absolute == pytest.approx(exact.mean_absolute, rel=0.03)
    assert sampled == dealt(first, second, most=12_000)


def test_a_sampled_p_is_never_0() -> None:
    assert dealt([*range(20, 40)], [*range(20)], most=1_000).p == pytest.approx(1 / 1_000)


def test_words_have_any_number_of_texts() -> None:
    # by word: {0.9, 0.9, 0.9}, {0.3} and {0.1}, {0.2, 0.2}: means of texts, not of words
    rows = outcomes([[0.9, 0.9, 0.9], [0.3]], [[0.1], [0.2, 0.2]])
    texts = {0: [0.9] * 3, 1: [0.3], 2: [0.1], 3: [0.2] * 2}
    gaps = []
    for chosen in combinations(texts, 2):
        sides = [
            [text for word in texts for text in texts[word] if (word in chosen) == inside]
            for inside in (True, False)
        ]
        gaps.append(np.mean(sides[0]) - np.mean(sides[1]))
    expected = np.mean([gap >= gaps[0] - 1e-12 for gap in gaps])
    assert value("p", rows) == pytest.approx(expected)


@pytest.mark.thorough
def test_the_published_test_is_invalid_where_words_have_several_texts() -> None:
    """Both targets' words are drawn alike: 5 % of tests may say otherwise, not every second."""
    generator = np.random.default_rng(0)
    few = {metric.name: metric for metric in metrics_of(1_000)}
    names = ("p", "p_two_sided", "p_by_sentence", "p_by_sentence_two_sided")
    rejected = dict.fromkeys(names, 0)
    runs = 200
    for _ in range(runs):
        of_word = generator.normal(size=(16, 1))
        texts = (of_word + 0.5 * generator.normal(size=(16, 8))).tolist()
        columns = columns_of(outcomes(texts[:8], texts[8:]), cluster="word")
        for name in names:
            rejected[name] += float(few[name].of(columns)) < 0.05
    shares = {name: count / runs for name, count in rejected.items()}
    # 5 % within 3.3 standard errors
    assert shares["p"] < 0.10
    assert shares["p_two_sided"] < 0.10
    assert shares["p_by_sentence"] > 0.20
    assert shares["p_by_sentence_two_sided"] > 0.35


@pytest.mark.thorough
def test_names_dealt_at_random_are_significant_in_5_percent_by_word_and_in_20_by_text() -> None:
    """As of sent-weat6: 16 names of 8 texts each, whose associations are what they are."""
    generator = np.random.default_rng(3)
    names = generator.normal(size=(16, 1)) + 1.5 * generator.normal(size=(16, 8))
    names -= names.mean()
    by_word, by_text, runs = 0, 0, 200
    for _ in range(runs):
        first = generator.permutation(np.repeat([True, False], 8))
        by_word += deal(names.sum(1), np.full(16, 8.0), first, most=2_000).p < 0.05
        texts, in_first = names.ravel(), np.repeat(first, 8)
        by_text += deal(texts, np.ones(128), in_first, most=1_000).p < 0.05
    # within 3.3 standard errors of 5 % and of 20 %
    assert 0.0 < by_word / runs < 0.10
    assert 0.11 < by_text / runs < 0.30


def test_chance_level_of_d_abs_is_its_mean_over_deals() -> None:
    generator = np.random.default_rng(1)
    texts = generator.normal(size=(8, 3)).tolist()
    null = value("d_abs_null", outcomes(texts[:4], texts[4:]))
    sizes = []
    for chosen in combinations(range(8), 4):
        first = [texts[word] for word in chosen]
        second = [texts[word] for word in range(8) if word not in chosen]
        sizes.append(abs(value("d", outcomes(first, second))))
    assert null == pytest.approx(np.mean(sizes))


def test_p_and_chance_level_have_no_interval() -> None:
    rows = outcomes([[0.5], [0.4], [0.9]], [[0.1], [0.3], [0.2]])
    intervals = bootstrap([*METRICS.values()], columns_of(rows, cluster="word"), draws=50, seed=0)
    by_name = dict(zip(METRICS, intervals, strict=True))
    for name in ("p", "p_by_sentence", "d_abs_null"):
        assert math.isfinite(by_name[name].value)
        assert math.isnan(by_name[name].low)
        assert "has no interval" in str(by_name[name].reason)
    assert by_name["d"].low < by_name["d"].value < by_name["d"].high


@pytest.mark.slow
@pytest.mark.parametrize(
    ("difference", "words", "share"), [(0.0, 8, 0.95), (2.0, 8, 0.85), (2.0, 16, 0.91)]
)
def test_how_often_intervals_hold_the_truth(difference: float, words: int, share: float) -> None:
    """As the page says; between words a standard deviation of 1, within 0.5."""
    generator = np.random.default_rng(5)
    truth = difference / math.sqrt(1 + 0.25 + difference**2 / 4)
    held, runs = 0, 600
    for _ in range(runs):
        of_word = generator.normal(size=(2 * words, 1))
        of_word[:words] += difference
        texts = (of_word + 0.5 * generator.normal(size=(2 * words, 8))).tolist()
        columns = columns_of(outcomes(texts[:words], texts[words:]), cluster="word")
        (interval,) = bootstrap([METRICS["d"]], columns, draws=400, seed=0)
        held += interval.low <= truth <= interval.high
    assert held / runs == pytest.approx(share, abs=0.04)


FAIRLMS = """
import json, sys
import numpy as np
from fairlms.metrics.data import VectorSets
from fairlms.metrics.similarity_based import WEAT

sets = [np.array(part) for part in json.load(sys.stdin)]
details = WEAT().compute(None, VectorSets(*sets)).details
print(json.dumps([details["effect_size"], details["p_value"]]))
"""


@pytest.mark.slow
def test_fairlms_has_the_same_effect_size(tmp_path: Path) -> None:
    if importlib.util.find_spec("fairlms") is None:
        pytest.skip("fairlms is not installed")
    generator = np.random.default_rng(0)
    x, y, a, b = (generator.normal(size=(4, 5)) for _ in range(4))
    # in a process of its own: it imports a module `locate`, which is a folder of tests here
    done = subprocess.run(
        [sys.executable, "-c", FAIRLMS],
        input=json.dumps([part.tolist() for part in (x, y, a, b)]),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    effect_size, p = json.loads(done.stdout)
    first, second = ([[cosine_difference(each, a, b)] for each in side] for side in (x, y))
    assert value("d", outcomes(first, second)) == pytest.approx(effect_size, rel=1e-10)
    assert value("p", outcomes(first, second)) == pytest.approx(p, abs=1e-10)
