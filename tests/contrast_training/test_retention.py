"""The divergence from before: torch's own, over real positions alone, in the reductions named."""

import pytest
import torch
from contrast_items import SUPPLY, model
from torch import Tensor, nn
from torch.nn.functional import kl_div

from equipoise.contrast_training.losses import AnyKl, ForwardKl, PaddedKl, ReverseKl
from equipoise.contrast_training.packed_forward import (
    PackedForward,
    Readout,
    ReferenceOutputs,
    reference_outputs,
)
from equipoise.contrast_training.session import AdapterOptions, ContrastTraining
from equipoise.contrast_training.tokenized import TokenizedText, tokenize_texts
from equipoise.edits.edit import Maker
from equipoise.errors import RecipeError
from equipoise.inference.lm_head import OutputLayer
from equipoise.training.lora import lora_config, lora_in_training

STATES, WIDTH, VOCABULARY = 5, 3, 4


def toy(kl: AnyKl) -> tuple[float, list[Tensor], list[Tensor]]:
    """Texts of 2 and 3 positions over four words: the loss, and log-probabilities now, before."""
    generator = torch.Generator().manual_seed(1)
    forward = PackedForward(model())
    forward.head = OutputLayer(linear=nn.Linear(WIDTH, VOCABULARY))
    with torch.no_grad():
        for parameter in forward.head.linear.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    now, was = (torch.randn(STATES, WIDTH, generator=generator) for _ in range(2))
    texts = [
        TokenizedText(text="a", ids=(0, 1, 2), target_positions=(1,), shared_suffix_positions=()),
        TokenizedText(
            text="b", ids=(0, 3, 2, 1), target_positions=(1,), shared_suffix_positions=()
        ),
    ]
    readout = Readout(states=now, tokens=torch.zeros(STATES, dtype=torch.long), counts=(2, 3))
    before = ReferenceOutputs(states={texts[0].ids: was[:2], texts[1].ids: was[2:]}, logprobs={})
    value = float(kl.loss(forward, readout, texts, before).detach())
    with torch.no_grad():
        logs = [
            list(torch.split(forward.head.logits(states).log_softmax(-1), [2, 3]))
            for states in (now, was)
        ]
    return value, logs[0], logs[1]


def divergences(first: list[Tensor], second: list[Tensor]) -> list[Tensor]:
    """KL(second || first) at each position of each text, as torch has it."""
    return [
        kl_div(one, other, log_target=True, reduction="none").sum(-1)
        for one, other in zip(first, second, strict=True)
    ]


def test_forward_is_torchs_from_before_to_now() -> None:
    value, now, was = toy(ForwardKl())
    truth = torch.stack([divergence.mean() for divergence in divergences(now, was)]).mean()
    assert value == pytest.approx(float(truth), rel=1e-5)


def test_reverse_is_torchs_the_other_way_round() -> None:
    value, now, was = toy(ReverseKl())
    truth = torch.stack([divergence.mean() for divergence in divergences(was, now)]).mean()
    assert value == pytest.approx(float(truth), rel=1e-5)
    assert value != pytest.approx(toy(ForwardKl())[0], rel=1e-2)


def test_the_released_codes_counts_a_hundred_positions_per_text() -> None:
    """Its cross-entropy over padding, less the entropy of what was there before."""
    value, now, was = toy(PaddedKl())
    cross = [-(b.exp() * a).sum(-1) for a, b in zip(now, was, strict=True)]
    entropy = [-(b.exp() * b).sum(-1) for b in was]
    padded = torch.zeros(2, 100)
    for row, (one, other) in enumerate(zip(cross, entropy, strict=True)):
        padded[row, : len(one)] = one - other
    assert value == pytest.approx(float(padded.mean()), rel=1e-5)


MAKER = Maker(method="m", version="1", options={}, seed=0)


def divergence_of(
    kl: AnyKl,
    forward: PackedForward,
    texts: list[TokenizedText],
    before: ReferenceOutputs,
    *company: TokenizedText,
) -> float:
    packed = [*company, *texts]
    _, readout = forward.read(packed, [text.part(kl.over) for text in packed]).cut(len(company))
    return float(kl.loss(forward, readout, texts, before).detach())


@pytest.mark.parametrize("kl", [ForwardKl(), ReverseKl(), PaddedKl()], ids=lambda kl: kl.name)
@pytest.mark.parametrize("family", ["llama", "gemma2"])  # gemma2 caps its logits
def test_it_is_zero_before_training_and_does_not_depend_on_company(kl: AnyKl, family: str) -> None:
    of = model(family)
    forward = PackedForward(of)
    texts = tokenize_texts(
        of, [*SUPPLY.texts, "A text that is longer than all others."], longest=60
    )
    before = reference_outputs(forward, compared=texts)
    assert divergence_of(kl, forward, texts, before) == pytest.approx(0.0, abs=1e-6)
    config = lora_config(of.module, rank=2, alpha=4.0, dropout=0.0)
    with lora_in_training(of, config, seed=0) as parameters:
        for parameter in parameters.values():
            parameter.data += 0.05 * torch.randn(
                parameter.shape, generator=torch.Generator().manual_seed(2)
            )
        alone = [divergence_of(kl, forward, [text], before) for text in texts]
        together = divergence_of(kl, forward, texts, before)
        beside = divergence_of(kl, forward, texts[:1], before, texts[-1], texts[1])
    assert min(alone) > 0
    assert together == pytest.approx(sum(alone) / len(alone), rel=1e-4)
    assert beside == pytest.approx(alone[0], rel=1e-4)


@pytest.mark.parametrize(
    ("kl", "part"),
    [
        (ForwardKl(), "The cook is seven now"),
        (ForwardKl(over="span"), " seven now"),
        (ForwardKl(over="after_filler"), " now"),
        (ForwardKl(texts="neutral"), "Door 0 is open."),
        (ForwardKl(texts="neutral", over="span"), "Door 0 is open."),
    ],
)
def test_texts_and_their_parts(kl: AnyKl, part: str) -> None:
    of = model()
    training = ContrastTraining.on_contrasts(of, SUPPLY, AdapterOptions(longest=60), MAKER)
    texts = training.kl_texts(kl)
    pools = {"unrelated": training.contrasts, "neutral": SUPPLY.texts}
    assert len(texts) == len(pools[kl.texts])
    chosen = [texts[0].ids[position] for position in texts[0].part(kl.over)]
    assert of.tokenizer.decode(chosen) == part


@pytest.mark.parametrize(
    ("kl", "longest"),
    [
        (ForwardKl(texts="neutral", over="after_filler"), 60),
        (ForwardKl(texts="neutral"), 5),
        (ForwardKl(), 60),
    ],
)
def test_no_such_texts(kl: AnyKl, longest: int) -> None:
    with pytest.raises(RecipeError, match=f"{kl.texts} texts with a part '{kl.over}'"):
        ContrastTraining.on_texts(model(), SUPPLY, AdapterOptions(longest=longest), MAKER).kl_texts(
            kl
        )


def test_each_epoch_has_every_text() -> None:
    texts = tokenize_texts(model(), SUPPLY.texts, longest=60)
    kl = ForwardKl(batch=2)
    drawn = [text.text for step in range(5) for text in kl.draw(texts, step=step, seed=3)]
    assert sorted(drawn[:5]) == sorted(drawn[5:]) == sorted(SUPPLY.texts)
