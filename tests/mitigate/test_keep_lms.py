"""`keep_lms`, which every method that learns contrasts has: the edit is that of a look before."""

import math
from dataclasses import replace
from typing import Any

import pytest
from contrast_items import SUPPLY, quick, same, small, weights

from equipoise.errors import ModelError
from equipoise.mitigate.bias_unlearn import BiasUnlearn
from equipoise.mitigate.cda import Cda
from equipoise.mitigate.dpo import Dpo
from equipoise.mitigate.parity import Parity
from equipoise.mitigate.sft import Sft
from equipoise.stats.resample import Interval
from equipoise.tuning.control import Fixed
from equipoise.tuning.held_out import Fall, HeldOut

SHORT: Any = {"steps": 5, "look_every": 2, "rank": 2}
METHODS = {
    "bias_unlearn": (BiasUnlearn, {"controller": "none", "first_look": 4}),
    "parity": (Parity, {}),
    "sft": (Sft, {}),
    "dpo": (Dpo, {}),
    "cda": (Cda, {"source": "contrasts"}),
}

every_method = pytest.mark.parametrize("name", METHODS)
both_kinds = pytest.mark.parametrize("name", ["bias_unlearn", "dpo"])  # of what holds the watch


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)


def fitted(name: str, **more: Any) -> Any:
    method, options = METHODS[name]
    return method(**(SHORT | options | more)).fit(small(), SUPPLY, seed=0)


LOST = Interval(value=3.0, low=1.0, high=5.0, n=12, clusters=6)
OVER = replace(LOST, low=-1.0)  # not more than chance
KEPT = Interval(value=0.0, low=0.0, high=0.0, n=12, clusters=6)


def falling(patch: pytest.MonkeyPatch, *falls: Interval) -> None:
    """What each look finds lost, after the one before training."""
    several = [KEPT, *falls]
    patch.setattr(HeldOut, "_fall", lambda *_: Fall(points=several.pop(0), lms=50.0))


@every_method
@pytest.mark.parametrize("second", [LOST, OVER])
def test_the_edit_is_that_of_the_last_look_that_kept_lms(
    name: str, second: Interval, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shown to be lost at the second look, or over the bound there and at the end."""
    before = weights(small())
    with monkeypatch.context() as patch:
        falling(patch, KEPT, second, OVER)
        found = fitted(name, keep_lms=2.0)
    assert found.info.report["kept_after"] == 2
    assert found.info.report["steps"] == (4 if second is LOST else 5)
    assert ("LMS had fallen by 3.00" in found.info.report["stopped"]) == (second is LOST)
    with monkeypatch.context() as patch:
        patch.setattr(Fixed, "step", lambda *_: "enough")
        stopped = fitted(name, first_look=2) if name == "bias_unlearn" else fitted(name)
    assert stopped.info.report["steps"] == 2
    assert same(found.tensors, stopped.tensors)
    assert weights(small()) == before


@both_kinds
def test_the_last_steps_are_looked_at_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    falling(monkeypatch, KEPT, OVER, LOST)
    found = fitted(name, keep_lms=2.0)
    assert (found.info.report["steps"], found.info.report["kept_after"]) == (5, 2)


@both_kinds
def test_a_training_that_loses_too_much_leaves_the_model(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = weights(small())
    falling(monkeypatch, OVER, LOST)
    with pytest.raises(ModelError, match="it had fallen by more at every look, after 4 steps"):
        fitted(name, keep_lms=2.0)
    assert weights(small()) == before


@both_kinds
def test_where_nothing_is_lost_it_changes_nothing_but_the_report(name: str) -> None:
    plain, kept = fitted(name), fitted(name, keep_lms=99.0)
    assert same(plain.tensors, kept.tensors)
    assert "kept_after" not in plain.info.report
    assert kept.info.report["kept_after"] == kept.info.report["steps"] == 5
    looks = kept.info.report["looks"]
    assert [math.isfinite(look["lms"]["lms"]) for look in looks] == [True] * len(looks)
    assert not any("lms" in look for look in plain.info.report["looks"])


@both_kinds
def test_looks_are_in_the_models_own_arithmetic(name: str) -> None:
    """Mixed precision alone would move margins, and a rank or two of LMS."""
    found = fitted(name, keep_lms=99.0, bf16=True, learning_rate=1e-9, dropout=0.0)
    first, *later = found.info.report["looks"]
    for look in later:
        for axis, one in look["standings"].items():
            assert one["margin"] == pytest.approx(first["standings"][axis]["margin"], abs=1e-5)


def test_texts_of_a_corpus_are_learnt_within_the_bound_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    falling(monkeypatch, KEPT, LOST)
    spoken = replace(SUPPLY, texts=("He is here.", "She is there."))
    method = Cda(source="texts", keep_lms=2.0, **SHORT)
    assert method.fit(small(), spoken, seed=0).info.report["kept_after"] == 2


def test_a_controller_that_acts_acts_the_same() -> None:
    acting = {"controller": "paper", "first_look": 2, "look_every": 1}
    plain, kept = (
        fitted("bias_unlearn", **acting, keep_lms=bound).info.report["looks"]
        for bound in (None, 99.0)
    )
    assert [
        (one["steps"], one["directions"], one["active"]) for one in kept if one["steps"] != 1
    ] == [(one["steps"], one["directions"], one["active"]) for one in plain]
    assert len({str(one["directions"]) for one in plain}) > 1
