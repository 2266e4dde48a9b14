"""Training rows as tokens, and which of them a model learns to predict.

A plain text begins with the model's start token, which is read and not learnt, and is learnt whole,
or from the end of its context on.
A conversation is written by the model's chat template, which writes its start token itself; what
the assistant says is learnt, with the mark that ends its turn. Nothing is cut: a row that is too
long is left out, since the end of a text may be what is biased in it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import Literal, TypeAlias

from transformers import PreTrainedTokenizerFast

from equipoise.errors import DataError, ModelError
from equipoise.inference.language_model import LanguageModel
from equipoise.models.chat_template import Message, render, template_of
from equipoise.models.tokenization import Marked, Tokens, encode
from equipoise.rows import TrainingRow, Turn

#: What is learnt of a plain text: all of it, or what follows its context.
LossOn: TypeAlias = Literal["all", "ending"]

_BATCH = 128  # rows that are tokenized together
_MARK = "equipoiseturn{}x"  # in place of what is said, to see what stands around it


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizedRows:
    """Rows as tokens, in their order; those that cannot be learnt are left out."""

    ids: list[list[int]] = field(default_factory=list)  # [row][token]
    scored: list[list[bool]] = field(default_factory=list)  # [row][token]: its prediction is learnt
    index: list[int] = field(default_factory=list)  # [row]: its place among the rows given
    skipped: dict[str, str] = field(default_factory=dict)  # id of a row left out, and why

    def positions(self, row: int) -> list[int]:
        """Places of a row's tokens that are predicted, each above 0."""
        return [place for place, scored in enumerate(self.scored[row]) if scored]


def tokenize_rows(
    model: LanguageModel,
    rows: Iterable[TrainingRow],
    *,
    max_tokens: int,
    strict: bool = False,
    eos: bool = False,
    loss_on: LossOn = "all",
) -> TokenizedRows:
    """Rows as tokens of this model, at most `max_tokens` and the model's context each.

    Rows without text, without a token to be predicted or with too many tokens are left out, or
    refused if `strict`. `eos`: a plain text ends with the tokenizer's EOS, which is learnt.
    `loss_on` "ending": of a plain text what follows its context is learnt, with the EOS; a token
    that has characters of both is learnt, and a text without a context is learnt whole.
    Raises `DataError` naming a row that `strict` refuses, and `ModelError` for a masked model, for
    conversations where the tokenizer has no chat template or one that cannot be followed, and for
    `eos` without an EOS.
    """
    if model.kind != "causal":
        raise ModelError(
            f"rows are learnt by a causal model, {model.identity} is {model.kind}; use a causal "
            "model"
        )
    end = model.tokenizer.eos_token_id
    if eos and end is None:
        raise ModelError(
            f"a text can end with EOS where the tokenizer has one, that of {model.identity} has "
            f"{end}; set eos to false"
        )
    writer = _Writer(model, () if not eos else (int(end),), loss_on)
    limit = min(max_tokens, model.context_length or max_tokens)
    tokenized = TokenizedRows()
    for batch in _batches(rows):
        for place, row, ids, scored in writer.write(batch):
            reason = _reason(row, scored, len(ids), limit, loss_on)
            if reason and strict:
                raise DataError(
                    f"every row must be learnt under strict, row '{row.id}' {reason}; mend or "
                    "remove it, or leave strict out"
                )
            if reason:
                tokenized.skipped[row.id] = reason
                continue
            tokenized.ids.append(ids)
            tokenized.scored.append(scored)
            tokenized.index.append(place)
    return tokenized


def _reason(
    row: TrainingRow, scored: Sequence[bool], tokens: int, limit: int, loss_on: LossOn
) -> str:
    """Why a row is left out; "": it is not."""
    if not any(text.strip() for text in row.texts):
        return "has no text"
    if tokens > limit:
        return f"has {tokens} tokens, more than {limit}"
    if loss_on == "ending" and row.text and not row.text[len(row.context) :].strip():
        return "has no words after its context"
    if row.messages and not row.text and all(role != "assistant" for role, _ in row.messages):
        return "has no turn of the assistant"
    return "" if any(scored) else "has no token to be predicted"


def _batches(rows: Iterable[TrainingRow]) -> Iterator[list[tuple[int, TrainingRow]]]:
    numbered = iter(enumerate(rows))
    while batch := list(islice(numbered, _BATCH)):
        yield batch


