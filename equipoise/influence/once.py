"""Attributions kept in memory, so that all methods that select rows select by the same scores."""

import hashlib
from collections.abc import Sequence
from typing import Final, Protocol

from equipoise.attributions import Attribution
from equipoise.inference.language_model import LanguageModel
from equipoise.influence.warm_up import job_key
from equipoise.rows import Probe, TrainingRow

_KEPT = 8  # attributions, of the latest: a number per row and group each
_attributed: Final[dict[str, Attribution]] = {}


class ScoresRows(Protocol):
    """`attribute.base.Attributor`, whose room stands above this."""

    def attribute(
        self,
        model: LanguageModel,
        rows: Sequence[TrainingRow],
        probes: Sequence[Probe],
        *,
        seed: int,
    ) -> Attribution:
        """Score every row."""


def attribute_once(
    attributor: ScoresRows,
    model: LanguageModel,
    rows: Sequence[TrainingRow],
    probes: Sequence[Probe],
    *,
    seed: int,
) -> Attribution:
    """`attributor.attribute`, kept for whoever asks for the same next; raises as that does."""
    digest = hashlib.sha256()
    for row in rows:  # all of it, labels too: an attributor may read them
        about_row = (row.id, row.text, row.messages, dict(row.groups))
        digest.update(repr(about_row).encode(errors="surrogatepass"))
    kind = type(attributor)
    about = (kind.__module__, kind.__qualname__, attributor, list(probes), seed, digest.hexdigest())
    key = job_key(model, iter([repr(about).encode(errors="surrogatepass")]))
    if key not in _attributed:
        attribution = attributor.attribute(model, rows, probes, seed=seed)
        while len(_attributed) >= _KEPT:
            del _attributed[next(iter(_attributed))]
        _attributed[key] = attribution
    return _attributed[key]
