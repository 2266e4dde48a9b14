"""Are true facts still known? What a model must not lose.

Cloze facts of ROME's known_1000 (Meng et al. 2022) and of LAMA's T-REx (Petroni et al. 2019) with
ParaRel's patterns (Elazar et al. 2021). The published tests ask whether the true object is the top
token of the whole vocabulary, which differs between tokenizers; here it must beat other objects of
its relation, which any model that scores text can be asked.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark
from equipoise.data.clozes import KNOWN_1000, known_facts, trex_facts, trex_sources
from equipoise.data.partition import shuffled
from equipoise.metrics import ability
from equipoise.metrics.weighted import mean_of
from equipoise.records import OPTIONS, Continuation, DataUse, Metric, Outcome, Scored


@plain_dataclass(frozen=True, slots=True, kw_only=True)
class Cloze:
    """A fact without its end, the end, and wrong ends of the same kind."""

    id: str
    prompt: str  # no trailing space
    answer: str  # with its leading space
    distractors: tuple[str, ...]  # likewise; none is true of the subject by the file
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Facts(Benchmark[Cloze, Scored]):
    """How often the true object is likelier than every wrong object. 100 %: all known.

    The wrong objects are those of other facts of the relation, drawn once for each fact, the same
    for every model; a relation with fewer of them gives what it has, and a relation with a single
    object has no accuracy. Compared is log p(object | prompt), summed over tokens; a masked model
    answers with the pseudo-log-likelihood of the object. `chance` is what guessing gets right.
    Groups: relation.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "ROME (Meng et al. 2022); LAMA (Petroni et al. 2019); ParaRel (2021)"
    metrics: ClassVar[tuple[Metric, ...]] = (
        ability.share(
            "accuracy", "correct", margin=2.0,
            source="own: the true object is likelier than all offered; a tie counts its share",
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
    licence: ClassVar[str] = "known_1000 MIT; T-REx CC BY-SA 4.0 through LAMA, CC BY-NC 4.0"
    faults: ClassVar[tuple[str, ...]] = (
        "known_1000 was made of facts that GPT-2-XL completes rightly: it favors that model",
        "a wrong object may be true all the same where the file does not say so (twin cities, "
        "borders, occupations)",
        "summed log-probabilities favor objects of few tokens and frequent words",
        "relations are few (33 and 39): intervals over them are wide",
    )

    #: 1,209 facts; "trex": 27,610 facts of 39 relations
    source: Literal["known_1000", "trex"] = "known_1000"
    distractors: Annotated[int, Field(ge=1, le=100)] = 10  # wrong objects for each fact, by hash
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
        clozes = []
        for fact in known:
            if fact.id not in chosen:
                continue
            # In T-REx 675 subjects have several true objects of a relation, of which none is wrong.
            true = true_of[fact.relation, fact.subject]
            others = [other for other in answers[fact.relation] if other.casefold() not in true]
            clozes.append(
                Cloze(
                    id=fact.id,
                    prompt=fact.prompt,
                    answer=f" {fact.answer}",
                    distractors=tuple(
                        f" {other}" for other in shuffled(others, seed=fact.id)[: self.distractors]
                    ),
                    groups={"relation": fact.relation},
                )
            )
        return clozes

    def requests(self, example: Cloze) -> Sequence[Continuation]:
        """The true object first, then the wrong objects."""
        return [
            Continuation(context=example.prompt, continuation=answer)
            for answer in (example.answer, *example.distractors)
        ]

    def outcome(self, example: Cloze, responses: Sequence[Scored]) -> Outcome:
        """`correct` in [0, 1], `chance`, `rank` from 1, `logprob` in nats.

        The first three are nan when there is nothing to choose from.
        """
        logprobs = [response.logprob for response in responses]
        true, *wrong = logprobs
        correct = ability.answered(logprobs, 0)
        values = {"correct": correct, "chance": math.nan, "rank": math.nan, "logprob": true}
        if not math.isnan(correct):
            above = sum(logprob > true for logprob in wrong)
            values["chance"] = 1.0 / len(logprobs)
            values["rank"] = 1.0 + above + wrong.count(true) / 2
        return Outcome(example=example.id, values=values, groups=example.groups)

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The files of facts and patterns."""
        sources = (KNOWN_1000,) if self.source == "known_1000" else trex_sources()
        return tuple(source.use() for source in sources)
