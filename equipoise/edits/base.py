"""Edit: a small change to a model; attached in a `with` block, undone after it.

The kinds: `weights` (replaced parameters), `adapter` (a PEFT adapter), `prompts` (a family of
prefixes), `decoding` (the next token's distribution, adjusted). Each is saved as a folder of JSON
and safetensors (`storage`); `registry.load_edit` reads any kind.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

from equipoise.edits.edit import EditInfo
from equipoise.edits.storage import Stored, read_edit, write_edit
from equipoise.inference.language_model import LanguageModel
from equipoise.records import JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit(ABC):
    """A change to a model: what its folder holds, and how it is put into a model."""

    kind: ClassVar[str]  # in `edit.json`

    info: EditInfo  # where it came from

    @abstractmethod
    def stored(self) -> Stored:
        """What the folder holds besides the record; `_from_stored` reads it."""

    @classmethod
    @abstractmethod
    def _from_stored(cls, info: EditInfo, stored: Stored, folder: Path) -> Self:
        """The edit of this content. Raises `StoreError` naming the file at fault."""

    @abstractmethod
    def put(self, model: LanguageModel, undo: ExitStack) -> LanguageModel:
        """Change the model in place, tell `undo` how to undo that, and return the edited model.

        Raises `ModelError` when the model is not that of the edit; what was changed is undone.
        """

    @property
    def content(self) -> str:
        """sha256 (hex) of what it changes; two edits with equal contents change a model alike."""
        return self.stored().content

    @contextmanager
    def attached(self, model: LanguageModel) -> Iterator[LanguageModel]:
        """The edited model for the length of a `with` block; afterwards every byte is as before.

        Meanwhile `model` itself answers as edited. Blocks may be nested; where two touch the same
        parameters, the inner edit must have been learnt on the model with the outer edit.
        Raises `ModelError` when the model is not that of the edit.
        """
        with ExitStack() as undo:
            yield self.put(model, undo)

    def apply(self, model: LanguageModel) -> LanguageModel:
        """The edited model for good: the weights of `model` itself are changed and stay so.

        Raises `ModelError` as `attached` does, and then changes nothing.
        """
        with ExitStack() as undo:
            edited = self.put(model, undo)
            undo.pop_all()
            return edited

    def save(self, folder: Path | str) -> None:
        """Write `edit.json`, safetensors and a model card into a new folder.

        The same edit gives the same bytes, so `info.report` holds no times of day and no durations.
        Raises `StoreError` when the folder exists and is not empty.
        """
        write_edit(Path(folder), self.info, self.stored())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote. Raises `StoreError` naming the file at fault."""
        return cls._from_stored(*read_edit(folder), folder)


def described(model: LanguageModel, edit: Edit) -> LanguageModel:
    """The model with the identity and record it has while the edit is attached; same weights."""
    info, content = edit.info, edit.content
    identity = f"{model.identity}+{info.method}:{content[:8]}"
    record: dict[str, JSON] = {
        "method": info.method,
        "version": info.version,
        "options": dict(info.options),
        "seed": info.seed,
        "base": info.base,
        "origin": info.origin,
        "content": content,
    }
    if "item_info" in info.report:  # see `Mitigation.item_info`
        record["item_info"] = info.report["item_info"]
    before = model.source.get("edits")
    edits: list[JSON] = [*before, record] if isinstance(before, list) else [record]
    return replace(
        model,
        identity=identity,
        source={**model.source, "name": identity, "edits": edits},
        trained_on=model.trained_on | info.trained_on,
    )
