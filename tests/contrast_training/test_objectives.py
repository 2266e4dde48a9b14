"""The losses of SFT, CDA, DPO and parity, against plain sums over their texts."""

import math
from functools import cache

import numpy as np
import pytest
import torch
from contrast_items import LEARNT, SUPPLY, contrasts, model

from equipoise.contrast_training.held_out_bias import margins_of, spreads_of
from equipoise.contrast_training.losses import Preference
from equipoise.contrast_training.objectives import Lean, Likelihood, Over, Parity, Preferred, over
from equipoise.contrast_training.packed_forward import (
    PackedForward,
    ReferenceOutputs,
    reference_outputs,
)
from equipoise.contrast_training.retention import Holding
from equipoise.contrast_training.tokenized import (
    TokenizedContrast,
    TokenizedText,
    tokenize_contrasts,
)

ROWS = torch.zeros(1, dtype=torch.long)


@cache
def items() -> list[TokenizedContrast]:
    return tokenize_contrasts(model(), SUPPLY.contrasts, longest=60)


@cache
def reader() -> PackedForward:
    return PackedForward(model())


@cache
def reference() -> ReferenceOutputs:
    texts = [one for item in items() for one in (item.stereotype, item.antistereotype)]
    held = [item.unrelated for item in items() if item.unrelated is not None]
    return reference_outputs(reader(), scored=texts, compared=held)


def mean(one: TokenizedText, which: Over) -> float:
    values = reference().logprobs[one.ids]
    return float(values[[place - 1 for place in over(one, which)]].mean())


@pytest.mark.parametrize("which", ["text", "span"])
def test_likelihood_is_the_mean_of_means(which: Over) -> None:
    texts = [item.antistereotype for item in items()]
    loss = Likelihood(reader=reader(), texts=texts, batch=12, over=which, seed=0)
    with torch.no_grad():
        found = float(loss(model().module, ROWS, 0))
    assert found == pytest.approx(-np.mean([mean(text, which) for text in texts]), rel=1e-5)


def spans_margin(one: TokenizedContrast) -> float:
    anti, stereotype = reference().target_logprobs([one.antistereotype, one.stereotype])
    return float(anti - stereotype)


@pytest.mark.parametrize("loss", ["dpo", "margin"])
def test_preference_begins_where_it_must(loss: Preference) -> None:
    found = Preferred(
        reader=reader(),
        items=items(),
        before=reference(),
        batch=12,
        beta=0.1,
        loss=loss,
        seed=0,
    )
    with torch.no_grad():
        value = float(found(model().module, ROWS, 0))
    margins = [spans_margin(item) for item in items()]
    expected = np.mean(np.square(margins)) if loss == "margin" else math.log(2)
    assert value == pytest.approx(expected, rel=1e-4)


def parity(
    *,
    batch: int,
    of: Lean = "mean",
    kl_weight: float = 0.0,
    several: list[TokenizedContrast] | None = None,
) -> Parity:
    chosen = several or items()
    held = [item.unrelated for item in items() if item.unrelated is not None]
    return Parity(
        reader=reader(),
        items=chosen,
        holding=Holding(texts=held, batch=4),
        before=reference(),
        batch=batch,
        of=of,
        spreads=spreads_of(reader(), chosen),
        kl_weight=kl_weight,
        seed=0,
    )


def by_type() -> list[np.ndarray]:
    margins = margins_of(reader(), items())
    return [margins[[item.axis == axis for item in items()]] for axis in ("color", "size")]


def test_parity_of_all_items_is_the_square_of_each_types_mean() -> None:
    """In units of its spread, so that it is as much for texts of any length."""
    with torch.no_grad():
        found = float(parity(batch=12)(model().module, ROWS, 0))
    expected = np.mean([(one.mean() / one.std()) ** 2 for one in by_type()])
    assert found == pytest.approx(float(expected), rel=1e-3)


def test_parity_of_shares_smooths_each_preference() -> None:
    with torch.no_grad():
        found = float(parity(batch=12, of="share")(model().module, ROWS, 0))
    expected = np.mean([np.tanh(4 * one / one.std()).mean() ** 2 for one in by_type()])
    assert found == pytest.approx(float(expected), rel=1e-3)


@pytest.mark.parametrize("of", ["mean", "share"])
def test_parity_of_some_items_is_right_on_average(of: Lean) -> None:
    """Over whole rounds of three steps, many of them."""
    loss = parity(batch=4, of=of)
    margins = margins_of(reader(), items())
    value = {item.id: margin for item, margin in zip(items(), margins, strict=True)}
    spreads = spreads_of(reader(), items())

    def estimate(group: list[TokenizedContrast]) -> float:
        leans = np.array([value[one.id] / spreads[one.axis] for one in group])
        if of == "share":
            leans = np.tanh(4 * leans)
        pairs = leans.prod()
        return float(pairs + (np.square(leans).mean() - pairs) / 6)

    found = np.mean([[estimate(group) for group in loss._groups(step)] for step in range(3000)])
    with torch.no_grad():
        whole = float(parity(batch=12, of=of)(model().module, ROWS, 0))
        step = float(loss(model().module, ROWS, 5))
    assert step == pytest.approx(np.mean([estimate(group) for group in loss._groups(5)]), rel=1e-3)
    assert found == pytest.approx(whole, abs=0.02)


def test_each_step_has_equally_many_different_items_of_each_type() -> None:
    for batch, each in ((2, 2), (9, 4), (12, 6), (99, 6)):
        loss = parity(batch=batch)
        for step in range(8):
            groups = loss._groups(step)
            assert [group[0].axis for group in groups] == ["color", "size"]
            assert all(len({one.id for one in group}) == len(group) == each for group in groups)


def test_a_type_of_one_item_has_its_own_square() -> None:
    (only,) = tokenize_contrasts(model(), contrasts(LEARNT[:1], ("color",)), longest=60)
    with torch.no_grad():
        found = float(parity(batch=4, several=[only])(model().module, ROWS, 0))
    assert found == pytest.approx(float(margins_of(reader(), [only])[0]) ** 2, rel=1e-3)


def test_the_divergence_is_added_by_its_weight_and_begins_at_zero() -> None:
    with torch.no_grad():
        plain = float(parity(batch=12)(model().module, ROWS, 0))
        held = float(parity(batch=12, kl_weight=50.0)(model().module, ROWS, 0))
    assert held == pytest.approx(plain, abs=1e-4)
