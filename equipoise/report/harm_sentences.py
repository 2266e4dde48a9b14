"""Whether less harm is less bias: the rate of harm, the gap between groups, length and register.

A model that writes shorter texts, or texts of another kind, writes less that is harmful, and may
treat groups as differently as before. Nothing is stated here without an interval.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from equipoise.conclusions import UNSTATED, Change
from equipoise.number_text import brackets, numbers

#: What became of a gap between groups beside a rate of harm. "not with it": its interval excludes a
#: fall in proportion to the rate's; "unclear": it holds such a fall, and no fall is shown; "none":
#: before, it was within what chance makes.
GapMove: TypeAlias = Literal["fell", "rose", "not with it", "unclear", "none", "unknown"]

_VERDICTS: Final[dict[GapMove, str]] = {
    "fell": "lowers the rate and the disparity",
    "rose": "lowers the rate, not the disparity, which rose",
    "not with it": "lowers the rate, not the disparity",
    "unclear": "lowers the rate; that it lowers the disparity is not shown",
    "none": "lowers the rate; no disparity was shown before",
    "unknown": "lowers the rate; of the disparity nothing is known",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Harm:
    """A rate of harm, and what must be read beside it, all of the same texts."""

    rate: Change  # ideal 0
    gap: Change | None = None  # between groups, of the rate; ideal 0
    null_before: float = math.nan  # below which the gap lies in 95 % of cases by chance alone
    null_after: float = math.nan
    lengths: tuple[Change, ...] = ()  # the first is that of the sentence
    registers: tuple[Change, ...] = ()


def gap_move(harm: Harm) -> GapMove:
    """What became of the gap; "unknown" without an interval, or without a level of chance.

    In proportion: a rate that falls to a half takes a gap of it to a half by itself. The gap is
    said not to have fallen with the rate where its interval excludes that, and to have fallen where
    its change is shown as any other (`Change.direction`).
    """
    rate, gap = harm.rate, harm.gap
    if gap is None or gap.direction in UNSTATED or math.isnan(gap.low):
        return "unknown"
    if gap.direction == "reduced":
        return "fell"
    if gap.direction == "worse":
        return "rose"
    if math.isnan(harm.null_before):
        return "unknown"
    if gap.before <= harm.null_before:
        return "none"
    proportional = gap.before * _share(rate)
    return "not with it" if proportional < 0 and gap.low > proportional else "unclear"


def _share(rate: Change) -> float:
    """The change of a rate as a share of what it was; nan of none."""
    return rate.difference / rate.before if rate.before > 0 else math.nan


def harm_verdict(harm: Harm) -> str:
    """The sum in a few words, such as "lowers the rate, not the disparity"."""
    direction = harm.rate.direction
    if direction == "reduced":
        return _VERDICTS[gap_move(harm)]
    if direction == "worse":
        return "raises the rate"
    if direction in UNSTATED:
        return "nothing is known of the rate"
    return "no change of the rate is shown"


def harm_tone(harm: Harm) -> str:
    """The tone of the sum, a class of the style sheet: good only where the disparity fell, too."""
    rate, move = harm.rate.direction, gap_move(harm)
    if rate in UNSTATED:
        return rate.replace(" ", "-")
    if rate == "worse" or move == "rose":
        return "worse"
    if rate == "reduced":
        return "reduced" if move in ("fell", "none") else "unclear"
    return "unchanged"


def harm_sentence(harm: Harm) -> str:
    """A sentence: what harm did, what length and register did, what the gap did, and the sum.

    "harm fell by 12.0 points [9.1, 15.0] (20.0 → 8.0) while texts became shorter (length_words
    −3.2 words [−4.1, −2.4]); the gap between groups did not fall with it (…): lowers the rate, not
    the disparity".
    """
    rate = harm.rate
    if rate.direction in UNSTATED:
        return f"of harm nothing is stated ({rate.reason or 'no reason is given'})"
    moved = {"reduced": "fell", "worse": "rose"}.get(rate.direction)
    if moved is None:
        lead = f"no change of harm is shown ({_sides(rate)}, {_difference(rate)})"
    else:
        sign = 1.0 if rate.difference > 0 else -1.0
        ends = sorted((sign * rate.low, sign * rate.high))
        size, low, high = numbers(abs(rate.difference), *ends)
        lead = f"harm {moved} by {size}{_unit(rate)} {brackets(low, high)} ({_sides(rate)})"
    while_ = "while " if moved else ""
    beside = [_say_length(harm.lengths), _say_register(harm.registers)]
    return f"{lead}, {while_}{' and '.join(beside)}; {_say_gap(harm)}: {harm_verdict(harm)}"


def _say_length(lengths: Sequence[Change]) -> str:
    for change in lengths:
        if change.direction in UNSTATED:
            return f"nothing is known of the length of texts ({change.reason or change.direction})"
        shown = f"({change.metric} {_difference(change)})"
        if change.direction == "unchanged":
            return f"no change of the length of texts is shown {shown}"
        return f"texts became {'shorter' if change.difference < 0 else 'longer'} {shown}"
    return "the length of texts was not scored"


def _say_register(registers: Sequence[Change]) -> str:
    moved = [each for each in registers if each.direction not in ("unchanged", *UNSTATED)]
    if moved:
        listed = ", ".join(f"{each.metric} {_difference(each)}" for each in moved)
        return f"changed register ({listed})"
    if not registers:
        return "their register was not scored"
    if all(each.direction in UNSTATED for each in registers):
        return "nothing is known of their register"
    listed = ", ".join(f"{each.metric} {_difference(each)}" for each in registers)
    return f"no change of register is shown ({listed})"


def _say_gap(harm: Harm) -> str:
    gap, move = harm.gap, gap_move(harm)
    if gap is None:
        return "the gap between groups was not measured"
    if move == "unknown":
        return f"of the gap between groups nothing is stated ({gap.reason or 'no reason is given'})"
    null = numbers(harm.null_before)[0]
    proportional = ""
    if move in ("not with it", "unclear") and harm.rate.direction == "reduced":
        fall = numbers(gap.before * -_share(harm.rate))[0]
        proportional = f", where a fall with the rate would be {fall}"
    shown = f"({_sides(gap)}, {_difference(gap)}{proportional})"
    said: dict[GapMove, str] = {
        "fell": f"the gap between groups fell {shown}",
        "rose": f"the gap between groups rose {shown}",
        "not with it": f"the gap between groups did not fall with it {shown}",
        "unclear": f"the gap between groups is not shown to have fallen {shown}",
        "none": f"the gap between groups {shown} was within what chance makes before, {null}",
    }
    return said[move]


def _sides(change: Change) -> str:
    return " → ".join(numbers(change.before, change.after))


def _difference(change: Change) -> str:
    """As in "-3.2 words [-4.1, -2.4]"."""
    value, low, high = numbers(change.difference, change.low, change.high)
    plus = "+" if change.difference > 0 and float(value) != 0.0 else ""
    return f"{plus}{value}{_unit(change)} {brackets(low, high)}".rstrip()


def _unit(change: Change) -> str:
    unit = "points" if change.unit == "%" else change.unit
    return f" {unit}" if unit else ""
