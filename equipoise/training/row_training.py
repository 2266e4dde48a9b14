"""Train a token's row on paragraphs: conversations as tokens, and the row after each epoch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast

import torch
from torch import Tensor, nn

from equipoise.errors import DataError, ModelError
from equipoise.inference.chat import chat_form
from equipoise.inference.forward import pad
from equipoise.inference.language_model import LanguageModel
from equipoise.models.chat_template import Message, render, template_of, template_sha256
from equipoise.models.tokenization import Marked, encode, pad_token_id
from equipoise.records import JSON
from equipoise.training.added_token import NewToken
from equipoise.training.loop import TrainingMonitor
from equipoise.training.schedule import Rows
from equipoise.training.token_row import TokenRow

LossOn: TypeAlias = Literal["assistant", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerForm:
    """What stands around a text that answers a request."""

    name: Literal["chat", "plain", "alone"]
    before: str
    after: str
    template_sha256: str | None

    @property
    def record(self) -> dict[str, JSON]:
        """For an edit's report."""
        return {"form": self.name, "chat_template": self.template_sha256}


def answer_form(model: LanguageModel, request: str) -> AnswerForm:
    """How a model is shown an answer to this request.

    "chat": as the model's turn of its chat template, after the request as the user's; "plain", of a
    model without a template: on the next line; "alone", for an empty request: nothing stands around
    it. Raises `ModelError` for a template that fails.
    """
    if not request:
        return AnswerForm(name="alone", before="", after="", template_sha256=None)
    if template_of(model.tokenizer) is None:
        return AnswerForm(name="plain", before=f"{request}\n", after="", template_sha256=None)
    form = chat_form(model, system=None, turn="assistant", request=request)
    word = "equipoisemodel"  # whose place is looked up
    turns: list[Message] = [{"role": "user", "content": request}]
    whole = render(model.tokenizer, [*turns, {"role": "assistant", "content": word}])
    return AnswerForm(
        name="chat",
        before=form.head,
        after=whole.rpartition(word)[2].rstrip(),
        template_sha256=template_sha256(model.tokenizer),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Answers as tokens, padded on the right: [text, token]."""

    tokens: Tensor
    real: Tensor
    scored: Tensor
    mentions: int  # of the new token

    def loss(self, module: nn.Module, rows: Rows, step: int) -> Tensor:
        """Mean over the scored tokens of a batch."""
        del step
        chosen = rows.to(self.tokens.device)
        width = int(self.real[chosen].sum(1).max())
        batch = (values[chosen, :width] for values in (self.tokens, self.real, self.scored))
        value: Tensor = module(*batch)
        return value


def tokenize_answers(
    model: LanguageModel,
    token: NewToken,
    form: AnswerForm,
    texts: Sequence[tuple[str, str]],
    *,
    loss_on: LossOn = "assistant",
) -> Answers:
    """Texts in their form, each in two parts of which the second is scored, and what ends a turn.

    `loss_on` "all": everything but the first token is scored.
    Raises `DataError` naming a text that does not mention the token, or in which it is not one
    token, and `ModelError` for a text that is longer than the model's context.
    """
    wholes = [form.before + first + second + form.after for first, second in texts]
    marked = [
        Marked(whole, len(form.before + first), len(whole))
        for whole, (first, _) in zip(wholes, texts, strict=True)
    ]
    start = None if form.name == "chat" else model.start_token_id
    front = () if start is None else (start,)
    limit = model.context_length
    rows, scored, mentions = [], [], 0
    for whole, cut in zip(wholes, encode(token.tokenizer, marked, specials=False), strict=True):
        token_count, mentioned = cut.ids.count(token.id), whole.count(token.name)
        if token.name not in whole[len(form.before) :] or token_count != mentioned:
            raise DataError(
                f"a text must mention '{token.name}', as one token each time, got {mentioned} "
                f"mentions and {token_count} tokens in {whole[len(form.before) :][:60]!r}; write "
                "{target} where it is mentioned"
            )
        ids = (*front, *cut.ids)
        if limit is not None and len(ids) > limit:
            raise ModelError(
                f"a text must have at most {limit} tokens in {model.identity}, got {len(ids)} in "
                f"{whole[:40]!r}…; leave it out"
            )
        places = range(len(cut.ids)) if loss_on == "all" else cut.marked
        mentions += token_count
        rows.append(ids)
        scored.append([len(front) + place for place in places if len(front) + place > 0])
    tokens, real = pad(rows, pad_token_id(token.tokenizer))
    chosen = torch.zeros_like(real)
    for row, row_places in enumerate(scored):
        chosen[row, row_places] = True
    device = model.module.device
    return Answers(
        tokens=tokens.to(device),
        real=real.to(device),
        scored=chosen.to(device),
        mentions=mentions,
    )


@dataclass(slots=True)
class EpochRows(TrainingMonitor):
    """Keeps the row after each epoch; ends and restores nothing."""

    row: TokenRow
    every: int  # steps of an epoch
    restores_best: bool = False
    is_best: bool = True
    rows: list[tuple[Tensor, Tensor]] = field(default_factory=list)  # read, predicted; float32, CPU

    def evaluate(self, steps: int, *, last: bool) -> bool:
        """Keep the row."""
        del steps, last
        vectors = (self.row.vector, self.row.vector_out)
        self.rows.append(
            cast(tuple[Tensor, Tensor], tuple(v.detach().cpu().clone() for v in vectors))
        )
        return False

    def state(self) -> JSON:
        """The rows as lists of numbers, which are exact."""
        return [[vector.tolist() for vector in pair] for pair in self.rows]

    def restore(self, state: JSON) -> None:
        """Take the rows of a checkpoint."""
        pairs = cast(list[list[list[float]]], state)
        self.rows = [(torch.tensor(first), torch.tensor(second)) for first, second in pairs]


def trained_parameters(row: TokenRow, train: Literal["both", "in"]) -> Mapping[str, nn.Parameter]:
    """By name: the vector that is read, and that which is predicted with where it is another."""
    names = {"vector": row.vector}
    if train == "both" and row.vector_out is not row.vector:
        names["vector_out"] = row.vector_out
    return names


@torch.no_grad()
def probe_logprobs(
    row: TokenRow, rows: Sequence[tuple[Tensor, Tensor]], probe: Answers
) -> list[float]:
    """Mean log-probability in nats of the probe's scored tokens, with each of these rows."""
    kept = [vector.detach().clone() for vector in (row.vector, row.vector_out)]
    values = []
    for vectors in (*rows, kept):  # the last puts them back
        for parameter, vector in zip((row.vector, row.vector_out), vectors, strict=True):
            parameter.copy_(vector)
        values.append(-float(row(probe.tokens, probe.real, probe.scored)))
    return values[:-1]
