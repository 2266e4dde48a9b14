"""Every kind of edit, and reading an edit of any kind."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from equipoise.edits.adapter import AdapterEdit
from equipoise.edits.base import HEAD, Edit, read_head
from equipoise.edits.decoding import NextTokenEdit
from equipoise.edits.head_scales import HeadScaleEdit
from equipoise.edits.prompts import PromptEdit
from equipoise.edits.weights import WeightEdit
from equipoise.errors import StoreError, nearest

#: By the `kind` in `edit.json`.
KINDS: Mapping[str, type[Edit]] = MappingProxyType(
    {
        edit.kind: edit
        for edit in (WeightEdit, PromptEdit, AdapterEdit, NextTokenEdit, HeadScaleEdit)
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
