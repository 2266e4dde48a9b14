"""A study as a reader gets it: what was measured, compared, located, checked, and what is missing.

`study.reading` makes one from a store; the report and the exports need nothing else. No torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from equipoise.conclusions import Comparison, Finding, RankStability, Verdict
from equipoise.records import JSON, Measurement
from equipoise.stats.calibration import Calibration


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One measurement, and which of the recipe's names it belongs to."""

    model: str  # the recipe's label of the model
    mitigation: str | None  # the recipe's label; None: the model as it is
    seed: int | None  # of the mitigation
    measurement: Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One mitigation of one model: everything that was compared, and what it comes to."""

    model: str
    mitigation: str
    comparisons: tuple[Comparison, ...]  # one a benchmark, over all seeds that were measured
    verdict: Verdict
    edits: tuple[Mapping[str, JSON], ...]  # method, options, origin, seed, report of each seed's


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """What a locator said of a model, asked with several seeds."""

    model: str
    locator: str  # the recipe's label
    stability: RankStability


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A step that has no result."""

    what: str  # a sentence: "fit of parity on gpt2, seed 1"
    why: str  # "not run yet", the error's message, or the step it waits for
    traceback: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """All of it. Any part may be empty; `missing` then says why."""

    title: str
    recipe: Mapping[str, JSON]  # as resolved: every option, with its default
    measured: tuple[Measured, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    located: tuple[Located, ...] = ()
    calibrations: tuple[Calibration, ...] = ()
    findings: tuple[Finding, ...] = ()
    missing: tuple[Missing, ...] = ()
    planned: int = 0  # steps
