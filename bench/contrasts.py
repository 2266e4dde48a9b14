"""What bench/training.py trains: a model of random weights, on texts made here."""

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from two_models import Batch

from equipoise.contrast_training.early_stopping import NoController
from equipoise.contrast_training.session import ContrastTraining
from equipoise.contrast_training.steps import ForwardKl
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.bias_unlearn import BiasUnlearn, Npo, UnlearningLoss
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
    """The paper's, without dropout, which makes two runs differ, or evaluations between steps."""
    return BiasUnlearn(
        forget=Npo(adversarial=None),
        kl=ForwardKl(texts="neutral"),
        controller=NoController(),
        steps=steps,
        dropout=0.0,
    )


def batches(model: LanguageModel, steps: int) -> list[Batch]:
    """The batches of `BiasUnlearn.fit` at seed 0."""
    unlearn = method(steps)
    training = ContrastTraining.on_contrasts(model, supply(), unlearn, seed=0)
    loss = UnlearningLoss(unlearn, training, None)
    drawn = [loss.draw(loss.first_phase, step) for step in range(steps)]
    return [Batch(forget=forget, retain=retain, kl=kl) for forget, retain, kl in drawn]
