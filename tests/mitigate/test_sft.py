"""SFT: both texts of an item become likelier, by as much."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from contrast_items import SUPPLY, model, quick, same, weights

from equipoise.edits.adapter import AdapterEdit
from equipoise.inference.scoring import score
from equipoise.mitigate.sft import Sft
from equipoise.records import Continuation


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)


def fitted(*, seed: int = 0, **options: object) -> AdapterEdit:
    chosen = {"steps": 12, "batch_size": 12, "learning_rate": 3e-3, **options}
    return Sft(**chosen).fit(model(), SUPPLY, seed=seed)  # type: ignore[arg-type]


def likelihoods(edit: AdapterEdit | None) -> tuple[float, float]:
    """Mean log-probability a token of held-out stereotypes and of anti-stereotypes."""
    texts = [
        [Continuation(context="", continuation=one.context + ending) for one, ending in pairs]
        for pairs in (
            [(dev_contrast, dev_contrast.stereotype) for dev_contrast in SUPPLY.dev_contrasts],
            [(dev_contrast, dev_contrast.antistereotype) for dev_contrast in SUPPLY.dev_contrasts],
        )
    ]
    with nullcontext(model()) if edit is None else edit.attached(model()) as edited:
        one, other = (float(np.mean([s.mean for s in score(edited, some)])) for some in texts)
    return one, other


def test_both_texts_become_likelier() -> None:
    was = weights(model())
    edit = fitted()
    for now, then in zip(likelihoods(edit), likelihoods(None), strict=True):
        assert now > then + 0.1
    assert weights(model()) == was
    assert edit.info.report["last_loss"] < edit.info.report["first_loss"]  # type: ignore[operator]


def test_the_seed_settles_every_byte() -> None:
    one, again, other = (fitted(steps=2, seed=seed) for seed in (0, 0, 1))
    assert same(one.tensors, again.tensors)
    assert not same(one.tensors, other.tensors)


def test_how_many_contrasts_were_too_long_is_reported() -> None:
    first, *rest = SUPPLY.contrasts
    long = replace(first, context=f"{first.context} {'very ' * 15}")
    supply = replace(SUPPLY, contrasts=(long, *rest))
    found = Sft(steps=1, rank=2, longest=60).fit(model(), supply, seed=0).info.report
    assert (found["items"], found["left_out_items"]) == (11, 1)
