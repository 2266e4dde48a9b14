"""Cosines of sentence embeddings, of an encoder and of the model itself."""

import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from equipoise.attribute import similarity
from equipoise.attribute.similarity import Similarity
from equipoise.errors import ModelError, RecipeError
from equipoise.fakes import tiny_model
from equipoise.records import Embedding
from equipoise.rows import Probe, TrainingRow

MODEL = tiny_model(context=32)
ROWS = [TrainingRow(id=f"r{k}", text=text) for k, text in enumerate(["aa", "ab", "ba", " "])]
PROBES = [Probe(id="p", stereotype="aa", antistereotype="bb", groups={"axis": "letters"})]


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder that counts a and b."""

    def encode(texts: Sequence[str]) -> np.ndarray:
        counts = np.array([[text.count("a"), text.count("b")] for text in texts], dtype=np.float32)
        return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)

    monkeypatch.setattr(similarity, "load_encoder", lambda _: encode)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())


@pytest.mark.usefixtures("letters")
def test_scores_are_cosines_and_an_empty_row_has_none() -> None:
    attribution = Similarity().attribute(MODEL, ROWS, PROBES, seed=0)
    np.testing.assert_allclose(attribution.scores[:3], [1, 0.5**0.5, 0.5**0.5], rtol=1e-6)
    assert attribution.skipped == {"r3": "no text"}
    assert math.isnan(attribution.scores[3])
    contrast = Similarity(contrastive=True).attribute(MODEL, ROWS, PROBES, seed=0)
    np.testing.assert_allclose(contrast.scores[:3], [1, 0, 0], atol=1e-6)
    assert contrast.contrastive
    assert contrast.by_group["letters"][:3].tolist() == contrast.scores[:3].tolist()


@pytest.mark.thorough
def test_the_model_itself_is_the_encoder_if_asked_for() -> None:
    long = TrainingRow(id="long", text="a" * 40)
    attribution = Similarity(encoder="model").attribute(MODEL, [*ROWS, long], PROBES, seed=0)
    vectors = MODEL.embed([Embedding(text=text) for text in ("aa", "ab", "ba")]).astype(float)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(attribution.scores[:3], vectors @ vectors[0], atol=1e-5)
    assert attribution.scores[0] == pytest.approx(1, abs=1e-5)
    assert set(attribution.skipped) == {"r3", "long"}
    assert "32 tokens" in attribution.skipped["long"]


def test_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError, match="got 0"):
        Similarity(encoder="model").attribute(MODEL, ROWS, [], seed=0)
    (tmp_path / "modules.json").write_text("[]")
    assert list(Similarity(encoder=str(tmp_path)).files()) == [str(tmp_path)]
    assert Similarity().files() == Similarity(encoder="model").files() == {}
    with pytest.raises(ModelError, match="folder"):
        Similarity(encoder=str(tmp_path / "none")).files()
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(RecipeError, match=r"equipoise\[embed\].*encoder=model"):
        Similarity().attribute(MODEL, ROWS, PROBES, seed=0)
