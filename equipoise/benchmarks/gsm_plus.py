"""GSM-Plus: problems of GSM8K that were altered, answered by writing.

Li et al. 2024, "GSM-Plus: A Comprehensive Benchmark for Evaluating the Robustness of LLMs as
Mathematical Problem Solvers", https://aclanthology.org/2024.acl-long.163; as an ability that is to
be kept: LFTF, section 5.2.
"""

from collections.abc import Sequence
from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.benchmarks.gsm8k import Gsm8k, Gsm8kExample
from equipoise.data import gsm8k
from equipoise.data import gsm_plus as official
from equipoise.records import OPTIONS, DataUse


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class GsmPlus(Gsm8k):
    """How often the number that a model writes is right. Perfect: 100 %; guessing: 0.

    Prompt, worked problems (of GSM8K's training file) and the reading of numbers are those of
    `gsm8k`. Problems that cannot be solved as they stand, an eighth of the official file, have no
    number to compare and are left out, where lm-evaluation-harness counts them as wrong. Group: how
    a problem was altered.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Li et al. 2024, GSM-Plus, ACL; LFTF, section 5.2"
    cluster: ClassVar[str | None] = "seed"
    by: ClassVar[tuple[str, ...]] = ("change",)
    licence: ClassVar[str] = official.LICENCE
    faults: ClassVar[tuple[str, ...]] = (
        *Gsm8k.faults,
        "the problems were altered by a language model and checked by people: some have an answer "
        "that is wrong",
    )

    def examples(self, split: str) -> Sequence[Gsm8kExample]:
        """The solvable problems in the order of the file. Raises `DataError` naming the row."""
        before = self.worked_problems()
        return [
            Gsm8kExample(
                id=altered.problem.id, before=before, problem=altered.problem, groups=altered.groups
            )
            for altered in official.read_problems()
            if altered.problem is not None
        ]

    def shot_count(self) -> int:
        """How many worked problems are shown: 5 where GSM8K's training file is in the folder."""
        if self.shots is not None:
            return self.shots
        return super().shot_count() if gsm8k.TRAIN.local_file() is not None else 0

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The file, and GSM8K's training file where worked problems are shown."""
        shown = (gsm8k.TRAIN.use(),) if self.shot_count() else ()
        return (official.TEST.use(), *shown)

    def remarks(self, split: str) -> tuple[str, ...]:
        """How many worked problems were shown, and how many problems were left out."""
        left_out = [each for each in official.read_problems() if each.problem is None]
        unsolvable = sum(not each.solvable for each in left_out)
        notes = [f"{unsolvable} problems that cannot be solved as they stand were left out"]
        if len(left_out) > unsolvable:
            notes.append(
                f"{len(left_out) - unsolvable} problems whose answer is no single number were left "
                "out"
            )
        return (*super().remarks(split), *notes)
