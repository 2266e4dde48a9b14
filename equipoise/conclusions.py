"""What was concluded from measurements: rankings, changes, claims, verdicts and checks.

The second half of the nouns; `records` has the first, up to `Measurement`.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from equipoise.frames import html_table, table_of
from equipoise.notebook import ChangeView, ComparisonView, RankingView
from equipoise.records import Estimate, Margin, Measurement

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Ranking(RankingView):
    """Components with their scores; a larger score means more of what the locator looks for.

    Components are all blocks of a model, or all its attention heads.
    """

    locator: str
    scores: tuple[float, ...]  # per component, in the model's order
    low: tuple[float, ...]  # 95 % interval of each score, over prompts
    high: tuple[float, ...]
    prompts: int
    unit: str
    notes: tuple[str, ...] = ()
    kind: Literal["block", "head"] = "block"  # of component
    labels: tuple[str, ...] = ()  # per component, as "3.7" for head 7 of block 3; none: its index
    #: Per component, where the locator tests it against a null: p corrected for all components.
    p: tuple[float, ...] = ()
    share: tuple[float, ...] = ()  # of the whole effect, per component; below 0: against it
    chosen: tuple[int, ...] | None = None  # components that pass its tests; None: it has none
    #: Further numbers per component ("paper": its score by the paper's formula), and of the whole
    #: ranking ("completeness": largest error of the sum of all parts).
    more: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    facts: Mapping[str, float] = field(default_factory=dict)

    @property
    def order(self) -> tuple[int, ...]:
        """Indices of components, from the largest score to the smallest; ties in model order."""
        return tuple(sorted(range(len(self.scores)), key=lambda index: -self.scores[index]))

    def label(self, component: int) -> str:
        """How a component is named in tables and figures."""
        return self.labels[component] if self.labels else str(component)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopOverlap:
    """Which components are among the first k of every ranking, and what chance would give."""

    k_requested: int  # components taken of each ranking
    sizes: tuple[int, ...]  # how many each has: fewer where only scores above 0 count
    shared: tuple[int, ...]  # those in all of them, by mean score, the largest first
    jaccard: float  # mean over pairs of rankings of shared / either, in [0, 1]; nan: no pair
    kendall: float  # mean rank correlation tau-b over pairs of whole rankings, in [-1, 1]
    chance: float  # components that independent random rankings would share, on average
    p: float  # probability that they would share as many or more
    reason: str | None = None  # why p is nan

    @property
    def k_effective(self) -> int:
        """How many are left of k."""
        return len(self.shared)


@dataclass(frozen=True, slots=True, kw_only=True)
class RankStability:
    """Whether a locator ranks blocks or heads alike when it is asked again with other prompts."""

    rankings: tuple[Ranking, ...]  # of each seed
    seeds: tuple[int, ...]
    sample: int  # prompts drawn for each
    spearman: float  # mean rank correlation over pairs of rankings, in [-1, 1]; 1: always alike
    spearman_low: float  # smallest of the pairs
    first: Mapping[int, int]  # component to how often it came first
    reason: str | None = None  # why a number is nan
    top: TopOverlap | None = None  # of heads: of many components the first few are used


#: What became of a metric. Bias, a metric with an ideal value: "reduced", "reversed" (as clearly
#: on the other side of the ideal as it was on this side), "worse", "unclear" (moved, but not shown
#: to be nearer or farther). Ability, a metric with a direction: "better", "worse". Neither:
#: "changed". All: "unchanged" (no change shown), "unknown" (not measurable; see the reason), "not
#: comparable" (settings of the two sides differ, as the reason says; nothing is stated).
Direction: TypeAlias = Literal[
    "reduced", "reversed", "worse", "unclear", "better", "changed", "unchanged", "unknown",
    "not comparable",
]  # fmt: skip
#: Of which nothing is stated: no number, or sides that differ in a setting.
UNSTATED: Final[tuple[Direction, ...]] = ("unknown", "not comparable")


CALLED: Final = "called"  # in `Measurement.model_info`: what its user calls the model


def model_title(measurement: Measurement) -> str:
    """What a reader knows the model by: the name that its user gave it, else its identity."""
    return str(measurement.model_info.get(CALLED) or measurement.model)


def title_of(measurement: Measurement) -> str:
    """What a reader knows it by: the recipe's name for it, else that of the benchmark."""
    return measurement.label or measurement.benchmark


