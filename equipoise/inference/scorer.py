"""All that measuring and judging need of a model. No torch."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from equipoise.records import (
    JSON,
    Continuation,
    Embedding,
    Example,
    Generation,
    Infill,
    ModelKind,
    NextToken,
    NextTokenScored,
    Request,
    Scored,
    ScoredPair,
    TextPair,
)


class Scorer(Protocol):
    """A model that answers requests. Answers come in the order asked.

    Answers do not depend on batch size, order or company (float32: 1e-5 nats).
    Every method raises `ModelError` naming the request when a text is longer than the model's
    context, when the model's kind cannot answer, or when an answer is not finite.
    """

    @property
    def identity(self) -> str:
        """Name and revision, and the edit if there is one; two equal identities score alike."""

    @property
    def kind(self) -> ModelKind:
        """Whether it predicts the next token or a masked one."""

    @property
    def info(self) -> Mapping[str, JSON]:
        """What a result must record: kind, dtype, prefix policy and token ids, revision, edit."""

    @property
    def trained_on(self) -> frozenset[str]:
        """sha256 (hex) of each text that an edit of this model has learnt from."""

    def variants(self) -> Sequence["Scorer"]:
        """Models to measure in turn and report as mean and spread; usually just this one.

        A family of prompt prefixes has one variant a prefix.
        """

    def score(self, requests: Sequence[Continuation]) -> list[Scored]:
        """Log-probabilities of continuations."""

    def infill(self, requests: Sequence[Infill]) -> list[Scored]:
        """Log-probabilities of masked spans; masked models only."""

    def score_pairs(self, requests: Sequence[TextPair]) -> list[ScoredPair]:
        """Log-probabilities over the common or differing tokens of two texts."""

    def next_token(self, requests: Sequence[NextToken]) -> list[NextTokenScored]:
        """Log-probabilities of single words after a context."""

    def generate(self, requests: Sequence[Generation], *, seed: int) -> list[str]:
        """Continuations; the same seed gives the same texts."""

    def embed(self, requests: Sequence[Embedding]) -> NDArray[np.float32]:
        """Pooled hidden states: [text, feature]."""


@runtime_checkable
class Covers(Protocol):
    """A scorer that changes its answers to some requests and leaves others alone."""

    def covers(self, request: Request) -> bool | None:
        """Whether something that this request reads is adjusted; None: nothing ever is."""


def coverage(
    model: Scorer,
    asked: Sequence[Sequence[Request]],
    examples: Sequence[Example],
    *,
    by: Sequence[str],
) -> dict[str, JSON]:
    """What a result must record of how many examples a decoding rule touches; often nothing.

    The share of examples of which some request is adjusted, over all and for each group of `by`.
    """
    if not isinstance(model, Covers):
        return {}
    touched = [[model.covers(request) for request in requests] for requests in asked]
    if all(one is None for some in touched for one in some):
        return {}
    flags = [any(some) for some in touched]
    shares: dict[str, list[bool]] = {}
    for flag, example in zip(flags, examples, strict=True):
        for key in by:
            if key in example.groups:
                shares.setdefault(f"{key}={example.groups[key]}", []).append(flag)
    found: dict[str, JSON] = {name: sum(some) / len(some) for name, some in sorted(shares.items())}
    return {"coverage": {"overall": sum(flags) / len(flags), **found}}
