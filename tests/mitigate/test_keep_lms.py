"""`keep_lms`, which every method that learns contrasts has: the edit is that of a look before."""

import math
from typing import Any

import pytest
from contrast_items import SUPPLY, quick, same, small, weights

from equipoise.mitigate.bias_unlearn import BiasUnlearn
from equipoise.mitigate.cda import Cda
from equipoise.mitigate.dpo import Dpo
from equipoise.mitigate.parity import Parity
from equipoise.mitigate.sft import Sft
from equipoise.tuning.control import Fixed
from equipoise.tuning.held_out import Fall

SHORT: Any = {"steps": 5, "look_every": 2, "rank": 2}
METHODS = {
    "bias_unlearn": (BiasUnlearn, {"controller": "none", "first_look": 4}),
    "parity": (Parity, {}),
    "sft": (Sft, {}),
    "dpo": (Dpo, {}),
    "cda": (Cda, {"source": "contrasts"}),
}

every_method = pytest.mark.parametrize("name", METHODS)


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)


def fitted(name: str, **more: Any) -> Any:
    method, options = METHODS[name]
    return method(**(SHORT | options | more)).fit(small(), SUPPLY, seed=0)


@every_method
def test_the_edit_is_that_of_the_last_look_that_kept_lms(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = weights(small())
    answers = [False, True]
    with monkeypatch.context() as patch:
        patch.setattr(Fall, "over", lambda *_: answers.pop(0))
        found = fitted(name, keep_lms=2.0)
    assert answers == []
    assert found.info.report["kept_after"] == 2
    assert found.info.report["steps"] == 4
    assert "what is kept is as it was after 2" in found.info.report["stopped"]
    with monkeypatch.context() as patch:
        patch.setattr(Fixed, "step", lambda *_: "enough")
        stopped = fitted(name, first_look=2) if name == "bias_unlearn" else fitted(name)
    assert stopped.info.report["steps"] == 2
    assert same(found.tensors, stopped.tensors)
    assert weights(small()) == before


@every_method
def test_the_last_steps_are_looked_at_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [False, False, True]
    monkeypatch.setattr(Fall, "over", lambda *_: answers.pop(0))
    found = fitted(name, keep_lms=2.0)
    assert (found.info.report["steps"], found.info.report["kept_after"]) == (5, 4)


@every_method
def test_where_nothing_is_lost_it_changes_nothing_but_the_report(name: str) -> None:
    plain, kept = fitted(name), fitted(name, keep_lms=99.0)
    assert same(plain.tensors, kept.tensors)
    assert "kept_after" not in kept.info.report
    looks = kept.info.report["looks"]
    assert [math.isfinite(look["lms"]["lms"]) for look in looks] == [True] * len(looks)
    assert not any("lms" in look for look in plain.info.report["looks"])
