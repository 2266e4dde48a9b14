"""The start token: what a causal model's texts begin with, never scored; chosen, or asked for.

It changes what is measured: SmolLM2 says "he" after 32 % of professions behind `<|im_start|>`, its
tokenizer's BOS, and after 36 % behind `<|endoftext|>`, which its base model's documents end with.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from transformers import PreTrainedTokenizerBase

from equipoise.errors import ModelError, nearest
from equipoise.models.chat_template import Message, render, template_of

StartRule: TypeAlias = Literal["bos", "eos", "none", "token"]

#: Beside a token of the vocabulary.
CHOICES: Final = ("auto", "bos", "none")
#: Names under which vocabularies keep what separates documents; those that begin texts first.
_SEPARATORS: Final = (
    *("<|begin_of_text|>", "<s>", "<bos>", "<|startoftext|>", "<｜begin▁of▁sentence｜>"),
    *("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<｜end▁of▁sentence｜>"),
)
_TURNS: Final = (
    ("user", "alpha"),
    ("assistant", "beta"),
    ("user", "gamma"),
    ("assistant", "delta"),
)
_CONVERSATION: Final[tuple[Message, ...]] = tuple(
    {"role": role, "content": word} for role, word in _TURNS
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartToken:
    """The token that texts begin with, and the reason for it."""

    id: int | None  # None: texts begin with their own first token, which is then not scored
    rule: StartRule  # where it comes from
    reason: str


def start_token(
    tokenizer: PreTrainedTokenizerBase, choice: str = "auto", *, rows: int | None = None
) -> StartToken:
    """The start token under a choice: "auto", "bos", "none", or a token of the vocabulary.

    "auto": the tokenizer's BOS, else its EOS (GPT-2's end-of-text serves as both), else none
    (metrics.md section 0). A token that the chat template writes for every turn is passed over:
    it begins or ends a turn of a conversation and no document. In its place comes the first of the
    vocabulary's document separators that is no such token. `rows`: of the model's embeddings; a
    token without a row cannot be fed.
    Raises `ModelError` for a token that the vocabulary or the model lacks.
    """
    if choice == "auto":
        return _choose(tokenizer, rows)
    if choice == "none":
        return StartToken(id=None, rule="none", reason="as chosen")
    if choice == "bos":
        if tokenizer.bos_token_id is None:
            raise ModelError(
                f"start=bos needs a tokenizer with a BOS, got {tokenizer.bos_token}; take auto, "
                "none or a token of the vocabulary"
            )
        return StartToken(id=int(tokenizer.bos_token_id), rule="bos", reason="as chosen")
    # asked for with every batch, where the whole vocabulary would take long
    number = tokenizer.convert_tokens_to_ids(choice)
    if number is None or tokenizer.convert_ids_to_tokens(number) != choice:  # of what is unknown
        vocabulary = tokenizer.get_vocab()
        known = {*CHOICES, *(get_close_matches(choice, vocabulary) or tokenizer.all_special_tokens)}
        raise ModelError(
            f"start must be auto, bos, none or a token of the vocabulary, got {choice!r}; "
            f"{nearest(choice, known)}"
        )
    if rows is not None and number >= rows:
        raise ModelError(
            f"start must be a token that the model has a row for, got {choice!r}, which has number "
            f"{number} of {rows}; take another"
        )
    return StartToken(id=int(number), rule="token", reason="as chosen")


def _choose(tokenizer: PreTrainedTokenizerBase, rows: int | None) -> StartToken:
    template = template_of(tokenizer)
    if template is None:
        return _bos_or_eos(tokenizer, passed_over=(), note="")
    # a tokenizer may be changed after it was asked
    roles = (str(tokenizer.bos_token), str(tokenizer.eos_token))
    return _choose_by_template(tokenizer, rows, template, *roles, len(tokenizer))


def _bos_or_eos(
    tokenizer: PreTrainedTokenizerBase, *, passed_over: Sequence[int], note: str
) -> StartToken:
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    if bos is not None and bos not in passed_over:
        return StartToken(id=int(bos), rule="bos", reason=f"auto: its BOS{note}")
    if eos is not None and eos not in passed_over:
        why = "its EOS, for want of a BOS" if bos is None else "its EOS"
        return StartToken(id=int(eos), rule="eos", reason=f"auto: {why}{note}")
    why = "no other separates documents" if passed_over else "it has neither BOS nor EOS"
    return StartToken(id=None, rule="none", reason=f"auto: {why}{note}")


# a template is rendered, and the start token asked for with every batch
@lru_cache(maxsize=64)
def _choose_by_template(
    tokenizer: PreTrainedTokenizerBase, rows: int | None, *_: object
) -> StartToken:
    try:
        between = _between_turns(tokenizer)
    except ModelError:
        note = "; its chat template cannot be tried, so that no turn marker is known"
        return _bos_or_eos(tokenizer, passed_over=(), note=note)
    roles = {
        tokenizer.bos_token_id: tokenizer.bos_token,
        tokenizer.eos_token_id: tokenizer.eos_token,
    }
    markers = {
        number: token
        for number, token in roles.items()
        if number is not None and _is_in_all(token, between)
    }
    usual = _bos_or_eos(tokenizer, passed_over=(), note="")
    if usual.id not in markers:
        return usual
    note = f"; its chat template writes {' and '.join(map(repr, markers.values()))} for every turn"
    other = _bos_or_eos(tokenizer, passed_over=tuple(markers), note=note)
    for token in _separators(tokenizer) if other.id is None else ():
        number = int(tokenizer.convert_tokens_to_ids(token))
        if not _is_in_all(token, between) and (rows is None or number < rows):
            why = f"{token!r} separates documents{note}"
            return StartToken(id=number, rule="token", reason=f"auto: {why}")
    return other


def _is_in_all(token: str, parts: Sequence[str]) -> bool:
    return all(token in part for part in parts)


def _between_turns(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """What the template writes before each turn but the first, user's and model's alike."""
    rest = render(tokenizer, _CONVERSATION)
    parts: list[str] = []
    for message in _CONVERSATION:
        before, _, rest = rest.partition(message["content"])
        parts.append(before)
    return parts[1:]


def _separators(tokenizer: PreTrainedTokenizerBase) -> Iterator[str]:
    """Document separators of the vocabulary: those that serve as a special token first.

    Known by name, for a padding token may be a separator (Qwen 2.5) or an untrained filler.
    """
    known = _special_tokens(tokenizer)
    roles = [token for token in (tokenizer.unk_token, tokenizer.pad_token) if token in _SEPARATORS]
    yield from dict.fromkeys([*roles, *(token for token in _SEPARATORS if token in known)])


def _special_tokens(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    return {*map(str, tokenizer.all_special_tokens), *tokenizer.get_added_vocab()}
