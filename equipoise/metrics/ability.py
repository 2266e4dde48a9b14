"""Right and wrong answers: from scores to an answer, accuracy, F1 and Matthews correlation.

An answer is the choice with the highest score. Choices that share the highest score share the
answer: each counts as given by that part, so that a model that finds all choices alike scores what
guessing does, and no order of the choices is favored. So `predicted` below is a share in [0, 1]
that a row is called positive, 0 or 1 without ties, and the counts of a table of confusion are sums
of such shares. Columns have shape [example]; functions of columns take the rows' weights and give a
value per draw.
"""

import math
from collections.abc import Sequence

import numpy as np

from equipoise.metrics.weighted import Weighted, Weights, mean_over_groups, percent, ratio
from equipoise.records import Column, Margin, Metric

#: Ties among k of four choices give 1/k of a right answer: twelfths of a row.
FOUR_CHOICES = 100.0 / 12.0
TWO_CHOICES = 50.0


def answered(scores: Sequence[float], choice: int) -> float:
    """The part of the answer that is this choice: 1 alone at the top, 1/k with k at the top, or 0.

    nan when any score is nan, or when there is nothing to choose from.
    """
    if len(scores) < 2 or any(math.isnan(score) for score in scores):
        return math.nan
    top = max(scores)
    return 1.0 / scores.count(top) if scores[choice] == top else 0.0


def classified(scores: Sequence[float], label: int) -> dict[str, float]:
    """The values of a row with two classes: `correct`, `predicted` and `truth`, in [0, 1].

    `scores`: of the negative, then of the positive class. `truth` is 1 for the positive class.
    """
    scores = list(scores)
    return {
        "correct": answered(scores, label),
        "predicted": answered(scores, 1),
        "truth": float(label),
    }


def f1(predicted: Column, truth: Column, weights: Weights) -> Column:
    """Harmonic mean of precision and recall of the positive class; in [0, 1], 1 is perfect.

    0 when no positive row was recognized; nan when there was none and none was claimed.
    Source: van Rijsbergen 1979, with equal weights: 2 TP / (2 TP + FP + FN).
    """
    tp, fp, fn, _ = _confusion(predicted, truth, weights)
    return ratio(2 * tp, 2 * tp + fp + fn)


def mcc(predicted: Column, truth: Column, weights: Weights) -> Column:
    """Matthews correlation of predicted and true classes; in [-1, 1]: perfect, 0 chance, reversed.

    0 for a model that answers alike on all rows, which is the limit of such answers and what GLUE's
    own script reports; nan where all rows have the same true class, or there are none.
    Source: Matthews 1975; (TP TN - FP FN) over the root of the product of the four margins.
    """
    tp, fp, fn, tn = _confusion(predicted, truth, weights)
    margins = np.sqrt((tp + fp) * (tn + fn)) * np.sqrt((tp + fn) * (tn + fp))
    correlation = np.clip(ratio(tp * tn - fp * fn, margins), -1.0, 1.0)
    alike = (tp + fp == 0) | (tn + fn == 0)
    both_classes = (tp + fn > 0) & (tn + fp > 0)
    return np.where(both_classes, np.where(alike, 0.0, correlation), math.nan)


def micro_f1(correct: Column, given: Column, weights: Weights) -> Column:
    """F1 over the answers of all classes together; in [0, 1], 1 is perfect.

    It is accuracy where every row has an answer; a row without (`given` 0) is missed and claims
    nothing. Source: van Rijsbergen 1979; 2 TP / (2 TP + FP + FN) of counts summed over classes.
    """
    rows = ~(np.isnan(correct) | np.isnan(given))
    return ratio(2 * weights.total(correct, rows), weights.total(given, rows) + weights.size(rows))


def balanced_accuracy(correct: Column, truth: Column, weights: Weights) -> Column:
    """Mean over the true classes of the share that is right in each; in [0, 1], 1 is perfect.

    Of k classes 1/k for a rule that always gives the same, however many rows each class has; of a
    draw that lacks a class over those it has. Source: Brodersen et al. 2010. `truth`: any number
    for a class.
    """
    classes = np.unique(truth[~np.isnan(truth)])
    if not len(classes):
        return np.full(weights.counts.shape[:-1], math.nan)
    recalls = [weights.mean(np.where(truth == name, correct, math.nan)) for name in classes]
    return mean_over_groups(np.stack(recalls, axis=-1))


