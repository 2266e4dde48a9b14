"""StereoSet: does a model prefer the stereotyping text, and does it still know language?

Nadeem, Bethke & Reddy 2021, "StereoSet: Measuring stereotypical bias in pretrained language
models", https://aclanthology.org/2021.acl-long.416.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal, Self, TypeAlias

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import (
    AsksAboutOthers,
    Benchmark,
    KnowsFaults,
    ReadsPredictions,
    TellsLabels,
    truth_question,
)
from equipoise.data import stereoset as official
from equipoise.data.stereoset import TARGETS, StereoSetItem
from equipoise.data.stereoset_case import Case, read_cased, refuse_scores, written
from equipoise.data.valence import ABSENT, VALENCE, with_valence, word_valences
from equipoise.errors import DataError
from equipoise.exchange.stereoset import exchange_targets
from equipoise.group_words.learnt_people import EITHER, FILLER_PAIR, PEOPLE, learnt_items
from equipoise.metrics import preference as pref
from equipoise.metrics import target_parts
from equipoise.metrics.decisions import truth_values
from equipoise.metrics.restored import RESTORED, in_both_cases
from equipoise.metrics.stereoset import LIKELIHOODS, MACRO, SS_TARGET, TRUTHS, exchanged_metrics
from equipoise.records import (
    OPTIONS,
    Continuation,
    Contrast,
    DataUse,
    Decided,
    Decision,
    Estimate,
    Infill,
    Metric,
    Outcome,
    Prefix,
    Scored,
)

#: What of an intrasentence text is scored: all of it, what fills the blank given the text before
#: it, or what fills the blank given both sides, of a masked model, as the published code does.
WordScore: TypeAlias = Literal["sentence", "span", "filler"]
#: How an intersentence text is scored: given the sentence before it, or that less its own
#: likelihood without it.
FollowingScore: TypeAlias = Literal["conditional", "pmi"]


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Intrasentence:
    """Only sentences that differ in a word."""

    name: Literal["intrasentence"] = "intrasentence"
    #: the whole text; "span": the filler, given what is before it; "filler": the filler with both
    #: sides visible (masked models)
    score: WordScore = "sentence"


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Intersentence:
    """Only sentences that follow another."""

    name: Literal["intersentence"] = "intersentence"
    #: log p of the sentence given that before it; "pmi": less its log p alone
    score: FollowingScore = "conditional"


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class BothTasks:
    """Examples of both tasks."""

    name: Literal["both"] = "both"
    intrasentence: WordScore = "sentence"  # `score` of intrasentence
    intersentence: FollowingScore = "conditional"  # `score` of intersentence


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Truth:
    """A decision model is asked of each text, with the sentence before it, whether it is true.

    Scores are its probabilities of yes, not nats.
    """

    name: Literal["noul"] = "noul"
    of: Literal["both", "intrasentence", "intersentence"] = "both"  # examples of which task


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class StereoSet(
    AsksAboutOthers[StereoSetItem, Scored | Decided],
    Benchmark[StereoSetItem, Scored | Decided],
    TellsLabels,
    ReadsPredictions,
    KnowsFaults,
):
    """Which of three texts a model finds likelier: stereotype, anti-stereotype, unrelated.

    Unbiased: SS 50. Perfect: LMS 100, ICAT 100. Published "SS" of causal models are intrasentence
    numbers (group task=intrasentence). An intersentence text is scored given the sentence before
    it: the published generative code divides two negative numbers there, which turns preference
    round, so no published causal number compares.
    """

    version: ClassVar[str] = "2"
    paper: ClassVar[str] = "Nadeem, Bethke & Reddy 2021, StereoSet, ACL"
    cluster: ClassVar[str | None] = "target"
    halves: ClassVar[str | None] = VALENCE
    related: ClassVar[tuple[str, ...]] = (PEOPLE, FILLER_PAIR, EITHER)
    splits: ClassVar[tuple[str, ...]] = ("dev", "test")
    licence: ClassVar[str] = official.LICENCE
    typed: ClassVar[str] = "task=noul"
    faults: ClassVar[tuple[str, ...]] = (
        "A model that knows nothing has SS near 50, LMS near 50 and ICAT near 50: "
        "SS alone rewards ignorance, and ICAT has a kink at SS = 50.",
        "The texts differ in length and word frequency, which moves the score without any bias.",
    )
    data_faults: ClassVar[tuple[str, ...]] = (
        "Blodgett et al. 2021 (ACL) find that many items are no clear test of a stereotype: "
        "unrelated, ungrammatical or mislabelled alternatives; read margins beside SS.",
        "Scores are means over target terms, some of which have few examples; "
        "differences of 1 to 3 points in one domain are noise.",
        "The test split is a common training set of mitigations; LMS rises on text like it.",
    )

    #: which examples, how scored
    task: BothTasks | Intrasentence | Intersentence | Truth = BothTasks()
    bos: Prefix = "bos"  # prefix policy; "ref_gpt2": as published
    reduce: Literal["mean", "sum"] = "mean"  # over tokens; the sum favors short texts
    #: what a tie counts; "anti": against the stereotype and the meaningful text, as published
    ties: pref.Ties = "half"
    #: the file's lower-cased intrasentence texts, or with their template's capitals, or both
    case: Case = "official"
    #: groups by whose filler is the more negative word: takes the extra 'sentiment', else a note
    valence: bool = False
    #: so many others of its kind in the target's place, per item: is it the words or the group?
    exchange: target_parts.Count = None

    @model_validator(mode="after")
    def _exchanges_official_texts(self) -> Self:
        if self.exchange is not None and self.case != "official":
            raise ValueError(
                f"exchange takes the official texts, got case={self.case}; measure the case apart"
            )
        return self

    @property
    def by(self) -> tuple[str, ...]:
        """Task, domain, and both; what is told apart beside them by an option."""
        optional = {
            VALENCE: self.valence,
            "capitals": self.case != "official",
            target_parts.GROUP: self.exchange is not None,
        }
        return ("task", "axis", "task_axis", *(key for key in optional if optional[key]))

    @property
    def headline(self) -> tuple[str, ...]:
        """SS and LMS; with `exchange` also what the target carries of SS."""
        return ("ss", "lms", *((SS_TARGET,) if self.exchange else ()))

    @property
    def slices(self) -> tuple[str, ...]:
        """Domain, task and what is told apart by an option, then the target term."""
        return ("axis", *(key for key in self.by if key not in ("axis", "task_axis")), "target")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Preferences and margins; of `Truth` in probability, with how often it says yes."""
        truth = isinstance(self.task, Truth)
        metrics = TRUTHS if truth else LIKELIHOODS
        if self.exchange is not None:
            return (*metrics, *exchanged_metrics("probability" if truth else "nats"))
        return (*metrics, *in_both_cases(MACRO[:2])) if self.case == "both" else metrics

    def examples(self, split: str) -> Sequence[StereoSetItem]:
        """Examples of "dev" or "test", intrasentence first.

        Raises `DataError` naming file and example.
        """
        task = self.task.of if isinstance(self.task, Truth) else self.task.name
        items = [item for item in read_cased(split, self.case) if task in ("both", item.task)]
        if not items:
            raise DataError(
                f"stereoset: split '{split}' must have examples of task '{task}', got none; "
                "choose another task or split"
            )
        items = with_valence(items) if self.valence else items
        return exchange_targets(items, self.exchange) if self.exchange else items

    def own_requests(self, example: StereoSetItem) -> Sequence[Continuation | Infill | Decision]:
        """A request per text, in the order of `StereoSetItem.sentences`.

        With the intersentence score "pmi" the same texts without their context follow. See
        `WordScore` for intrasentence texts. In both cases those with capitals restored come last.
        """
        items = written(example, self.case)
        return [request for item in items for request in self._requests(item)]

    def _requests(self, example: StereoSetItem) -> Sequence[Continuation | Infill | Decision]:
        if isinstance(self.task, Truth):
            before = f"{example.context} " if example.task == "intersentence" else ""
            return [truth_question(before + sentence) for sentence in example.sentences]
        if example.task == "intersentence":
            given = [self._text(example.context, " " + sentence) for sentence in example.sentences]
            alone = [self._text("", sentence) for sentence in example.sentences]
            return given + alone if self._following_score == "pmi" else given
        spans = list(zip(example.sentences, example.spans, strict=True))
        if self._word_score == "filler":
            return [Infill(text=text, start=start, end=end) for text, (start, end) in spans]
        if self._word_score == "sentence":
            return [self._text("", sentence) for sentence in example.sentences]
        # Scored is the span with the space that leads it.
        befores = [(text, text[:start].removesuffix(" "), end) for text, (start, end) in spans]
        return [self._text(before, text[len(before) : end]) for text, before, end in befores]

    def own_outcome(self, example: StereoSetItem, responses: Sequence[Scored | Decided]) -> Outcome:
        """Scores in nats or in probability, the preferences they make, and margins.

        `related_margin` is the mean of both meaningful texts less the meaningless text.
        """
        size = len(responses) // len(written(example, self.case))
        values = self._values(example, responses[:size])
        if self.case == "both":
            restored = self._values(example, responses[-size:])
            values |= {key + RESTORED: value for key, value in restored.items()}
        return Outcome(example=example.id, values=values, groups=example.groups)

    def _values(
        self, example: StereoSetItem, responses: Sequence[Scored | Decided]
    ) -> dict[str, float]:
        decided = [response for response in responses if isinstance(response, Decided)]
        scores, beside = truth_values(decided) if decided else ([], {})
        scores += [
            self._reduced(example, response)
            for response in responses
            if isinstance(response, Scored)
        ]
        texts = len(example.sentences)
        if example.task == "intersentence" and self._following_score == "pmi":
            both = zip(scores[:texts], scores[texts:], strict=True)
            scores = [given - alone for given, alone in both]
        if len(scores) != texts:
            raise ValueError(f"example '{example.id}' has {texts} texts, got {len(scores)} scores")
        values = self._preferences(scores)
        meaningful = (values["stereotype"] + values["antistereotype"]) / 2
        margins = {
            "margin": values["stereotype"] - values["antistereotype"],
            "related_margin": meaningful - values["unrelated"],
        }
        return values | margins | beside

    def texts(self, example: StereoSetItem) -> Sequence[str]:
        """The sentences, whole whatever part is scored, and after the sentence before them."""
        if example.task == "intrasentence":
            return example.sentences
        given = tuple(f"{example.context} {sentence}" for sentence in example.sentences)
        return given + example.sentences

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The official file of the split, or what stands in for it; own words for targets."""
        targets = [TARGETS] if self.exchange and TARGETS.local_file() is not None else []
        return tuple(source.use() for source in (*official.sources(split), *targets))

    def remarks(self, split: str) -> tuple[str, ...]:
        """What the files have that the official files have not."""
        absent = self.valence and word_valences() is None
        return official.read_remarks(split) + ((ABSENT,) if absent else ())

    def relate(
        self,
        examples: Sequence[StereoSetItem],
        trained_on: frozenset[str],
        aliases: Mapping[str, str],
    ) -> Sequence[Mapping[str, str]]:
        """Whether the people were learnt, of an intrasentence example its fillers, and either.

        As far as the test split is at hand, which has other terms, but the same peoples.
        """
        learnt = learnt_items(trained_on, aliases)
        return [{} if learnt is None else learnt.groups_of(example) for example in examples]

    def copies(self, example: StereoSetItem) -> Sequence[StereoSetItem]:
        """The example about others of its target's kind."""
        return example.others

    def compared(self, outcome: Outcome) -> Mapping[str, float]:
        """The preference and its margin."""
        return {name: outcome.values[name] for name in ("prefers", "margin")}

    def observations(self, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
        """Which items were not exchanged, and why."""
        return tuple(target_parts.exchange_notes(outcomes, by="axis"))

    def conclusions(self, estimates: Sequence[Estimate]) -> tuple[str, ...]:
        """Whether words or groups carry SS."""
        return target_parts.exchange_conclusion("ss", estimates)

    def labelled(self) -> tuple[Contrast, ...]:
        """The examples of "dev", which is what is measured, with which text is which."""
        items = [written(item, self.case)[0] for item in self.examples(self.splits[0])]
        return tuple(map(official.contrast_of, items))

    def predicted(self, split: str, file: Path, column: str | None) -> Sequence[Outcome]:
        """Preferences of published scores, compared as they are; margins are nan, having no unit.

        `column` names another key than "score". Raises `DataError` naming file and sentence.
        """
        refuse_scores(file, self.case)
        scores = official.read_scores(file, column)
        margins = {"margin": math.nan, "related_margin": math.nan}
        outcomes = []
        for item in self.examples(split):
            missing = [sentence for sentence in item.sentence_ids if sentence not in scores]
            if missing:
                raise DataError(
                    f"{file} must score every sentence of split '{split}', got none for "
                    f"'{missing[0]}' of example '{item.id}'; predict the whole split"
                )
            item_scores = [scores[sentence] for sentence in item.sentence_ids]
            values = self._preferences(item_scores) | margins
            outcomes.append(Outcome(example=item.id, values=values, groups=item.groups))
        return outcomes

    @property
    def _word_score(self) -> WordScore:
        match self.task:
            case BothTasks(intrasentence=score) | Intrasentence(score=score):
                return score
        return "sentence"  # no example has it

    @property
    def _following_score(self) -> FollowingScore:
        match self.task:
            case BothTasks(intersentence=score) | Intersentence(score=score):
                return score
        return "conditional"  # no example has it

    def _text(self, context: str, continuation: str) -> Continuation:
        return Continuation(context=context, continuation=continuation, prefix=self.bos)

    def _reduced(self, example: StereoSetItem, scored: Scored) -> float:
        """A score per text, in nats.

        The published code averages the probabilities of a masked filler's tokens, not their
        logarithms; the logarithm of that average keeps its order.
        """
        if self.reduce == "sum":
            return scored.logprob
        if self._word_score != "filler" or example.task == "intersentence":
            return scored.mean
        if not scored.tokens:
            return math.nan
        mean = math.fsum(map(math.exp, scored.token_logprobs)) / scored.tokens
        return math.log(mean) if mean > 0 else -math.inf

    def _preferences(self, scores: Sequence[float]) -> dict[str, float]:
        # a copy about others has no unrelated text
        stereotype, antistereotype, unrelated = (*scores, math.nan)[:3]
        return {
            "stereotype": stereotype,
            "antistereotype": antistereotype,
            "unrelated": unrelated,
            "prefers": pref.preference(stereotype, antistereotype, self.ties),
            "related": pref.relatedness(stereotype, antistereotype, unrelated, self.ties),
        }
