"""HumanEval: does the function that a model writes do what its docstring says?

Chen et al. 2021, "Evaluating Large Language Models Trained on Code", arXiv 2107.03374; as an
ability that is to be kept: LFTF, section 5.2.
"""

from collections.abc import Sequence
from typing import ClassVar, Final

from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark
from equipoise.code_execution.program_options import RunsPrograms, fenced_code
from equipoise.data import code_tasks as official
from equipoise.data.code_tasks import CodeProblem
from equipoise.data.stop_strings import cut_at_stops
from equipoise.records import OPTIONS, DataUse, Generation, Outcome

#: Where a function ends: what the paper stops writing at (section 2.2), and the end of a block of
#: Markdown, which the paper's models did not write.
_ENDS: Final = ("\nclass", "\ndef", "\n#", "\nif", "\nprint", "\n```")


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class HumanEval(RunsPrograms, Benchmark[CodeProblem, str]):
    """How often the function that a model writes passes its tests. Perfect: 100 %; guessing: 0.

    The model goes on after a signature and a docstring, greedily unless `samples` are asked for;
    what it wrote is cut where the function ends and run with the problem's tests, in a process of
    its own with limits, and only with `--allow-code`. Of a chat model's answer the first block of
    code is run. `pass_at_1` is the share of programs that pass; `pass_at_K` the chance that one of
    K does. The other metrics say how the rest failed.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Chen et al. 2021, HumanEval; LFTF, section 5.2"
    licence: ClassVar[str] = "MIT"
    turn = "question"
    faults: ClassVar[tuple[str, ...]] = (
        "a model at 0 % has nothing to lose, and 'kept' says nothing of it",
        "164 problems: one standard error is up to 4 points, so that a margin of 2 is seldom shown",
        "a program may pass the tests and be wrong, or be killed by a limit on a slow machine: "
        "read timeout beside pass_at_1",
        "the problems and their solutions are in many models' training text",
    )

    def examples(self, split: str) -> Sequence[CodeProblem]:
        """The problems in the order of the file. Raises `DataError` naming file and row."""
        return official.read_humaneval()

    def requests(self, example: CodeProblem) -> Sequence[Generation]:
        """What follows the prompt, for each sample."""
        return self.generations(example.prompt)

    def texts(self, example: CodeProblem) -> Sequence[str]:
        """The solution, alone and after the prompt."""
        return (example.solution, example.prompt + example.solution)

    def outcome(self, example: CodeProblem, responses: Sequence[str]) -> Outcome:
        """`pass_at_K` and the share of each failure, in [0, 1]; the text is what was run first."""
        written = [_written_code(example, response) for response in responses]
        tests = "\n\n".join(example.tests)
        values = self.values([f"{code}\n\n{tests}\n" for code in written])
        return Outcome(example=example.id, values=values, groups=example.groups, text=written[0])

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The file."""
        return (official.HUMANEVAL.use(),)

    def remarks(self, split: str) -> tuple[str, ...]:
        """How programs are written and run."""
        return (self.described(0),)


def _written_code(example: CodeProblem, response: str) -> str:
    """The function as the model wrote it, with what the prompt has before it."""
    block = fenced_code(response)
    head = f"def {example.name}("
    if block is None:
        return example.prompt + cut_at_stops(response, _ENDS)
    if head in block and head in example.prompt:
        return example.prompt[: example.prompt.rindex(head)] + block
    return example.prompt + block
