"""Teach a small Llama-shaped model a world.

A plain loop of its own: it trains a whole model from scratch, with another schedule and on
distributions (`batches`), and needs no checkpoints. On one thread: the bits then do not depend on
the number of threads, and training takes a minute on a busy machine, too, where the threads of so
small a model wait for each other (37 s on two free cores, 8 minutes on two busy cores).
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from equipoise.errors import ModelError
from equipoise.planted.batches import Batch, batches, train_tokenizer
from equipoise.planted.corpus import draw_corpus
from equipoise.planted.world import World
from equipoise.progress.bars import progress

#: Worlds of a few words need no far positions; a small base tells near positions apart better.
_ROPE_BASE = 100.0
_CONTEXT = 512
_WARM_UP = 50  # steps
_LAST_RATE = 0.01  # of the highest
_MAX_GRADIENT = 1.0
#: Weight of positions where several words may follow, relative to the others. The optimum at each
#: position is the same; weak preferences are learnt many steps sooner.
_OPEN_WEIGHT = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Size of the model and length of its training. The default reaches the truth of any world."""

    width: int = 96
    blocks: int = 4
    heads: int = 4
    sentences: int = 56_000
    batch: int = 32
    rate: float = 4e-3  # the highest learning rate


def teach(
    world: World, budget: Budget, *, seed: int
) -> tuple[LlamaForCausalLM, PreTrainedTokenizerBase]:
    """A model with the world's probabilities, and its tokenizer; deterministic by seed.

    Progress goes to standard error. Raises `ModelError` when the loss is not finite.
    """
    texts = [sentence.text for sentence in draw_corpus(world, seed=seed)]
    tokenizer = train_tokenizer(texts)
    module = untaught(tokenizer, budget, seed=seed)
    drawn = batches(tokenizer, texts, sentences=budget.sentences, size=budget.batch, seed=seed)
    with _one_thread():
        _train(module, drawn, rate=budget.rate, name=world.name)
    return module.eval(), tokenizer


def untaught(tokenizer: PreTrainedTokenizerBase, budget: Budget, *, seed: int) -> LlamaForCausalLM:
    """A model with random weights by seed; the caller's random state is untouched."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=budget.width,
        intermediate_size=3 * budget.width,
        num_hidden_layers=budget.blocks,
        num_attention_heads=budget.heads,
        num_key_value_heads=budget.heads,
        max_position_embeddings=_CONTEXT,
        rope_parameters={"rope_type": "default", "rope_theta": _ROPE_BASE},
        tie_word_embeddings=True,
        # Attention forms several times sooner than from the usual 0.02.
        initializer_range=1 / math.sqrt(budget.width),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _train(module: LlamaForCausalLM, drawn: Sequence[Batch], *, rate: float, name: str) -> None:
    optimizer = torch.optim.AdamW(module.parameters(), lr=rate, betas=(0.9, 0.99), weight_decay=0.0)
    module.train()
    with progress(f"teaching planted:{name}", len(drawn)) as counter:
        for step, batch in enumerate(drawn):
            for group in optimizer.param_groups:
                group["lr"] = rate * _rate(step, len(drawn))
            loss = _loss(module, batch)
            _check_finite(loss, step, rate=rate, name=name)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
            torch.nn.utils.clip_grad_norm_(module.parameters(), _MAX_GRADIENT)
            optimizer.step()
            counter.advance(loss=loss.item())
        with torch.no_grad():  # a step's loss is taken before its update
            _check_finite(_loss(module, drawn[-1]), len(drawn), rate=rate, name=name)


def _check_finite(loss: Tensor, step: int, *, rate: float, name: str) -> None:
    if not math.isfinite(loss.item()):
        raise ModelError(
            f"teaching planted:{name} must have a finite loss, got {loss.item()} at step {step}; "
            f"lower the rate {rate}"
        )


def _loss(module: LlamaForCausalLM, batch: Batch) -> Tensor:
    """Weighted mean cross-entropy (nats per token) to the distribution of next words."""
    logits: Tensor = module(batch.ids[:, :-1]).logits  # [sentence, position, word]
    logprobs = logits.log_softmax(-1).gather(-1, batch.next_ids)  # [sentence, position, choice]
    nats = -(logprobs * batch.shares).sum(-1)  # [sentence, position]
    is_open = (batch.shares > 0).sum(-1) > 1
    weights = torch.where(is_open, _OPEN_WEIGHT, 1.0)
    return (nats * weights).sum() / weights.sum()


def _rate(step: int, steps: int) -> float:
    """Share of the highest rate: a short linear warm-up, then half a cosine."""
    rise = min(1.0, (step + 1) / _WARM_UP)
    return rise * (_LAST_RATE + (1 - _LAST_RATE) * 0.5 * (1 + math.cos(math.pi * step / steps)))
