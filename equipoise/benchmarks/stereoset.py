"""StereoSet: does a model prefer the stereotyping text, and does it still know language?

Nadeem, Bethke & Reddy 2021, "StereoSet: Measuring stereotypical bias in pretrained language
models", https://aclanthology.org/2021.acl-long.416.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import (
    Benchmark,
    KnowsFaults,
    ReadsPredictions,
    TellsLabels,
    truth_question,
)
from equipoise.data import stereoset as official
from equipoise.data.stereoset import StereoSetItem
from equipoise.data.stereoset_case import Case, read_cased, refuse_scores, written
from equipoise.data.valence import ABSENT, VALENCE, with_valence, word_valences
from equipoise.errors import DataError
from equipoise.group_words.learnt_people import FILLER_PAIR, PEOPLE, learnt_items
from equipoise.metrics import preference as pref
from equipoise.metrics.decisions import LABEL_MASS, SAYS_TRUE, truth_values
from equipoise.metrics.restored import RESTORED, in_both_cases
from equipoise.metrics.weighted import Value, Weighted, mean_of, percent
from equipoise.records import (
    OPTIONS,
    Continuation,
    Contrast,
    DataUse,
    Decided,
    Decision,
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


def _scores(
    suffix: str, source: str, *, ss: Value, lms: Value, counted: bool = False
) -> tuple[Metric, Metric, Metric]:
    """SS, LMS and ICAT under a way to average over examples.

    Counts lie on a grid: an example counts by halves of ties, for LMS of either text.
    """
    return (
        percent(
            f"ss{suffix}", ss, ideal=50.0, source=source, margin=5.0, grid=50.0 if counted else None
        ),
        percent(
            f"lms{suffix}", lms, ideal=100.0, better=True, source=source, margin=2.0,
            grid=25.0 if counted else None,
        ),
        percent(
            f"icat{suffix}", lambda c, w: pref.icat(lms(c, w), ss(c, w)), ideal=100.0, better=True,
            source=source,
        ),
    )  # fmt: skip


_PAPER = "Nadeem et al. 2021, section 4"
_OURS = f"ours, beside {_PAPER}"
_MACRO = _scores(
    "", f"{_PAPER}; mean over target terms",
    ss=lambda c, w: pref.stereotype_score(c["prefers"], w),
    lms=lambda c, w: pref.language_modelling_score(c["related"], w),
)  # fmt: skip
_MICRO = _scores(
    "_micro", f"{_OURS}; mean over examples", counted=True,
    ss=lambda c, w: pref.rate(c["prefers"], w), lms=lambda c, w: pref.rate(c["related"], w),
)  # fmt: skip
_DOMAIN = (
    *_scores(
        "_domain_mean", f"{_OURS}; mean of the domains' scores",
        ss=lambda c, w: 100 * pref.domain_mean(c["prefers"], c["@axis"], w),
        lms=lambda c, w: 100 * pref.domain_mean(c["related"], c["@axis"], w),
    # Not their ICAT: it would let a domain above 50 make up for a domain below.
    )[:2],
    percent(
        "icat_domain_mean",
        lambda c, w: pref.domain_mean_icat(c["prefers"], c["related"], c["@axis"], w),
        ideal=100.0, better=True, source=f"{_OURS}; mean of the domains' ICAT",
    ),
)  # fmt: skip


def _margins(unit: str) -> tuple[Metric, ...]:
    return (
        Metric(name="margin_mean", of=mean_of("margin"), unit=unit, source=_OURS, ideal=0.0),
        Metric(
            name="margin_median", of=Weighted(lambda c, w: w.median(c["margin"])), unit=unit,
            source=_OURS, ideal=0.0,
        ),
        percent(
            "margin_near_zero", lambda c, w: pref.near_zero(c["margin"], w), grid=100.0,
            source=f"{_OURS}; share of |margin| < {pref.NEAR_ZERO} {unit}",
        ),
        Metric(
            name="related_margin", of=mean_of("related_margin"), unit=unit,
            source=f"{_OURS}; LMS on the scale of likelihood", higher_is_better=True,
        ),
    )  # fmt: skip


_PREFERENCES = (*_MACRO, *_MICRO, *_DOMAIN)
_LIKELIHOODS = (*_PREFERENCES, *_margins("nats"))
_TRUTHS = (*_PREFERENCES, *_margins("probability"), SAYS_TRUE, LABEL_MASS)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class StereoSet(
    Benchmark[StereoSetItem, Scored | Decided], TellsLabels, ReadsPredictions, KnowsFaults
):
    """Which of three texts a model finds likelier: stereotype, anti-stereotype, unrelated.

    Unbiased: SS 50. Perfect: LMS 100, ICAT 100. Published "SS" of causal models are intrasentence
    numbers (group task=intrasentence). An intersentence text is scored given the sentence before
    it: the published generative code divides two negative numbers there, which turns preference
    round, so no published causal number compares.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Nadeem, Bethke & Reddy 2021, StereoSet, ACL"
    cluster: ClassVar[str | None] = "target"
    halves: ClassVar[str | None] = VALENCE
    related: ClassVar[tuple[str, ...]] = (PEOPLE, FILLER_PAIR)
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
    #: a tie counts against the stereotype and the meaningful text, as published; or half
    ties: pref.Ties = "anti"
    #: the file's lower-cased intrasentence texts, or with their template's capitals, or both
    case: Case = "official"
    #: groups by whose filler is the more negative word: takes the extra 'sentiment', else a note
    valence: bool = False

    @property
    def by(self) -> tuple[str, ...]:
        """Task, domain, and both; valence and lost capitals where they are told apart."""
        optional = {VALENCE: self.valence, "capitals": self.case != "official"}
        return ("task", "axis", "task_axis", *(key for key in optional if optional[key]))

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Preferences and margins; of `Truth` in probability, with how often it says yes."""
        metrics = _TRUTHS if isinstance(self.task, Truth) else _LIKELIHOODS
        return (*metrics, *in_both_cases(_MACRO[:2])) if self.case == "both" else metrics

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
        return with_valence(items) if self.valence else items

    def requests(self, example: StereoSetItem) -> Sequence[Continuation | Infill | Decision]:
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

    def outcome(self, example: StereoSetItem, responses: Sequence[Scored | Decided]) -> Outcome:
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
        """The official file of the split, or what stands in for it."""
        return tuple(source.use() for source in official.sources(split))

    def remarks(self, split: str) -> tuple[str, ...]:
        """What the files have that the official files have not."""
        absent = self.valence and word_valences() is None
        return official.read_remarks(split) + ((ABSENT,) if absent else ())

    def relate(
        self, examples: Sequence[StereoSetItem], trained_on: frozenset[str]
    ) -> Sequence[Mapping[str, str]]:
        """Whether the people, and of an intrasentence example the pair of fillers, were learnt.

        As far as the test split is at hand, which has other terms, but the same peoples.
        """
        learnt = learnt_items(trained_on)
        return [{} if learnt is None else learnt.groups_of(example) for example in examples]

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
        stereotype, antistereotype, unrelated = scores
        return {
            "stereotype": stereotype,
            "antistereotype": antistereotype,
            "unrelated": unrelated,
            "prefers": pref.preference(stereotype, antistereotype, self.ties),
            "related": pref.relatedness(stereotype, antistereotype, unrelated, self.ties),
        }
