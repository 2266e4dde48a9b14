"""Pairs of texts that two variants wrote after the same prompt."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from equipoise.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantText:
    """What a variant wrote after a prompt."""

    id: str  # of the prompt and its sample: texts of two variants are paired on it
    prompt: str
    text: str
    groups: Mapping[str, str] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)  # automatic; nan: not measured


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedPair:
    """Two texts after a prompt, and what is known of them besides."""

    id: str
    prompt: str
    first: str  # the text of the first variant
    second: str
    groups: Mapping[str, str] = field(default_factory=dict)
    scores: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # of both texts


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSet:
    """What is rated: every pair of two variants."""

    variants: tuple[str, str]
    pairs: tuple[RatedPair, ...]
    notes: tuple[str, ...] = ()  # what was left out

    @property
    def sha256(self) -> str:
        """Identity of what is rated: variants, ids, prompts and texts."""
        content = [self.variants, [[p.id, p.prompt, p.first, p.second] for p in self.pairs]]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def pair_texts(
    variants: tuple[str, str], first: Sequence[VariantText], second: Sequence[VariantText]
) -> PairSet:
    """The texts of two variants by id, in the first's order.

    Left out and counted in `notes`: ids of one side alone, and pairs of equal texts, of which
    nothing can be preferred. Raises `DataError` for a prompt that differs between the sides, and
    where no pair is left.
    """
    others = {text.id: text for text in second}
    shared = [(text, others[text.id]) for text in first if text.id in others]
    for text, other in shared:
        if text.prompt != other.prompt:
            raise DataError(
                f"'{text.id[:60]}' must have the same prompt on both sides, got "
                f"{text.prompt[:40]!r} and {other.prompt[:40]!r}; pair texts of one prompt"
            )
    pairs = tuple(
        RatedPair(
            id=text.id,
            prompt=text.prompt,
            first=text.text,
            second=other.text,
            groups=text.groups,
            scores={
                name: (value, other.scores[name])
                for name, value in text.scores.items()
                if math.isfinite(value) and math.isfinite(other.scores.get(name, math.nan))
            },
        )
        for text, other in shared
        if text.text != other.text
    )
    if not pairs:
        raise DataError(
            f"two variants must have texts that differ after the same prompts, got {len(first)} "
            f"texts of '{variants[0]}' and {len(second)} of '{variants[1]}' with {len(shared)} ids "
            "in common and none that differs; name texts of two variants"
        )
    alone = len(first) + len(second) - 2 * len(shared)
    notes = [f"{alone} texts of one variant alone are left out"] if alone else []
    if same := len(shared) - len(pairs):
        notes.append(f"{same} pairs of equal texts are not shown and not counted")
    return PairSet(variants=variants, pairs=pairs, notes=tuple(notes))
