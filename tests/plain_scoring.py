"""The slow, obvious way to every score: one text at a time, full log-softmax, nothing shared."""

from collections.abc import Sequence

import torch
from torch import Tensor

from equipoise.inference.engine import read
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.queries import Query, tokenize
from equipoise.inference.rule_scoring import read_through_rule
from equipoise.models.tokenization import Marked
from equipoise.records import Prefix


@torch.no_grad()
def log_softmax(model: LanguageModel, ids: list[int]) -> Tensor:
    """[token, vocabulary]"""
    return model.module(torch.tensor([ids])).logits[0].float().log_softmax(-1)


def coded(model: LanguageModel, text: str) -> list[int]:
    return model.tokenizer(text, add_special_tokens=False)["input_ids"]


def continuation(model: LanguageModel, context: str, text: str, prefix: Prefix) -> list[float]:
    """Of a causal model whose tokenizer cuts between context and text (one token a byte)."""
    before, ids = len(coded(model, context)), coded(model, context + text)
    start = model.tokenizer.bos_token_id
    if start is None:
        start = model.tokenizer.eos_token_id
    if prefix == "bos" and start is not None:
        table = log_softmax(model, [start, *ids])
        return [float(table[index, ids[index]]) for index in range(before, len(ids))]
    table = log_softmax(model, ids)
    logprobs = [float(table[index - 1, ids[index]]) for index in range(max(before, 1), len(ids))]
    if before == 0 and prefix == "ref_gpt2" and start is not None:
        logprobs.insert(0, float(log_softmax(model, [start])[0, ids[0]]))
    return logprobs


def framed(model: LanguageModel, text: str) -> list[int]:
    return [model.tokenizer.cls_token_id, *coded(model, text), model.tokenizer.sep_token_id]


def pseudo(model: LanguageModel, text: str, positions: list[int]) -> list[float]:
    """Of a masked model: tokens of the text, each masked alone; positions count from its start."""
    ids, logprobs = framed(model, text), []
    for index in (position + 1 for position in positions):
        masked = [*ids]
        masked[index] = model.tokenizer.mask_token_id
        logprobs.append(float(log_softmax(model, masked)[index, ids[index]]))
    return logprobs


def revealed(model: LanguageModel, text: str, start: int, end: int) -> list[float]:
    """Of a masked model, for a text of one-byte characters: text[start:end] from left to right."""
    left, span, right = (coded(model, part) for part in (text[:start], text[start:end], text[end:]))
    logprobs = []
    for index, token in enumerate(span):
        ids = [*left, *span[:index], model.tokenizer.mask_token_id, *right]
        ids = [model.tokenizer.cls_token_id, *ids, model.tokenizer.sep_token_id]
        logprobs.append(float(log_softmax(model, ids)[1 + len(left) + index, token]))
    return logprobs


def next_distributions(model: LanguageModel, contexts: Sequence[str]) -> Tensor:
    """What scoring gives every token directly after each context, in nats: [context, token]."""
    tokenized = tokenize(model, [Marked(context, 0, 0) for context in contexts])
    start = model.start_token_id
    front = () if start is None else (start,)
    plans = []
    for tokens in tokenized:
        ids = front + tokens.ids
        vocabulary = range(model.module.config.vocab_size)
        plans.append((Query(ids, tuple((len(ids) - 1, token) for token in vocabulary)),))
    rule = model.active_rule
    if rule is None:
        return torch.tensor(read(model, plans, task="test"), dtype=model.module.dtype)
    values = read_through_rule(model, rule, plans, tokenized, task="test")
    return torch.tensor(values, dtype=model.module.dtype)
