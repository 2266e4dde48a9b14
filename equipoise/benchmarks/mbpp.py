"""MBPP: does the program that a model writes for a task in a sentence pass its tests?

Austin et al. 2021, "Program Synthesis with Large Language Models", arXiv 2108.07732; as an ability
that is to be kept: LFTF, section 5.2.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark
from equipoise.code_execution.program_options import RunsPrograms, fenced_code
from equipoise.data import code_tasks as official
from equipoise.data.code_tasks import MBPP_SHOTS, CodeProblem
from equipoise.data.stop_strings import cut_at_stops
from equipoise.errors import DataError
from equipoise.records import OPTIONS, DataUse, Generation, Outcome


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Mbpp(RunsPrograms, Benchmark[CodeProblem, str]):
    """How often the program that a model writes passes its tests. Perfect: 100 %; guessing: 0.

    The prompt is the paper's: the task and its tests, then "[BEGIN]"; before it stand `shots` tasks
    with their solutions. What is written up to "[DONE]" is run with the tests, in a process of its
    own with limits, and only with `--allow-code`. Of a chat model's answer the first block of code
    is run. `pass_at_1` is the share of programs that pass; `pass_at_K` the chance that one of K
    does. The other metrics say how the rest failed.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Austin et al. 2021, MBPP; LFTF, section 5.2"
    licence: ClassVar[str] = "CC BY 4.0"
    splits: ClassVar[tuple[str, ...]] = ("test", "validation", "train")
    turn = "question"
    faults: ClassVar[tuple[str, ...]] = (
        "a model at 0 % has nothing to lose, and 'kept' says nothing of it",
        "the prompt shows the very tests that a program must pass, three of a task: a program may "
        "pass them and be wrong",
        "the tasks and their solutions are in many models' training text",
    )

    #: solved tasks before each: the first of numbers 2, 3 and 4, as in the paper
    shots: Annotated[int, Field(ge=0, le=len(MBPP_SHOTS))] = len(MBPP_SHOTS)

    def examples(self, split: str) -> Sequence[CodeProblem]:
        """The tasks of a part, by number. Raises `DataError` naming file and row."""
        known, part = official.read_mbpp(), official.MBPP_PARTS[split]
        return [known[number] for number in sorted(known) if number in part]

    def requests(self, example: CodeProblem) -> Sequence[Generation]:
        """The program, for each sample."""
        return self.generations(self._before() + _prompt(example))

    def texts(self, example: CodeProblem) -> Sequence[str]:
        """Task and solution, apart and together."""
        task, solution = example.prompt, example.solution
        return (task, solution, f"{task}\n{solution}", _prompt(example) + solution)

    def outcome(self, example: CodeProblem, responses: Sequence[str]) -> Outcome:
        """`pass_at_K` and the share of each failure, in [0, 1]; the text is what was run first."""
        ended = [cut_at_stops(text, ("[DONE]",)) for text in responses]
        written = [fenced_code(text) or text for text in ended]
        tests = "\n".join(example.tests)
        values = self.values([f"{example.setup}\n{code}\n{tests}\n" for code in written])
        return Outcome(example=example.id, values=values, groups=example.groups, text=written[0])

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The file."""
        return (official.MBPP.use(),)

    def remarks(self, split: str) -> tuple[str, ...]:
        """How programs are written and run."""
        return (self.described(self.shots),)

    def _before(self) -> str:
        """The solved tasks that are shown."""
        if not self.shots:
            return ""
        known, wanted = official.read_mbpp(), MBPP_SHOTS[: self.shots]
        missing = [number for number in wanted if number not in known]
        if missing:
            raise DataError(
                f"{official.MBPP.path} must have task {missing[0]} to show, got {len(known)} "
                "others; ask for fewer shots, or replace the file"
            )
        shown = [known[number] for number in wanted]
        return "".join(f"{_prompt(shot)}{shot.solution}\n[DONE]\n\n" for shot in shown)


def _prompt(problem: CodeProblem) -> str:
    tests = "\n".join(problem.tests)
    return (
        f"You are an expert Python programmer, and here is your task: {problem.prompt} Your code "
        f"should pass these tests:\n\n{tests}\n[BEGIN]\n"
    )
