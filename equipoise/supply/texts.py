"""The user's own texts to learn from: JSON Lines of contrasts, prompts and texts, or plain text.

Of a `.jsonl` file each line is an object of one of three kinds:

    {"context": "The nurse said", "stereotype": " she was late", "antistereotype": " he was late",
     "unrelated": " blue seven", "axis": "gender", "target": "nurse"}
    {"prompt": "The nurse slept because", "profession": "nurse", "hint": "male"}
    {"text": "The door is open."}

Of a contrast, `stereotype` and `antistereotype` must be given. Its endings follow its context
directly: a leading space belongs to them. A prompt with a `hint` ("male" or "female") is one whose
pronoun is settled. `"part": "dev"` keeps a contrast or a prompt apart, to stop and to choose on.
Another file holds neutral texts alone (`read_documents`).
"""

from dataclasses import fields
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from equipoise.data.documents import read_content, read_documents
from equipoise.data.sources import parse_jsonl, unpack
from equipoise.errors import DataError, nearest
from equipoise.records import JSON, OPTIONS, Contrast, DataUse, Prompt, Supply, target_terms
from equipoise.supply.base import Supplier

_Text: TypeAlias = Annotated[str, Field(pattern=r"\S")]
_Part: TypeAlias = Literal["train", "dev"]


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class _ContrastLine:
    stereotype: _Text
    antistereotype: _Text
    context: str = ""
    unrelated: _Text | None = None
    axis: str | None = None  # the type of bias
    target: str | None = None  # whom it is about
    part: _Part = "train"

    def contrast(self, number: int) -> Contrast:
        return Contrast(
            id=f"line {number}",
            context=self.context,
            stereotype=self.stereotype,
            antistereotype=self.antistereotype,
            unrelated=self.unrelated,
            groups=_groups(axis=self.axis, target=self.target),
        )


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class _PromptLine:
    prompt: _Text
    profession: str | None = None
    hint: Literal["male", "female"] | None = None
    part: _Part = "train"

    def as_prompt(self, number: int) -> Prompt:
        groups = _groups(profession=self.profession, hint=self.hint)
        return Prompt(id=f"line {number}", text=self.prompt, groups=groups)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class _TextLine:
    text: _Text


_Line: TypeAlias = _ContrastLine | _PromptLine | _TextLine
#: By a key that every object of the kind has.
_KINDS: Final = {"stereotype": _ContrastLine, "prompt": _PromptLine, "text": _TextLine}


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class TextsSupply(Supplier):
    """What a file of the user's own says may be learnt."""

    version: ClassVar[str] = "1"

    path: str  # a .jsonl file, or one of plain text; also in the data folder; also .gz or .xz

    def supply(self) -> Supply:
        """Contrasts, prompts and texts in the order of the file; ids are "line N".

        Raises `DataError` naming file and line, also where contrasts of both parts share a target.
        """
        content, use = read_content(self.path)
        origin = f"texts({use.name})"
        if Path(use.name.removesuffix(".gz").removesuffix(".xz")).suffix != ".jsonl":
            documents = read_documents(self.path).documents
            return Supply(origin=origin, texts=tuple(documents.values()), files=(use,))
        contrasts: dict[_Part, list[Contrast]] = {"train": [], "dev": []}
        prompts: list[Prompt] = []
        hinted: list[Prompt] = []
        dev: list[Prompt] = []
        texts: list[str] = []
        for number, document in parse_jsonl(unpack(content, use.name), use.name):
            match _read_line(document, f"{use.name}, line {number}"):
                case _ContrastLine() as line:
                    contrasts[line.part].append(line.contrast(number))
                case _PromptLine() as line:
                    into = dev if line.part == "dev" else prompts if line.hint is None else hinted
                    into.append(line.as_prompt(number))
                case _TextLine(text=text):
                    texts.append(text)
        shared = sorted(target_terms(contrasts["train"]) & target_terms(contrasts["dev"]))
        if shared:
            raise DataError(
                f"{use.name}: targets of part 'dev' must not be in 'train', got {shared[:8]}; "
                "move their lines to one part"
            )
        return Supply(
            origin=origin,
            prompts=tuple(prompts),
            hinted=tuple(hinted),
            dev=tuple(dev),
            contrasts=tuple(contrasts["train"]),
            dev_contrasts=tuple(contrasts["dev"]),
            texts=tuple(texts),
            files=(use,),
        )

    def files(self) -> tuple[DataUse, ...]:
        """The file."""
        return (read_content(self.path)[1],)


def _read_line(document: JSON, where: str) -> _Line:
    if not isinstance(document, dict):
        raise DataError(f"{where}: must be an object, got {document!r}; write one")
    kind = next((kind for key, kind in _KINDS.items() if key in document), None)
    if kind is None:
        raise DataError(f"{where}: must have one of {list(_KINDS)}, got {sorted(document)}; add it")
    try:
        line: _Line = TypeAdapter[_Line](kind).validate_python(document)
    except ValidationError as error:
        fault = error.errors()[0]
        key = str(fault["loc"][0])
        if fault["type"] == "unexpected_keyword_argument":
            known = [field.name for field in fields(kind)]
            raise DataError(f"{where}: '{key}' is not known here; {nearest(key, known)}") from None
        raise DataError(
            f"{where}: {key}: {fault['msg']}, got {fault['input']!r}; correct the line"
        ) from None
    return line


def _groups(**named: str | None) -> dict[str, str]:
    return {key: value for key, value in named.items() if value is not None}
