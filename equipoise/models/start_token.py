"""Which token stands before a text that has nothing before it: one rule for every request.

Scoring, generation and embedding all use it, so that no text gets two start tokens.
"""

from typing import Literal, TypeAlias

from transformers import PreTrainedTokenizerBase

StartRule: TypeAlias = Literal["bos", "eos", "none"]


def start_token_id(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The token a causal model's texts begin with, never scored; None when there is none.

    The tokenizer's BOS; without one its EOS (GPT-2's end-of-text serves as both); without either
    None, and then the first token of a text has nothing to be conditioned on.
    Source: metrics.md section 0.
    """
    if tokenizer.bos_token_id is not None:
        return int(tokenizer.bos_token_id)
    if tokenizer.eos_token_id is not None:
        return int(tokenizer.eos_token_id)
    return None


def adds_start(tokenizer: PreTrainedTokenizerBase, start: int | None) -> bool:
    """Whether the tokenizer puts the start token before a text by itself, as Llama's does."""
    return start is not None and list(tokenizer("a")["input_ids"])[:1] == [start]


def start_rule(tokenizer: PreTrainedTokenizerBase) -> StartRule:
    """Where `start_token_id` comes from, for a result's record."""
    if tokenizer.bos_token_id is not None:
        return "bos"
    return "none" if tokenizer.eos_token_id is None else "eos"


def pad_token_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The id that fills the masked end (or beginning) of a shorter row; 0 when there is no pad.

    Its value never matters, because the attention mask covers it.
    """
    return 0 if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)
