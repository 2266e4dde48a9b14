"""SFT: both texts of an item become likelier, by as much."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from contrast_items import SUPPLY, loss_of, model, quick, same, value_of, weights

from equipoise.contrast_training.packed_forward import PackedForward, reference_outputs
from equipoise.contrast_training.tokenized import ScoredSpan, tokenize_contrasts
from equipoise.edits.adapter import AdapterEdit
from equipoise.inference.scoring import score
from equipoise.mitigate.sft import Sft
from equipoise.records import Continuation

HELD_OUT = SUPPLY.dev_contrasts


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)


def fitted(*, seed: int = 0, **options: object) -> AdapterEdit:
    chosen = {"steps": 6, "batch_size": 12, "learning_rate": 6e-3, **options}
    bare = replace(SUPPLY, dev_contrasts=())  # nothing is evaluated
    return Sft(**chosen).fit(model(), bare, seed=seed)  # type: ignore[arg-type]


def likelihoods(edit: AdapterEdit | None) -> tuple[float, float]:
    """Mean log-probability per token of held-out stereotypes and of anti-stereotypes."""
    texts = [
        [Continuation(context="", continuation=item.context + side(item)) for item in HELD_OUT]
        for side in (lambda item: item.stereotype, lambda item: item.antistereotype)
    ]
    with nullcontext(model()) if edit is None else edit.attached(model()) as edited:
        stereotype, antistereotype = (
            float(np.mean([s.mean for s in score(edited, side)])) for side in texts
        )
    return stereotype, antistereotype


@pytest.mark.thorough
@pytest.mark.parametrize("over", ["text", "span"])
def test_the_loss_is_the_mean_of_means(over: ScoredSpan) -> None:
    """Over all texts at once, so that the order does not matter."""
    items = tokenize_contrasts(model(), SUPPLY.contrasts, longest=60)
    texts = [text for item in items for text in item.pair]
    logprobs = reference_outputs(PackedForward(model()), scored=texts).logprobs
    means = [
        float(logprobs[text.ids][[place - 1 for place in text.part(over)]].mean()) for text in texts
    ]
    loss = value_of(loss_of(Sft(over=over, batch_size=24)))
    assert loss == pytest.approx(-np.mean(means), rel=1e-5)


@pytest.mark.thorough
def test_both_texts_become_likelier() -> None:
    was = weights(model())
    edit = fitted()
    for now, then in zip(likelihoods(edit), likelihoods(None), strict=True):
        assert now > then + 0.1
    assert weights(model()) == was
    assert edit.info.report["last_loss"] < edit.info.report["first_loss"]  # type: ignore[operator]


@pytest.mark.thorough
def test_seed_determines_every_byte() -> None:
    edit, again, reseeded = (fitted(steps=1, seed=seed) for seed in (0, 0, 1))
    assert same(edit.tensors, again.tensors)
    assert not same(edit.tensors, reseeded.tensors)


@pytest.mark.thorough
def test_how_many_contrasts_were_too_long_is_reported() -> None:
    first, *rest = SUPPLY.contrasts
    long = replace(first, context=f"{first.context} {'very ' * 15}")
    supply = replace(SUPPLY, contrasts=(long, *rest))
    report = Sft(steps=1, rank=2, longest=60).fit(model(), supply, seed=0).info.report
    assert (report["items"], report["left_out_items"]) == (11, 1)
