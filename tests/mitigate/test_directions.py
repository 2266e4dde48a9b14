"""What LFTF's paper reports, on a planted world: which of its directions hold, over three seeds.

Source: LFTF (anonymous ACL submission), tables 2 and 4, as directions (methods-lftf 2.4). Training
and measuring share no profession. `LONG` gives the 225 training prompts about as many steps as the
paper has (60). Numbers in comments are means over the seeds with their range, measured on
`planted:default`: AFGB 0.310, mass 0.799, UB 0.719 before.
"""

from dataclasses import dataclass
from functools import cache

import pytest

from equipoise.benchmarks.genbias import GenBias
from equipoise.benchmarks.genhint import GenHint
from equipoise.locate.fixed_block import FixedBlock
from equipoise.measure import measure
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.full_finetune import FullFinetune
from equipoise.mitigate.lftf import Lftf
from equipoise.models.language_model import LanguageModel
from equipoise.planted.model import load_planted

pytestmark = pytest.mark.slow

SEEDS = (0, 1, 2)
LONG = 8  # epochs, of 8 steps each
GENBIAS = GenBias(world="default", split_by="profession")
GENHINT = GenHint(world="default", variant="hint1572", split_by="profession")


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
    bias = measure(model, GENBIAS, draws=20)
    hint = measure(model, GENHINT, draws=20)
    scales = ("word", "phrase", "sentence")
    return Reading(
        afgb=bias.estimate("afgb").value,
        by_scale={one: bias.estimate("afgb", scale=one).value for one in scales},
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
    for seed in SEEDS:
        edit = method.fit(planted(), GENBIAS.supply(), seed=seed)
        with edit.attached(planted()) as edited:
            readings.append(read(edited))
    return tuple(readings)


def test_1_both_terms_lower_the_gap_on_every_scale() -> None:
    """0.017 [0.014, 0.018]; 0.019, 0.015 and 0.016 on words, phrases and sentences."""
    for one in after(Lftf(epochs=LONG)):
        assert all(one.by_scale[s] < 0.2 * before().by_scale[s] for s in before().by_scale)
    for one in after(Lftf()):  # the paper's two epochs, a quarter of its steps
        assert one.afgb < 0.6 * before().afgb


def test_2_full_finetuning_lowers_the_gap_more_than_the_last_block() -> None:
    """0.023 [0.018, 0.027] against 0.047 [0.044, 0.053] of the last block, which the paper has."""
    last = Lftf(epochs=LONG, locator=FixedBlock(block=-1))
    for full, one_block in zip(after(FullFinetune(epochs=LONG)), after(last), strict=True):
        assert full.afgb < one_block.afgb < 0.3 * before().afgb


def test_2_but_not_more_than_the_first_block() -> None:
    """0.017 [0.014, 0.018] for block 0, which BMI finds here: as good as everything at once."""
    for one in after(Lftf(epochs=LONG)):
        assert one.afgb < after(FullFinetune(epochs=LONG))[0].afgb + 0.01


def test_2_full_finetuning_unlearns_hints_more() -> None:
    """UB 0.173 [0.152, 0.200] against 0.237 [0.231, 0.241]; 0.023 at three times the rate."""
    for full, one_block in zip(
        after(FullFinetune(epochs=LONG)), after(Lftf(epochs=LONG)), strict=True
    ):
        assert full.ub < one_block.ub < 0.5 * before().ub
    assert all(one.ub < 0.1 for one in after(FullFinetune(epochs=LONG, learning_rate=1e-3)))


@pytest.mark.parametrize("terms", ["he", "she"])
def test_3_a_single_term_makes_one_pronoun_certain(terms: str) -> None:
    """AFGB 0.990, UB 0.03 to 0.04, on every seed."""
    for one in after(Lftf(epochs=LONG, terms=terms)):  # type: ignore[arg-type]
        assert one.afgb > 0.95
        assert abs(one.ub) < 0.1


def test_4_the_mlp_alone_keeps_hints_and_more_of_the_gap() -> None:
    """UB 0.510 and AFGB 0.072 for the MLP, 0.101 and 0.030 for attention, of block 0."""
    mlp, attention = Lftf(epochs=LONG, train="mlp"), Lftf(epochs=LONG, train="attention")
    for kept, lost in zip(after(mlp), after(attention), strict=True):
        assert kept.ub > lost.ub + 0.2
        assert kept.afgb > lost.afgb
        assert kept.afgb < before().afgb


def test_5_both_terms_take_all_the_mass() -> None:
    """0.993 on every seed, from 0.799: the collateral damage that the paper does not report."""
    for one in after(Lftf(epochs=LONG)):
        assert one.mass > 0.97 > before().mass + 0.1


def test_parity_keeps_the_mass() -> None:
    """Mass 0.801 [0.799, 0.802], AFGB 0.015 [0.010, 0.019]."""
    for one in after(Lftf(objective="parity", epochs=LONG)):
        assert one.afgb < 0.04
        assert one.mass == pytest.approx(before().mass, abs=0.02)


def test_parity_alone_unlearns_hints_and_with_hints_kept_does_not() -> None:
    """UB 0.175 [0.154, 0.189] alone; 0.714 [0.711, 0.718] with them, at AFGB 0.017."""
    assert all(one.ub < 0.4 for one in after(Lftf(objective="parity", epochs=LONG)))
    for one in after(Lftf(objective="parity", epochs=LONG, keep_hints=1.0)):
        assert one.ub == pytest.approx(before().ub, abs=0.03)
        assert one.afgb < 0.04
        assert one.mass == pytest.approx(before().mass, abs=0.02)


def test_hints_can_be_kept_under_ce_both_too() -> None:
    """UB 0.701 [0.694, 0.713], AFGB 0.014, while the mass still goes to 0.993."""
    for one in after(Lftf(epochs=LONG, keep_hints=1.0)):
        assert one.ub > 0.9 * before().ub
        assert one.mass > 0.97
