"""What decoding otherwise does to a bias of known size (slow); nothing is drawn, so one seed does.

What was published and does not hold here is in docs/methods/cafie.md and self_debias.md.
"""

from functools import cache

import pytest

from equipoise import api
from equipoise.decoding.mixture import Mean
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.cafie import Cafie
from equipoise.mitigate.self_debias import SelfDebias
from equipoise.planted.model import load_planted
from equipoise.records import Measurement, Supply

pytestmark = pytest.mark.slow

AXES = ("gender", "profession", "race", "religion")
NAMED = "gender"
REVERSED = Cafie()
MEAN = Cafie(mixture=Mean(alpha=1.0))

NAMING = "default"  # its gender items name kin, which our lists have; the larger world's do not
LARGE = "targets=40"


@cache
def planted(world: str) -> LanguageModel:
    return load_planted(world)


@cache
def measured(method: Mitigation | None, name: str, world: str) -> Measurement:
    model = planted(world)
    if method is None:
        return api.measure(model, name, draws=0)
    edit = method.fit(model, Supply(origin="nothing"), seed=0)
    with edit.attached(model) as edited:
        return api.measure(edited, name, draws=0)


def value(method: Mitigation | None, name: str, metric: str, world: str = LARGE) -> float:
    return measured(method, name, world).estimate(metric).value


def ss(method: Mitigation | None, axis: str, world: str = LARGE) -> float:
    return measured(method, "stereoset", world).estimate("ss", axis=axis).value


def test_reference_cafie_reverses_a_preference_and_mean_equalizes_it() -> None:
    """80 becomes 15, and 60."""
    was, reverse, even = (ss(method, NAMED, NAMING) for method in (None, REVERSED, MEAN))
    assert was > 70
    assert reverse < 30
    assert abs(even - 50) < min(15, abs(reverse - 50))


@pytest.mark.parametrize("method", [REVERSED, MEAN], ids=["reference", "mean"])
def test_cafie_leaves_texts_without_groups(method: Mitigation) -> None:
    for axis in AXES:
        if axis != NAMED:
            assert ss(method, axis, NAMING) == ss(None, axis, NAMING)
    assert value(method, "perplexity", "perplexity") == pytest.approx(
        value(None, "perplexity", "perplexity"), rel=1e-6
    )


def test_cafie_removes_the_effect_of_hints_and_reference_reduces_it() -> None:
    """0.72 before; -0.30 as released."""
    assert value(None, "genhint", "ub") > 0.5
    assert value(REVERSED, "genhint", "ub") < 0
    assert value(REVERSED, "genhint", "ub") < value(MEAN, "genhint", "ub") < 0.25


def test_self_debias_brings_types_nearer_to_parity_at_a_cost() -> None:
    """SS 64.5 to 58.3 overall, perplexity 10 % up."""
    far = [sum(abs(ss(method, axis) - 50) for axis in AXES) for method in (SelfDebias(), None)]
    assert far[0] < far[1]
    assert value(SelfDebias(), "stereoset", "lms") > value(None, "stereoset", "lms") - 3
    was, now = (value(method, "perplexity", "perplexity") for method in (None, SelfDebias()))
    assert 1.02 * was < now < 1.3 * was