class _Writer:
    """Writes rows as tokens of one model."""

    def __init__(self, model: LanguageModel, end: tuple[int, ...], loss_on: LossOn) -> None:
        self.model, self.end, self.loss_on = model, list(end), loss_on
        start = model.start_token_id
        self.start = [] if start is None else [start]
        self.turn_end: str | None = None  # what the template ends a turn of the assistant with

    def write(
        self, batch: Sequence[tuple[int, TrainingRow]]
    ) -> Iterator[tuple[int, TrainingRow, list[int], list[bool]]]:
        """Place, row, tokens and which of them are learnt."""
        marked: list[Marked] = []
        spans: list[list[tuple[int, int]] | None] = []  # None: a plain text
        for _, row in batch:
            if row.text or not row.messages:
                ending = len(row.context) if self.loss_on == "ending" else 0
                marked.append(Marked(row.text, ending, len(row.text)))
                spans.append(None)
            else:
                text, said = self._conversation(row)
                marked.append(Marked(text, 0, len(text)))
                spans.append(said)
        tokens = encode(self.model.tokenizer, marked, specials=False)
        for (place, row), learnt, cut in zip(batch, spans, tokens, strict=True):
            if learnt is None:
                ids = [*self.start, *cut.ids, *self.end] if cut.ids else []
                ends = self.loss_on == "ending" and row.context and cut.marked
                # what is only read: tokens before an ending; the first of all, unforetold
                read = len(self.start) + cut.marked[0] if ends else 1
                yield place, row, ids, [position >= max(1, read) for position in range(len(ids))]
            else:
                ids, inside = self._cut(cut, learnt)
                yield place, row, ids, [bool(i) and flag for i, flag in enumerate(inside)]

    def _cut(
        self, whole: Tokens, learnt: Sequence[tuple[int, int]]
    ) -> tuple[list[int], list[bool]]:
        """A conversation's tokens, and whether each overlaps what is learnt."""
        if isinstance(self.model.tokenizer, PreTrainedTokenizerFast):
            inside = [
                any(first < end and last > begin for begin, end in learnt)
                for first, last in whole.spans
            ]
            return list(whole.ids), inside
        # a slow tokenizer reports no characters, and gets what is learnt apart from the rest
        edges = [0, *(edge for span in learnt for edge in span), len(whole.text)]
        ids: list[int] = []
        inside = []
        for part, (begin, end) in enumerate(pairwise(edges)):
            text = whole.text[begin:end]
            new = self.model.tokenizer.encode(text, add_special_tokens=False, verbose=False)
            ids += new
            inside += [part % 2 == 1] * len(new)
        return ids, inside

    def _conversation(self, row: TrainingRow) -> tuple[str, list[tuple[int, int]]]:
        """A conversation as the template writes it, and the characters of it that are learnt."""
        if template_of(self.model.tokenizer) is None:
            raise ModelError(
                f"row '{row.id}' is a conversation, which needs a chat template, the tokenizer of "
                f"{self.model.identity} has none; take a chat model, or rows with a text"
            )
        if not any(said.strip() for _, said in row.messages):
            return "", []
        if self.turn_end is None:
            frame = self._frame([("user", ""), ("assistant", "")], row)
            self.turn_end = frame[-1].rstrip()
        parts = self._frame(row.messages, row)
        whole = self._render(list(row.messages), row)
        for trim in (str, str.strip, str.rstrip, str.lstrip):  # templates may trim what is said
            texts = [trim(said) for _, said in row.messages]
            written = "".join(
                piece for pair in zip(parts, [*texts, ""], strict=True) for piece in pair
            )
            if written == whole:
                return whole, self._learnt(row.messages, parts, texts)
        raise ModelError(
            f"a chat template must write what is said the same whatever is said, that of "
            f"{self.model.identity} does not for row '{row.id}'; take rows with a text, or another "
            "template"
        )

    def _learnt(
        self, turns: Sequence[Turn], parts: Sequence[str], texts: Sequence[str]
    ) -> list[tuple[int, int]]:
        spans: list[tuple[int, int]] = []
        place = 0
        for (role, _), before, text, after in zip(turns, parts, texts, parts[1:], strict=False):
            place += len(before)
            end = place + len(text)
            if role == "assistant":
                closing = self.turn_end or ""
                spans.append((place, end + (len(closing) if after.startswith(closing) else 0)))
            place = end
        return spans

    def _frame(self, turns: Sequence[Turn], row: TrainingRow) -> list[str]:
        """What the template writes before, between and after what is said."""
        marks = [_MARK.format(number) for number in range(len(turns))]
        named = [(role, mark) for (role, _), mark in zip(turns, marks, strict=True)]
        rest = self._render(named, row)
        parts: list[str] = []
        for mark in marks:
            before, _, rest = rest.partition(mark)
            parts.append(before)
        return [*parts, rest]

    def _render(self, turns: Sequence[Turn], row: TrainingRow) -> str:
        messages: list[Message] = [{"role": role, "content": said} for role, said in turns]
        try:
            return render(self.model.tokenizer, messages)
        except ModelError as error:
            raise ModelError(
                f"row '{row.id}' cannot be written as a conversation of {self.model.identity}: "
                f"{error}; mend the row's turns, or take rows with a text"
            ) from None
