"""Plain text: a file cut into documents, and a document into windows of bytes."""

import hashlib
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, groupby
from pathlib import Path
from typing import Final

from equipoise.data.sources import OWN_LICENCE, Source, data_folders
from equipoise.data.validation import Record, read_lines
from equipoise.errors import DataError
from equipoise.files.parsing import decode, unpack
from equipoise.records import DataUse

AG_NEWS: Final = Source(
    path="neutral_text/ag_news/test.tsv",
    url="https://raw.githubusercontent.com/forest-snow/alps/43232f234087cdbb4b06cd0e3997460610a0dbfd/data/agnews/test.tsv",
    hashes=("e4217edd939f618f24a42b0988c56ec3cddf656d8dc279b9afa443dd1ab6a1c1",),
    licence="non-commercial research use (AG News)",
)
WIKITEXT: Final = Source(
    path="neutral_text/wikitext-2-raw/wiki.test.raw",
    hashes=("4f3e427e4aff23acff917a8a51aeae21bf12832256e26914c8fc250dcef4103c",),
    licence="CC BY-SA 3.0 and GFDL (WikiText)",
)
_KNOWN: Final[Mapping[str, Source]] = {source.path: source for source in (AG_NEWS, WIKITEXT)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A stretch of a document, and what stands before it."""

    context: str  # "" at the beginning of the document
    text: str  # with the white space that separates it from the context


class _TextLine(Record):
    text: str


def read_documents(file: str | None) -> tuple[Mapping[str, str], DataUse]:
    """The documents of a file, id ("line 12") to text, and what a result records about the file.

    None is the AG News test sample. A path that does not exist is looked for in the data folder. Of
    a ".tsv" each line's first column is a document, of a ".jsonl" each line's "text"; another file
    is cut at blank lines, or at every line when it has none. Each may be packed (".gz", ".xz"); the
    hash is of the file as it lies there. The ends of texts are stripped. Raises `DataError` when
    the file cannot be read, is not UTF-8, or holds no text.
    """
    content, use = read_content(file)
    name = use.name
    plain = unpack(content, name)
    kind = kind_of_file(name)
    if kind == ".jsonl":
        rows = read_lines(_TextLine, plain, name)
        documents = {f"line {line}": row.text.strip() for line, row in rows if row.text.strip()}
    else:
        documents = _split_documents(
            decode(plain, name).replace("\r\n", "\n"), table=kind == ".tsv"
        )
    if not documents:
        raise DataError(f"{name} must hold text, got only blank lines; name another file")
    return documents, use


def kind_of_file(name: str) -> str:
    """The ending of a file's name but for that of packing: ".txt", ".jsonl"."""
    return Path(name.removesuffix(".gz").removesuffix(".xz")).suffix


def windows(text: str, *, window: int, stride: int) -> list[Window]:
    """Cut a document into stretches to score, each with what stands before it as context.

    In UTF-8 bytes, at word boundaries: the first stretch is at most `window` long and has no
    context; each further stretch is at most `stride` long and has at most `window - stride` of
    context. Every character is in a single stretch. A word longer than `stride` is cut within.
    Raises `ValueError` unless 4 <= stride <= window.
    """
    if not 4 <= stride <= window:  # 4 bytes hold any character
        raise ValueError(f"stride must be from 4 to the window of {window} bytes, got {stride}")
    pieces = [part for word in re.findall(r"\s*\S+", text) for part in _parts(word, stride)]
    place = [0, *accumulate(len(piece.encode()) for piece in pieces)]  # bytes before a piece
    cut: list[Window] = []
    start = 0
    while start < len(pieces):
        begin = bisect_left(place, place[start] - (window - stride))
        stop = bisect_right(place, place[start] + (window if start == 0 else stride)) - 1
        context = "".join(pieces[begin:start]).lstrip()
        cut.append(Window(context=context, text="".join(pieces[start:stop])))
        start = stop
    return cut


def _parts(word: str, limit: int) -> Iterator[str]:
    """A word, in parts of at most `limit` bytes when it is longer."""
    if len(word.encode()) <= limit:
        yield word
        return
    part = ""
    for character in word:
        if len((part + character).encode()) > limit:
            yield part
            part = ""
        part += character
    yield part


def read_content(file: str | None) -> tuple[bytes, DataUse]:
    """The bytes of a file, also of the data folder, and what a result records about it.

    None is the AG News sample. Raises `DataError` when it cannot be read.
    """
    path = Path(file).expanduser() if file is not None else None
    if path is not None and path.is_dir():
        raise DataError(f"text file '{path}' must be a file, got a folder; name a file in it")
    if path is None or not path.is_file():
        try:
            source = Source(path=file or AG_NEWS.path, licence=OWN_LICENCE)
        except ValueError:
            raise DataError(f"text file '{file}' does not exist; check the path") from None
        if source.path not in _KNOWN and source.local_file() is None:
            folders = ", ".join(map(str, data_folders())) or "no folder, as none is named"
            raise DataError(
                f"'{file}' must be the path of a file, or one in a data folder ({folders}), got no "
                "such file; check the path"
            )
        source = _KNOWN.get(source.path, source)
        return source.read(), source.use()
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    use = DataUse(name=path.name, sha256=digest, licence=OWN_LICENCE, verified=None)
    return content, use


def _split_documents(text: str, *, table: bool) -> dict[str, str]:
    lines = text.split("\n")
    if table:
        lines = [line.split("\t")[0] for line in lines]
    if table or all(line.strip() for line in text.strip().split("\n")):
        return {
            f"line {index}": line.strip() for index, line in enumerate(lines, 1) if line.strip()
        }
    documents = {}
    for blank, block in groupby(enumerate(lines, 1), lambda line: not line[1].strip()):
        if not blank:
            numbers, texts = zip(*block, strict=True)
            documents[f"line {numbers[0]}"] = "\n".join(texts).strip()
    return documents
