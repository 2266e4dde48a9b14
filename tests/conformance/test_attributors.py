"""What `check_attributor` must find: attributors each with a fault that goes unseen in one run."""

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass

from equipoise.attribute.base import Attributor, RowScores
from equipoise.attributions import Attribution
from equipoise.inference.language_model import LanguageModel
from equipoise.records import OPTIONS
from equipoise.rows import Probe, TrainingRow
from equipoise.testing import check_attributor

Score = Callable[[Sequence[str]], NDArray[np.float64]]


def lengths(texts: Sequence[str]) -> NDArray[np.float64]:
    return np.array([len(text) for text in texts], dtype=np.float64)


def padded(texts: Sequence[str]) -> NDArray[np.float64]:
    """Batches of 4, in each of which the longest text decides for all."""
    starts = range(0, len(texts), 4)
    return np.concatenate(
        [np.full_like(part := lengths(texts[k : k + 4]), max(part)) for k in starts]
    )


def numbered(texts: Sequence[str]) -> NDArray[np.float64]:
    return np.arange(len(texts), dtype=np.float64)


def compared(texts: Sequence[str]) -> NDArray[np.float64]:
    return lengths(texts) - lengths(texts).mean()


def constant(texts: Sequence[str]) -> NDArray[np.float64]:
    return np.zeros(len(texts))


SCORES: dict[str, Score] = {
    score.__name__: score for score in (lengths, padded, numbered, compared, constant)
}


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Scoring(Attributor):
    """Scores the texts of rows by a function."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "none"
    by: str = "lengths"  # the function

    def attribute(
        self,
        model: LanguageModel,
        rows: Sequence[TrainingRow],
        probes: Sequence[Probe],
        *,
        seed: int,
    ) -> Attribution:
        del model, probes, seed
        collected = RowScores()
        collected.add([row.id for row in rows], SCORES[self.by]([row.content for row in rows]))
        return collected.attribution("scoring", unit="characters")


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("padded", "the order of rows must not matter"),
        ("numbered", "the order of rows must not matter"),
        ("compared", "other rows must not matter"),
        ("constant", "scores must differ between rows, all are 0.0"),
    ],
)
def test_a_fault_is_found(by: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("equipoise.conformance_rows.name_of", lambda _: "scoring")
    with pytest.raises(AssertionError, match=message):
        check_attributor(Scoring(by=by))


def test_what_is_stated_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("equipoise.conformance_rows.name_of", lambda _: "scoring")
    check_attributor(Scoring())
    check_attributor(Scoring(by="compared"), company_matters=True)
    check_attributor(Scoring(by="padded"), order_matters=True, company_matters=True)
