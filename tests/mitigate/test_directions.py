"""What LFTF's paper reports, on a planted world: which of its directions hold, over three seeds.

Source: LFTF (anonymous ACL submission), tables 2 and 4, as directions (methods-lftf 2.4). Training
and measuring share no profession. `LONG` gives the 225 training prompts about as many steps as the
paper has (60). Numbers in comments are means over the seeds with their range, measured on
`planted:default`: AFGB 0.308, mass 0.800, UB 0.721 before.
"""

from dataclasses import dataclass
from functools import cache

import pytest
from worlds import in_world

from equipoise.benchmarks.genbias import GenBias
from equipoise.benchmarks.genhint import GenHint
from equipoise.inference.language_model import LanguageModel
from equipoise.locate.fixed_block import FixedBlock
from equipoise.measure import measure
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.full_finetune import FullFinetune
from equipoise.mitigate.lftf import Lftf
from equipoise.planted.model import load_planted
from equipoise.supply.genbias import GenBiasSupply
from equipoise.training.pronoun_losses import CeBoth, Parity

pytestmark = pytest.mark.slow

SEEDS = (0, 1, 2)
LONG = 8  # epochs, of 8 steps each
GENBIAS = GenBias(split_by="profession")
GENHINT = GenHint(variant="hint1572", split_by="profession")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What was measured on one model."""

    afgb: float
    by_scale: dict[str, float]
    mass: float
    ub: float


@cache
def planted() -> LanguageModel:
    return load_planted("default", device="cpu")


def read(model: LanguageModel) -> Reading:
    with in_world():
        bias = measure(model, GENBIAS, draws=20)
        hint = measure(model, GENHINT, draws=20)
    scales = ("word", "phrase", "sentence")
    return Reading(
        afgb=bias.estimate("afgb").value,
        by_scale={scale: bias.estimate("afgb", scale=scale).value for scale in scales},
        mass=bias.estimate("mass").value,
        ub=hint.estimate("ub").value,
    )


@cache
def before() -> Reading:
    return read(planted())


@cache
def after(method: Mitigation) -> tuple[Reading, ...]:
    """Readings of the edited model, one a seed."""
    readings = []
    with in_world():
        supply = GenBiasSupply().supply()
    for seed in SEEDS:
        edit = method.fit(planted(), supply, seed=seed)
        with edit.attached(planted()) as edited:
            readings.append(read(edited))
    return tuple(readings)


def test_1_both_terms_lower_the_gap_on_every_scale() -> None:
    """0.029 [0.022, 0.041]; 0.038, 0.027 and 0.023 on words, phrases and sentences."""
    for gaps in after(Lftf(epochs=LONG)):
        assert all(gaps.by_scale[s] < 0.2 * before().by_scale[s] for s in before().by_scale)
    for gaps in after(Lftf()):  # the paper's two epochs, a quarter of its steps
        assert gaps.afgb < 0.6 * before().afgb


def test_2_full_finetuning_lowers_the_gap_more_than_one_block() -> None:
    """0.014 [0.013, 0.015] against 0.029 [0.022, 0.041] of block 0, which BMI finds here, and
    0.088 [0.087, 0.090] of the last, which the paper has."""
    first, last = Lftf(epochs=LONG), Lftf(epochs=LONG, locator=FixedBlock(block=-1))
    for full, first_block, last_block in zip(
        after(FullFinetune(epochs=LONG)), after(first), after(last), strict=True
    ):
        assert full.afgb < first_block.afgb < last_block.afgb < 0.35 * before().afgb


def test_2_full_finetuning_unlearns_hints_more() -> None:
    """UB 0.327 [0.318, 0.335] against 0.432 [0.419, 0.438]; 0.021 at three times the rate."""
    for full, one_block in zip(
        after(FullFinetune(epochs=LONG)), after(Lftf(epochs=LONG)), strict=True
    ):
        assert full.ub < one_block.ub < 0.7 * before().ub
    assert all(gaps.ub < 0.1 for gaps in after(FullFinetune(epochs=LONG, learning_rate=1e-3)))


@pytest.mark.parametrize("terms", ["he", "she"])
def test_3_a_single_term_makes_one_pronoun_certain(terms: str) -> None:
    """AFGB 0.99 on every seed; UB 0.030 [0.027, 0.034] for he, 0.098 [0.066, 0.125] for she."""
    for gaps in after(Lftf(epochs=LONG, objective=CeBoth(terms=terms))):  # type: ignore[arg-type]
        assert gaps.afgb > 0.95
        assert abs(gaps.ub) < 0.25 * before().ub


def test_4_the_mlp_alone_keeps_hints() -> None:
    """UB 0.644 [0.640, 0.647] for the MLP of block 0, 0.396 [0.385, 0.409] for its attention.

    The other half of the published direction, that the MLP alone leaves more of the gap, is not
    settled there: AFGB 0.064 [0.058, 0.072] against 0.059 [0.053, 0.062].
    """
    mlp, attention = Lftf(epochs=LONG, train="mlp"), Lftf(epochs=LONG, train="attention")
    for kept, lost in zip(after(mlp), after(attention), strict=True):
        assert kept.ub > lost.ub + 0.1
        assert max(kept.afgb, lost.afgb) < 0.4 * before().afgb
        assert abs(kept.afgb - lost.afgb) < 0.05


def test_4_turns_round_at_the_last_block() -> None:
    """AFGB 0.335 [0.331, 0.341] after its attention alone, above 0.308 before; MLP 0.102."""
    last = FixedBlock(block=-1)
    mlp = after(Lftf(epochs=LONG, train="mlp", locator=last))
    attention = after(Lftf(epochs=LONG, train="attention", locator=last))
    for helped, harmed in zip(mlp, attention, strict=True):
        assert helped.afgb < 0.5 * before().afgb
        assert harmed.afgb > before().afgb


def test_5_both_terms_take_all_the_mass() -> None:
    """0.992 [0.991, 0.992], from 0.800: the collateral damage that the paper does not report."""
    for gaps in after(Lftf(epochs=LONG)):
        assert gaps.mass > 0.97 > before().mass + 0.1


def test_parity_keeps_the_mass() -> None:
    """Mass 0.800 [0.798, 0.803], AFGB 0.008 [0.008, 0.009]."""
    for gaps in after(Lftf(objective=Parity(), epochs=LONG)):
        assert gaps.afgb < 0.04
        assert gaps.mass == pytest.approx(before().mass, abs=0.02)


def test_parity_alone_unlearns_hints_and_with_hints_kept_does_not() -> None:
    """UB 0.279 [0.262, 0.293] alone; 0.700 [0.694, 0.706] with them, at AFGB 0.009."""
    assert all(gaps.ub < 0.4 for gaps in after(Lftf(objective=Parity(), epochs=LONG)))
    for gaps in after(Lftf(objective=Parity(), epochs=LONG, keep_hints=1.0)):
        assert gaps.ub == pytest.approx(before().ub, abs=0.03)
        assert gaps.afgb < 0.04
        assert gaps.mass == pytest.approx(before().mass, abs=0.02)


def test_hints_can_be_kept_under_ce_both_too() -> None:
    """UB 0.722 [0.719, 0.723], AFGB 0.029, while the mass still goes to 0.991."""
    for gaps in after(Lftf(epochs=LONG, keep_hints=1.0)):
        assert gaps.ub > 0.9 * before().ub
        assert gaps.mass > 0.97
