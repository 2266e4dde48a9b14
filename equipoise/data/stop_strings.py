"""Stop strings: what a model writes behind them is no part of its answer.

A `Generation` has none, so that they are cut off afterwards; greedy text before a stop is the same.
"""

from collections.abc import Sequence


def cut_at_stops(text: str, stops: str | Sequence[str] | None) -> str:
    """The text before the first of any stop string; an empty one is none."""
    for stop in [stops] if isinstance(stops, str) else stops or ():
        if stop:
            text = text.split(stop, 1)[0]
    return text