def margin_of(value: object) -> Margin:
    """A margin from a number above 0 in the metric's unit, or a share such as "2%".

    Raises `ValueError` for anything else.
    """
    text = str(value).strip()
    relative = text.endswith("%")
    size = float(text.removesuffix("%")) / (100.0 if relative else 1.0)
    if isinstance(value, bool) or not (math.isfinite(size) and size > 0):
        raise ValueError(f"a margin must be above 0, got {value!r}")
    return Margin(size=size, relative=relative)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What is claimed of a metric after a change, and whether it is shown. Alpha is 0.05.

    "within": the value lies nearer the ideal than the margin (TOST, two one-sided tests: Schuirmann
    1987). "not_worse": less was lost than the margin (non-inferiority). Either is shown when the
    90 % interval lies inside; a point inside is no proof.
    """

    kind: Literal["within", "not_worse"]
    margin: Margin
    value: float  # within: value - ideal. not_worse: what was lost, in the margin's terms; > 0 lost
    low: float  # 90 % interval of it
    high: float
    p: float  # the larger of the one-sided tests; nan where there is none
    shown: bool


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Change(ChangeView):
    """A metric before and after, on the same items, resampled together.

    After several seeds: means over them, and intervals that hold the seeds' scatter, too.
    """

    metric: str
    before: float
    before_low: float  # 95 % intervals, all from the same draws of clusters
    before_high: float
    after: float
    after_low: float
    after_high: float
    difference: float  # after - before
    low: float
    high: float
    nearer: float  # fall of the distance to the ideal; nan without an ideal. > 0: less bias
    nearer_low: float
    nearer_high: float
    effect: float  # difference in standard deviations of a cluster's change; nan if that is 0
    p: float  # paired sign-flip permutation over clusters, two-sided
    p_holm: float  # p, corrected over the groups of this metric (in a verdict: its headlines)
    direction: Direction
    n: int  # items paired
    clusters: int
    unit: str
    ideal: float | None = None
    higher_is_better: bool | None = None
    group: Mapping[str, str] = field(default_factory=dict)  # {} is overall
    reason: str | None = None  # why something is nan
    seeds: int = 1  # of the method, behind the after side
    seed_spread: float = math.nan  # standard deviation (ddof 1) of the after value over seeds
    claim: Claim | None = None  # where the metric has a margin

    @property
    def measures_bias(self) -> bool:
        """Whether the ideal is a point, so that passing it is no gain; else ability, or neither."""
        return self.ideal is not None and self.higher_is_better is None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedExample:
    """An example whose answer changed; its texts are data, and may offend."""

    example: str
    groups: Mapping[str, str]
    texts: tuple[str, ...]  # what the model was asked about, in the order of the requests
    metric: str  # what `before` and `after` are: this metric of this example alone
    before: float
    after: float
    wrote_before: str | None = None  # what the model wrote, where it did
    wrote_after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenPair:
    """What was written after a prompt before and after; its texts are data, and may offend."""

    example: str
    groups: Mapping[str, str]
    prompt: str  # "" where the benchmark names none
    before: str
    after: str
    scores_before: Mapping[str, float]  # by the names of the outcomes' values; nan: not scored
    scores_after: Mapping[str, float]
    drawn: bool  # at random from the rest; False: among those that changed most


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A setting that two measurements do not share, which may move a number by itself."""

    name: str  # of `stats.settings.SETTINGS`: "start", "chat", "decision", "dtype", …
    setting: str  # what it is called in a sentence: "start token"
    before: str  # its value on each side, for a reader
    after: str
    across: bool = False  # whether it was asked to compare across it

    @property
    def text(self) -> str:
        """As in "start token '<|endoftext|>' against '<|im_end|>'"."""
        return f"{self.setting} {self.before} against {self.after}"


