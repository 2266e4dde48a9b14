"""A judged mean corrected by labels: by hand, by coverage, and as truescore has it."""

import math

import numpy as np
import pytest

from equipoise.stats.corrected_mean import corrected_mean, corrected_share


def sample(seed: int, n: int = 400, labels: int = 60) -> tuple[list[float], list[float], float]:
    """Grades of a judge that overrates, people's grades of some texts, and the true mean."""
    generator = np.random.default_rng(seed)
    truth = generator.choice(4, size=n, p=[0.4, 0.3, 0.2, 0.1]).astype(float)
    judged = np.clip(truth + generator.choice([0, 1], size=n, p=[0.6, 0.4]), 0, 3)
    graded = np.full(n, math.nan)
    chosen = generator.choice(n, size=labels, replace=False)
    graded[chosen] = truth[chosen]
    return judged.tolist(), graded.tolist(), 1.0


def test_by_hand() -> None:
    judged, labels = [3.0, 1.0, 2.0, 2.0, 0.0, 2.0], [2.0, 1.0, math.nan, math.nan] + [math.nan] * 2
    # cov(Y, f) over the two: 0.5; var(f) over six: 16/15; t = 0.5 / (16/15 * 1.5) = 0.3125
    corrected = corrected_mean(judged, labels)
    assert corrected.tuning == pytest.approx(0.3125)
    assert corrected.value == pytest.approx(1.5 - 0.3125 * 2 + 0.3125 * 1.5)
    rest = (2 - 0.3125 * 3, 1 - 0.3125)
    variance = (rest[0] - rest[1]) ** 2 / 2 / 2 + 0.3125**2 * 1.0 / 4
    assert corrected.error == pytest.approx(math.sqrt(variance))
    assert corrected.high - corrected.value == pytest.approx(12.706 * corrected.error, rel=1e-3)


@pytest.mark.thorough
def test_the_interval_holds_and_the_judged_mean_does_not() -> None:
    held, judged_held, widths = 0, 0, []
    for seed in range(200):
        judged, labels, truth = sample(seed)
        corrected = corrected_mean(judged, labels)
        held += corrected.low <= truth <= corrected.high
        judged_held += abs(float(np.mean(judged)) - truth) < 0.15
        widths.append(corrected.error / _alone(labels))
    assert held >= 183  # 190 expected; the true mean of each draw also scatters a little
    assert judged_held < 20
    assert np.mean(widths) < 0.75  # the judge helps


def _alone(labels: list[float]) -> float:
    graded = np.array([label for label in labels if math.isfinite(label)])
    return float(graded.std(ddof=1) / math.sqrt(len(graded)))


def test_a_judge_without_information_is_not_relied_on() -> None:
    _, labels, _ = sample(0)
    corrected = corrected_mean([2.0] * 400, labels)
    assert corrected.tuning == 0
    assert corrected.error == pytest.approx(_alone(labels))


def test_missing_grades_do_not_bias() -> None:
    values = []
    for seed in range(100):
        judged, labels, _ = sample(seed)
        holed = [math.nan if grade == 3 else grade for grade in judged]  # the strongest are missing
        values.append(corrected_mean(holed, labels).value)
    assert np.mean(values) == pytest.approx(1.0, abs=0.03)


def test_clusters_widen() -> None:
    judged, labels, _ = sample(0)
    numbers = np.argsort(np.argsort(judged, kind="stable"), kind="stable") // 20
    assert corrected_mean(judged, labels, clusters=numbers.tolist()).error > 0
    each = corrected_mean(judged, labels, clusters=list(range(400)))
    assert each.error == pytest.approx(corrected_mean(judged, labels).error, rel=0.02)
    twice = corrected_mean(judged * 2, labels * 2, clusters=[*range(400), *range(400)])
    assert twice.error == pytest.approx(each.error, rel=0.02)
    assert corrected_mean(judged * 2, labels * 2).error < 0.75 * twice.error


def test_too_few_labels() -> None:
    corrected = corrected_mean([1.0, 2.0, 3.0], [1.0, math.nan, math.nan])
    assert math.isnan(corrected.value)
    assert "2 labelled texts" in str(corrected.reason)
    together = corrected_mean([1.0, 2.0, 3.0], [1.0, 2.0, math.nan], clusters=[0, 0, 1])
    assert math.isnan(together.low)


