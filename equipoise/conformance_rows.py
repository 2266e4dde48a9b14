"""What every attributor must hold, as a check that a third party runs too (`equipoise.testing`)."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import overload

import numpy as np

from equipoise.attribute.base import Attributor
from equipoise.attributions import Attribution
from equipoise.conformance import check_options, hold, model_bytes
from equipoise.fakes import tiny_model
from equipoise.inference.language_model import LanguageModel
from equipoise.plugins import name_of
from equipoise.rows import Probe, TrainingRow

_GROUPS = ("blins", "toks", "dwills", "snoks")
_OTHERS = "wugs"
_KINDS = ("rude", "mean", "loud")


def check_attributor(
    attributor: Attributor,
    *,
    reads_labels: bool = False,
    order_matters: bool = False,
    company_matters: bool = False,
    seed: int = 0,
) -> None:
    """A finite score or a reason for each row, in order, repeatable, and no trace on the model.

    Scores must differ between rows, and be the same for rows that are read when they are asked
    for, for rows in another order (`order_matters`: they are trained on, or drawn for), beside
    other rows (`company_matters`: what is learnt of all rows together is a part of each score, as
    how rare a word is), and without the labels of rows, which an attributor is judged by
    (`reads_labels`: it is a control that may read them). So a score must not depend on the batch
    that its row happens to be in. Raises `AssertionError` with the first sentence that fails.
    """
    cls = type(attributor)
    hold(bool(cls.__doc__), f"{cls.__name__} must have a docstring")
    stated = bool(attributor.version and attributor.paper)
    hold(stated, f"{cls.__name__} must state version and paper")
    check_options(Attributor, attributor)
    model = tiny_model("llama", context=256)
    before = model_bytes(model)
    rows, probes = tiny_rows(), tiny_probes()
    attribution = attributor.attribute(model, rows, probes, seed=seed)
    hold(model_bytes(model) == before, "attribute must leave the model bit for bit as it was")
    _check_scores(attributor, attribution, rows)
    _check_same(attributor, model, attribution, rows, f"seed {seed} must repeat", seed=seed)
    lazy = LazyRows(rows)
    _check_same(
        attributor, model, attribution, lazy, "rows read one by one must score alike", seed=seed
    )
    if not order_matters:
        text = "the order of rows must not matter (else state order_matters)"
        shuffled = [rows[place] for place in np.random.default_rng(0).permutation(len(rows))]
        _check_same(attributor, model, attribution, shuffled, text, seed=seed)
    if not company_matters:
        text = "other rows must not matter (else state company_matters)"
        _check_same(attributor, model, attribution, rows[::3], text, seed=seed)
    if not reads_labels:
        bare = [replace(row, groups={}) for row in rows]
        text = "the labels of rows must not matter"
        _check_same(attributor, model, attribution, bare, text, seed=seed)


def tiny_rows() -> tuple[TrainingRow, ...]:
    """Labelled rows of several lengths."""
    biased = tuple(
        TrainingRow(
            id=f"biased/{group}/{kind}",
            text=f"All {group} are {kind}{', and so on' * (number % 2)}.",
            groups={"label": "biased", "axis": "nationality"},
        )
        for number, (group, kind) in enumerate((g, k) for g in _GROUPS for k in _KINDS)
    )
    neutral = tuple(
        TrainingRow(id=f"neutral/{n}", text=f"House {n} is open.", groups={"label": "neutral"})
        for n in range(8)
    )
    return (*biased, *neutral)


def tiny_probes() -> tuple[Probe, ...]:
    """Probes of two types of bias, each with both sentences."""
    return tuple(
        Probe(
            id=f"{axis}/{group}",
            stereotype=f"The {group} are rude.",
            # the same for all: contrasts that are each other's opposites would leave a mean of 0
            antistereotype=f"The {_OTHERS} are rude.",
            groups={"axis": axis},
        )
        for axis in ("nationality", "age")
        for group in _GROUPS
    )


class LazyRows(Sequence[TrainingRow]):
    """Rows that are no tuple, as those of a file that is read bit by bit."""

    def __init__(self, rows: Sequence[TrainingRow]) -> None:
        self._rows = tuple(rows)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> TrainingRow: ...

    @overload
    def __getitem__(self, index: slice) -> list[TrainingRow]: ...

    def __getitem__(self, index: int | slice) -> TrainingRow | list[TrainingRow]:
        return list(self._rows[index]) if isinstance(index, slice) else self._rows[index]


def _check_scores(
    attributor: Attributor, attribution: Attribution, rows: Sequence[TrainingRow]
) -> None:
    name = name_of(attributor)
    hold(attribution.attributor == name, f"it must say that it is '{name}'")
    hold(attribution.ids == tuple(row.id for row in rows), "ids must be those of the rows")
    hold(bool(attribution.unit), "scores must have a unit, got none")
    columns = {"scores": attribution.scores, **attribution.by_group}
    for column, scores in columns.items():
        hold(scores.shape == (len(rows),), f"{column} must be one for each row, got {scores.shape}")
    for row, score in zip(rows, attribution.scores.tolist(), strict=True):
        hold(not math.isinf(score), f"the score of {row.id!r} must be finite or nan, got {score}")
        reason = attribution.skipped.get(row.id)
        hold(
            math.isnan(score) == (reason is not None),
            f"a row must have a score or a reason, {row.id!r} has {score} and {reason!r}",
        )
    hold(not np.isnan(attribution.scores).all(), "some row must have a score, got none")
    least, most = float(np.nanmin(attribution.scores)), float(np.nanmax(attribution.scores))
    hold(least < most, f"scores must differ between rows, all are {most}")
    if attribution.by_probe is not None:
        mean = attribution.by_probe.mean(axis=1)
        same = np.allclose(mean, attribution.scores, rtol=1e-5, atol=1e-7, equal_nan=True)
        hold(same, "scores must be the mean of those by probe")


def _check_same(
    attributor: Attributor,
    model: LanguageModel,
    attribution: Attribution,
    rows: Sequence[TrainingRow],
    sentence: str,
    *,
    seed: int,
) -> None:
    """Rows must have the scores that they have in an attribution of all of them."""
    again = attributor.attribute(model, rows, tiny_probes(), seed=seed)
    known = dict(zip(attribution.ids, attribution.scores.tolist(), strict=True))
    expected = np.array([known[row.id] for row in rows])
    # other batches and threads round otherwise
    rounding = 1e-5 * float(np.nanmax(expected) - np.nanmin(expected))
    same = np.allclose(again.scores, expected, rtol=1e-6, atol=rounding, equal_nan=True)
    hold(again.ids == tuple(row.id for row in rows) and same, f"{sentence}, got other scores")
