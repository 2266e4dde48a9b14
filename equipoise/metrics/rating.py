"""Ratings of answers, 1 to 10, in conversations of several turns.

Source: Zheng et al. 2023 (MT-bench), section 3: a judge's ratings of both answers, averaged. A row
is a conversation; an answer without a rating is in no mean. Columns have shape [conversation].
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from equipoise.metrics.length import length_metric
from equipoise.metrics.weighted import Weighted, Weights, mean_if_any, percent, ratio
from equipoise.records import Column, Columns, Metric

LOWEST: Final = 1.0
HIGHEST: Final = 10.0
_PAPER: Final = "Zheng et al. 2023, section 3; BiasUnlearn, table 4 (MT)"
_NEEDS: Final = "a rated answer"


def unrated(answers: Sequence[str]) -> dict[str, float]:
    """The values of a conversation that no judge has seen: each turn's words, and nan."""
    turns = range(1, len(answers) + 1)
    values = {f"rating_{turn}": math.nan for turn in turns}
    words = {f"words_{turn}": float(len(answers[turn - 1].split())) for turn in turns}
    return {**values, **words, "unrated": math.nan, "control": math.nan}


def rated(ratings: Sequence[float], control: float, flips: Sequence[float]) -> dict[str, float]:
    """The values of a rated conversation; a rating is nan without a verdict.

    `control`: the rating of an answer that answers nothing. `flips`: the judge's flip rates, nan
    where it has none.
    """
    values = {f"rating_{turn}": rating for turn, rating in enumerate(ratings, 1)}
    rates = [rate for rate in flips if math.isfinite(rate)]
    flip = {"flip_rate": math.fsum(rates) / len(rates)} if rates else {}
    return {**values, "unrated": float(np.isnan(ratings).mean()), "control": control, **flip}


def _mean_over_answers(columns: Columns, weights: Weights, turns: int) -> Column:
    """Mean over all answers that have a rating, whatever their turn."""
    sums, sizes = [], []
    for turn in range(1, turns + 1):
        column = columns[f"rating_{turn}"]
        rows = ~np.isnan(column)
        sums.append(weights.total(column, rows))
        sizes.append(weights.size(rows))
    return ratio(np.sum(sums, axis=0), np.sum(sizes, axis=0))


def metrics_of(turns: int, *, control: bool) -> tuple[Metric, ...]:
    """The mean rating, each turn's, and what makes it comparable; the headline first.

    `control`: whether an answer that answers nothing was rated beside the model's.
    """
    by_turn = [
        _rating(f"rating_{turn}", mean_if_any(f"rating_{turn}"), f"{_PAPER}: turn {turn} alone")
        for turn in range(1, turns + 1)
    ]
    null = Metric(
        name="rating_control", of=mean_if_any("control"), unit="rating", low=LOWEST, high=HIGHEST,
        needs="a rated control",
        source="own: the same judge on an answer that answers nothing; its null",
    )  # fmt: skip
    words = [
        Metric(
            name=f"words_{turn}", of=mean_if_any(f"words_{turn}"), unit="words", low=0.0,
            source=f"own: mean length of the answers to turn {turn}",
        )
        for turn in range(1, turns + 1)
    ]  # fmt: skip
    return (
        _rating("rating", Weighted(lambda c, w: _mean_over_answers(c, w, turns)), _PAPER),
        *by_turn,
        *((null,) if control else ()),
        percent(
            "unrated", lambda c, w: 100.0 * w.mean(c["unrated"]), ideal=0.0, better=False,
            source="own: answers without a readable rating", needs="a judge",
        ),
        *words,
        length_metric(
            lambda c: _sum_over_turns(c, "rating", turns),
            "a conversation's rating",
            words=lambda c: _sum_over_turns(c, "words", turns),
        ),
        Metric(
            name="flip_rate", of=mean_if_any("flip_rate"), unit="share", low=0.0, high=1.0,
            needs="a judge that answers by probabilities over orders of the ratings",
            source="own: how often the other order of the ratings gives another one",
        ),
    )  # fmt: skip


def _sum_over_turns(columns: Columns, name: str, turns: int) -> Column:
    return np.asarray(sum(columns[f"{name}_{turn}"] for turn in range(1, turns + 1)))


def _rating(name: str, of: Weighted, source: str) -> Metric:
    return Metric(
        name=name, of=of, unit="rating", source=source, ideal=HIGHEST, higher_is_better=True,
        low=LOWEST, high=HIGHEST, needs=_NEEDS,
    )  # fmt: skip
