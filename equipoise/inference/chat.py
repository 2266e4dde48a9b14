"""A model asked inside the turns of its chat template: a `Scorer` around a scorer of plain texts.

A question is a whole turn of the user, and what is scored or written is the model's turn. A text
that is no question stands in an open turn of the user, or of the model after a request. What the
template writes is rendered to text, tokenized as part of the text (as `apply_chat_template` does),
read and never scored; start tokens stand in it alone.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import zip_longest
from typing import Final, Literal, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from equipoise.dialogues import Dialogue
from equipoise.errors import ModelError
from equipoise.inference.dialogue import check_dialogues, write_answers
from equipoise.inference.prompting import INPUT, before_text, prompted
from equipoise.inference.request_kinds import takes
from equipoise.inference.scorer import CutsTexts, Reading, Scorer, WritesTexts
from equipoise.models import chat_template
from equipoise.models.chat_template import Message
from equipoise.models.loaded_model import LoadedModel
from equipoise.records import (
    JSON,
    Continuation,
    Decided,
    Decision,
    Embedding,
    Generation,
    Infill,
    ModelKind,
    NextToken,
    NextTokenScored,
    Scored,
    ScoredPair,
    TextPair,
)

Speaker: TypeAlias = Literal["user", "assistant"]
Asked = TypeVar("Asked", Continuation, NextToken, Generation)

REQUEST: Final = "Write a sentence."  # of the user, before a text in the model's turn
_USER, _MODEL = "equipoiseuser", "equipoisemodel"  # texts whose place is looked up


class PlainModel(LoadedModel, Scorer, CutsTexts, WritesTexts, Protocol):
    """What a chat is held with: `LanguageModel`."""

    def prompted(self, prompt: str) -> "PlainModel":
        """The same with this prompt, and no other (`prompting`)."""

    def variants(self) -> Sequence["PlainModel"]:
        """One model per prompt."""

    def as_unigram(self, texts: Sequence[str]) -> "PlainModel":
        """The model that reads no context."""

    def as_rehearsal(self) -> "PlainModel":
        """The model that checks requests and reads none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatForm:
    """How texts are put into turns, and what the template writes around them."""

    template_sha256: str  # of the template's text
    system: str | None  # None: what the template itself writes, if anything
    turn: Speaker  # whose turn a text stands in that is no question
    request: str | None  # of the user, before a text in the model's turn
    thinking: Literal["off", "open"] | None  # "open": each answer stands inside a thought
    date: str | None  # told to a template that asks the day
    head: str  # all that stands before a text that is no question
    lead: str  # what stands between the end of a question, as rendered, and the model's answer

    @property
    def record(self) -> dict[str, JSON]:
        """What a result must say of it; the texts themselves follow from it."""
        record: dict[str, JSON] = asdict(self)
        del record["lead"]
        head = str(record.pop("head"))
        return {**record, "head_sha256": hashlib.sha256(head.encode()).hexdigest()}

    @property
    def system_messages(self) -> tuple[Message, ...]:
        """The system prompt, if any, as a message."""
        return () if self.system is None else ({"role": "system", "content": self.system},)


def chat_form(
    model: LoadedModel, *, system: str | None, turn: Speaker, request: str | None
) -> ChatForm:
    """How this model's template writes turns; tried on a few words.

    Raises `ModelError` for a masked model, without a template, and for a template that fails or
    takes no system prompt.
    """
    _refuse(model, turn, request)
    for words in (system, request):
        if words is not None and INPUT in words:
            raise ModelError(
                f"a system prompt or request must not hold {INPUT}, which stands for the text in a "
                f"prompt, got {words[:60]!r}; write it in other words"
            )
    request = REQUEST if request is None else request
    user: Message = {"role": "user", "content": _USER}
    opened = _render(model, [user], answer=True)
    before: list[Message] = []
    if system is not None:
        before = [{"role": "system", "content": system}]
        try:
            opened = chat_template.render(model.tokenizer, [*before, user], answer=True)
        except ModelError as error:
            raise ModelError(
                f"{model.identity} must take a system prompt in a chat, got {system[:60]!r}, but "
                f"{error}; leave the system prompt out"
            ) from None
    if turn == "user":
        head = _render(model, [*before, user]).partition(_USER)[0]
    else:
        asked: list[Message] = [*before, {"role": "user", "content": request}]
        head = _render(model, asked, answer=True) + _lead(model, asked)
    return ChatForm(
        template_sha256=chat_template.template_sha256(model.tokenizer) or "",
        system=system,
        turn=turn,
        request=None if turn == "user" else request,
        thinking=_thinking(model, opened),
        date=chat_template.DATE if chat_template.asks_the_day(model.tokenizer) else None,
        head=head,
        lead=_lead(model, [*before, user]),
    )


