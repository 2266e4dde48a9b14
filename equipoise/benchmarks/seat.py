"""SEAT: are the embeddings of texts about one group nearer to one attribute than the other's?

May, Wang, Bordia, Bowman & Rudinger 2019, "On Measuring Social Biases in Sentence Encoders",
https://aclanthology.org/N19-1063.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark
from equipoise.data import seat as official
from equipoise.data.seat import SeatTest
from equipoise.metrics.association import cosine_difference, metrics_of
from equipoise.records import OPTIONS, DataUse, Embedding, Metric, Outcome

Tests: TypeAlias = str | tuple[str, ...]


@plain_dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A text of a target, and the texts of its test that it is compared with."""

    id: str  # "sent-weat6/12": the test, and the place among its targets' texts
    first: bool  # of the target that the stereotype associates with the first attribute
    asked: tuple[Embedding, ...]  # the text, both attributes' texts, and where centred the targets'
    attributes: tuple[int, int]  # how many texts each attribute has
    groups: Mapping[str, str] = field(default_factory=dict)


def _each_once(value: Tests) -> Tests:
    names = (value,) if isinstance(value, str) else value
    if not all(names) or not names or len(set(names)) < len(names):
        raise ValueError(f"must name tests, each once, got {list(names)}")
    return value


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Seat(Benchmark[Target, NDArray[np.float32]]):
    """Effect sizes of SEAT's tests: in standard deviations, how far two targets lie apart. None: 0.

    A text's association is its mean cosine with the first attribute's texts less that with the
    second's. d is the difference of the targets' mean associations over the standard deviation of
    all; above 0: as the stereotype has it. Over several tests it is their mean, and `d_abs` the
    mean of |d|, as published. Intervals and `p` take the words of a test for independent: the 8
    texts of a name are nearly the same text. `p_by_sentence` is the published test, which deals
    texts and finds 5 % significance far more often where there is nothing. The attributes' texts
    are held fixed.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "May et al. 2019, SEAT, NAACL; groups of tests: Meade et al. 2022, ACL"
    cluster: ClassVar[str | None] = "word"
    by: ClassVar[tuple[str, ...]] = ("axis", "test")
    licence: ClassVar[str] = official.LICENCE
    faults: ClassVar[tuple[str, ...]] = (
        "An association of embeddings need not show in what a model writes: read it beside a "
        "benchmark of behavior.",
        "d depends on what is pooled and on how alike all vectors are; a causal model's lie in a "
        "narrow cone (centred takes their mean away). Numbers with other options do not compare.",
        "d_abs is above 0 without any bias, the more the fewer the words: compare it with "
        "d_abs_null.",
        "p_by_sentence takes texts of the same word for independent: it is published, and invalid.",
        "Attributes are a few words, which intervals and p hold fixed; of 8 words a side an "
        "interval around d = 1.3 holds the truth in 85 % of cases.",
    )

    #: "gender", "race", "religion" (the published averages), "all" that hold sentences, "words",
    #: or names of tests
    tests: Annotated[Tests, AfterValidator(_each_once)] = "gender"
    #: over tokens of the text; a sentence encoder (sentence-transformers) has a pooling of its own
    pooling: Literal["mean", "last", "first"] = "mean"
    #: whether the mean vector of all texts of a test is taken from each, before cosines
    centred: bool = False
    #: random deals of a test of significance; all deals are made where they are no more
    deals: Annotated[int, Field(ge=1_000, le=1_000_000)] = 100_000

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Effect sizes, and p by words and by texts."""
        return metrics_of(self.deals)

    def examples(self, split: str) -> Sequence[Target]:
        """Every text of the chosen tests' targets. Raises `DataError` naming the file."""
        return [target for test in self._read() for target in self._targets(test)]

    def requests(self, example: Target) -> Sequence[Embedding]:
        """The text first, then both attributes' texts."""
        return example.asked

    def outcome(self, example: Target, responses: Sequence[NDArray[np.float32]]) -> Outcome:
        """`association` in [-2, 2], nan where a vector is 0; `first`: 1 for the first target."""
        vectors = np.asarray(responses, dtype=np.float64)
        if self.centred:
            vectors = vectors - vectors[1:].mean(0)  # the text is among the targets' texts again
        count = example.attributes[0]
        after = 1 + count + example.attributes[1]
        association = cosine_difference(
            vectors[0], vectors[1 : 1 + count], vectors[1 + count : after]
        )
        values = {"association": association, "first": float(example.first)}
        return Outcome(example=example.id, values=values, groups=example.groups)

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The files of the chosen tests."""
        return tuple(test.source.use() for test in self._read())

    def remarks(self, split: str) -> tuple[str, ...]:
        """Which tests were taken, and what of their texts is no English."""
        tests = self._read()
        words = {
            test.name: [
                len({test.words[text] for text in side}) for side in (test.first, test.second)
            ]
            for test in tests
        }
        fewest, most = min(map(sum, words.values())), max(map(sum, words.values()))
        unequal = [f"{name} {x} and {y}" for name, (x, y) in words.items() if x != y]
        return (
            f"tests: {', '.join(words)}; each rests on "
            f"{fewest if fewest == most else f'{fewest} to {most}'} words",
            *(f"{test.name}: {test.ungrammatical}" for test in tests if test.ungrammatical),
            *(
                [f"the targets differ in their number of words: {', '.join(unequal)}"]
                if unequal
                else []
            ),
        )

    def _read(self) -> tuple[SeatTest, ...]:
        return official.read_tests(self.tests)

    def _targets(self, test: SeatTest) -> list[Target]:
        targets, attributes = (*test.first, *test.second), (test.attributes_a, test.attributes_b)
        texts = (*attributes[0], *attributes[1], *(targets if self.centred else ()))
        shared = tuple(self._embedding(text) for text in texts)
        return [
            Target(
                id=f"{test.name}/{index}",
                first=index < len(test.first),
                asked=(self._embedding(text), *shared),
                attributes=(len(attributes[0]), len(attributes[1])),
                groups={"axis": test.axis, "test": test.name, "word": test.words[text]},
            )
            for index, text in enumerate(targets)
        ]

    def _embedding(self, text: str) -> Embedding:
        return Embedding(text=text, pooling=self.pooling)
