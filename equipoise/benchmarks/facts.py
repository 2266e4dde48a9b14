"""Are true facts still known? What a model must not lose.

Cloze facts of ROME's known_1000 (Meng et al. 2022) and of LAMA's T-REx (Petroni et al. 2019) with
ParaRel's patterns (Elazar et al. 2021). The published tests ask whether the true object is the top
token of the whole vocabulary, which differs between tokenizers; here it must beat other objects of
its relation, which any model that scores text can be asked.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark, KnowsFaults
from equipoise.data.clozes import KNOWN_1000, Fact, known_facts, trex_facts, trex_sources
from equipoise.data.partition import shuffled
from equipoise.metrics import ability
from equipoise.metrics.weighted import mean_of, percent
from equipoise.records import OPTIONS, Continuation, DataUse, Metric, Outcome, Scored


@plain_dataclass(frozen=True, slots=True, kw_only=True)
class Cloze:
    """A fact without its end, the end, and wrong ends of the same kind."""

    id: str
    prompt: str  # no trailing space
    answer: str  # with its leading space
    distractors: tuple[str, ...]  # likewise; none is true of the subject by the file
    other: str | None = None  # the prompt about another subject; None: there is none
    #: How many other facts of the relation have the answer, and each of the wrong ends.
    counts: tuple[int, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Facts(Benchmark[Cloze, Scored], KnowsFaults):
    """How often the true object is likelier than every wrong object, owing to the subject.

    100 %: all is known, and nothing of it without the subject. An object that is frequent for its
    relation is chosen whoever is asked about, so each fact is asked again about another subject of
    the relation, of which the object is not true by the file; what counts is the difference.

    The wrong objects are those of other facts of the relation, drawn once for each fact, the same
    for every model; a relation with fewer of them gives what it has, and a relation with a single
    object has no accuracy. Compared is log p(object | prompt), summed over tokens; a masked model
    answers with the pseudo-log-likelihood of the object. `chance` is what guessing gets right.
    Groups: relation.
    """

    version: ClassVar[str] = "2"
    paper: ClassVar[str] = "ROME (Meng et al. 2022); LAMA (Petroni et al. 2019); ParaRel (2021)"
    metrics: ClassVar[tuple[Metric, ...]] = (
        percent(
            "accuracy_by_subject",
            lambda c, w: 100.0 * w.mean(c["correct_by_subject"]),
            source="own: accuracy less that of the same objects after another subject", ideal=100.0,
            better=True, margin=2.0, low=-100.0,
        ),
        ability.share(
            "accuracy", "correct", margin=2.0,
            source="own: the true object is likelier than all offered; a tie counts its share",
        ),
        ability.share(
            "accuracy_other_subject", "correct_other", better=None,
            source="own: the same object, after another subject of the relation",
        ),
        ability.share(
            "chance", "chance", better=None,
            source="own: what guessing among the objects offered gets right",
        ),
        Metric(
            name="rank", of=mean_of("rank"), unit="place", ideal=1.0, low=1.0,
            higher_is_better=False,
            source="own: mean place of the true object; 1 is first, a tie is halfway",
        ),
        Metric(
            name="logprob", of=mean_of("logprob"), unit="nats", higher_is_better=True, high=0.0,
            source="own: mean log p(true object | prompt)",
        ),
    )  # fmt: skip
    cluster: ClassVar[str | None] = "relation"
    shares_ties: ClassVar[bool] = True
    licence: ClassVar[str] = "known_1000 MIT; T-REx CC BY-SA 4.0 through LAMA, CC BY-NC 4.0"
    faults: ClassVar[tuple[str, ...]] = (
        "a wrong object may be true all the same where the file does not say so (twin cities, "
        "borders, occupations)",
        "summed log-probabilities favor objects of few tokens and frequent words",
        "relations are few (33 and 39): intervals over them are wide",
    )

    #: 1,209 facts; "trex": 27,610 facts of 39 relations
    source: Literal["known_1000", "trex"] = "known_1000"
    distractors: Annotated[int, Field(ge=1, le=100)] = 10  # wrong objects for each fact, by hash
    #: "file": with the words that GPT-2 XL wrote behind 478 prompts of known_1000
    prompt: Literal["template", "file"] = "template"
    #: facts of a relation, by hash (765 and 975 in all); None: all
    per_relation: Annotated[int, Field(ge=1)] | None = 25

    def examples(self, split: str) -> Sequence[Cloze]:
        """The chosen facts in the order of the file."""
        known = known_facts() if self.source == "known_1000" else trex_facts()
        # Of all facts, so that `per_relation` changes no wrong object of those that it leaves.
        answers: dict[str, dict[str, None]] = {}
        true_of: dict[tuple[str, str], set[str]] = {}
        for fact in known:
            answers.setdefault(fact.relation, {})[fact.answer] = None
            true_of.setdefault((fact.relation, fact.subject), set()).add(fact.answer.casefold())
        # A fixed choice of the facts of each relation, in the order of the file.
        ids: dict[str, list[str]] = {}
        for fact in known:
            ids.setdefault(fact.relation, []).append(fact.id)
        chosen = {id for each in ids.values() for id in shuffled(each, seed=0)[: self.per_relation]}
        of_relation: dict[str, list[Fact]] = {}
        for fact in known:
            of_relation.setdefault(fact.relation, []).append(fact)
        counts = {
            relation: Counter(fact.answer for fact in facts)
            for relation, facts in of_relation.items()
        }
        clozes = []
        for fact in known:
            if fact.id not in chosen:
                continue
            # In T-REx 675 subjects have several true objects of a relation, of which none is wrong.
            true = true_of[fact.relation, fact.subject]
            others = [other for other in answers[fact.relation] if other.casefold() not in true]
            offered = shuffled(others, seed=fact.id)[: self.distractors]
            other = _another(fact, of_relation[fact.relation], true_of)
            frequent = counts[fact.relation]
            clozes.append(
                Cloze(
                    id=fact.id,
                    prompt=self._prompt_of(fact),
                    answer=f" {fact.answer}",
                    distractors=tuple(f" {wrong}" for wrong in offered),
                    other=None if other is None else self._prompt_of(other),
                    counts=(frequent[fact.answer] - 1, *(frequent[wrong] for wrong in offered)),
                    groups={"relation": fact.relation},
                )
            )
        return clozes

    def _prompt_of(self, fact: Fact) -> str:
        return fact.bare if self.prompt == "template" and fact.bare is not None else fact.prompt

    def requests(self, example: Cloze) -> Sequence[Continuation]:
        """The true object first, then the wrong objects; and again after the other subject."""
        prompts = (example.prompt, *(() if example.other is None else (example.other,)))
        return [
            Continuation(context=prompt, continuation=answer)
            for prompt in prompts
            for answer in (example.answer, *example.distractors)
        ]

    def outcome(self, example: Cloze, responses: Sequence[Scored]) -> Outcome:
        """`correct` in [0, 1], of the fact and after another subject; and how far they differ.

        `chance`, `rank` from 1, `logprob` in nats. All but the last are nan when there is nothing
        to choose from.
        """
        logprobs = [response.logprob for response in responses]
        offered = len(logprobs) // (1 if example.other is None else 2)
        asked, of_other = logprobs[:offered], logprobs[offered:]
        true, *wrong = asked
        correct = ability.answered(asked, 0)
        after_other = ability.answered(of_other, 0) if of_other else math.nan
        values = {"correct": correct, "chance": math.nan, "rank": math.nan, "logprob": true}
        values |= {"correct_other": after_other, "correct_by_subject": correct - after_other}
        if not math.isnan(correct):
            above = sum(logprob > true for logprob in wrong)
            values["chance"] = 1.0 / offered
            values["rank"] = 1.0 + above + wrong.count(true) / 2
        return Outcome(example=example.id, values=values, groups=example.groups)

    def guesses(
        self, examples: Sequence[Cloze]
    ) -> Mapping[str, tuple[str, Sequence[Sequence[Scored]]]]:
        """The relation's most frequent object among those offered, this fact left out."""
        answers = [
            [Scored(token_logprobs=(float(count),), bytes=1) for count in example.counts]
            * (1 if example.other is None else 2)
            for example in examples
        ]
        says = "names the object that most other facts of the relation have"
        return {"most frequent object": (says, answers)}

    def remarks(self, split: str) -> tuple[str, ...]:
        """How many prompts hold the object, who was favored, how many another model made longer."""
        known = known_facts() if self.source == "known_1000" else trex_facts()
        asked = {example.id for example in self.examples(split)}
        held = sum(fact.holds_answer for fact in known if fact.id in asked)
        longer = sum(fact.bare is not None for fact in known if fact.id in asked)
        notes = [f"prompts: {held} of {len(asked)} hold their object, so that copying is enough"]
        if self.source == "known_1000":
            notes.append(
                "it was made of facts that GPT-2-XL completes rightly: it favors that model"
            )
        if longer:
            kept = "were kept" if self.prompt == "file" else "were cut off"
            notes.append(
                f"prompts: {longer} of {len(asked)} go on in the file with words that another "
                f"model wrote, which {kept}"
            )
        return tuple(notes)

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The files of facts and patterns."""
        sources = (KNOWN_1000,) if self.source == "known_1000" else trex_sources()
        return tuple(source.use() for source in sources)


def _another(
    fact: Fact, facts: Sequence[Fact], true_of: Mapping[tuple[str, str], set[str]]
) -> Fact | None:
    """A fact of the relation about a subject of which this one's object is not true, by hash.

    None where there is no such subject.
    """
    first = int(hashlib.sha256(f"another {fact.id}".encode()).hexdigest(), 16) % len(facts)
    return next(
        (
            other
            for other in (*facts[first:], *facts[:first])
            if fact.answer.casefold() not in true_of[other.relation, other.subject]
        ),
        None,
    )