def _refuse(model: LoadedModel, turn: str, request: str | None) -> None:
    """Raise `ModelError` for what cannot be asked in turns."""
    if model.kind == "masked":
        raise ModelError(
            f"a chat needs a causal model, {model.identity} is masked; measure it as plain text"
        )
    if model.decision is not None:
        raise ModelError(
            f"{model.identity} must be asked with the template of decisions, which has turns of "
            "its own; leave the chat out"
        )
    if chat_template.template_of(model.tokenizer) is None:
        raise ModelError(
            f"a chat needs a chat template, the tokenizer of {model.identity} has none; measure it "
            "as plain text, or put its chat_template.jinja beside its tokenizer"
        )
    if turn not in ("user", "assistant"):
        raise ModelError(f"turn must be user or assistant, got '{turn}'; take either")
    if request is not None and (turn == "user" or not request.strip()):
        raise ModelError(
            f"a request must have words and stand before text in the model's turn, got {request!r} "
            f"and turn {turn}; leave it out, or take the turn assistant"
        )
    rule = model.active_rule
    if rule is not None and rule.leads:
        raise ModelError(
            f"a model that is asked in a chat must have no '{rule.kind}', whose texts would stand "
            f"before the first turn, {model.identity} has it; measure it as plain text"
        )


def _render(model: LoadedModel, messages: Sequence[Message], *, answer: bool = False) -> str:
    try:
        return chat_template.render(model.tokenizer, messages, answer=answer)
    except ModelError as error:
        raise ModelError(
            f"{model.identity} cannot be asked in a chat: {error}; mend its chat_template, or "
            "measure it as plain text"
        ) from None


def _lead(model: LoadedModel, messages: Sequence[Message]) -> str:
    """What the template writes between its invitation to answer and an answer.

    Nothing in most; a space in Llama 2's, and a header where the template knows no invitation.
    """
    invited = _render(model, messages, answer=True)
    try:
        answer: Message = {"role": "assistant", "content": _MODEL}
        whole = chat_template.render(model.tokenizer, [*messages, answer])
    except ModelError:
        return ""  # a template of single questions
    opening = whole.partition(_MODEL)[0]
    return opening.removeprefix(invited) if opening.startswith(invited) else ""