def test_all_labelled_is_their_mean() -> None:
    corrected = corrected_mean([3.0, 3.0, 3.0], [0.0, 1.0, 2.0])
    assert (corrected.value, corrected.tuning) == (1.0, 0.0)


def test_share_by_hand() -> None:
    judged = [True] * 6 + [False] * 4
    labels = [1, 1, 1, 0, math.nan, math.nan, 0, 0, 0, 1]
    # sensitivity 3/4, specificity 3/4, judged 0.6: (0.6 - 0.25) / 0.5
    assert corrected_share(judged, labels).value == pytest.approx(0.7)
    assert "chance" in str(corrected_share([True, False], [0, 1]).reason)
    assert "without" in str(corrected_share([True, False], [1, math.nan]).reason)


def test_two_labels_that_are_right_make_nobody_sure() -> None:
    labels = [1.0, *[math.nan] * 98, 0.0]
    corrected = corrected_share([True] * 50 + [False] * 50, labels)
    assert (corrected.value, corrected.low, corrected.high) == (0.5, 0.0, 1.0)


@pytest.mark.thorough
@pytest.mark.parametrize(("labelled", "truth"), [(12, 0.5), (30, 0.2), (60, 0.1), (200, 0.4)])
def test_the_interval_of_a_share_holds(labelled: int, truth: float) -> None:
    held, known = 0, 0
    for seed in range(400):
        generator = np.random.default_rng(seed)
        real = generator.random(400) < truth
        judged = np.where(generator.random(400) < 0.85, real, ~real)
        labels = np.where(np.arange(400) < labelled, real.astype(float), math.nan)
        corrected = corrected_share(judged.tolist(), labels.tolist())
        if math.isfinite(corrected.value):
            known += 1
            held += corrected.low <= truth <= corrected.high
    assert known > 200
    assert held / known > 0.92


def test_clusters_widen_the_interval_of_a_share() -> None:
    generator = np.random.default_rng(0)
    real = generator.random(300) < 0.4
    judged = np.where(generator.random(300) < 0.8, real, ~real).tolist()
    labels = np.where(np.arange(300) < 60, real.astype(float), math.nan).tolist()
    once = corrected_share(judged, labels)
    numbers = list(range(300))
    assert corrected_share(judged, labels, clusters=numbers) == once
    twice = corrected_share(judged * 2, labels * 2, clusters=numbers * 2)
    assert twice.error == pytest.approx(once.error, rel=0.02)
    assert corrected_share(judged * 2, labels * 2).error < 0.8 * twice.error
    perfect = [float(grade) if k < 60 else math.nan for k, grade in enumerate(judged)]
    groups = [k % 4 for k in numbers]
    one = corrected_share(judged, perfect, clusters=groups)
    other = corrected_share(judged, perfect)
    assert one.high - one.low > 1.5 * (other.high - other.low)


def test_as_truescore_has_it() -> None:
    """The extra `judge`: point, tuning and standard error are the same to the last digits."""
    truescore = pytest.importorskip("truescore")
    for seed in range(5):
        judged, labels, _ = sample(seed)
        index = [k for k, label in enumerate(labels) if math.isfinite(label)]
        gold = [labels[k] for k in index]
        theirs = truescore.ppi_estimate(judged, gold, index)
        ours = corrected_mean(judged, labels)
        assert ours.value == pytest.approx(theirs.point, abs=1e-12)
        assert ours.tuning == pytest.approx(theirs.lambda_, abs=1e-12)
        assert ours.error == pytest.approx(theirs.standard_error, abs=1e-12)
        share = truescore.rogan_gladen_estimate(
            [int(grade >= 1) for grade in judged], [int(grade >= 1) for grade in gold], index
        )
        binary = [float(label >= 1) if math.isfinite(label) else math.nan for label in labels]
        ours = corrected_share([grade >= 1 for grade in judged], binary)
        assert ours.value == pytest.approx(share.point, abs=1e-9)


def test_kappa_as_truescore_has_it() -> None:
    truescore = pytest.importorskip("truescore")
    from equipoise.stats.agreement import weighted_kappa

    generator = np.random.default_rng(0)
    one, other = generator.integers(4, size=(2, 300)).tolist()
    theirs = truescore.quadratic_weighted_kappa(one, other)
    assert weighted_kappa(one, other, draws=0).value == pytest.approx(theirs, abs=1e-12)
