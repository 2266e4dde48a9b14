"""Sentence similarity: rows whose sentence embedding is near to those of the probes.

Reimers and Gurevych 2019, "Sentence-BERT". The encoder is MiniLM unless another is named, or the
attributed model itself.
"""

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass

from equipoise.attribute.base import Attributor, RowScores, check_probes
from equipoise.attributions import Attribution
from equipoise.errors import ModelError, RecipeError, RequestError
from equipoise.files.atomic import folder_sha256
from equipoise.inference.language_model import LanguageModel
from equipoise.plugins import ReadsFiles
from equipoise.records import OPTIONS, Embedding
from equipoise.rows import Probe, TrainingRow, blocks_of
from equipoise.training.sentence_similarity import Encoder, load_encoder

_BLOCK = 256  # rows at a time


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Similarity(Attributor, ReadsFiles):
    """The mean over probes of the cosine of a row's embedding with the biased sentence's.

    In [-1, 1]. An encoder reads the beginning of a long row alone: MiniLM 256 tokens.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Reimers and Gurevych 2019, Sentence-BERT"
    baseline: ClassVar[bool] = True
    needs: ClassVar[tuple[str, str] | None] = ("sentence_transformers", "embed")

    #: a folder of sentence-transformers; "": the packaged MiniLM; "model": the attributed model's
    #: own last hidden states, mean over tokens
    encoder: str = ""
    #: minus the cosine with the unbiased sentence: what both sentences say cancels out
    contrastive: bool = False

    def files(self) -> Mapping[str, str]:
        """The bytes of the encoder's folder, if one is named."""
        if self.encoder in ("", "model"):
            return {}
        folder = Path(self.encoder)
        if not (folder / "modules.json").is_file():
            raise ModelError(
                f"an encoder must be a folder of sentence-transformers (modules.json), got "
                f"'{folder}'; name another, or set encoder=model"
            )
        return {self.encoder: folder_sha256(folder)}

    def attribute(
        self,
        model: LanguageModel,
        rows: Sequence[TrainingRow],
        probes: Sequence[Probe],
        *,
        seed: int,
    ) -> Attribution:
        """Score every row; the seed does not matter.

        Raises `RecipeError` without the extra that the encoder takes.
        """
        del seed
        check_probes(probes, contrastive=self.contrastive)
        encode = self._encoder(model)
        asked = encode([probe.stereotype for probe in probes]).astype(np.float64)
        if self.contrastive:
            asked -= encode([probe.antistereotype or "" for probe in probes])
        collected = RowScores(probes, contrastive=self.contrastive)
        for block in blocks_of(rows, _BLOCK):
            vectors, skipped = _encode_rows(block, encode, width=asked.shape[1])
            collected.add([row.id for row in block], vectors @ asked.T, skipped=skipped)
        return collected.attribution("similarity", unit="cosine")

    def _encoder(self, model: LanguageModel) -> Encoder:
        if self.encoder == "model":
            return lambda texts: _embed(model, texts)
        if importlib.util.find_spec("sentence_transformers") is None:
            raise RecipeError(
                f"an encoder {self.encoder!r} takes the extra 'embed', which is not installed; "
                "pip install 'equipoise[embed]', or set encoder=model"
            )
        return load_encoder(self.encoder)


def _encode_rows(
    rows: Sequence[TrainingRow], encode: Encoder, *, width: int
) -> tuple[NDArray[np.float64], dict[str, str]]:
    """Embeddings [row, feature], and by id why a row has none."""
    vectors = np.zeros((len(rows), width))
    skipped = {row.id: "no text" for row in rows if not row.content.strip()}
    left = [k for k, row in enumerate(rows) if row.id not in skipped]
    while left:
        try:
            vectors[left] = encode([rows[k].content for k in left])
        except RequestError as error:  # a row that the model cannot read whole
            skipped[rows[left.pop(error.number)].id] = error.sentence
        else:
            break
    return vectors, skipped


def _embed(model: LanguageModel, texts: Sequence[str]) -> NDArray[np.float32]:
    """Mean last hidden states, of length 1: [text, feature]."""
    vectors = model.embed([Embedding(text=text) for text in texts])
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.finfo(np.float32).tiny))
