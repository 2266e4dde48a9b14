"""Plain texts to train on: a file or a folder of files, cut into passages at the ends of sentences.

Meade et al. 2022 group a corpus into blocks of tokens whatever stands there; here a passage ends
where a sentence does, so that none begins in the middle of one, and its length is in characters,
which needs no tokenizer.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from equipoise.data.documents import read_documents
from equipoise.data.sources import data_folder
from equipoise.errors import DataError
from equipoise.records import DataUse, text_sha256

#: What is read of a folder, each also with ".gz" or ".xz" after it.
_KINDS: Final = (".txt", ".jsonl")

_END: Final = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+(?=[\"'“‘(\[]*([^\W_]))|\n\s*")
#: A full stop after one of these, or after a single letter, ends no sentence.
_ABBREVIATED: Final = re.compile(
    r"(?:^|[\s(\"“‘'.])(?:Mr|Mrs|Ms|Dr|St|Prof|Gen|Col|Capt|Cpt|Lt|Sgt|Maj|Rev|Hon|Sen|Rep|Gov|Pres|"
    r"Jr|Sr|Mt|Ft|vs|cf|al|etc|No|Nos|Vol|vol|pp|ed|approx|[^\W\d_])\.$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """The passages of a corpus in order, and the files that they are from."""

    passages: tuple[str, ...]  # ends stripped
    documents: tuple[str, ...]  # `text_sha256` of the document that each is from
    files: tuple[DataUse, ...]


def read_corpus(place: str, *, characters: int = 1000) -> Corpus:
    """The passages of a file, or of a folder's .txt and .jsonl files, plain, .gz or .xz.

    A path that does not exist is looked for in the data folder. A folder is read with all that is
    in it, by name; hidden files and other kinds are left out. A file is cut into documents as
    `read_documents` says, and a document into `passages`; none spans two. Raises `DataError` when
    there is nothing to read.
    """
    if not place.strip():
        raise DataError(f"a corpus must be a file or a folder, got '{place}'; name one")
    folder = _folder(place)
    if folder is None:
        one = read_documents(place)
        texts, files = list(one.documents.values()), [one.use]
    else:
        texts, files = [], []
        for path in _files(folder):
            one = read_documents(str(path))
            texts += one.documents.values()
            files.append(replace(one.use, name=path.relative_to(folder).as_posix()))
    cut: list[str] = []
    homes: list[str] = []
    for text in texts:
        own = passages(text, characters=characters)
        cut += own
        homes += [text_sha256(text)] * len(own)
    return Corpus(passages=tuple(cut), documents=tuple(homes), files=tuple(files))


def passages(text: str, *, characters: int) -> list[str]:
    """A text in stretches of at most so many characters, each of as many sentences as fit.

    A line end ends a sentence, too; an abbreviation ("Mr. Hill") ends none. A sentence too long is
    cut between words, a word too long within. Every word is in exactly one passage; white space at
    a passage's ends is dropped. Raises `ValueError` for fewer than 1 character.
    """
    if characters < 1:
        raise ValueError(f"characters must be at least 1, got {characters}")
    found: list[str] = []
    so_far = ""
    for sentence in _sentences(text):
        if len((so_far + sentence).strip()) > characters:
            found.append(so_far)
            *cut, so_far = _fitting(sentence, characters)
            found += cut
        else:
            so_far += sentence
    return [one.strip() for one in [*found, so_far] if one.strip()]


def _sentences(text: str) -> Iterator[str]:
    """A text's sentences, each with the white space after it."""
    start = 0
    for match in _END.finditer(text):
        if "\n" in match[0] or _is_end(text[start : match.start()], match[1]):
            yield text[start : match.end()]
            start = match.end()
    yield text[start:]


def _is_end(sentence: str, following: str) -> bool:
    """Whether a sentence ends here, at its stop: `following` is the next letter or digit."""
    return not following.islower() and not _ABBREVIATED.search(sentence[-12:])


def _fitting(sentence: str, characters: int) -> list[str]:
    """A sentence, or stretches of its words, and parts of a word, when it is too long."""
    if len(sentence.strip()) <= characters:
        return [sentence]
    found = [""]
    for word in re.findall(r"\s*\S+\s*?|\s+", sentence):
        if len((found[-1] + word).strip()) <= characters:
            found[-1] += word
            continue
        plain = word.strip()
        found += [plain[index : index + characters] for index in range(0, len(plain), characters)]
    return found


def _folder(place: str) -> Path | None:
    path = Path(place).expanduser()
    if path.is_dir():
        return path
    home = data_folder()
    inside = home / place if home is not None and not path.exists() else None
    return inside if inside is not None and inside.is_dir() else None


def _files(folder: Path) -> list[Path]:
    found = [
        one
        for one in sorted(folder.rglob("*"), key=lambda one: one.relative_to(folder).as_posix())
        if one.is_file()
        and Path(one.name.removesuffix(".gz").removesuffix(".xz")).suffix in _KINDS
        and not any(part.startswith(".") for part in one.relative_to(folder).parts)
    ]
    if not found:
        raise DataError(
            f"corpus folder '{folder}' must hold files of {' or '.join(_KINDS)}, plain, .gz or "
            ".xz, got none; name another folder, or a file"
        )
    return found
