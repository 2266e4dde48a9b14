"""A study: what was measured, compared, located and checked, and what is missing.

`study.load_study` makes it from a store; the report and the exports need nothing else. No torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from equipoise.attributions import (
    Attribution,
    AttributionQuality,
    LeaveOutScore,
    RemovalCurve,
)
from equipoise.conclusions import (
    Change,
    Comparison,
    Factorial,
    Finding,
    RankStability,
    Verdict,
    model_title,
    title_of,
)
from equipoise.errors import RecipeError, nearest
from equipoise.figures import Interval, draw_intervals
from equipoise.frames import as_frame, html_table
from equipoise.records import JSON, Estimate, Measurement
from equipoise.stats.calibration import Calibration
from equipoise.stats.verdict import verdict_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A measurement, and which of the recipe's names it belongs to."""

    model: str  # the recipe's label of the model
    mitigation: str | None  # the recipe's label; None: the model as it is
    seed: int | None  # of the mitigation
    measurement: Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduced:
    """How much of what another mitigation added to the model as it is was taken away again."""

    base: Measurement  # of the model as it is
    estimates: tuple[Estimate, ...]  # in percent, of each metric of bias: overall, and by groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Controlled:
    """A method beside its control: the word table that learnt from the same supply."""

    control: str  # the control's label
    base: Measurement  # of the model as it is
    changes: tuple[Change, ...]  # overall: before is after the control, after is after the method


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """A mitigation of a model: everything that was compared, and what it comes to."""

    model: str
    mitigation: str
    comparisons: tuple[Comparison, ...]  # by benchmark, over all measured seeds
    verdict: Verdict
    edits: tuple[Mapping[str, JSON], ...]  # method, options, origin, seed, report of each seed's
    against: str | None = None  # the mitigation that it is compared with; None: the model as it is
    reductions: tuple[Reduced, ...] = ()  # by benchmark, where it is compared with another
    controlled: tuple[Controlled, ...] = ()  # by benchmark that tells what the target carries

    @property
    def title(self) -> str:
        """As in "npo on gpt2", or "npo on gpt2, against finetune"."""
        against = "" if self.against is None else f", against {self.against}"
        return f"{self.mitigation} on {self.model}{against}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What an edit cost to make, and costs to use; nan where it is not known, with the reason."""

    model: str
    mitigation: str
    seed: int | None
    trained_parameters: float  # numbers that an optimizer moved; 0: none
    changed_parameters: float  # numbers that the edit brings; 0: a prompt or a decoding rule
    steps: float  # of the optimizer
    seconds: float  # of the whole step that made it, loading the model among it
    peak_bytes: float  # of memory
    peak_of: str  # "cuda", "process", or "" where it is not known
    passes_per_token: float  # forward passes for each token that is written or scored; 1: as before
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Factored:
    """Whose the effect of a combined mitigation is, on a benchmark; labels are the recipe's."""

    model: str
    first: str  # the mitigations that it is made of, each of which is listed alone, too
    second: str
    both: str
    neither: Measurement  # of the model as it is
    factorials: tuple[Factorial, ...]  # of each metric of bias, in their order; none: no bias


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """A locator's rankings of a model with several seeds."""

    model: str
    locator: str  # the recipe's label
    stability: RankStability


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributedRow:
    """A training row with its score; its texts are data, and may offend."""

    id: str
    rank: int  # 1: of the highest score
    score: float
    groups: Mapping[str, str]
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributionSummary:
    """What a reader is shown of an attribution."""

    rows: int
    scored: int
    labelled: int
    biased: int  # of the labelled
    most: tuple[AttributedRow, ...]  # of the highest scores, the highest first
    least: tuple[AttributedRow, ...]  # of the lowest, the lowest first
    #: Rows labelled otherwise than biased among as many of the highest scores as rows are biased,
    #: the highest first; and how many there are.
    neutral: tuple[AttributedRow, ...]
    neutral_selected: int
    profile: tuple[Estimate, ...]  # mean score by label and type of bias; intervals over rows
    curve: tuple[tuple[float, float], ...]  # recall and precision; (): rows are not labelled


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributed:
    """An attributor's scores of the rows that a model is, or was, fine-tuned on."""

    model: str
    attributor: str  # the recipe's label
    attribution: Attribution
    summary: AttributionSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """How far attributions of the same rows can be trusted; each by attributor, in their order."""

    model: str
    attributors: tuple[str, ...]  # the recipe's labels
    quality: tuple[AttributionQuality, ...] = ()  # of labelled rows
    leave_out: tuple[LeaveOutScore, ...] = ()
    removal: tuple[RemovalCurve, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A step that has no result."""

    what: str  # a sentence: "fit of parity on gpt2, seed 1"
    why: str  # "not run yet", the error's message, or the step it waits for
    traceback: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Study:
    """What the steps of a recipe gave. Any part may be empty; `missing` then says why."""

    title: str
    recipe: Mapping[str, JSON]  # as resolved: every option, with its default
    measured: tuple[Measured, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    located: tuple[Located, ...] = ()
    calibrations: tuple[Calibration, ...] = ()
    factored: tuple[Factored, ...] = ()
    attributed: tuple[Attributed, ...] = ()
    validated: tuple[Validated, ...] = ()
    costs: tuple[Cost, ...] = ()  # of each edit
    findings: tuple[Finding, ...] = ()
    missing: tuple[Missing, ...] = ()
    planned: int = 0  # steps

    def to_frame(self) -> "DataFrame":
        """A row per estimate, of groups too, with the recipe's names of model and mitigation.

        Columns: model, mitigation (missing: the model as it is), seed of the mitigation, benchmark
        and split, then those of `Measurement.to_frame`. `equipoise.export.tables` has changes and
        verdicts, with the data that each number rests on.
        """
        return as_frame(
            {
                "model": measured.model,
                "mitigation": measured.mitigation,
                "seed": measured.seed,
                "benchmark": measured.measurement.benchmark,
                "split": measured.measurement.split,
                **{str(name): value for name, value in row.items()},
            }
            for measured in self.measured
            for row in measured.measurement.to_frame().to_dict("records")
        )

    def __repr__(self) -> str:
        return (
            f"<Study {self.title}: {len(self.measured)} measurements, {len(self.chapters)} "
            f"chapters, {len(self.missing)} of {self.planned} steps missing>"
        )

    def plot(self, metric: str | None = None, *, axes: "Axes | None" = None) -> "Axes":
        """Draw a metric of every model and mitigation, overall, with intervals and its ideal.

        `metric`: "stereoset.ss"; None: the first metric of the first benchmark. `axes`: of
        matplotlib; None: a new figure. Raises `RecipeError` for a metric that it has not.
        """
        known: dict[str, list[tuple[Measured, Estimate]]] = {}
        for measured in self.measured:
            for row in measured.measurement.estimates:
                if not row.group:
                    name = f"{title_of(measured.measurement)}.{row.metric}"
                    known.setdefault(name, []).append((measured, row))
        name = next(iter(known), "") if metric is None else metric
        if name not in known:
            raise RecipeError(
                f"the study has no metric '{name}' to be drawn; {nearest(name, known)}"
            )
        rows = [
            Interval(
                measured.model
                + (f", {measured.mitigation}" if measured.mitigation else "")
                + (f", seed {measured.seed}" if measured.seed is not None else ""),
                row.value,
                row.low,
                row.high,
            )
            for measured, row in known[name]
        ]
        first = known[name][0][1]
        return draw_intervals(
            rows, title=f"{self.title}: {name}", unit=first.unit, ideal=first.ideal, axes=axes
        )

    def _repr_html_(self) -> str:
        """How a notebook shows a study: its title, what is missing, and the estimates."""
        missing = f"; {len(self.missing)} steps have no result" if self.missing else ""
        return html_table(f"{self.title}{missing}", self.to_frame())


def plain_study(
    title: str,
    *,
    measurements: Sequence[Measurement] = (),
    comparisons: Sequence[Comparison] = (),
) -> Study:
    """A study of measurements and comparisons made elsewhere, named as their models are called.

    Comparisons of the same two models are a chapter, with its verdict.
    """
    pairs: dict[tuple[str, ...], list[Comparison]] = {}
    for comparison in comparisons:
        models = (comparison.before.model, *(after.model for after in comparison.afters))
        pairs.setdefault(models, []).append(comparison)
    return Study(
        title=title,
        recipe={},
        measured=tuple(
            Measured(
                model=model_title(measurement), mitigation=None, seed=None, measurement=measurement
            )
            for measurement in measurements
        ),
        chapters=tuple(
            Chapter(
                model=model_title(alike[0].before),
                mitigation=", ".join(map(model_title, alike[0].afters)),
                comparisons=tuple(alike),
                verdict=verdict_of(alike),
                edits=(),
            )
            for alike in pairs.values()
        ),
    )