def describe_differences(differences: Iterable[Difference], *, across: bool) -> str:
    """The differences that were asked to be compared across, or the others; "" without any."""
    texts = [difference.text for difference in differences if difference.across == across]
    return "; ".join(dict.fromkeys(texts))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Comparison(ComparisonView):
    """Measurements of the same items before and after a change, paired."""

    before: Measurement
    afters: tuple[Measurement, ...]  # of each seed of the method; usually a single seed
    seed: int
    draws: int
    changes: tuple[Change, ...]
    by_seed: tuple[tuple[Change, ...], ...] = ()  # overall changes of each, where there are several
    examples: tuple[ChangedExample, ...] = ()  # that changed most, where they were asked for
    #: Of what was written, on the first seed: those that changed most, and a sample of the rest.
    pairs: tuple[WrittenPair, ...] = ()
    written: int = 0  # pairs that there are, of which `pairs` are some
    notes: tuple[str, ...] = ()  # items that a side lacks, …
    #: Settings in which the sides differ. With any that is not compared across, no change has a
    #: direction, a p or a claim.
    differences: tuple[Difference, ...] = ()
    #: Of the other seeds, where the before side was learnt with each, too: `before` is the first's.
    other_befores: tuple[Measurement, ...] = ()
    headline: tuple[str, ...] = ()  # metrics that a verdict rests on; (): the first and an ability

    @property
    def sides(self) -> tuple[Measurement, ...]:
        """Every measurement that is compared, those before first."""
        return (self.before, *self.other_befores, *self.afters)

    @property
    def after(self) -> Measurement:
        """The first of the measurements after."""
        return self.afters[0]

    def of_seed(self, index: int) -> "Comparison":
        """That of a single seed alone, with its overall changes."""
        return replace(
            self,
            before=self.other_befores[index - 1] if index and self.other_befores else self.before,
            other_befores=(),
            afters=(self.afters[index],),
            changes=self.by_seed[index] if self.by_seed else self.changes,
            by_seed=(),
        )

    def change(self, metric: str, **group: str) -> Change:
        """The change of a metric, overall or for a group; KeyError lists the known metrics."""
        for change in self.changes:
            if change.metric == metric and dict(change.group) == group:
                return change
        known = sorted({change.metric for change in self.changes})
        raise KeyError(f"no change of {metric!r} for {group or 'overall'}; metrics: {known}")

    def to_frame(self) -> "DataFrame":
        """A row per change: metric, groups ("@axis", …), before, after, difference and the rest.

        What is claimed has columns of its own, "claim_kind", "claim_low", …; None without a claim.
        "differences": the settings in which the sides differ, as a text; "" without any.
        """
        frame = table_of(self.changes).drop(columns="claim", errors="ignore")
        for name in ("kind", "value", "low", "high", "p", "shown"):
            frame[f"claim_{name}"] = [
                None if change.claim is None else getattr(change.claim, name)
                for change in self.changes
            ]
        frame["differences"] = "; ".join(difference.text for difference in self.differences)
        return frame

    def _repr_html_(self) -> str:
        numbers = ["before", "after", "difference", "low", "high", "p_holm", "direction", "n"]
        frame = self.to_frame()
        groups = [str(name) for name in frame.columns if str(name).startswith("@")]
        after = ", ".join(after.model for after in self.afters)
        caption = f"{self.before.benchmark} ({self.before.split}), {self.before.model} to {after}"
        for across, words in ((True, "across"), (False, "not comparable:")):
            if text := describe_differences(self.differences, across=across):
                caption += f", {words} {text}"
        return html_table(caption, frame[["metric", *groups, *numbers, "unit"]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Factorial:
    """A metric of a model with neither of two changes, with each alone and with both.

    Effects are falls of the distance to the ideal, > 0: less bias. All on the same items, from the
    same draws of clusters; after several seeds means over them, whose intervals hold their scatter.

    `estimates`, by `metric`: the value in each cell, "neither", "first", "second", "both"; what
    each alone and both do, "effect_first", "effect_second", "effect_both"; "interaction", what both
    do beyond the sum of the two alone; the part of the whole that is either's, "part_first",
    "part_second" (Shapley's value: they sum to "effect_both"); and in percent of the whole,
    "share_first", "share_second", which may lie outside of 0 to 100, and are nan with the reason
    where the whole is not shown to differ from 0.
    """

    metric: str
    ideal: float
    seeds: int  # of the method
    estimates: tuple[Estimate, ...]

    def estimate(self, name: str) -> Estimate:
        """An estimate by its name; KeyError lists the known names."""
        by_name = {estimate.metric: estimate for estimate in self.estimates}
        if name not in by_name:
            raise KeyError(f"no estimate {name!r} of a factorial; known: {list(by_name)}")
        return by_name[name]


#: What a number was before: "ideal" where its interval held the ideal, "null" where it was not told
#: from what a rule gets that knows of no bias, or understands nothing; else "shown".
Base: TypeAlias = Literal["shown", "ideal", "null"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """A change that a verdict rests on."""

    benchmark: str  # `title_of` its measurement
    change: Change  # its direction and p_holm corrected over the verdict's bias headlines
    base: Base = "shown"  # what there was before, that could be reduced or kept

    @property
    def could_be_lost(self) -> bool:
        """Of an ability: it was told from a rule without understanding before, or is worse."""
        return self.base != "null" or self.change.direction == "worse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Halves:
    """A metric's change in two groups of items that another cause than bias moves apart."""

    benchmark: str  # `title_of` its measurement
    groups: tuple[str, str]
    first: Change
    second: Change
    gap: Change  # `gap_name`: of the metric in the first group less it in the second


def gap_name(metric: str, key: str) -> str:
    """What a metric's gap between the two groups of a key is called."""
    return f"{metric}_{key}_gap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a method did to a model, over all benchmarks that were measured."""

    bias: tuple[Headline, ...]  # each benchmark's first metric, where it measures bias
    ability: tuple[Headline, ...]  # each benchmark's first metric with a direction and a margin
    #: Of the bias headlines together; "unknown" without any, "not comparable" where settings of any
    #: comparison differ.
    direction: Direction
    #: True: each shown not worse. False: any worse, and not shown to be within its margin.
    kept: bool | None
    over_corrected: bool  # a bias headline is reversed
    differences: tuple[Difference, ...] = ()  # of any of the comparisons
    halves: tuple[Halves, ...] = ()  # of the comparisons that have two such groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What an automatic check of results came upon."""

    check: str  # its name, e.g. "icat"
    level: Literal["ok", "warning", "error"]  # error: a number is wrong or means nothing
    where: str  # benchmark and model
    text: str  # one sentence, with the values
