"""BM25 against its formula, written out."""

import math

import numpy as np
import pytest

from equipoise.attribute import base, bm25
from equipoise.attribute.base import Attributor
from equipoise.attribute.bm25 import BM25
from equipoise.errors import DataError, OptionError, RecipeError
from equipoise.fakes import tiny_model
from equipoise.plugins import build
from equipoise.rows import Probe, TrainingRow

TEXTS = ("The nurse said she left.", "A river flows, a river bends.", "He said: the nurse!", "...")
ROWS = [TrainingRow(id=f"r{k}", text=text) for k, text in enumerate(TEXTS)]
PROBES = [
    Probe(
        id="a", stereotype="The nurse, she is a nurse", antistereotype="The nurse, he is a nurse"
    ),
    Probe(id="b", stereotype="A river", antistereotype="A lake", groups={"axis": "water"}),
]
MODEL = tiny_model()


def words(text: str) -> list[str]:
    return "".join(c if c.isalnum() else " " for c in text.lower()).split()


def by_hand(query: str, text: str, *, k1: float = 1.5, b: float = 0.75) -> float:
    documents = [words(text) for text in TEXTS]
    mean = sum(map(len, documents)) / len(documents)
    total = 0.0
    for word in words(query):
        holding = sum(word in document for document in documents)
        times, length = words(text).count(word), len(words(text))
        weight = math.log(1 + (len(documents) - holding + 0.5) / (holding + 0.5))
        total += weight * times * (k1 + 1) / (times + k1 * (1 - b + b * length / mean))
    return total


def test_every_score_is_that_of_the_formula() -> None:
    attribution = BM25(k1=1.2, b=0.5).attribute(MODEL, ROWS, PROBES, seed=0)
    expected = [
        [by_hand(probe.stereotype, text, k1=1.2, b=0.5) for probe in PROBES] for text in TEXTS[:3]
    ]
    np.testing.assert_allclose(attribution.by_probe[:3], expected, rtol=1e-12)
    np.testing.assert_allclose(attribution.scores[:3], np.mean(expected, axis=1), rtol=1e-12)
    np.testing.assert_allclose(attribution.by_group["water"][:3], np.array(expected)[:, 1])
    assert (attribution.probes, attribution.contrastive) == (2, False)
    assert attribution.ids == ("r0", "r1", "r2", "r3")


def test_a_row_without_words_has_no_score_and_a_reason() -> None:
    attribution = BM25().attribute(MODEL, ROWS, PROBES, seed=0)
    assert math.isnan(attribution.scores[3])
    assert attribution.skipped == {"r3": "no words"}
    assert 3 not in attribution.select(1.0)


def test_contrast_takes_off_the_score_of_the_unbiased_sentence() -> None:
    attribution = BM25(contrastive=True).attribute(MODEL, ROWS, PROBES, seed=0)
    expected = [
        [by_hand(p.stereotype, text) - by_hand(p.antistereotype or "", text) for p in PROBES]
        for text in TEXTS[:3]
    ]
    np.testing.assert_allclose(attribution.by_probe[:3], expected, atol=1e-12)
    exchanged = [
        Probe(id=p.id, stereotype=p.antistereotype or "", antistereotype=p.stereotype)
        for p in PROBES
    ]
    other = BM25(contrastive=True).attribute(MODEL, ROWS, exchanged, seed=0)
    np.testing.assert_allclose(other.by_probe[:3], -attribution.by_probe[:3], atol=1e-12)


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = BM25().attribute(MODEL, ROWS, PROBES, seed=0)
    monkeypatch.setattr(bm25, "_BLOCK", 1)
    parts = BM25().attribute(MODEL, iter(ROWS), PROBES, seed=0)  # type: ignore[arg-type]
    np.testing.assert_array_equal(whole.scores, parts.scores)


def test_scores_by_probe_are_left_out_where_they_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(base, "MOST_BY_PROBE", 7)
    assert BM25().attribute(MODEL, ROWS, PROBES, seed=0).by_probe is None


def test_bad_input() -> None:
    half = [Probe(id="h", stereotype="The nurse")]
    with pytest.raises(RecipeError, match="probes must say"):
        BM25().attribute(MODEL, ROWS, [], seed=0)
    with pytest.raises(RecipeError, match="'h'"):
        BM25(contrastive=True).attribute(MODEL, ROWS, half, seed=0)
    BM25(contrastive=False).attribute(MODEL, ROWS, half, seed=0)
    with pytest.raises(RecipeError, match="got 0"):
        BM25().attribute(MODEL, [], PROBES, seed=0)
    with pytest.raises(DataError, match="'r1' is there 2 times"):
        BM25().attribute(MODEL, [*ROWS, ROWS[1]], PROBES, seed=0)
    with pytest.raises(OptionError, match=r"bm25\.b"):
        build(Attributor, "bm25", {"b": 2})
    assert build(Attributor, "bm25", {"contrastive": True}) == BM25(contrastive=True)


def test_probes_that_share_no_word_score_zero() -> None:
    attribution = BM25().attribute(MODEL, ROWS, [Probe(id="x", stereotype="?!")], seed=0)
    assert attribution.scores[:3].tolist() == [0.0, 0.0, 0.0]
