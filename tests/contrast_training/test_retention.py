"""The divergence from before: torch's own, over real places alone, in the reductions named."""

import pytest
import torch
from contrast_items import SUPPLY, model
from torch import Tensor, nn
from torch.nn.functional import kl_div

from equipoise.contrast_training.packed_forward import (
    PackedForward,
    Readout,
    ReferenceOutputs,
    reference_outputs,
)
from equipoise.contrast_training.retention import Divergence, Holding, Places, Texts, held_texts
from equipoise.contrast_training.tokenized import TokenizedText, tokenize_contrasts, tokenize_texts
from equipoise.errors import RecipeError
from equipoise.inference.lm_head import OutputLayer
from equipoise.training.lora import lora_config, lora_in_training

KINDS: tuple[Divergence, ...] = ("forward", "reverse", "ce_all_positions")
STATES, WIDTH, VOCABULARY = 5, 3, 4


def toy(kind: Divergence) -> tuple[float, list[Tensor], list[Tensor]]:
    """Two texts of 2 and 3 places over four words: the loss, and log-probabilities now, before."""
    generator = torch.Generator().manual_seed(1)
    reader = PackedForward(model())
    reader.head = OutputLayer(linear=nn.Linear(WIDTH, VOCABULARY))
    with torch.no_grad():
        for parameter in reader.head.linear.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    now, was = (torch.randn(STATES, WIDTH, generator=generator) for _ in range(2))
    texts = [
        TokenizedText(text="a", ids=(0, 1, 2), target_positions=(1,), shared_suffix_positions=()),
        TokenizedText(
            text="b", ids=(0, 3, 2, 1), target_positions=(1,), shared_suffix_positions=()
        ),
    ]
    found = Readout(states=now, tokens=torch.zeros(STATES, dtype=torch.long), counts=(2, 3))
    before = ReferenceOutputs(states={texts[0].ids: was[:2], texts[1].ids: was[2:]}, logprobs={})
    holding = Holding(texts=texts, batch=2, kind=kind)
    value = float(holding.loss(reader, found, texts, before).detach())
    with torch.no_grad():
        logs = [
            list(torch.split(reader.head.logits(states).log_softmax(-1), [2, 3]))
            for states in (now, was)
        ]
    return value, logs[0], logs[1]


def divergences(first: list[Tensor], second: list[Tensor]) -> list[Tensor]:
    """KL(second || first) at each place of each text, as torch has it."""
    return [
        kl_div(one, other, log_target=True, reduction="none").sum(-1)
        for one, other in zip(first, second, strict=True)
    ]


def test_forward_is_torchs_from_before_to_now() -> None:
    value, now, was = toy("forward")
    truth = torch.stack([divergence.mean() for divergence in divergences(now, was)]).mean()
    assert value == pytest.approx(float(truth), rel=1e-5)


def test_reverse_is_torchs_the_other_way_round() -> None:
    value, now, was = toy("reverse")
    truth = torch.stack([divergence.mean() for divergence in divergences(was, now)]).mean()
    assert value == pytest.approx(float(truth), rel=1e-5)
    assert value != pytest.approx(toy("forward")[0], rel=1e-2)


def test_the_released_codes_counts_a_hundred_places_a_text() -> None:
    """Its cross-entropy over padding, less the entropy of what was there before."""
    value, now, was = toy("ce_all_positions")
    cross = [-(b.exp() * a).sum(-1) for a, b in zip(now, was, strict=True)]
    own = [-(b.exp() * b).sum(-1) for b in was]
    padded = torch.zeros(2, 100)
    for row, (one, other) in enumerate(zip(cross, own, strict=True)):
        padded[row, : len(one)] = one - other
    assert value == pytest.approx(float(padded.mean()), rel=1e-5)


def read_with(
    holding: Holding,
    reader: PackedForward,
    texts: list[TokenizedText],
    before: ReferenceOutputs,
    *company: TokenizedText,
) -> float:
    several = [*company, *texts]
    places = [holding.places_of(one) for one in several]
    found = reader.read(several, places).after(len(company))
    return float(holding.loss(reader, found, texts, before).detach())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", ["llama", "gemma2"])  # gemma2 caps its logits
def test_it_is_zero_before_training_and_takes_no_notice_of_company(
    kind: Divergence, family: str
) -> None:
    of = model(family)
    reader = PackedForward(of)
    texts = tokenize_texts(
        of, [*SUPPLY.texts, "A text that is longer than all others."], longest=60
    )
    before = reference_outputs(reader, compared=texts)
    holding = Holding(texts=texts, batch=2, kind=kind)
    assert read_with(holding, reader, texts, before) == pytest.approx(0.0, abs=1e-6)
    config = lora_config(of.module, rank=2, alpha=4.0, dropout=0.0)
    with lora_in_training(of, config, seed=0) as parameters:
        for parameter in parameters.values():
            parameter.data += 0.05 * torch.randn(
                parameter.shape, generator=torch.Generator().manual_seed(2)
            )
        alone = [read_with(holding, reader, [text], before) for text in texts]
        together = read_with(holding, reader, texts, before)
        beside = read_with(holding, reader, texts[:1], before, texts[-1], texts[1])
    assert min(alone) > 0
    assert together == pytest.approx(sum(alone) / len(alone), rel=1e-4)
    assert beside == pytest.approx(alone[0], rel=1e-4)


def test_nothing_to_hold_is_no_loss() -> None:
    reader = PackedForward(model())
    empty = Readout(states=torch.zeros(0, 32), tokens=torch.zeros(0, dtype=torch.long), counts=())
    none = Holding(texts=(), batch=4)
    assert none.taken(3) == []
    assert float(none.loss(reader, empty, [], ReferenceOutputs(states={}, logprobs={}))) == 0.0


@pytest.mark.parametrize(
    ("which", "places", "said"),
    [
        ("unrelated", "all", "The cook is seven now"),
        ("unrelated", "span", " seven now"),
        ("unrelated", "after_filler", " now"),
        ("neutral", "all", "Door 0 is open."),
        ("neutral", "span", "Door 0 is open."),
    ],
)
def test_texts_and_their_places(which: Texts, places: Places, said: str) -> None:
    of = model()
    items = tokenize_contrasts(of, SUPPLY.contrasts, longest=60)
    texts = held_texts(of, items, SUPPLY.texts, origin="", which=which, places=places, longest=60)
    assert len(texts) == (len(items) if which == "unrelated" else len(SUPPLY.texts))
    holding = Holding(texts=texts, batch=2, places=places)
    chosen = [texts[0].ids[place] for place in holding.places_of(texts[0])]
    assert of.tokenizer.decode(chosen) == said


@pytest.mark.parametrize(
    ("which", "places", "longest"),
    [("neutral", "after_filler", 60), ("neutral", "all", 5), ("unrelated", "all", 60)],
)
def test_no_such_texts(which: Texts, places: Places, longest: int) -> None:
    with pytest.raises(RecipeError, match=f"must have {which} texts with places '{places}'"):
        held_texts(
            model(), [], SUPPLY.texts, origin="", which=which, places=places, longest=longest
        )


def test_texts_of_a_step_go_round() -> None:
    texts = tokenize_texts(model(), SUPPLY.texts, longest=60)
    holding = Holding(texts=texts, batch=2, seed=3)
    several = [one.text for step in range(5) for one in holding.taken(step)]
    assert sorted(several[:5]) == sorted(several[5:]) == sorted(SUPPLY.texts)
    assert holding.taken(2) == Holding(texts=texts, batch=2, seed=3).taken(2)
