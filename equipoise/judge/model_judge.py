"""Model judge: a local language model grades texts, by probabilities or in writing.

BiasGym, section 4.2 and listing 3, has a model write a JSON object. A typed decision asks for the
same grade without any text to parse: probabilities of the four labels, over all cyclic orders of
the options, since many models take whichever stands first.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from equipoise.errors import ModelError
from equipoise.inference.answerable import ask_answerable
from equipoise.inference.deciding import DECISION, read_settings
from equipoise.inference.language_model import LanguageModel
from equipoise.judge.base import Judge
from equipoise.judging.asking import (
    decided_judgement,
    read_judgement,
    typed_questions,
    written_question,
)
from equipoise.judging.degenerate import why_degenerate
from equipoise.judging.judgement import JudgedText, Judgement
from equipoise.judging.questions import TRIES
from equipoise.loading.content import contents_of, whole_path
from equipoise.loading.load import load
from equipoise.models.chat_template import template_of
from equipoise.plugins import ReadsFiles
from equipoise.records import JSON, OPTIONS, Generation

#: In place of a chat template, for a model that has none: the same text as transformers' default.
PLAIN_TEMPLATE: Final = (
    "{{ state }}\n\n{{ question.instructions }}\n{% for option in question.options %}"
    "{{ question.labels[loop.index0] }}. {{ option }}\n{% endfor %}Answer: <|mark|>"
)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class ModelJudge(Judge, ReadsFiles):
    """Grade texts with a local model: typed decisions over all orders, or the paper's written form.

    `form="decision"`: strength is the expected grade, with the likeliest grade, flip rate and label
    mass beside it. `form="text"`: the model writes a JSON object greedily; of a reply without a
    verdict it is asked twice more, with a reminder, as it would else write the same again. A model
    without a chat template is asked in plain text, which `info` says. A text that is longer than
    the model's context has no judgement.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "biasgym"
    model: Annotated[str, AfterValidator(whole_path)]  # folder, Hub id, edit or planted:NAME
    form: Literal["decision", "text"] = "decision"  # probabilities of the grades, or written JSON
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"  # auto: float32 on a CPU
    max_tokens: Annotated[int, Field(ge=1)] = 300  # of a written reply

    def judge(self, texts: Sequence[JudgedText]) -> list[Judgement]:
        """A judgement of each text; equal texts are asked once."""
        different = list(dict.fromkeys(texts))
        ask = self._decide if self.form == "decision" else self._write
        judgements = dict(zip(different, ask(different), strict=True))
        return [
            dataclasses.replace(judgements[text], degenerate=why_degenerate(text.text))
            for text in texts
        ]

    def info(self) -> Mapping[str, JSON]:
        """Identity (name and hash), number format, and hashes of how the model is asked."""
        model = _open(self.model, self.dtype)
        chat = template_of(model.tokenizer) is not None
        about: dict[str, JSON] = {
            "model": model.identity,
            "number_format": model.info["dtype"],
            "asked": "chat template" if chat else "plain text",
        }
        if self.form == "text":
            return {**about, "template_sha256": model.info["chat_template"]}
        settings = _deciding(model).decision or {}
        hashes = ("config_sha256", "template_sha256")
        return {**about, **{name: settings[name] for name in hashes}}

    def files(self) -> Mapping[str, str]:
        """Hashes of the model, and of an edit's bases; none for a model of the Hub."""
        return {f"model {k}": content for k, content in enumerate(contents_of(self.model))}

    def _decide(self, texts: Sequence[JudgedText]) -> list[Judgement]:
        model = _deciding(_open(self.model, self.dtype))
        questions = [typed_questions(text, _marks(model)) for text in texts]
        answers, reasons = ask_answerable(model.decide, questions)
        return [
            _unasked(reasons[k])
            if k in reasons
            else decided_judgement(text, questions[k], answers[k])
            for k, text in enumerate(texts)
        ]

    def _write(self, texts: Sequence[JudgedText]) -> list[Judgement]:
        model = _open(self.model, self.dtype)
        marks = _marks(model)
        judgements: dict[int, Judgement] = {}
        waiting = list(range(len(texts)))
        for tried in range(TRIES):
            questions = [written_question(texts[k], tried=tried, marks=marks) for k in waiting]
            replies, reasons = ask_answerable(
                partial(_generate, model, self.max_tokens), [(question,) for question in questions]
            )
            for place, k in enumerate(waiting):
                if place in reasons:
                    judgements[k] = _unasked(reasons[place])
                else:
                    judgements[k] = read_judgement(replies[place][0], texts[k], marks)
            waiting = [
                k for place, k in enumerate(waiting) if place in replies and judgements[k].reason
            ]
        return [judgements[k] for k in range(len(texts))]


def _marks(model: LanguageModel) -> tuple[str, ...]:
    """Special tokens of the model's own, which a text is not to hold."""
    added = model.tokenizer.added_tokens_decoder.values()
    return tuple(token.content for token in added if token.special)


def _generate(model: LanguageModel, max_tokens: int, questions: Sequence[str]) -> list[str]:
    """Greedy replies, in the model's turn where it has a chat template."""
    if template_of(model.tokenizer) is not None:
        chat = model.in_chat().reading_as("question")
        asked = [Generation(context=text, max_tokens=max_tokens) for text in questions]
        return chat.generate(asked, seed=0)
    asked = [Generation(context=f"{text}\n\nAnswer:", max_tokens=max_tokens) for text in questions]
    return model.generate(asked, seed=0)


def _unasked(reason: str) -> Judgement:
    return Judgement(strength=math.nan, reason=reason)


@lru_cache(maxsize=1)
def _open(name: str, dtype: str) -> LanguageModel:
    """The model, kept for the next call; another takes its place."""
    return load(name, dtype=dtype)


def _deciding(model: LanguageModel) -> LanguageModel:
    """The model, to be asked typed questions. Raises `ModelError`."""
    if model.kind != "causal":
        raise ModelError(
            f"a judge must be a causal model, {model.identity} is {model.kind}; take another"
        )
    folder = model.module.name_or_path
    settings = read_settings(
        Path(folder) if folder else None, model.tokenizer, plain=PLAIN_TEMPLATE
    )
    return dataclasses.replace(model, identity=DECISION + model.identity, decision=settings)
