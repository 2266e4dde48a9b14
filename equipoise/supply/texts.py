"""The user's own texts to learn from: JSON Lines of contrasts, prompts and texts, or plain text.

Of a `.jsonl` file each line is an object of three kinds:

    {"context": "The nurse said", "stereotype": " she was late", "antistereotype": " he was late",
     "unrelated": " blue seven", "axis": "gender", "target": "nurse"}
    {"prompt": "The nurse slept because", "profession": "nurse", "hint": "male"}
    {"text": "The door is open."}

Of a contrast, `stereotype` and `antistereotype` must be given. Its endings follow its context
directly: a leading space belongs to them. A prompt with a `hint` ("male" or "female") says that its
pronoun is settled; `words` says which words may come next, where they are not "he" and "she".
`"part": "dev"` keeps a contrast or a prompt apart, to stop and to choose on. Another file holds
neutral texts alone (`read_documents`).
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, TypeAlias

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.data.documents import kind_of_file, read_content, read_documents
from equipoise.data.validation import Record, Text, read_record
from equipoise.errors import DataError, nearest
from equipoise.files.parsing import parse_jsonl, unpack
from equipoise.group_words.people import target_people
from equipoise.records import JSON, OPTIONS, Contrast, DataUse, Prompt, Supply
from equipoise.supply.base import Supplier

_Part: TypeAlias = Literal["train", "dev"]


class _ContrastLine(Record):
    stereotype: Text
    antistereotype: Text
    context: str = ""
    unrelated: Text | None = None
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
            groups=self.model_dump(include={"axis", "target"}, exclude_none=True),
        )


class _PromptLine(Record):
    prompt: Text
    profession: str | None = None
    hint: Literal["male", "female"] | None = None
    words: list[Text] = Field(
        default_factory=list
    )  # of which one comes next, each with its leading space
    part: _Part = "train"

    def as_prompt(self, number: int) -> Prompt:
        groups = self.model_dump(include={"profession", "hint"}, exclude_none=True)
        return Prompt(id=f"line {number}", text=self.prompt, groups=groups, words=tuple(self.words))


class _TextLine(Record):
    text: Text


#: By a key that every object of the kind has.
_KINDS: Final[Mapping[str, type[Record]]] = {
    "stereotype": _ContrastLine,
    "prompt": _PromptLine,
    "text": _TextLine,
}


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class TextsSupply(Supplier):
    """What a file of the user's own says may be learnt."""

    version: ClassVar[str] = "1"

    path: str  # a .jsonl file, or a file of plain text; also in the data folder; also .gz or .xz

    def supply(self) -> Supply:
        """Contrasts, prompts and texts in the order of the file; ids are "line N".

        Raises `DataError` naming file and line, also where contrasts of both parts share a target.
        """
        content, use = read_content(self.path)
        origin = f"texts({use.name})"
        if kind_of_file(use.name) != ".jsonl":
            documents, _ = read_documents(self.path)
            return Supply(origin=origin, texts=tuple(documents.values()), files=(use,))
        parts: dict[str, list[Any]] = defaultdict(list)  # by field of `Supply`
        for number, document in parse_jsonl(unpack(content, use.name), use.name):
            match _read_line(document, f"{use.name}, line {number}"):
                case _ContrastLine() as line:
                    part = "dev_contrasts" if line.part == "dev" else "contrasts"
                    parts[part].append(line.contrast(number))
                case _PromptLine() as line:
                    train = "prompts" if line.hint is None else "hinted"
                    part = "dev" if line.part == "dev" else train
                    parts[part].append(line.as_prompt(number))
                case _TextLine(text=text):
                    parts["texts"].append(text)
        shared = sorted(target_people(parts["contrasts"]) & target_people(parts["dev_contrasts"]))
        if shared:
            raise DataError(
                f"{use.name}: targets of part 'dev' must not be in 'train', got {shared[:8]}; "
                "move their lines to the same part"
            )
        items: dict[str, Any] = {part: tuple(rows) for part, rows in parts.items()}
        return Supply(origin=origin, files=(use,), **items)

    def files(self) -> tuple[DataUse, ...]:
        """The file."""
        return (read_content(self.path)[1],)


def _read_line(document: JSON, where: str) -> Record:
    if not isinstance(document, dict):
        raise DataError(f"{where}: must be an object, got {document!r}; correct the line")
    kind = next((kind for key, kind in _KINDS.items() if key in document), None)
    if kind is None:
        raise DataError(
            f"{where}: must have a key of {list(_KINDS)}, got {sorted(document)}; add it"
        )
    # Official files have keys that nobody reads; in a file of the user's own they are mistakes.
    for key in document:
        if key not in kind.model_fields:
            raise DataError(
                f"{where}: '{key}' is not known here; {nearest(key, kind.model_fields)}"
            )
    return read_record(kind, document, where)
