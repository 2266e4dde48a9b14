"""DPO goes through parity and on; its repair stops there."""

from functools import cache

import pytest
from contrast_items import SUPPLY, model, quick, same, standings, weights
from pydantic import ValidationError

from equipoise.contrast_training.packed_forward import PackedForward, reference_outputs
from equipoise.contrast_training.tokenized import TokenizedContrast, tokenize_contrasts
from equipoise.edits.adapter import AdapterEdit
from equipoise.mitigate.dpo import Dpo


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)


def fitted(*, seed: int = 0, **options: object) -> AdapterEdit:
    chosen = {"steps": 16, "batch_size": 12, "learning_rate": 3e-3, **options}
    return Dpo(**chosen).fit(model(), SUPPLY, seed=seed)  # type: ignore[arg-type]


@cache
def dpo() -> AdapterEdit:
    return fitted()


@cache
def items() -> list[TokenizedContrast]:
    return tokenize_contrasts(model(), SUPPLY.dev_contrasts, longest=60)


def margins(edit: AdapterEdit | None) -> dict[str, float]:
    if edit is None:
        found = standings(model(), items())
    else:
        with edit.attached(model()) as edited:
            found = standings(edited, items())
    return {axis: one.margin.value for axis, one in found.items()}


def size_of_spans(edit: AdapterEdit | None) -> float:
    """Mean square of held-out margins of whole endings, in nats."""
    if edit is None:
        return _squares(PackedForward(model()))
    with edit.attached(model()) as edited:
        return _squares(PackedForward(edited))


def _squares(reader: PackedForward) -> float:
    texts = [text for item in items() for text in (item.stereotype, item.antistereotype)]
    found = reference_outputs(reader, scored=texts, compared=())
    texts = [text for item in items() for text in item.pair]
    logprobs = found.target_logprobs(texts)
    gaps = (logprobs[0::2] - logprobs[1::2]).tolist()
    return sum(gap**2 for gap in gaps) / len(gaps)


def test_dpo_goes_through_parity_and_on() -> None:
    """Below 0 for every type, on whichever side it began, and farther with more steps."""
    was = weights(model())
    some, more = margins(fitted(steps=8)), margins(dpo())
    for axis, one in margins(None).items():
        assert some[axis] < one
        assert more[axis] < min(0.0, some[axis])
    assert weights(model()) == was


def test_margin_goes_to_parity_from_either_side() -> None:
    edit = fitted(loss="margin", steps=24)
    assert size_of_spans(edit) < 0.25 * size_of_spans(None)
    went = margins(dpo())
    for axis, one in margins(edit).items():
        assert one > went[axis]


def test_options_and_seed_settle_every_byte() -> None:
    one = fitted(steps=2)
    assert same(one.tensors, fitted(steps=2).tensors)
    for changed in ({"seed": 1}, {"beta": 1.0}, {"loss": "margin"}, {"batch_size": 5}):
        assert not same(one.tensors, fitted(steps=2, **changed).tensors)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="loss"):
        Dpo(loss="ipo")  # type: ignore[arg-type]
