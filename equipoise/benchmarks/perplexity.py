"""How well plain text is predicted: what a model must not lose.

Perplexity on fixed neutral text, per token and per byte, in sliding windows (metrics.md section 6).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark
from equipoise.data.documents import read_documents, windows
from equipoise.data.partition import shuffled
from equipoise.metrics import ability
from equipoise.metrics.weighted import Value, Weighted
from equipoise.records import (
    OPTIONS,
    Continuation,
    DataUse,
    Margin,
    Metric,
    Outcome,
    Scored,
)


@plain_dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A text to be predicted from its beginning to its end."""

    id: str
    text: str
    groups: Mapping[str, str] = field(default_factory=dict)


def _loss(name: str, of: Value, *, unit: str, source: str, low: float = 0.0) -> Metric:
    return Metric(
        name=name, of=Weighted(of), unit=unit, source=source, higher_is_better=False, low=low
    )


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Perplexity(Benchmark[Document, Scored]):
    """Perplexity per token and bits per byte. 1 and 0 are certainty; compare with the base model.

    An example is a document; documents are what intervals resample, and each metric is a ratio of
    sums over them. A document is scored in a sliding window counted in bytes, because a benchmark
    knows no tokenizer: its first `window` bytes as they stand, and then `stride` bytes at a time
    with the `window - stride` bytes before them as context, cut between words. So a stretch has
    less context than a model could use, alike for every model; smaller strides cost more and
    give more context. A window must fit the model's context: too long is an error, never a cut.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "own text choice; perplexity as usually defined (Jelinek et al. 1977)"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="perplexity", unit="per token", source="exp(-sum of log p / tokens)", low=1.0,
            of=Weighted(lambda c, w: ability.perplexity(c["logprob"], c["tokens"], w)),
            higher_is_better=False, margin=Margin(size=0.02, relative=True),
        ),
        _loss(
            "nats_per_token", lambda c, w: ability.nats_per_unit(c["logprob"], c["tokens"], w),
            unit="nats", source="log of the perplexity",
        ),
        _loss(
            "bits_per_byte", lambda c, w: ability.bits_per_byte(c["logprob"], c["bytes"], w),
            unit="bits", source="-sum of log2 p / UTF-8 bytes",
        ),
        _loss(
            "byte_perplexity", lambda c, w: ability.perplexity(c["logprob"], c["bytes"], w),
            unit="per byte", source="2 to the bits per byte", low=1.0,
        ),
        Metric(
            name="tokens", of=Weighted(lambda c, w: ability.total_units(c["tokens"], w)),
            unit="tokens", source="how many were scored", low=0.0,
        ),
    )  # fmt: skip
    licence: ClassVar[str] = "as the file; AG News: non-commercial research use"
    faults: ClassVar[tuple[str, ...]] = (
        "per-token values depend on the tokenizer: between models compare bits_per_byte",
        "a masked model answers with pseudo-log-likelihoods (each token masked in turn, both sides "
        "visible): its values are no perplexities and compare with no causal model's",
    )
    data_faults: ClassVar[tuple[str, ...]] = (
        "AG News items are short, so that their first words weigh much; its text holds artefacts "
        "of its making (stray backslashes, broken entities)",
        "WikiText is in the training text of many models, and flatters them",
    )

    #: a text, .tsv or .jsonl file, plain, .gz or .xz, or its path in the data folder; None: the AG
    #: News test sample
    file: str | None = None
    items: Annotated[int, Field(ge=1)] | None = 500  # documents, a fixed choice by hash; None: all
    window: Annotated[int, Field(ge=16)] = 1024  # bytes seen at once; about 4 a token
    stride: Annotated[int, Field(ge=4)] = 512  # bytes scored at once after the first window

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.stride > self.window:
            raise ValueError(f"stride must be at most the window of {self.window}")
        return self

    def examples(self, split: str) -> Sequence[Document]:
        """The chosen documents in the order of the file."""
        documents, _ = read_documents(self.file)
        chosen = set(shuffled(list(documents), seed=0)[: self.items])
        return [Document(id=id, text=text) for id, text in documents.items() if id in chosen]

    def requests(self, example: Document) -> Sequence[Continuation]:
        """The document, window by window."""
        return [
            Continuation(context=window.context, continuation=window.text)
            for window in windows(example.text, window=self.window, stride=self.stride)
        ]

    def texts(self, example: Document) -> Sequence[str]:
        """The document, which is longer than a window."""
        return (example.text,)

    def outcome(self, example: Document, responses: Sequence[Scored]) -> Outcome:
        """Sums over the windows: `logprob` in nats, `tokens`, `bytes`; nan if none was scored."""
        # A lone first token is not scored where there is no start token: its log p is nan.
        counted = [response for response in responses if response.tokens]
        sums = {
            "logprob": math.fsum(response.logprob for response in counted),
            "tokens": float(sum(response.tokens for response in counted)),
            "bytes": float(sum(response.bytes for response in counted)),
        }
        values = sums if counted else dict.fromkeys(sums, math.nan)
        return Outcome(example=example.id, values=values, groups=example.groups)

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The text file."""
        return (read_documents(self.file)[1],)
