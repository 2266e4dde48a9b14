"""What answers to typed questions are summed up to: orders, flips, label mass. Ours."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from equipoise.metrics.weighted import Value, Weights, percent
from equipoise.records import Column, Columns, Decided, Metric

#: Where an option stands that is always taken, for a note.
PLACES: Final = ("first", "last")


def cyclic_orders(options: int) -> tuple[tuple[int, ...], ...]:
    """As many orders as there are options, in which each stands once in each place.

    Order k begins with option k; what is listed: which option stands in which place.
    """
    return tuple(
        tuple((start + place) % options for place in range(options)) for start in range(options)
    )


def averaged(answers: Sequence[Decided]) -> list[float]:
    """Probability of each option: mean over the answers to all `cyclic_orders`."""
    orders = cyclic_orders(len(answers))
    return [
        math.fsum(
            answer.probabilities[order.index(option)]
            for answer, order in zip(answers, orders, strict=True)
        )
        / len(orders)
        for option in range(len(orders))
    ]


def order_values(answers: Sequence[Decided]) -> dict[str, float]:
    """How the answers to all `cyclic_orders` of a question hang together, for an outcome.

    `flip`: 1 if the likeliest option changes with the order. `first` and `last`: in what share of
    the orders that which stands there is the likeliest; a third of three for a model that goes by
    what options say. All nan where two are the likeliest together. `label_mass`: mean over orders.
    """
    places = [_likeliest(answer.probabilities) for answer in answers]
    values = {"label_mass": math.fsum(answer.label_mass for answer in answers) / len(answers)}
    if None in places:
        return values | dict.fromkeys(("flip", *PLACES), math.nan)
    orders = cyclic_orders(len(answers))
    taken = {order[place or 0] for place, order in zip(places, orders, strict=True)}
    last = len(answers) - 1
    return values | {
        "flip": float(len(taken) > 1),
        "first": places.count(0) / len(answers),
        "last": places.count(last) / len(answers),
    }


def truth_values(answers: Sequence[Decided]) -> tuple[list[float], dict[str, float]]:
    """The probability of yes for each text, and for an outcome the means: `says_true`, label mass.

    Texts are compared on these: that a model says yes to all of them makes none preferred.
    """
    shares = [answer.probabilities[0] for answer in answers]
    masses = [answer.label_mass for answer in answers]
    return shares, {
        "says_true": math.fsum(shares) / len(shares),
        "label_mass": math.fsum(masses) / len(masses),
    }


def _likeliest(probabilities: Sequence[float]) -> int | None:
    best = max(probabilities)
    return probabilities.index(best) if probabilities.count(best) == 1 else None


def _of(name: str) -> Value:
    """Mean of a value in percent; nan where no example has it at all."""

    def value(columns: Columns, weights: Weights) -> Column:
        absent = np.full(len(columns["@cluster"]), np.nan)
        return 100 * weights.mean(columns.get(name, absent))

    return value


LABEL_MASS: Final = percent(
    "label_mass", _of("label_mass"), ideal=100.0, better=True,
    source="ours: what the labels have of the next token's probability",
    needs="a model in memory: a server does not tell it",
)  # fmt: skip
SAYS_TRUE: Final = percent(
    "says_true",
    _of("says_true"),
    source="ours: mean probability of yes over all texts",
)
ORDER_METRICS: Final[tuple[Metric, ...]] = (
    percent(
        "flip_rate", _of("flip"), ideal=0.0, better=False, grid=100.0,
        source="ours: examples whose likeliest option changes with the order",
        needs="a likeliest option in every order",
    ),
    percent(
        "first_option", _of("first"), ideal=100 / 3, grid=100 / 3,
        source="ours: orders in which the option that stands first is the likeliest",
        needs="a likeliest option in every order",
    ),
    LABEL_MASS,
)  # fmt: skip
