"""T-REx, written: which word is missing in a sentence that states a fact?

Facts of LAMA's T-REx (Petroni et al. 2019) in ParaRel's patterns (Elazar et al. 2021), asked in the
form of BiasDiff's T-REx score. `facts` asks for the same facts by likelihood.
"""

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from typing import Annotated, ClassVar, Final

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark
from equipoise.data.clozes import Fact, trex_facts, trex_sources
from equipoise.data.partition import shuffled
from equipoise.metrics import ability
from equipoise.records import OPTIONS, DataUse, Generation, Metric, Outcome

_BLANK: Final = "<extra_id_0>"
#: Two solved examples with the answers of BiasDiff's, in sentences of our own.
_SHOTS: Final = (
    (f"The song sold well in France, Italy and {_BLANK}, where it was in the top ten.", "Germany"),
    (f"Sevan is an Armenian town on the northwestern shore of {_BLANK}.", "Lake Sevan"),
)
_ASKED: Final = "Write the missing word(s) and nothing else."
_ARTICLES: Final = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION: Final = str.maketrans("", "", string.punctuation + "“”‘’–—")


@plain_dataclass(frozen=True, slots=True, kw_only=True)
class BlankedFact:
    """A sentence with a blank for its object, and what fills it truly."""

    id: str
    sentence: str
    answer: str
    others: tuple[str, ...]  # further objects that the file has for the subject and relation
    frequent: str | None  # the relation's most frequent object in the other facts; None: no others
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class TrexCloze(Benchmark[BlankedFact, str]):
    """How often the missing object of a fact is written. 100 %: always; `frequent`: by rote.

    Greedy, after two solved examples; what stands in the first line is compared with the object, in
    lower case, without articles and punctuation. A model that cannot write is refused. Groups:
    relation.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "BiasDiff, appendix D (T-REx score); Petroni et al. 2019; ParaRel 2021"
    metrics: ClassVar[tuple[Metric, ...]] = (
        ability.share(
            "accuracy", "correct", grid=100.0, margin=2.0,
            source="BiasDiff, appendix D: exact match, in lower case, no articles or punctuation",
        ),
        ability.share(
            "accuracy_any", "correct_any", grid=100.0,
            source="own: the object, or another that the file has for the subject and relation",
        ),
        ability.share(
            "accuracy_unshown", "correct_unshown", grid=100.0,
            source="own: accuracy of facts whose sentence does not hold the object already",
        ),
        ability.share(
            "frequent", "frequent", better=None, grid=100.0,
            source="own: what always writing the relation's most frequent other object gets right",
        ),
        ability.share(
            "empty", "empty", better=False, grid=100.0, source="own: nothing was written; wrong",
        ),
    )  # fmt: skip
    cluster: ClassVar[str | None] = "relation"
    licence: ClassVar[str] = "CC BY-SA 4.0 through LAMA, CC BY-NC 4.0; patterns MIT"
    turn = "question"
    faults: ClassVar[tuple[str, ...]] = (
        "Naming a relation's most frequent object needs no knowledge of the subject: read accuracy "
        "beside frequent.",
        "Exact match takes another name of the object for wrong.",
        "The sentences are patterns filled in, not those of T-REx, and the solved examples are "
        "ours: numbers do not compare with BiasDiff's.",
        "Relations are few (39): intervals over them are wide.",
    )

    per_relation: Annotated[int, Field(ge=1)] | None = 25  # facts, by hash (975); None: all 27,610
    max_tokens: Annotated[int, Field(ge=1, le=256)] = 10  # written at most

    def examples(self, split: str) -> Sequence[BlankedFact]:
        """The chosen facts in the order of the files: those of `facts` with `source=trex`."""
        known = trex_facts()
        by_relation: dict[str, list[Fact]] = {}
        objects: dict[tuple[str, str], dict[str, None]] = {}
        for fact in known:
            by_relation.setdefault(fact.relation, []).append(fact)
            objects.setdefault((fact.relation, fact.subject), {})[fact.answer] = None
        counts = {
            relation: Counter(fact.answer for fact in facts)
            for relation, facts in by_relation.items()
        }
        chosen = {
            id
            for facts in by_relation.values()
            for id in shuffled([fact.id for fact in facts], seed=0)[: self.per_relation]
        }
        return [
            BlankedFact(
                id=fact.id,
                sentence=f"{fact.prompt} {_BLANK}.",
                answer=fact.answer,
                others=tuple(
                    other for other in objects[fact.relation, fact.subject] if other != fact.answer
                ),
                frequent=_most_frequent(counts[fact.relation], but=fact.answer),
                groups={"relation": fact.relation},
            )
            for fact in known
            if fact.id in chosen
        ]

    def requests(self, example: BlankedFact) -> Sequence[Generation]:
        """The words to write, greedily."""
        return [Generation(context=_prompt(example.sentence), max_tokens=self.max_tokens)]

    def outcome(self, example: BlankedFact, responses: Sequence[str]) -> Outcome:
        """0 or 1 each; `correct_unshown` is nan where the sentence shows the object already."""
        (written,) = responses
        text = next(iter(written.strip().splitlines()), "")
        said, true = normalized(text), normalized(example.answer)
        correct = float(said == true)
        shown = f" {true} " in f" {normalized(example.sentence)} "
        values = {
            "correct": correct,
            "correct_any": float(said in {true, *map(normalized, example.others)}),
            "correct_unshown": float("nan") if shown else correct,
            "frequent": float(example.frequent is not None and example.frequent == example.answer),
            "empty": float(not said),
        }
        return Outcome(example=example.id, values=values, groups=example.groups, text=text)

    def texts(self, example: BlankedFact) -> Sequence[str]:
        """The sentence with its object."""
        return (example.sentence.replace(_BLANK, example.answer),)

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The files of facts and patterns."""
        return tuple(source.use() for source in trex_sources())


def normalized(text: str) -> str:
    """Lower case, without punctuation and articles, single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def _most_frequent(counts: Counter[str], *, but: str) -> str | None:
    """The most frequent object when this fact's is left out once; the first by name of several."""
    rest = [(-(count - (name == but)), name) for name, count in counts.items()]
    least, name = min(rest, default=(0, ""))
    return name if least < 0 else None


def _prompt(sentence: str) -> str:
    solved = (
        f"Example {number}:\nContext: {text}\nMissing word(s): {answer}\n"
        for number, (text, answer) in enumerate(_SHOTS, 1)
    )
    return "\n".join([*solved, _ASKED, f"Context: {sentence}\nMissing word(s):"])