def _confusion(
    predicted: Column, truth: Column, weights: Weights
) -> tuple[Column, Column, Column, Column]:
    """TP, FP, FN and TN, as sums of shares, over the rows where neither column is nan."""
    rows = ~(np.isnan(predicted) | np.isnan(truth))
    return (
        weights.total(predicted * truth, rows),
        weights.total(predicted * (1 - truth), rows),
        weights.total((1 - predicted) * truth, rows),
        weights.total((1 - predicted) * (1 - truth), rows),
    )


def answered_by_sum_and_byte(
    sums: Sequence[float], texts: Sequence[str], answer: int
) -> dict[str, float]:
    """`answered` by log-probabilities as they are and per UTF-8 byte of each text, in [0, 1].

    As `correct` and `correct_norm`. `sums`: of a space and the text; the space is not counted, as
    lm-evaluation-harness counts a length.
    """
    rates = [total / len(text.encode()) for total, text in zip(sums, texts, strict=True)]
    return {"correct": answered(sums, answer), "correct_norm": answered(rates, answer)}


# --- as metrics -------------------------------------------------------------------------------


def share(
    name: str,
    column: str,
    *,
    source: str,
    better: bool | None = True,
    grid: float | None = None,
    margin: float | None = None,
) -> Metric:
    """The mean of a column, in percent. `better`: whether more is; ideal 100, 0, or none."""
    return percent(
        name, lambda c, w: 100.0 * w.mean(c[column]), source=source, better=better, grid=grid,
        ideal={True: 100.0, False: 0.0, None: None}[better], margin=margin,
    )  # fmt: skip


def of_accuracy(source: str, *, margin: float | None) -> Metric:
    """Accuracy over rows with two classes, in percent."""
    return share("accuracy", "correct", source=source, grid=TWO_CHOICES, margin=margin)


def of_mcc(source: str, *, margin: float | None) -> Metric:
    """Matthews correlation of rows with two classes."""
    return Metric(
        name="mcc", of=Weighted(lambda c, w: mcc(c["predicted"], c["truth"], w)),
        unit="correlation", source=source, needs="rows of both true classes", ideal=1.0,
        higher_is_better=True, low=-1.0, high=1.0,
        margin=None if margin is None else Margin(size=margin),
    )  # fmt: skip


def of_positives(positive: str) -> tuple[Metric, Metric]:
    """F1 of the positive class, and how often it is answered; both in percent."""
    return (
        percent(
            "f1", lambda c, w: 100.0 * f1(c["predicted"], c["truth"], w), ideal=100.0, better=True,
            source=f"own, beside it: F1 of the class '{positive}' (van Rijsbergen 1979)",
            needs=f"a row that is '{positive}', or is called so",
        ),
        share(
            "predicted_positive", "predicted", better=None, grid=TWO_CHOICES,
            source=f"own: rows called '{positive}'; 0 or 100 is a model that answers alike on all",
        ),
    )  # fmt: skip


def nats_per_unit(logprob: Column, units: Column, weights: Weights) -> Column:
    """Mean negative log-likelihood per token or byte, in nats; at least 0, 0 is certainty.

    Per token it depends on the tokenizer; per byte it compares across models.
    """
    rows = ~(np.isnan(logprob) | np.isnan(units))
    return ratio(-weights.total(logprob, rows), weights.total(units, rows))


def perplexity(logprob: Column, units: Column, weights: Weights) -> Column:
    """exp(nats per unit): at least 1; 1 is certainty. Infinite when it overflows a float."""
    with np.errstate(over="ignore"):
        return np.exp(nats_per_unit(logprob, units, weights))


def bits_per_byte(logprob: Column, bytes_: Column, weights: Weights) -> Column:
    """Negative log-likelihood per UTF-8 byte, in bits; at least 0, 8 is a uniform guess.

    Does not depend on how a tokenizer cuts the text.
    """
    return nats_per_unit(logprob, bytes_, weights) / math.log(2)


def total_units(units: Column, weights: Weights) -> Column:
    """How many tokens or bytes were scored; nan without a text."""
    rows = ~np.isnan(units)
    return np.where(weights.size(rows) > 0, weights.total(units, rows), math.nan)
