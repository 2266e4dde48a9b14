"""CAFIE: make the next word depend less on which group the text has named.

Banerjee et al. 2024, "CAFIE: Counterfactually Aware Fair InferencE"; the formulas follow its
released code where the two differ (docs/methods/cafie.md says where we do otherwise).
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar, Final, TypeAlias, final

from pydantic import TypeAdapter, ValidationError
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from equipoise.decoding.mixture import Mixing, mixed
from equipoise.errors import DataError, ModelError
from equipoise.group_words.counterpart_sets import Changes
from equipoise.group_words.counterpart_text import Change, applied
from equipoise.group_words.counterparts import Counterparts
from equipoise.group_words.group_words import Axis, Found
from equipoise.models.decoding_rule import Context, DecodingRule
from equipoise.models.tokenization import Ids, Marked, Tokens, encode
from equipoise.records import JSON

_AXES: Final = TypeAdapter(tuple[Axis, ...])
_MIXING: Final = TypeAdapter(Mixing)
_PIECE: Final = re.compile(r"\w+|[^\w\s]")
#: What the set of a text depends on, of all that is read of it so far.
_State: TypeAlias = tuple[tuple[Found, ...], str]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Counterfactual(DecodingRule):
    """The next token after the text, and after the text about each other group of its axes."""

    kind: ClassVar[str] = "cafie"

    lists: Counterparts
    mixing: Mixing
    most: int | None = None  # counterfactual texts at most; None: all
    seed: int = 0  # of the parts that a larger set is cut into

    @property
    def rows(self) -> int:
        """Of a text that names every axis: one for each combination of groups, or 1 + `most`."""
        every = math.prod(len(groups) for _, groups in self.lists.axes)
        return every if self.most is None else min(every, 1 + self.most)

    @property
    def neutral(self) -> bool:
        """With no weight on the adjusted distribution, or no counterfactual text."""
        return (self.mixing.alpha == 0 and self.mixing.temperature == 1) or self.most == 0

    @property
    def settings(self) -> Mapping[str, JSON]:
        """Lists and numbers."""
        return {
            "lists": _AXES.dump_python(self.lists.axes, mode="json"),
            "mixing": asdict(self.mixing),
            "most": self.most,
            "seed": self.seed,
        }

    @property
    def record(self) -> Mapping[str, JSON]:
        """The hash of the lists, their axes, and how distributions are mixed."""
        return {
            "lists_sha256": self.lists.sha256,
            "axes": [axis for axis, _ in self.lists.axes],
            "mode": self.mixing.mode,
            "counterfactuals": self.most,
        }

    @classmethod
    def from_settings(cls, settings: Mapping[str, JSON]) -> "Counterfactual":
        """As `settings` gave them. Raises `ModelError`."""
        most, seed = settings.get("most"), settings.get("seed")
        try:
            lists = Counterparts(_AXES.validate_python(settings.get("lists")))
            mixing = _MIXING.validate_python(settings.get("mixing"))
        except (ValidationError, DataError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ModelError(
                f"a decoding rule must have sound lists and numbers: {reason}"
            ) from None
        if not isinstance(most, int | None) or not isinstance(seed, int):
            raise ModelError(f"'most' and 'seed' must be whole numbers, got {most!r} and {seed!r}")
        return cls(lists=lists, mixing=mixing, most=most, seed=seed)

    def covers(self, text: str, *, whole: bool) -> bool:
        """Whether the text names a group that has counterparts, with more after it if `whole`."""
        found = () if self.neutral else self.lists.found(text)
        if not found or not whole:
            return bool(found) and bool(self._members(text))
        ends = (match.end() for match in _PIECE.finditer(text))
        return any(self._members(text[:end]) for end in ends if found[0].end <= end < len(text))

    def contexts(
        self, tokenizer: PreTrainedTokenizerBase, tokens: Tokens, read: Sequence[int]
    ) -> list[tuple[Context, ...]]:
        """What is read so far, as the lists spell it, and the same about each other group.

        Only words that have been read whole count, so a word that names a group is itself never
        adjusted by its own counterparts. Tokens of replaced words give way to those of their
        counterparts, all others stay; hence no place is shifted against another.
        """
        if not tokenizer.is_fast:
            if not self.lists.found(tokens.text):
                return [()] * len(read)
            raise ModelError(
                "counterfactual texts need a tokenizer that tells characters (a fast one), got "
                f"{type(tokenizer).__name__}; use the model with its fast tokenizer"
            )
        named: dict[int, _State] = {}
        last: dict[_State, int] = {}
        for count in read:
            text = tokens.text[: _end(tokens, count)]
            found = self.lists.found(text)
            named[count] = (found, self.lists.undecided(text, found))
            last[named[count]] = count
        sets = {
            state: self._members(tokens.text[: _end(tokens, count)])
            for state, count in last.items()
            if state[0]
        }
        longest: dict[tuple[Changes, ...], int] = {}  # the same changes of a text that goes on
        for state, members in sets.items():
            longest[members] = max(longest.get(members, 0), last[state])
        rows = _rows(tokenizer, tokens, longest)
        known = {state: rows[members] for state, members in sets.items()}
        return [
            tuple((ids, count + more) for ids, more in known.get(named[count], ()))
            for count in read
        ]

    def adjusted(self, logprobs: Tensor) -> Tensor:
        """[row, place, token] to [place, token], as `mixed` does."""
        return mixed(logprobs, self.mixing)

    def _members(self, text: str) -> tuple[Changes, ...]:
        return self.lists.members(text, most=self.most, seed=self.seed)


def _rows(
    tokenizer: PreTrainedTokenizerBase, tokens: Tokens, sets: Mapping[tuple[Changes, ...], int]
) -> dict[tuple[Changes, ...], list[tuple[Ids, int]]]:
    """Of each set, and the count of tokens that it is of, the members' rows.

    A row: the tokens in place of the first so many, and how many more they are.
    """
    texts = [tokens.text[: _end(tokens, count)] for count in sets.values()]
    marks = [
        Marked(applied(text, changes), 0, 0)
        for text, members in zip(texts, sets, strict=True)
        for changes in members
    ]
    coded = iter(encode(tokenizer, marks, specials=False) if marks else ())
    found = {}
    for members, count in sets.items():
        ids = [_spliced(tokens, count, changes, next(coded)) for changes in members]
        found[members] = [(one, len(one) - count) for one in ids]
    return found


def _end(tokens: Tokens, count: int) -> int:
    """Characters that the first tokens cover."""
    return max((end for _, end in tokens.spans[:count]), default=0)


def _covers(tokens: Tokens) -> list[tuple[int, int]]:
    """Characters of each token; white space before it is its own."""
    last = 0
    found = []
    for begin, end in tokens.spans:
        found.append((min(last, begin), end))
        last = max(last, end)
    return found


def _spliced(tokens: Tokens, count: int, changes: Sequence[Change], new: Tokens) -> Ids:
    """The first tokens, those that a change touches replaced by the new text's in that place."""
    covers, new_covers = _covers(tokens)[:count], _covers(new)
    ids: list[int] = []
    done, shift = 0, 0
    for change in changes:
        touched = [
            index
            for index, (a, b) in enumerate(covers)
            if a < change.end and b > change.start and index >= done
        ]
        first, past = touched[0], touched[-1] + 1
        begin, end = min(covers[first][0], change.start), max(covers[past - 1][1], change.end)
        more = len(change.text) - (change.end - change.start)
        ids += tokens.ids[done:first]
        ids += [
            id
            for id, (a, b) in zip(new.ids, new_covers, strict=True)
            if a < end + shift + more and b > begin + shift
        ]
        done, shift = past, shift + more
    return (*ids, *tokens.ids[done:count])
