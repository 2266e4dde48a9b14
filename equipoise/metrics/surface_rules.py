"""What rules get right that understand nothing: by place, by length, by kind of row. Own.

A rule is chosen as the best of its kind on the very rows that it is scored on, so that it says how
much of a score the form of the rows may give away; with few rows it is above guessing by chance.
Each function gives, [row], the part of each row that its rule gets right.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from equipoise.records import Column


def right_by_place(targets: Sequence[int]) -> Column:
    """Always the option that is right most often. `targets`: place of the right option, [row]."""
    return right_by_kind(targets, [""] * len(targets))


def right_by_kind(targets: Sequence[int], kinds: Sequence[str]) -> Column:
    """Of each kind of row the option that is right most often; of equals the first."""
    right = np.zeros(len(targets))
    truth, kind = np.asarray(targets), np.asarray(kinds)
    for name in np.unique(kind):
        rows = kind == name
        right[rows] = truth[rows] == np.argmax(np.bincount(truth[rows]))
    return right


def right_by_cut(targets: Sequence[int], lengths: Sequence[int]) -> Column:
    """An option for all texts up to some length, and an option for the longer.

    The length and both options are those that get the most right; without a cut it is
    `right_by_place`.
    """
    truth, length = np.asarray(targets), np.asarray(lengths)
    cuts = np.unique(length)
    sides = [(length <= cut, length > cut) for cut in cuts]
    best = max(sides, key=lambda pair: sum(_most(truth[side]) for side in pair))
    right = np.zeros(len(truth))
    for side in best:
        if side.any():
            right[side] = truth[side] == np.argmax(np.bincount(truth[side]))
    return right


def right_by_size(targets: Sequence[int], lengths: NDArray[np.intp]) -> Column:
    """Always the longest option, or always the shortest. `lengths`: [row, option].

    Of options that are equally long each counts its share.
    """
    truth = np.asarray(targets)
    rules = []
    for end in (lengths.max(axis=1), lengths.min(axis=1)):
        taken = lengths == end[:, None]
        rules.append(taken[np.arange(len(truth)), truth] / taken.sum(axis=1))
    return max(rules, key=lambda rule: float(rule.sum()))


def _most(targets: NDArray[np.intp]) -> int:
    return int(np.bincount(targets).max()) if len(targets) else 0
