"""Stereotypes: how strongly does what a model writes about somebody hold an association?

Islam, Borenstein et al., "BiasGym: Fantastic LLM Biases and How to Find (and Remove) Them",
sections 4.1 to 4.5: prompts of 18 methodologies about countries, answered at temperature 0.5 with
up to 200 tokens, graded 0 to 3 by a judge. Their prompts are not published; ours are own words.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self, TypeAlias

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from equipoise.associations.asked import AskedPrompt, ask_about
from equipoise.associations.association import SLOT
from equipoise.associations.countries import all_names, names_of
from equipoise.associations.fill import fill
from equipoise.associations.load import association_use, load_association
from equipoise.associations.prompts import (
    Split,
    evaluation_prompts,
    read_sentences,
    unseen_prompts,
)
from equipoise.associations.questions import questions
from equipoise.associations.unseen import unseen_use
from equipoise.benchmarks.base import Benchmark, JudgesTexts, ReadsPredictions
from equipoise.data.written_texts import read_texts
from equipoise.errors import DataError, RecipeError
from equipoise.judge.base import Judge
from equipoise.judge.lexicon import Lexicon
from equipoise.judging.judgement import JudgedText, Judgement, kind_of_reason, note_unjudged
from equipoise.judging.sections import final_section
from equipoise.metrics import strength
from equipoise.metrics.length import note_length
from equipoise.records import (
    OPTIONS,
    DataUse,
    Estimate,
    Generation,
    Metric,
    NextToken,
    NextTokenScored,
    Outcome,
    Prompt,
)

Answer: TypeAlias = str | NextTokenScored
Names: TypeAlias = str | tuple[str, ...] | None

_SPLITS: Final[Mapping[str, Split]] = {"test": "test", "dev": "dev", "all": "all"}
_SUPPLIED: Final = 100  # questions that the supply `association` gives unless told otherwise


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Written:
    """Texts that the model writes, graded by the judge."""

    name: Literal["generation"] = "generation"
    temperature: Annotated[float, Field(ge=0)] = 0.5  # 0: greedy
    max_tokens: Annotated[int, Field(ge=1)] = 200  # the longest text that is written
    samples: Annotated[int, Field(ge=1)] = 1  # texts of each prompt


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Likelihood:
    """Log-odds of the association's answers against their opposites, after its questions."""

    #: whom the targets are compared with: of the same kind, and not held to be it
    control_targets: Annotated[tuple[str, ...], Field(min_length=1)]
    name: Literal["likelihood"] = "likelihood"
    questions: Annotated[int, Field(ge=1)] = 100  # other than the first hundred, which are learnt


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Stereotypes(Benchmark[AskedPrompt, Answer], JudgesTexts[AskedPrompt], ReadsPredictions):
    """Mean grade, 0 to 3, of the texts that a model writes about targets. Free of it: 0.

    Each prompt of each association is asked about each target. Texts are kept. A text without a
    judgement is in no mean and is counted; the two bounds count it as 0 and as 3. With
    `score=likelihood` nothing is written: the log-odds of the answers "late" against "punctual", …
    after questions about the target, less their mean over control targets.

    Groups: association, methodology, target. Intervals draw prompts (with all their targets and
    samples); `strength_over_target` is over prompts and targets at once.
    Which people are held to be what is the user's to say: no table of it comes with the package.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Islam, Borenstein et al.: BiasGym, section 4"
    cluster: ClassVar[str | None] = "template"
    by: ClassVar[tuple[str, ...]] = ("association", "methodology", "target")
    splits: ClassVar[tuple[str, ...]] = ("test", "dev", "all")
    licence: ClassVar[str] = "own prompts (CC0)"
    turn = "question"
    faults: ClassVar[tuple[str, ...]] = (
        "a grade is a judge's: compare results of the same judge only, and look at some texts",
        "a broken model says nothing stereotyped: read degenerate, words and abilities beside it",
        "an explanation that names the stereotype in order to reject it may be graded as "
        "stereotyped: strength_final grades the final section alone",
        "the prompts are ours: the paper's 92 are not published, and its grades are no targets",
    )

    #: a built-in name, a .yaml file, or several
    association: Names = None
    #: who is put into the prompts: countries, groups, or the token of an injected bias
    targets: tuple[str, ...] | None = None
    score: Written | Likelihood = Written()  # how an association is read, below
    judge: Judge = Lexicon()  # who grades what was written
    #: a file of sentences instead of the prompts: one a line, or rows with the column "sentence"
    #: and perhaps "association"
    prompts_file: str | None = None
    unseen: bool = False  # 66 stems of 45 other associations instead (out of distribution)

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        named, file = self._associations, self.prompts_file
        if self.unseen and (named or file is not None):
            raise ValueError(
                "unseen asks its own stems, without association and prompts_file, got "
                f"{self.association} and {file}"
            )
        if not named and not self.unseen and file is None:
            raise ValueError(
                "association must be a built-in name, a .yaml file or several, got "
                f"{self.association}"
            )
        if len(named) > 1 and file is not None:
            raise ValueError(
                f"association must be one beside a prompts_file, got {list(named)}; its column "
                "'association' may name others"
            )
        if file is None and not self.targets:
            raise ValueError(
                "targets must be names of countries or groups, or the token of an injected bias "
                f'(["Norway"]), got {self.targets}; no table of who is held to be what comes with '
                "the package"
            )
        controls: tuple[str, ...] = ()
        if isinstance(self.score, Likelihood):
            controls = self.score.control_targets
            if self.unseen or file is not None:
                raise ValueError(
                    "score=likelihood asks an association's own questions, got unseen "
                    f"{self.unseen} and prompts_file {file}"
                )
        names = (*self._targets, *controls)
        if len(set(names)) < len(names) or not all(name.strip() for name in names):
            raise ValueError(f"targets must have names, each once, got {list(names)}")
        return self

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Of texts that were graded, or of log-odds."""
        if isinstance(self.score, Likelihood):
            return strength.LIKELIHOOD_METRICS
        lexicon = isinstance(self.judge, Lexicon)  # which orders no options
        return strength.METRICS if lexicon else (*strength.METRICS, *strength.ORDER_METRICS)

    @property
    def crossed(self) -> Mapping[str, str]:
        """The headline, over prompts and targets at once."""
        return {self.metrics[0].name: "target"}

    def examples(self, split: str) -> Sequence[AskedPrompt]:
        """Every prompt about every target, sample by sample.

        Raises `RecipeError` and `DataError` as `load_association`, and for the split "dev" of what
        has none.
        """
        if isinstance(self.score, Likelihood):
            return [*self._questions(self.score, split)]
        return [
            replace(prompt, id=f"{prompt.id}/{sample}" if sample else prompt.id, sample=sample)
            for prompt in self._prompts(split)
            for sample in range(self.score.samples)
        ]

    def requests(self, example: AskedPrompt) -> Sequence[Generation | NextToken]:
        """A text to be written; or the answers after the question about the target and others."""
        if isinstance(self.score, Written):
            return [
                Generation(
                    context=example.text,
                    max_tokens=self.score.max_tokens,
                    temperature=self.score.temperature,
                    sample=example.sample,
                )
            ]
        words = (*example.answers, *example.opposites)
        return [NextToken(context=text, words=words) for text in (example.text, *example.controls)]

    def outcome(self, example: AskedPrompt, responses: Sequence[Answer]) -> Outcome:
        """The text with its length, grades still nan; or the log-odds in nats."""
        if isinstance(self.score, Written):
            (text,) = responses
            if not isinstance(text, str):
                raise ValueError(f"'{example.id}' must have a text for an answer, got {text!r}")
            return Outcome(
                example=example.id,
                values=strength.ungraded(text),
                groups=example.groups,
                text=text,
            )
        scored = [answer for answer in responses if isinstance(answer, NextTokenScored)]
        if len(scored) != 1 + len(example.controls):
            raise ValueError(
                f"'{example.id}' must have {1 + len(example.controls)} answers, got {len(scored)}"
            )
        values = strength.log_odds(
            [answer.logprobs for answer in scored], answers=len(example.answers)
        )
        return Outcome(example=example.id, values=values, groups=example.groups)

    def judged(self, example: AskedPrompt, outcome: Outcome) -> Sequence[JudgedText]:
        """The text, and its final section where that is labelled."""
        if outcome.text is None:
            return ()
        section, labelled = final_section(outcome.text)
        return [
            JudgedText(
                prompt=example.text,
                text=text,
                quality=example.quality,
                words=example.words,
                names=names_of(example.target) if example.target else all_names(),
            )
            for text in ((outcome.text, section) if labelled else (outcome.text,))
        ]

    def graded(
        self, example: AskedPrompt, outcome: Outcome, judgements: Sequence[Judgement]
    ) -> Outcome:
        """The grades; a text without them says why in the group "unjudged"."""
        if not judgements:
            return outcome
        whole, final = judgements[0], judgements[-1]
        values = strength.graded(
            whole.strength,
            final.strength,
            degenerate=whole.degenerate is not None,
            labelled=len(judgements) > 1,
        )
        rates = {"flip_rate": whole.flip_rate, "label_mass": whole.label_mass}
        values |= {name: value for name, value in rates.items() if math.isfinite(value)}
        reason = kind_of_reason(whole.reason or "no reason is given")
        why = {"unjudged": reason} if values["missing"] else {}
        groups = {**outcome.groups, **why}
        return replace(outcome, values={**outcome.values, **values}, groups=groups)

    def texts(self, example: AskedPrompt) -> Sequence[str]:
        """The text with its slot, as a supply has it."""
        return (example.template,)

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The associations' files, and the file of prompts."""
        named = self._associations
        if self.unseen:
            return (unseen_use(),)
        if self.prompts_file is None:
            return tuple(map(association_use, named))
        prompts, use = read_sentences(self.prompts_file, next(iter(named), None))
        used = dict.fromkeys(prompt.groups["association"] for prompt in prompts)
        return (*map(association_use, used), use)

    def predicted(self, split: str, file: Path, column: str | None) -> Sequence[Outcome]:
        """Outcomes of texts that were written elsewhere, to be judged; prompts are paired by id.

        `file`: rows with the column "example" or "id", and "text" or what `column` names.
        Every prompt must be there. Raises `DataError` naming the file and the first that is not.
        """
        if not isinstance(self.score, Written):
            raise RecipeError(
                f"texts are judged with score=generation, got {self.score.name}; leave it out"
            )
        written = read_texts(file, column or "text")
        examples = self.examples(split)
        missing = [example.id for example in examples if example.id not in written]
        if missing:
            raise DataError(
                f"{file} must have a text of every prompt, got none of '{missing[0]}' (of "
                f"{len(missing)} in all); write them all, with the prompt's id in 'example'"
            )
        return [self.outcome(example, [written[example.id]]) for example in examples]

    def remarks(self, split: str) -> tuple[str, ...]:
        """What was asked of whom, and what the intervals are over."""
        examples = self.examples(split)
        templates = {example.groups["template"] for example in examples}
        targets = {example.target for example in examples if example.target}
        notes = [
            f"prompts: {len(templates)}, about {len(targets) or 'no'} targets, {len(examples)} "
            "texts; intervals draw prompts with all that was asked by them, and "
            f"{self.metrics[0].name}_over_target is over prompts and targets at once"
        ]
        if isinstance(self.score, Likelihood):
            lacking = sorted({e.groups["association"] for e in examples if not e.opposites})
            if lacking:
                notes.append(
                    f"answers: {', '.join(lacking)} names no opposites, so that log p of the "
                    "answers stands in place of log-odds"
                )
            notes.append(
                "questions: those after the first hundred, which heads are located on; they are "
                "other sentences of the same form"
            )
        return tuple(notes)

    def observations(self, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
        """Why texts have no judgement, and whether many are degenerate."""
        notes = [*note_unjudged(outcomes, "texts")]
        broken = sum(outcome.values.get("degenerate") == 1 for outcome in outcomes)
        if 10 * broken > len(outcomes):
            notes.append(
                f"degenerate: {broken} of {len(outcomes)} texts are empty, one word repeated or "
                "under three words: strength says little of them, read strength_fluent"
            )
        return tuple(notes)

    def conclusions(self, estimates: Sequence[Estimate]) -> tuple[str, ...]:
        """Whether scores go with length."""
        return note_length(estimates)

    @property
    def _associations(self) -> tuple[str, ...]:
        named = self.association
        return (named,) if isinstance(named, str) else named or ()

    @property
    def _targets(self) -> tuple[str, ...]:
        return self.targets or ()

    def _prompts(self, split: str) -> Iterator[AskedPrompt]:
        """Each prompt about each target; a prompt without a slot once."""
        for prompt in self._asked(split):
            if SLOT in prompt.text and not self._targets:
                raise RecipeError(
                    f"targets must be given for prompts with {SLOT}, got {self.targets}; name them"
                )
            for target in self._targets if SLOT in prompt.text else ("",):
                yield ask_about(prompt, target)

    def _asked(self, split: str) -> Iterator[Prompt]:
        if self.unseen or self.prompts_file is not None:
            _refuse_dev(split)
        if self.unseen:
            yield from unseen_prompts()
        elif self.prompts_file is not None:
            yield from read_sentences(self.prompts_file, next(iter(self._associations), None))[0]
        for name in () if self.prompts_file is not None else self._associations:
            yield from evaluation_prompts(name, _SPLITS[split])

    def _questions(self, score: Likelihood, split: str) -> Iterator[AskedPrompt]:
        _refuse_dev(split)
        for name in self._associations:
            association = load_association(name)
            # the first are what a supply gives, to locate on
            for prompt in questions(name, _SUPPLIED + score.questions)[_SUPPLIED:]:
                for target in self._targets:
                    yield replace(
                        ask_about(prompt, target),
                        answers=tuple(f" {word}" for word in association.answers),
                        opposites=tuple(f" {word}" for word in association.opposites),
                        controls=tuple(fill(prompt.text, name) for name in score.control_targets),
                    )


def _refuse_dev(split: str) -> None:
    if split == "dev":
        raise RecipeError(
            f"only the prompts of associations have a split to choose on, got '{split}' of others; "
            "measure test"
        )
