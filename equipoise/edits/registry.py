"""Every kind of edit, two edits as a single edit, and reading an edit of any kind."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Self

from equipoise.edits.adapter import AdapterEdit
from equipoise.edits.base import HEAD, Edit, Stored, described, read_head
from equipoise.edits.decoding import NextTokenEdit
from equipoise.edits.edit import EditInfo
from equipoise.edits.head_scales import HeadScaleEdit
from equipoise.edits.prompts import PromptEdit
from equipoise.edits.weights import WeightEdit
from equipoise.errors import StoreError, nearest
from equipoise.inference.language_model import LanguageModel


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CombinedEdit(Edit):
    """Two edits of any kinds, the second put on the model that has the first.

    Each is saved whole in a folder of its own, "first" and "second", with its own hashes; the
    content of both is the content of the pair. Each brings its own tokenizer and is checked against
    its own base, so that `info.base_fingerprint` is empty.
    """

    kind: ClassVar[str] = "combined"

    first: Edit
    second: Edit

    def put(self, model: LanguageModel, undo: ExitStack) -> LanguageModel:
        """Put the first in, then the second; the record of the model names both, then this."""
        return described(self.second._enter(self.first._enter(model, undo), undo), self)

    def _fill(self, folder: Path) -> None:
        Edit._fill(self, folder)
        for name, part in (("first", self.first), ("second", self.second)):
            (folder / name).mkdir()
            part._fill(folder / name)

    @classmethod
    def _from_stored(cls, info: EditInfo, stored: Stored, folder: Path) -> Self:
        parts = {name: load_edit(folder / name) for name in ("first", "second")}
        for name, part in parts.items():
            # what is hashed here is what stands in its own record
            if part.content != stored.values.get(name):
                raise StoreError(
                    f"{folder / name} must have the content {stored.values.get(name)!r}, got "
                    f"'{part.content}'; it was exchanged, copy the whole folder again"
                )
        return cls(info=info, first=parts["first"], second=parts["second"])

    def stored(self) -> Stored:
        """The content of each part; the parts themselves are in their folders."""
        parts = {"first": self.first.content, "second": self.second.content}
        return Stored(kind=self.kind, values={**parts})


#: By the `kind` in `edit.json`.
KINDS: Mapping[str, type[Edit]] = MappingProxyType(
    {
        edit.kind: edit
        for edit in (
            WeightEdit,
            PromptEdit,
            AdapterEdit,
            NextTokenEdit,
            HeadScaleEdit,
            CombinedEdit,
        )
    }
)


def load_edit(folder: Path | str) -> Edit:
    """The edit in a folder that `Edit.save` wrote.

    Raises `StoreError` naming the file when it is missing, cut, changed, or of an unknown kind or
    schema.
    """
    folder = Path(folder)
    kind = read_head(folder).kind
    if kind not in KINDS:
        raise StoreError(f"{folder / HEAD} has the unknown kind '{kind}'; {nearest(kind, KINDS)}")
    return KINDS[kind].load(folder)