def _thinking(model: LoadedModel, opened: str) -> Literal["off", "open"] | None:
    if opened.rstrip().endswith("<think>"):
        return "open"
    return "off" if chat_template.knows_thinking(model.tokenizer) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatModel:
    """A model in a chat; its methods are those of `Scorer`. Made by `LanguageModel.in_chat`.

    Prompts of the model, such as a debiasing edit's, stand inside the turn, before its text; a
    prompt around a text makes it a question under either reading.
    Whole texts, pairs and embeddings are texts under either reading. Before an answer its own
    leading space falls away; the model's turn has a space where its template writes it.
    """

    model: PlainModel  # with start="none", as the template writes the start token
    form: ChatForm
    reading: Reading = "text"

    def reading_as(self, reading: Reading) -> "ChatModel":
        """The same for a benchmark of questions, or of texts."""
        return replace(self, reading=reading)

    @property
    def identity(self) -> str:
        """The model's, and a hash of the form."""
        digest = hashlib.sha256(json.dumps(self.form.record).encode()).hexdigest()
        return f"{self.model.identity}+chat:{digest[:8]}"

    @property
    def kind(self) -> ModelKind:
        """Causal."""
        return self.model.kind

    @property
    def info(self) -> Mapping[str, JSON]:
        """The model's, with how it was asked under "chat"."""
        reason = "the chat template writes what stands first"
        chat = {"reading": self.reading, **self.form.record}
        return {**self.model.info, "start_reason": reason, "chat": chat}

    @property
    def trained_on(self) -> frozenset[str]:
        """As of the model."""
        return self.model.trained_on

    def added_tokens_in(self, texts: Iterable[str]) -> list[str]:
        """As of the model; tokens of the template are its own."""
        return self.model.added_tokens_in(texts)

    def writing_layout(self) -> Mapping[str, JSON]:
        """As of the model."""
        return self.model.writing_layout()

    def as_unigram(self, texts: Sequence[str]) -> "ChatModel":
        """As of the model; what the template writes has no part in it."""
        return replace(self, model=self.model.as_unigram(texts))

    def as_rehearsal(self) -> "ChatModel":
        """As of the model."""
        return replace(self, model=self.model.as_rehearsal())

    def variants(self) -> Sequence["ChatModel"]:
        """One per prompt of the model."""
        return [replace(self, model=variant) for variant in self.model.variants()]

    @takes(Continuation)
    def score(self, requests: Sequence[Continuation]) -> list[Scored]:
        """Log-probabilities of answers, or of texts in their turn."""
        asked = [
            replace(
                request, context=opened, continuation=self._answer(request, request.continuation)
            )
            for request, opened in self._opened(requests)
        ]
        return self.model.prompted("").score(asked)

    @takes(NextToken)
    def next_token(self, requests: Sequence[NextToken]) -> list[NextTokenScored]:
        """Log-probabilities of words with which the answer, or the text, goes on."""
        asked = [
            replace(
                request,
                context=opened,
                words=tuple(self._answer(request, word) for word in request.words),
            )
            for request, opened in self._opened(requests)
        ]
        return self.model.prompted("").next_token(asked)

    @takes(Generation)
    def generate(self, requests: Sequence[Generation], *, seed: int = 0) -> list[str]:
        """Answers, or how a text goes on, up to the end of the turn."""
        asked = [replace(request, context=opened) for request, opened in self._opened(requests)]
        return self.model.prompted("").generate(asked, seed=seed)

    @takes(Dialogue)
    def converse(self, requests: Sequence[Dialogue], *, seed: int = 0) -> list[tuple[str, ...]]:
        """The model's answer to each turn of the user, given its own answers before.

        A prompt of the model stands in each turn of the user. Of the answers before, white space
        at the ends is left out, as the template writes its own.
        """
        plain = self.model.prompted("")
        check_dialogues(plain, requests, self._open_dialogue)
        return write_answers(requests, self._open_dialogue, partial(plain.generate, seed=seed))

    @takes(TextPair)
    def score_pairs(self, requests: Sequence[TextPair]) -> list[ScoredPair]:
        """Log-probabilities of tokens of two texts, each in its turn."""
        return self._running.score_pairs(requests)

    @takes(Embedding)
    def embed(self, requests: Sequence[Embedding]) -> NDArray[np.float32]:
        """Pooled hidden states of texts in their turn, those of the template left out."""
        return self._running.embed(requests)

    @takes(Decision)
    def decide(self, requests: Sequence[Decision]) -> list[Decided]:
        """Raises `ModelError`: a decision model has turns of its own."""
        return self.model.decide(requests)

    @takes(Infill)
    def infill(self, requests: Sequence[Infill]) -> list[Scored]:
        """Raises `ModelError`: only a masked model fills in."""
        return self.model.infill(requests)

    @property
    def _running(self) -> PlainModel:
        """The model with all before a text as its prompt, which is read and not scored."""
        return self.model.prompted(self.form.head + before_text(self._prompt))

    @property
    def _prompt(self) -> str:
        if len(self.model.prompts) != 1:
            raise ModelError(
                f"a model to be scored must have a single prompt; {self.identity} has "
                f"{len(self.model.prompts)}: measure each of its variants()"
            )
        return self.model.prompts[0]

    def _is_question(self, context: str) -> bool:
        """Whether there is anything to answer; a text without a context is none."""
        asked = self.reading == "question" or INPUT in self._prompt
        return asked and bool(context.strip())

    def _opened(self, requests: Sequence[Asked]) -> Iterator[tuple[Asked, str]]:
        """Each request with its context inside its turns, up to where the scored text begins."""
        form: ChatForm = self.form
        prompt, header = self._prompt, form.lead[: len(form.lead.rstrip())]
        opened: dict[str, str] = {}
        for request in requests:
            context = request.context
            if context not in opened:
                opened[context] = form.head + prompted(prompt, context)
                if self._is_question(context):
                    user: Message = {"role": "user", "content": prompted(prompt, context)}
                    invited = _render(self.model, [*form.system_messages, user], answer=True)
                    opened[context] = invited + header
            yield request, opened[context]

    def _open_dialogue(self, turns: Sequence[str], answers: Sequence[str]) -> str:
        """A conversation up to where the answer to its last turn begins."""
        messages: list[Message] = [*self.form.system_messages]
        for turn, text in zip_longest(turns, answers):
            messages.append({"role": "user", "content": prompted(self._prompt, turn)})
            if text is not None:
                messages.append({"role": "assistant", "content": text.strip()})
        lead = self.form.lead
        return _render(self.model, messages, answer=True) + lead[: len(lead.rstrip())]

    def _answer(self, request: Continuation | NextToken, text: str) -> str:
        """A scored text as it stands where the turn begins."""
        if not self._is_question(request.context):
            return text
        space = self.form.lead[len(self.form.lead.rstrip()) :]
        return space + text.removeprefix(" ")
