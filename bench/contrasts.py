"""What bench/training.py trains: a model of random weights, on texts made here."""

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from two_models import Batch

from equipoise.contrast_training.controllers import from_stereotypes
from equipoise.contrast_training.retention import Holding
from equipoise.contrast_training.sampling import drawn
from equipoise.contrast_training.tokenized import tokenize_contrasts, tokenize_texts
from equipoise.contrast_training.unlearning import Pools
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.bias_unlearn import BiasUnlearn
from equipoise.records import Contrast, Supply

VOCABULARY, START = 50_257, "<|endoftext|>"
SHORTEST, LONGEST = 8, 25  # tokens of a text, the start token included
CONTRASTS, TEXTS = 56, 28


def tokenizer() -> PreTrainedTokenizerFast:
    """GPT-2's number of tokens; a token a word."""
    words = {START: 0, **{f"w{index}": index for index in range(1, VOCABULARY)}}
    core = Tokenizer(models.WordLevel(words, unk_token=START))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token=START, eos_token=START)


def build(device: str) -> LanguageModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = GPT2LMHeadModel(GPT2Config(bos_token_id=0, eos_token_id=0))
    return LanguageModel(module=module.eval().to(device), tokenizer=tokenizer(), identity="gpt2")


def supply() -> Supply:
    """Contrasts whose endings are about half of the text, and texts for the KL."""
    rng = np.random.default_rng(0)

    def words(count: int) -> str:
        return " ".join(f"w{at}" for at in rng.integers(1, VOCABULARY, count))

    def contrast(number: int) -> Contrast:
        length = int(rng.integers(SHORTEST, LONGEST + 1)) - 1
        context = int(rng.integers(1, length - 1))
        ending, other = words(length - context), words(length - context)
        return Contrast(
            id=str(number),
            context=words(context),
            stereotype=" " + ending,
            antistereotype=" " + other,
            groups={"axis": "made", "target": str(number)},
        )

    return Supply(
        origin="bench",
        contrasts=tuple(contrast(index) for index in range(CONTRASTS)),
        texts=tuple(words(int(rng.integers(SHORTEST, LONGEST + 1)) - 1) for _ in range(TEXTS)),
    )


def method(steps: int) -> BiasUnlearn:
    """The paper's, without what makes two runs differ (dropout) or looks between the steps."""
    return BiasUnlearn(
        controller="none", steps=steps, dropout=0.0, adversarial=0.0, kl_on="neutral"
    )


def batches(model: LanguageModel, steps: int) -> list[Batch]:
    """What `unlearn` draws at seed 0."""
    options, given = method(steps).unlearning(), supply()
    items = tokenize_contrasts(model, given.contrasts, longest=options.longest)
    texts = tokenize_texts(model, given.texts, longest=options.longest)
    pools = Pools.of(items, options, seed=0)
    mix = from_stereotypes(pools.items)
    holding = Holding(texts=texts, batch=options.kl_batch)
    first, second = options.batches
    return [
        Batch(
            forget=drawn(pools.forget(mix), mix.weights, first, turn=step, seed=(0, 0, 0)),
            retain=drawn(pools.retain(mix), mix.weights, second, turn=step, seed=(0, 0, 1)),
            kl=holding.taken(step),
        )
        for step in range(steps)
    ]
