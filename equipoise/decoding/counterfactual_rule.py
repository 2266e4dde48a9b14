"""CAFIE: make the next word depend less on which group the text has named.

Banerjee et al. 2024, "CAFIE: Counterfactually Aware Fair InferencE". This file says which texts
are compared, `mixture` what is made of their next-token distributions; where the released code
differs is in docs/methods/cafie.md.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

from jaxtyping import Float
from pydantic import BaseModel, StrictInt, ValidationError
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from equipoise.decoding.mixture import Mixture
from equipoise.errors import DataError, ModelError, RecipeError
from equipoise.group_words.counterfactuals import (
    Change,
    apply_changes,
    changes_for,
    counterfactual_set,
)
from equipoise.group_words.mentions import Mention, find_mentions
from equipoise.group_words.word_lists import Case, WordLists
from equipoise.models.decoding_rule import Context, DecodingRule
from equipoise.models.tokenization import Ids, Marked, Tokens, encode
from equipoise.records import JSON


class _Settings(BaseModel):
    lists: Any  # as `WordLists.of` reads them
    axes: list[str]
    case: Case = "listed"
    mixture: Mixture
    counterfactuals: StrictInt | None
    seed: StrictInt


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Counterfactual(DecodingRule):
    """The next token after the text, and after the text about each other group of its axes."""

    kind: ClassVar[str] = "cafie"

    lists: WordLists
    mixture: Mixture
    counterfactuals: int | None = None  # at most; None: all
    seed: int = 0  # of the order in which a larger set is cut

    @property
    def rows(self) -> int:
        """Of a text that names every axis: a row per combination of groups, up to the limit."""
        every = math.prod(map(len, self.lists.groups.values()))
        limit = self.counterfactuals
        return every if limit is None else min(every, 1 + limit)

    @property
    def neutral(self) -> bool:
        """With no weight on the mixed distribution, or no counterfactual text."""
        return self.mixture.neutral or self.counterfactuals == 0

    @property
    def settings(self) -> Mapping[str, JSON]:
        """Lists, axes, mixture and numbers."""
        return _Settings(
            lists=self.lists.as_json,
            axes=list(self.lists.axes),
            case=self.lists.case,
            mixture=self.mixture,
            counterfactuals=self.counterfactuals,
            seed=self.seed,
        ).model_dump(mode="json")

    @property
    def record(self) -> Mapping[str, JSON]:
        """The hash of the lists, their axes, and how distributions are mixed."""
        return {
            "lists_sha256": self.lists.sha256,
            "axes": list(self.lists.axes),
            "case": self.lists.case,
            "mixture": self.mixture.name,
            "counterfactuals": self.counterfactuals,
        }

    @classmethod
    def from_settings(cls, settings: Mapping[str, JSON]) -> "Counterfactual":
        """As `settings` gave them. Raises `ModelError`."""
        try:
            stored = _Settings.model_validate(settings)
            return cls(
                lists=WordLists.of(stored.lists, stored.axes, case=stored.case),
                mixture=stored.mixture,
                counterfactuals=stored.counterfactuals,
                seed=stored.seed,
            )
        except (ValidationError, DataError, RecipeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ModelError(
                f"a decoding rule must have sound lists and numbers: {reason}; save the edit again"
            ) from None

    def contexts(
        self, tokenizer: PreTrainedTokenizerBase, tokens: Tokens, prefix_lengths: Sequence[int]
    ) -> list[tuple[Context, ...]]:
        """Each prefix as the lists spell its words, and the same about each other group.

        Only words that are complete in a prefix count, so that a word that names a group is never
        adjusted by its own counterparts. Tokens of replaced words give way to those of their
        counterparts and all others stay; hence no place is shifted against another.
        """
        ends = [max((end for _, end in tokens.spans[:size]), default=0) for size in prefix_lengths]
        prefixes = [find_mentions(tokens.text[:end], self.lists, unfinished=True) for end in ends]
        if not tokenizer.is_fast and any(prefixes):
            raise ModelError(
                "counterfactual texts need a fast tokenizer, which tells characters, got "
                f"{type(tokenizer).__name__}; use the model with that"
            )
        # Prefixes with the same mentions share their rows, which are made of the longest of them.
        longest = {
            mentions: (size, end)
            for mentions, size, end in zip(prefixes, prefix_lengths, ends, strict=True)
            if mentions
        }
        rows = self._rows(tokenizer, tokens, longest)
        return [
            tuple((ids, size + longer) for ids, longer in rows.get(mentions, ()))
            for mentions, size in zip(prefixes, prefix_lengths, strict=True)
        ]

    def adjusted(self, logprobs: Float[Tensor, "row place token"]) -> Float[Tensor, "place token"]:
        """As the mixture does."""
        return self.mixture.mix(logprobs)

    def _rows(
        self,
        tokenizer: PreTrainedTokenizerBase,
        tokens: Tokens,
        longest: Mapping[tuple[Mention, ...], tuple[int, int]],
    ) -> dict[tuple[Mention, ...], list[tuple[Ids, int]]]:
        """By mentions the rows of their set: tokens, and how many more they are than the text's."""
        changes: dict[tuple[Mention, ...], list[tuple[Change, ...]]] = {}
        marks: list[Marked] = []
        for mentions, (_, end) in longest.items():
            text = tokens.text[:end]
            members = counterfactual_set(
                mentions, self.lists, most=self.counterfactuals, seed=self.seed
            )
            changes[mentions] = [changes_for(text, mentions, groups) for groups in members]
            marks += [Marked(apply_changes(text, change), 0, 0) for change in changes[mentions]]
        encoded = iter(encode(tokenizer, marks, specials=False) if marks else ())
        rows: dict[tuple[Mention, ...], list[tuple[Ids, int]]] = {}
        for mentions, (size, _) in longest.items():
            spliced = [_splice(tokens, size, change, next(encoded)) for change in changes[mentions]]
            rows[mentions] = [(ids, len(ids) - size) for ids in spliced]
        return rows


def _splice(tokens: Tokens, size: int, changes: Sequence[Change], new: Tokens) -> Ids:
    """The first `size` tokens, those that a change touches replaced by `new`'s in that place."""
    covers, new_covers = _covers(tokens)[:size], _covers(new)
    ids: list[int] = []
    done, new_done, shift = 0, 0, 0
    for change in changes:
        first, past = _overlapping(covers, change.start, change.end, after=done)
        # Tokens may reach beyond the changed word: so far reaches what replaces them.
        begin, end = min(covers[first][0], change.start), max(covers[past - 1][1], change.end)
        longer = len(change.text) - (change.end - change.start)
        new_first, new_done = _overlapping(
            new_covers, begin + shift, end + shift + longer, after=new_done
        )
        ids += [*tokens.ids[done:first], *new.ids[new_first:new_done]]
        done, shift = past, shift + longer
    return (*ids, *tokens.ids[done:size])


def _overlapping(
    covers: Sequence[tuple[int, int]], start: int, end: int, *, after: int
) -> tuple[int, int]:
    """The first token from `after` on that lies in [start, end), and the first behind them."""
    count = len(covers)
    first = next((i for i in range(after, count) if covers[i][1] > start), max(after, count))
    past = next((i for i in range(first, count) if covers[i][0] >= end), max(first, count))
    return first, past


def _covers(tokens: Tokens) -> list[tuple[int, int]]:
    """Characters of each token; white space before it is its own."""
    last = 0
    covers: list[tuple[int, int]] = []
    for begin, end in tokens.spans:
        covers.append((min(last, begin), end))
        last = max(last, end)
    return covers
