"""The nouns: everything that crosses a folder boundary.

Read this first. Model + data → requests → responses → outcomes → estimates → report;
and model + data → edit. Log-probabilities are natural (nats) everywhere.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict
from typing_extensions import TypeAliasType

from equipoise.dialogues import Dialogue, Texts
from equipoise.frames import as_frame, group_columns, table_of
from equipoise.notebook import EstimateView, MeasurementView
from equipoise.rows import Probe, TrainingRow, documents_of, text_sha256
from equipoise.slices import SliceTable

if TYPE_CHECKING:
    from pandas import DataFrame

#: A named recursive type, which pydantic can validate.
JSON = TypeAliasType("JSON", "bool | int | float | str | list[JSON] | dict[str, JSON] | None")

Column: TypeAlias = NDArray[np.float64]  # shape [example]
Columns: TypeAlias = Mapping[str, Column]

#: Configuration of every plug-in's pydantic dataclass: misspelt options are errors.
OPTIONS = ConfigDict(extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)

MOST_SEED: Final = 2**32 - 1  # that every generator takes
MOST_DRAWS: Final = 100_000  # of a bootstrap: a percentile is then known to a thousandth part

#: "own": the start token where the tokenizer puts it by itself, and where there is no context.
Prefix: TypeAlias = Literal["bos", "ref_gpt2", "none", "own"]
ModelKind: TypeAlias = Literal["causal", "masked"]


# --- examples ---------------------------------------------------------------------------------


class Example(Protocol):
    """What every benchmark's example has; the rest is the benchmark's own."""

    @property
    def id(self) -> str:
        """Unique within the benchmark and split; outcomes are paired on it."""

    @property
    def groups(self) -> Mapping[str, str]:
        """Group key to group, e.g. {"axis": "gender", "target": "nurse"}."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """A context, and continuations that differ in whom they stereotype."""

    id: str
    context: str
    stereotype: str  # a leading space belongs here
    antistereotype: str
    unrelated: str | None = None
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A text to be continued; groups say whom it is about."""

    id: str
    text: str  # no trailing space
    groups: Mapping[str, str] = field(default_factory=dict)
    words: tuple[
        str, ...
    ] = ()  # of which one comes next, each with its leading space; (): not said


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """What a mitigation may learn from; never the measured split, unless it says so (`measured`).

    Every text is hashed into the edit, so that measuring refuses it on examples it has learnt.
    """

    origin: str  # e.g. "genbias(split_by=profession):train"
    prompts: tuple[Prompt, ...] = ()  # contexts in which a pronoun, or another answer, comes next
    hinted: tuple[Prompt, ...] = ()  # contexts whose answer is settled by a hint, to be kept
    contrasts: tuple[Contrast, ...] = ()
    texts: tuple[str, ...] = ()  # neutral texts, to hold the rest of the model in place
    #: About {target}, of `groups["association"]`: what says it; asked, and its `groups["answer"]`.
    paragraphs: tuple[Prompt, ...] = ()
    questions: tuple[Prompt, ...] = ()
    documents: tuple[str, ...] = ()  # `text_sha256` of what each is a passage of; none: whole
    dev: tuple[Prompt, ...] = ()  # to stop and to choose on; terms disjoint from both other sets
    dev_contrasts: tuple[Contrast, ...] = ()  # likewise; target terms disjoint from `contrasts`
    files: tuple["DataUse", ...] = ()  # what it was read from
    #: The items to be measured, labelled: for a method with "labels" in its `item_info` alone.
    measured: tuple[Contrast, ...] = ()
    rows: Sequence[TrainingRow] = ()  # a training set; may be read from a file bit by bit
    probes: tuple[Probe, ...] = ()  # which bias is looked for in the rows
    dev_probes: tuple[Probe, ...] = ()  # likewise; never learnt from, to judge what was removed
    #: A name to that of its people, both without case: of the user's own, beside the built-in ones
    aliases: Mapping[str, str] = field(default_factory=dict)

    def learnt_texts(self) -> tuple[str, ...]:
        """Every text that a method given this supply may have learnt from: no `dev_probes`."""
        contrasts = tuple(
            contrast.context + ending
            for contrast in (*self.contrasts, *self.dev_contrasts)
            for ending in (contrast.stereotype, contrast.antistereotype, contrast.unrelated)
            if ending is not None
        )
        of_prompts = (*self.prompts, *self.hinted, *self.dev, *self.paragraphs, *self.questions)
        prompts = tuple(prompt.text for prompt in of_prompts)
        rows: list[TrainingRow | Probe] = [*self.rows, *self.probes]
        return prompts + contrasts + self.texts + tuple(text for row in rows for text in row.texts)

    def learnt_hashes(self) -> frozenset[str]:
        """`text_sha256` of those texts, and of the documents that texts and rows are from."""
        return documents_of(self.rows).union(self.documents, map(text_sha256, self.learnt_texts()))


