"""Options of benchmarks that have a model write programs and run them."""

import re
from collections.abc import Sequence
from typing import Annotated, Final, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from equipoise.code_execution.execution import FAILURES, run_program
from equipoise.metrics import pass_at_k
from equipoise.records import OPTIONS, Generation, Metric

_FENCED: Final = re.compile(r"```[^\n`]*\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL)
_INDENTED: Final = re.compile(r"\s*^(?: {2}|\t)[ \t]*[^\s`]", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class RunsPrograms:
    """A benchmark that runs programs which a model wrote. Mixed in after `Benchmark`."""

    #: run what the model writes; without it the benchmark is refused (--allow-code sets it)
    allow_code: bool = False
    samples: Annotated[int, Field(ge=1, le=1000)] = 1  # programs written for each problem
    #: of pass@k, each at most `samples`; the first is the headline
    k: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (1,)
    #: of sampling; null: 0, greedily, for one sample, else 0.8
    temperature: Annotated[float, Field(ge=0)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] = 512  # the longest program that is written
    seconds: Annotated[int, Field(ge=1)] = 5  # processor time of each program at most
    megabytes: Annotated[int, Field(ge=128)] = 1024  # memory of each program at most

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        if not self.allow_code:
            raise ValueError(
                f"allow_code must be true, got {self.allow_code}: programs that the model writes "
                "are run on this machine, with limits; allow it with --allow-code, or with "
                "'allow_code: true' in a recipe"
            )
        if len(set(self.k)) < len(self.k) or max(self.k) > self.samples:
            raise ValueError(
                f"k must be different numbers up to samples ({self.samples}), got {list(self.k)}"
            )
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(
                f"{self.samples} samples at temperature 0 are all alike; leave temperature out"
            )
        return self

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """pass@k, and how programs failed."""
        return pass_at_k.metrics_of(self.k, self.samples, FAILURES)

    def generations(self, context: str) -> Sequence[Generation]:
        """The same text to write, as many times as there are samples."""
        temperature = self.temperature
        if temperature is None:
            temperature = 0.0 if self.samples == 1 else 0.8
        return [
            Generation(
                context=context, max_tokens=self.max_tokens, temperature=temperature, sample=sample
            )
            for sample in range(self.samples)
        ]

    def values(self, programs: Sequence[str]) -> dict[str, float]:
        """Run the programs written for a problem: `pass_at_K`, and the share of each failure."""
        endings = [
            run_program(program, seconds=self.seconds, megabytes=self.megabytes).kind
            for program in programs
        ]
        return pass_at_k.values_of(endings, self.k, FAILURES)

    def described(self, shots: int) -> str:
        """What a reader must know beside the numbers."""
        how = "by sampling" if self.temperature or self.samples > 1 else "greedily"
        return (
            f"{shots} solved problems were shown before each; {self.samples} programs a problem, "
            f"written {how}, each run for at most {self.seconds} s of processor time in "
            f"{self.megabytes} MB"
        )


def fenced_code(text: str) -> str | None:
    """What stands in the first code block of Markdown, as chat models answer; None without any.

    None, too, for a text that begins with an indented line: it goes on with a function, and what
    comes in blocks after its end is not about it.
    """
    block = None if _INDENTED.match(text) else _FENCED.search(text)
    return None if block is None else block[1]
