"""Judge: how strongly does a text hold a stereotype?"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from equipoise.judging.judgement import JudgedText, Judgement
from equipoise.records import JSON


class Judge(ABC):
    """Grades texts; a subclass is a frozen dataclass of its options, in a file of its name."""

    version: ClassVar[str]  # raised whenever a grade could change
    paper: ClassVar[str]

    @abstractmethod
    def judge(self, texts: Sequence[JudgedText]) -> list[Judgement]:
        """A judgement of each text, in their order; equal texts are judged alike.

        Raises `ModelError` when the judge itself cannot be asked; a text without a readable
        judgement is none.
        """

    def judge_again(self, texts: Sequence[JudgedText], repeat: int) -> list[Judgement]:  # noqa: ARG002
        """The same once more, for the `repeat`-th time: from nothing that was kept."""
        return self.judge(texts)

    def info(self) -> Mapping[str, JSON]:
        """What a result must record of it beside its options: model, hashes, address; no key."""
        return {}
