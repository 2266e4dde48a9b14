"""Batches by their step alone; likelihood by hand; the KL is torch's, over real positions alone."""

from collections import Counter

import pytest
import torch
from contrast_items import SUPPLY, model
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import kl_div

from equipoise.contrast_training.packed_forward import (
    PackedForward,
    Readout,
    ReferenceOutputs,
    reference_outputs,
)
from equipoise.contrast_training.session import AdapterOptions, ContrastTraining
from equipoise.contrast_training.steps import (
    AnyKl,
    ForwardKl,
    PaddedKl,
    ReverseKl,
    epoch_batch,
    likelihood,
    mixed_batch,
)
from equipoise.contrast_training.tokenized import TokenizedText, tokenize_texts
from equipoise.errors import RecipeError
from equipoise.inference.lm_head import OutputLayer
from equipoise.training.lora import lora_config, lora_in_training

sizes = st.integers(1, 9)
seeds = st.lists(st.integers(0, 5), min_size=1, max_size=3)


@pytest.mark.thorough
@given(count=sizes, size=sizes, epochs=st.integers(1, 3), seed=seeds)
def test_every_item_comes_once_per_epoch(
    count: int, size: int, epochs: int, seed: list[int]
) -> None:
    steps = epochs * count  # after which `epochs * size` epochs are over
    drawn = [
        item
        for step in range(steps)
        for item in epoch_batch(range(count), size, step=step, seed=seed)
    ]
    for begin in range(0, len(drawn), count):
        assert sorted(drawn[begin : begin + count]) == list(range(count))


def test_a_batch_is_the_same_after_a_restart_and_epochs_differ() -> None:
    first = [epoch_batch(range(7), 3, step=step, seed=(4, 1)) for step in range(20)]
    again = [epoch_batch(range(7), 3, step=step, seed=(4, 1)) for step in reversed(range(20))]
    assert first == again[::-1]
    assert first != [epoch_batch(range(7), 3, step=step, seed=(4, 2)) for step in range(20)]
    flat = [item for batch in first for item in batch]
    assert flat[:7] != flat[7:14]


def test_no_items_and_no_size_give_no_batch() -> None:
    assert epoch_batch([], 4, step=3, seed=(0,)) == []
    assert epoch_batch(range(4), 0, step=3, seed=(0,)) == []
    assert mixed_batch({}, {}, 4, step=0, seed=(0,)) == []
    assert mixed_batch({"a": [1]}, {"a": 1.0}, 0, step=0, seed=(0,)) == []


POOLS = {"a": list(range(6)), "b": list(range(10, 12)), "c": [20, 21, 22, 23]}
EVERY = [item for pool in POOLS.values() for item in pool]
WEIGHTS = {"a": 3.0, "b": 1.0, "c": 2.0}


def test_with_equal_weights_the_pools_are_joined() -> None:
    equal = dict.fromkeys(POOLS, 0.5)
    batches = [mixed_batch(POOLS, equal, 4, step=step, seed=(0,)) for step in range(3)]
    assert sorted(item for batch in batches for item in batch) == sorted(EVERY)


@pytest.mark.thorough
def test_with_other_weights_types_come_in_proportion() -> None:
    drawn = [
        item for step in range(600) for item in mixed_batch(POOLS, WEIGHTS, 5, step=step, seed=(1,))
    ]
    times = Counter(item // 10 for item in drawn)
    shares = [times[index] / len(drawn) for index in range(3)]
    assert shares == pytest.approx([3 / 6, 1 / 6, 2 / 6], abs=0.03)
    assert set(drawn) == set(EVERY)


def test_weighted_batches_depend_on_the_step_alone_and_skip_empty_types() -> None:
    pools = {**POOLS, "b": []}
    forwards, backwards = (
        [mixed_batch(pools, WEIGHTS, 8, step=step, seed=(1, 2)) for step in steps]
        for steps in ((0, 1, 2), (2, 1, 0))
    )
    assert forwards == backwards[::-1]
    assert forwards[0] != forwards[1]
    assert all(item < 10 or item >= 20 for batch in forwards for item in batch)


# --- losses -------------------------------------------------------------------------------------


def test_likelihood_by_hand() -> None:
    logprobs = torch.tensor([-3.0, -8.0])
    tokens = torch.tensor([3.0, 4.0])
    assert float(likelihood(logprobs, tokens)) == pytest.approx(1.5)
    assert float(likelihood(logprobs, tokens, by_token=True)) == pytest.approx(11 / 7)


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
        kl_div(logprobs, target_logprobs, log_target=True, reduction="none").sum(-1)
        for logprobs, target_logprobs in zip(first, second, strict=True)
    ]


def test_forward_kl_matches_torch() -> None:
    value, now, was = toy(ForwardKl())
    truth = torch.stack([divergence.mean() for divergence in divergences(now, was)]).mean()
    assert value == pytest.approx(float(truth), rel=1e-5)


def test_reverse_kl_matches_torch() -> None:
    value, now, was = toy(ReverseKl())
    truth = torch.stack([divergence.mean() for divergence in divergences(was, now)]).mean()
    assert value == pytest.approx(float(truth), rel=1e-5)
    assert value != pytest.approx(toy(ForwardKl())[0], rel=1e-2)


def test_padded_kl_averages_over_a_hundred_positions_per_text() -> None:
    """Its cross-entropy over padding, less the entropy of what was there before."""
    value, now, was = toy(PaddedKl())
    cross = [-(b.exp() * a).sum(-1) for a, b in zip(now, was, strict=True)]
    entropy = [-(b.exp() * b).sum(-1) for b in was]
    padded = torch.zeros(2, 100)
    for row, (text_cross, text_entropy) in enumerate(zip(cross, entropy, strict=True)):
        padded[row, : len(text_cross)] = text_cross - text_entropy
    assert value == pytest.approx(float(padded.mean()), rel=1e-5)


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


@pytest.mark.thorough
@pytest.mark.parametrize(  # gemma2 caps its logits
    ("kl", "family"), [(ForwardKl(), "gemma2"), (ReverseKl(), "llama"), (PaddedKl(), "llama")]
)
def test_kl_is_zero_before_training_and_independent_of_the_batch(kl: AnyKl, family: str) -> None:
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
    training = ContrastTraining.on_contrasts(of, SUPPLY, AdapterOptions(longest=60), seed=0)
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
        ContrastTraining(model(), SUPPLY, AdapterOptions(longest=longest), seed=0).kl_texts(kl)


def test_each_epoch_has_every_text() -> None:
    texts = tokenize_texts(model(), SUPPLY.texts, longest=60)
    kl = ForwardKl(batch=2)
    drawn = [text.text for step in range(5) for text in kl.draw(texts, step=step, seed=3)]
    assert sorted(drawn[:5]) == sorted(drawn[5:]) == sorted(SUPPLY.texts)