# --- requests and responses -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """Ask for log p(continuation | context), token by token.

    An empty context asks for the whole text. A masked model answers with the pseudo-log-likelihood
    of the continuation's tokens, each masked in turn with everything else visible.
    """

    context: str
    continuation: str  # a leading space belongs here
    prefix: Prefix = "bos"  # metrics.md section 0: what the first token is conditioned on
    greedy: bool = False  # also ask whether greedy decoding would say it: `Scored.greedy`


@dataclass(frozen=True, slots=True, kw_only=True)
class Infill:
    """Ask a masked model for the tokens of text[start:end], revealed from left to right.

    Token j sees the earlier tokens of the span, and one mask for the rest, as in StereoSet's code.
    """

    text: str
    start: int  # in characters
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPair:
    """Ask for two near-identical texts, scored on chosen tokens of the token-level difference.

    `unmodified`: tokens both texts share. `modified`: tokens that differ.
    `unmodified_after`: shared tokens after the first difference.
    `view`: what a token is conditioned on, "left" (causal), or "both" (masked, itself hidden).
    """

    first: str
    second: str
    tokens: Literal["unmodified", "modified", "unmodified_after"]
    view: Literal["left", "both"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NextToken:
    """Ask for P of each of a few words directly after a context: the product over its tokens."""

    context: str  # no trailing space
    words: tuple[str, ...]  # each with its leading space


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """Ask for a sampled or greedy continuation."""

    context: str
    max_tokens: int
    min_tokens: int = 0  # end-of-text tokens are barred until so many are written
    temperature: float = 0.0  # 0: greedy
    top_p: float = 1.0
    top_k: int = 0  # draw from so many of the likeliest; 0: from all
    repetition_penalty: float = 1.0  # above 1: what stands in context or text becomes unlikelier
    sample: int = 0  # tells apart the same request, asked several times: each is drawn anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """Ask for the pooled last hidden state of a text."""

    text: str
    pooling: Literal["mean", "last", "first"] = "mean"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Ask how probable each option is; without options, whether yes is the answer ("noul")."""

    text: str  # that is judged
    question: str
    options: tuple[str, ...] = ()  # all different, listed in this order


