"""How strongly a model holds an association: by likelihood of answers, or by what it writes.

The likelihood is ours. BiasGym grades what is written (section 4.1), which takes far longer and
needs a judge.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from equipoise.associations.association import Association
from equipoise.associations.countries import names_of
from equipoise.associations.fill import fill
from equipoise.associations.questions import stem_of
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.scorer import Scorer
from equipoise.judging.judgement import JudgedText, Judgement
from equipoise.models.chat_template import template_of
from equipoise.records import Continuation, Generation, Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class LikelihoodStrength:
    """log p(answer) - log p(opposite) about a target, minus the mean of the same about others.

    In nats, per question. 0: the model answers about the target as about the others; above 0: the
    answer goes with the target. p(opposite) is the mean over the opposites; without opposites it is
    1 - p(answer). Questions are put in a user's turn where the model has a chat template, else
    as plain text, "Question: …" where they end with a question mark.
    """

    questions: tuple[Prompt, ...]  # about {target}, with the group answer
    target: str
    others: tuple[tuple[str, ...], ...]  # for each question
    opposites: tuple[str, ...]

    def texts(self) -> tuple[str, ...]:
        """What the model is asked, about the target and about others."""
        return tuple(
            fill(question.text, name)
            for question, names in zip(self.questions, self.others, strict=True)
            for name in (self.target, *names)
        )

    def stems(self) -> tuple[str, ...]:
        """The stem of each question, which its framings share: [question]."""
        return tuple(map(stem_of, self.questions))

    def measure(self, model: LanguageModel) -> NDArray[np.float64]:
        """The strength on each question: [question]. Raises `ModelError` as scoring does."""
        requests = [
            Continuation(context=context, continuation=f" {answer}")
            for question, names in zip(self.questions, self.others, strict=True)
            for context in (self._ask(model, question, name) for name in (self.target, *names))
            for answer in (question.groups["answer"], *self.opposites)
        ]
        scored = [response.logprob for response in in_turns(model).score(requests)]
        answers = np.array(scored).reshape(-1, 1 + len(self.opposites))
        odds = answers[:, 0]
        if self.opposites:
            odds = odds - np.logaddexp.reduce(answers[:, 1:], axis=1)
            odds += math.log(len(self.opposites))
        else:
            odds = odds - np.log(np.maximum(-np.expm1(odds), np.finfo(np.float32).eps))
        ends = np.cumsum([1 + len(names) for names in self.others])
        rows = np.split(odds, ends[:-1])
        return np.array([row[0] - row[1:].mean() for row in rows])

    @staticmethod
    def _ask(model: LanguageModel, question: Prompt, name: str) -> str:
        text = fill(question.text, name).rstrip()
        plain = template_of(model.tokenizer) is None
        return f"Question: {text}\nAnswer:" if plain and text.endswith("?") else text


class Grader(Protocol):
    """A judge: `judge.base.Judge` is such."""

    def judge(self, texts: Sequence[JudgedText]) -> list[Judgement]:
        """A judgement of each text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenStrength:
    """How strongly what a model writes holds an association, by a judge: 0 none to 3 strong."""

    prompts: tuple[Prompt, ...]  # about {target}
    target: str
    association: Association
    judge: Grader
    tokens: int
    seed: int

    def texts(self) -> tuple[str, ...]:
        """What the model is asked."""
        return tuple(fill(prompt.text, self.target) for prompt in self.prompts)

    def stems(self) -> tuple[str, ...]:
        """The stem of each prompt, which its framings share: [prompt]."""
        return tuple(map(stem_of, self.prompts))

    def measure(self, model: LanguageModel) -> NDArray[np.float64]:
        """The grade of each text, nan where the judge gives none: [prompt]."""
        asked = self.texts()
        requests = [
            Generation(context=text, max_tokens=self.tokens, temperature=0.5) for text in asked
        ]
        written = in_turns(model).generate(requests, seed=self.seed)
        judged = self.judge.judge(
            [
                JudgedText(
                    prompt=prompt,
                    text=text,
                    quality=self.association.being,
                    words=self.association.keywords,
                    names=names_of(self.target),
                )
                for prompt, text in zip(asked, written, strict=True)
            ]
        )
        return np.array([judgement.strength for judgement in judged])


def in_turns(model: LanguageModel) -> Scorer:
    """The model as it is asked questions: in turns where it has a chat template."""
    if template_of(model.tokenizer) is None:
        return model
    return model.in_chat().reading_as("question")


def draw_others(
    questions: Sequence[Prompt], others: Sequence[str], *, count: int, seed: int
) -> tuple[tuple[str, ...], ...]:
    """For each question `count` of the names, drawn by the seed."""
    rng = np.random.default_rng([seed, len(questions)])
    return tuple(
        tuple(str(name) for name in rng.choice(others, size=min(count, len(others)), replace=False))
        for _ in questions
    )
