"""`keep_lms` and `keep_perplexity`: the edit is that of the last look within them."""

import math
from dataclasses import replace
from typing import Any

import pytest
from contrast_items import SUPPLY, quick, same, small, weights

from equipoise.contrast_training.controllers import Fixed
from equipoise.contrast_training.evaluation import HeldOut
from equipoise.contrast_training.side_effects import LMS, PERPLEXITY, Cost
from equipoise.errors import ModelError, RecipeError
from equipoise.mitigate.bias_unlearn import BiasUnlearn
from equipoise.mitigate.cda import Cda
from equipoise.mitigate.dpo import Dpo
from equipoise.mitigate.parity import Parity
from equipoise.mitigate.sft import Sft
from equipoise.records import text_sha256
from equipoise.stats.resample import Interval

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
    patch.setattr(HeldOut, "_fall", lambda *_: Cost(of=LMS, by=several.pop(0), now=50.0))


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
    with pytest.raises(
        ModelError, match=r"found more, after 4 steps held-out LMS had fallen by 3\.00"
    ):
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


# --- perplexity ---------------------------------------------------------------------------------

TEXTS = tuple(f"{index} he ZZ QQ {index} VV" for index in range(40))  # unlike what is learnt
SPOKEN = replace(SUPPLY, texts=TEXTS)
#: Learns much, from the first step.
FAST: Any = {"learning_rate": 0.05, "warmup": 0, "dropout": 0.0}


@every_method
def test_the_edit_is_that_of_the_last_look_that_kept_perplexity(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = [KEPT, KEPT, LOST]
    monkeypatch.setattr(
        HeldOut, "_rise", lambda *_: Cost(of=PERPLEXITY, by=several.pop(0), now=50.0)
    )
    method, options = METHODS[name]
    found = method(**(SHORT | options), keep_perplexity=2.0).fit(small(), SPOKEN, seed=0)
    assert (found.info.report["steps"], found.info.report["kept_after"]) == (4, 2)


@pytest.mark.parametrize("name", ["bias_unlearn", "parity"])
def test_what_is_kept_is_within_the_bound_and_what_is_undone_is_not(name: str) -> None:
    """Nothing pretended."""
    method, options = METHODS[name]
    fast = SHORT | options | FAST | {"steps": 6, "look_every": 1}
    found = method(**fast, keep_perplexity=1e9).fit(small(), SPOKEN, seed=0)
    rises = [look["perplexity"]["rise"] for look in found.info.report["looks"]]
    assert rises[0] == 0.0
    assert found.info.report["held_out_texts"] == 4
    bound = sorted(rises[1:])[2]
    assert bound > 0.01
    kept = method(**fast, keep_perplexity=bound).fit(small(), SPOKEN, seed=0).info.report
    after = [look["perplexity"]["rise"] for look in kept["looks"]]
    assert after == rises[: len(after)]
    within = [steps for steps, one in enumerate(after) if steps and one <= bound]
    assert kept["kept_after"] == within[-1]
    assert kept["steps"] == len(after) - 1
    if len(after) < len(rises):
        assert "perplexity of held-out plain texts had risen by" in kept["stopped"]
        assert after[-1] > bound


@both_kinds
def test_texts_that_are_looked_at_count_as_learnt(name: str) -> None:
    method, options = METHODS[name]
    found = method(**(SHORT | options), keep_perplexity=50.0).fit(small(), SPOKEN, seed=0)
    assert set(map(text_sha256, TEXTS[-4:])) <= found.info.trained_on
    assert not set(map(text_sha256, TEXTS[:-4])) & found.info.trained_on


@pytest.mark.parametrize("name", ["bias_unlearn", "parity"])
def test_texts_that_are_looked_at_do_not_hold_the_model(name: str) -> None:
    """Those that are learnt from are the others: with 36 of them it is the same training."""
    method, options = METHODS[name]
    held: Any = SHORT | options | {"kl_on": "neutral", "look_every": 10}
    one = method(**held, keep_perplexity=1e9).fit(small(), SPOKEN, seed=0)
    other = method(**held).fit(small(), replace(SUPPLY, texts=TEXTS[:-4]), seed=0)
    assert same(one.tensors, other.tensors)


def test_texts_of_a_corpus_are_not_both_learnt_and_looked_at() -> None:
    swapping: Any = {"source": "texts", **SHORT}
    one = Cda(**swapping, keep_perplexity=1e9).fit(small(), SPOKEN, seed=0)
    other = Cda(**swapping).fit(small(), replace(SUPPLY, texts=TEXTS[:-4]), seed=0)
    assert same(one.tensors, other.tensors)
    assert one.info.report["texts"] == 72


@both_kinds
def test_perplexity_is_kept_without_held_out_contrasts(name: str) -> None:
    method, options = METHODS[name]
    bare = replace(SPOKEN, dev_contrasts=())
    short: Any = SHORT | options
    kept = method(**short, keep_perplexity=1e9).fit(small(), bare, seed=0)
    plain = method(**short).fit(small(), bare, seed=0)
    assert same(kept.tensors, plain.tensors)
    assert [look["steps"] for look in kept.info.report["looks"]] == [0, 2, 4, 5]
    assert kept.info.report["held_out_items"] == 0


@every_method
@pytest.mark.parametrize("count", [0, 2])
def test_perplexity_cannot_be_kept_where_nothing_would_tell(name: str, count: int) -> None:
    method, options = METHODS[name]
    before = weights(small())
    said = f"keep_perplexity needs plain texts .* got {count} texts and 0 documents to look at"
    with pytest.raises(RecipeError, match=said):
        method(**(SHORT | options), keep_perplexity=5.0).fit(
            small(), replace(SUPPLY, texts=TEXTS[:count]), seed=0
        )
    assert weights(small()) == before