Request: TypeAlias = (
    Continuation | Infill | TextPair | NextToken | Generation | Embedding | Decision | Dialogue
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Response to a `Continuation` or an `Infill`."""

    token_logprobs: tuple[float, ...]  # nats, of each scored token
    bytes: int  # UTF-8 bytes of the scored text, for normalisation without a tokenizer
    greedy: bool | None = None  # each token is the likeliest in its place; None: not asked

    @property
    def logprob(self) -> float:
        """Sum over tokens, in nats; nan when nothing was scored."""
        return math.fsum(self.token_logprobs) if self.token_logprobs else math.nan

    @property
    def tokens(self) -> int:
        """How many tokens were scored."""
        return len(self.token_logprobs)

    @property
    def mean(self) -> float:
        """Mean over tokens, in nats; nan when nothing was scored."""
        return self.logprob / self.tokens if self.tokens else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredPair:
    """Response to a `TextPair`."""

    first: Scored
    second: Scored


@dataclass(frozen=True, slots=True, kw_only=True)
class NextTokenScored:
    """Response to a `NextToken`: a log-probability per word, in the order asked."""

    logprobs: tuple[float, ...]  # nats
    tokens: tuple[int, ...]  # tokens in each word; 1 is the exact next-token case


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Response to a `Decision`."""

    probabilities: tuple[float, ...]  # of its options, or of yes and no; they sum to 1
    label_mass: float  # what their labels have of the next token's probability; nan: not told


Response: TypeAlias = Scored | ScoredPair | NextTokenScored | Texts | NDArray[np.float32] | Decided


# --- what was measured ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an example measured."""

    example: str
    values: Mapping[str, float]  # nan = not measurable, never 0
    groups: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None  # what the model wrote, kept for the judge and for the reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """How far is near enough, above 0. A convention, not a finding: whoever reports it names it."""

    size: float  # in the metric's unit; relative: as a share of the value before (0.02: 2 %)
    relative: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A function of columns; grouping and resampling are applied from outside.

    `of` gets a float column per value of outcomes, integer codes "@k" per group key `k`, and those
    of clusters, "@cluster"; a cluster that is drawn twice has two. It returns nan where it is not
    defined. `metrics.weighted.Weighted` takes all draws at once, much faster.
    `grid` is 100.0 for a percentage of counted rows, 50.0 where a tie counts half; None for a mean
    over groups and for what is no count.
    """

    name: str
    of: Callable[[Columns], float]
    unit: str  # "%", "nats", "probability", …
    source: str  # paper and equation
    meaning: str = ""  # what a value says, in a sentence's part; "": as the benchmark's page has it
    ideal: float | None = None  # the value of an unbiased (or perfectly able) model
    higher_is_better: bool | None = None  # None: the ideal is a point, or there is no direction
    low: float = -math.inf  # smallest possible value
    high: float = math.inf  # largest possible value
    margin: Margin | None = None  # what is as good as ideal (bias), or tolerated loss (ability)
    grid: float | None = None  # of a plain count over rows: value * n / grid is a whole number
    needs: str | None = None  # what a value takes, for the reason where there is none
    resampled: bool = True  # False: a p-value or level of chance, without interval and change
    deviation: Callable[[Columns], float] | None = None  # `resample.deviation_interval` instead


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Estimate(EstimateView):
    """A number for a reader: never without its interval, n and ideal."""

    metric: str
    value: float
    low: float  # 95 % interval
    high: float
    n: int  # examples with a value
    clusters: int  # independent units behind them
    unit: str
    ideal: float | None = None
    higher_is_better: bool | None = None
    group: Mapping[str, str] = field(default_factory=dict)  # {} is overall
    reason: str | None = None  # why the value is nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Numbers on the same items, beside which those of a measurement are to be read.

    "null": of a rule that knows of no bias. "without": of the model, less the items with a fault of
    the data; a metric named NAME_change is what leaving them out does to NAME, paired.
    """

    kind: Literal["null", "without"]
    name: str  # of the rule, or of the fault
    says: str  # what the rule does, or what the fault is: a sentence's part
    items: int  # on which it acts, or which are left out
    estimates: tuple[Estimate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataUse:
    """A file that numbers rest on."""

    name: str  # path inside the data folder
    sha256: str
    licence: str
    verified: bool | None  # equal to a known official file; None: of the user's own files
    revision: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Measurement(MeasurementView):
    """What a benchmark said of a model, with all that is needed to trust or repeat it."""

    model: str  # Scorer.identity
    benchmark: str  # the name that it is loaded by
    version: str
    options: Mapping[str, JSON]
    split: str
    seed: int
    draws: int  # bootstrap resamples
    limit: int | None
    examples_sha256: str  # of the examples and requests, whatever file they came from
    data: tuple[DataUse, ...]
    model_info: Mapping[str, JSON]  # kind, dtype, prefix policy and ids, revision, edit, …
    environment: Mapping[str, str]  # versions
    cluster: str | None
    estimates: tuple[Estimate, ...]
    outcomes: tuple[Outcome, ...]
    notes: tuple[str, ...] = ()  # known faults, coverage, what was skipped and why
    label: str = ""  # what the recipe calls it, where that is not the benchmark's name
    references: tuple[Reference, ...] = ()  # what the numbers are to be read against
    slices: tuple[SliceTable, ...] = ()  # its first headline by groups, in intervals that all hold
    headline: tuple[str, ...] = ()  # metrics that are said first; (): the first
    about: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # metric: meaning, source

    def estimate(self, metric: str, **group: str) -> Estimate:
        """The estimate of a metric, overall or for a group; KeyError lists the known metrics."""
        for estimate in self.estimates:
            if estimate.metric == metric and dict(estimate.group) == group:
                return estimate
        known = sorted({estimate.metric for estimate in self.estimates})
        raise KeyError(f"no estimate of {metric!r} for {group or 'overall'}; metrics: {known}")

    def to_frame(self) -> "DataFrame":
        """A row per estimate: metric, groups ("@axis", …), value, interval, n and the rest."""
        return table_of(self.estimates)

    def outcomes_frame(self) -> "DataFrame":
        """A row per example: id, values, groups ("@axis", …) and text."""
        return as_frame(
            {"example": row.example, **row.values, **group_columns(row.groups), "text": row.text}
            for row in self.outcomes
        )
