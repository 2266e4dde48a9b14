"""Plain texts to train on: a file or a folder of files, cut into passages at the ends of sentences.

Meade et al. 2022 group a corpus into blocks of tokens wherever these fall; here a passage ends
where a sentence does, so that none begins within a sentence, and its length is in characters,
which needs no tokenizer.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Final, Literal

from pydantic import PositiveInt
from pydantic.dataclasses import dataclass

from equipoise.data.documents import kind_of_file, read_documents
from equipoise.data.partition import shuffled
from equipoise.data.sources import data_folders
from equipoise.errors import DataError
from equipoise.records import OPTIONS, DataUse, Supply
from equipoise.rows import text_sha256
from equipoise.supply.base import Supplier

#: What is read of a folder, each also with ".gz" or ".xz" after it.
_KINDS: Final = (".txt", ".jsonl")

_END: Final = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+(?=[\"'“‘(\[]*([^\W_]))|\n\s*")
#: A full stop after any of these, or after a single letter, ends no sentence.
_ABBREVIATED: Final = re.compile(
    r"(?:^|[\s(\"“‘'.])(?:Mr|Mrs|Ms|Dr|St|Prof|Gen|Col|Capt|Cpt|Lt|Sgt|Maj|Rev|Hon|Sen|Rep|Gov|Pres|"
    r"Jr|Sr|Mt|Ft|vs|cf|al|etc|No|Nos|Vol|vol|pp|ed|approx|[^\W\d_])\.$"
)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class _Cut:
    path: str  # a file or a folder
    texts: PositiveInt = 2000  # different passages at most, drawn by seed
    characters: PositiveInt = 200  # of a passage at most; whole sentences


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Passages(_Cut):
    """A corpus that another supply takes texts from; its seed draws them."""

    name: Literal["passages"] = "passages"


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class CorpusSupply(_Cut, Supplier):
    """Passages of a file, or of a folder's .txt and .jsonl files, plain, .gz or .xz.

    A path that does not exist is looked for in the data folder. A folder is read with all that is
    in it, by name; hidden files and other kinds are left out. A file is cut into documents as
    `read_documents` says, and a document into `passages`; none spans two.
    """

    version: ClassVar[str] = "1"

    seed: int = 0  # which passages are drawn

    def supply(self) -> Supply:
        """Texts in the order of the corpus, and the document that each is from.

        Of a passage that is in several documents, the first. Raises `DataError` when there is
        nothing to read.
        """
        documents, files = self._read()
        # Benchmarks read whole documents, so the leak check knows a passage by its document's hash.
        document_of: dict[str, str] = {}
        for document in documents:
            for passage in passages(document, characters=self.characters):
                document_of.setdefault(passage, text_sha256(document))
        drawn = set(shuffled(list(document_of), seed=f"corpus {self.seed}")[: self.texts])
        texts = [passage for passage in document_of if passage in drawn]
        return Supply(
            origin=f"corpus({self.path}, {self.texts} of {self.characters}, seed={self.seed})",
            texts=tuple(texts),
            documents=tuple(document_of[text] for text in texts),
            files=files,
        )

    def files(self) -> tuple[DataUse, ...]:
        """The file, or those of the folder, by their path in it."""
        return self._read()[1]

    def _read(self) -> tuple[list[str], tuple[DataUse, ...]]:
        if not self.path.strip():
            raise DataError(f"a corpus must be a file or a folder, got '{self.path}'; name it")
        path = Path(self.path).expanduser()
        places = [path] if path.exists() else [home / self.path for home in data_folders()]
        folder = next((place for place in places if place.is_dir()), None)
        if folder is None:
            texts, use = read_documents(self.path)
            return list(texts.values()), (use,)
        documents: list[str] = []
        uses: list[DataUse] = []
        for file in _text_files(folder):
            texts, use = read_documents(str(file))
            documents += texts.values()
            uses.append(replace(use, name=file.relative_to(folder).as_posix()))
        return documents, tuple(uses)


def passages(text: str, *, characters: int) -> list[str]:
    """A text in stretches of at most `characters` characters, each of as many sentences as fit.

    A line end ends a sentence, too; an abbreviation ("Mr. Hill") ends none. A sentence too long is
    cut between words, a word too long within. Every word is in a single passage; white space at
    a passage's ends is dropped. Raises `ValueError` for fewer than 1 character.
    """
    if characters < 1:
        raise ValueError(f"characters must be at least 1, got {characters}")
    parts: list[str] = []
    so_far = ""
    for sentence in sentences(text):
        if len((so_far + sentence).strip()) > characters:
            *cut, rest = _split_long(sentence, characters)
            parts += [so_far, *cut]
            so_far = rest
        else:
            so_far += sentence
    return [part.strip() for part in [*parts, so_far] if part.strip()]


def sentences(text: str) -> Iterator[str]:
    """A text's sentences, each with the white space after it."""
    start = 0
    for match in _END.finditer(text):
        # At a stop, a small letter after it or an abbreviation before it goes on.
        if "\n" in match[0] or not (
            match[1].islower() or _ABBREVIATED.search(text[start : match.start()][-12:])
        ):
            yield text[start : match.end()]
            start = match.end()
    yield text[start:]


def _split_long(sentence: str, characters: int) -> list[str]:
    """A sentence, or stretches of its words, and parts of a word, when it is too long."""
    if len(sentence.strip()) <= characters:
        return [sentence]
    parts = [""]
    for word in re.findall(r"\s*\S+\s*?|\s+", sentence):
        if len((parts[-1] + word).strip()) <= characters:
            parts[-1] += word
            continue
        plain = word.strip()
        parts += [plain[index : index + characters] for index in range(0, len(plain), characters)]
    return parts


def _text_files(folder: Path) -> list[Path]:
    files = [
        file
        for file in sorted(folder.rglob("*"), key=lambda file: file.relative_to(folder).as_posix())
        if file.is_file()
        and kind_of_file(file.name) in _KINDS
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    ]
    if not files:
        raise DataError(
            f"corpus folder '{folder}' must hold files of {' or '.join(_KINDS)}, plain, .gz or "
            ".xz, got none; name another folder, or a file"
        )
    return files
