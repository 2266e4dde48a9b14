"""PromptEdit: a family of prefixes put before every context. No weight changes."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Self

from equipoise.edits.edit import Edit, EditInfo, described
from equipoise.edits.storage import HEAD, Stored, read_edit, write_edit
from equipoise.errors import ModelError, StoreError
from equipoise.inference.language_model import LanguageModel


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptEdit(Edit):
    """Prefixes; each is measured in turn, and the mean and spread are reported.

    It sits on no parameters, so it can be attached to any model, whatever `info.base` says.
    """

    kind: ClassVar[str] = "prompts"
    info: EditInfo = field()  # without field() the base's property would be its default
    prompts: tuple[str, ...]  # each ends with the space or line end before the context

    def __post_init__(self) -> None:
        """Refuse an empty family: there would be nothing to measure."""
        if not self.prompts:
            raise ModelError(
                f"a prompt edit must have at least one prefix, got {self.prompts}; add one"
            )

    @property
    def content(self) -> str:
        """sha256 (hex) of the prefixes in order."""
        return self._stored().content

    def attached(self, model: LanguageModel) -> AbstractContextManager[LanguageModel]:
        """The model with every prefix of this family behind every prefix it already has."""
        return nullcontext(self.apply(model))

    def apply(self, model: LanguageModel) -> LanguageModel:
        """As `attached`, for good; `model` itself does not change, either."""
        prompts = tuple(before + prompt for before in model.prompts for prompt in self.prompts)
        return replace(described(model, self), prompts=prompts)

    def save(self, folder: Path | str) -> None:
        """Write `edit.json`, `trained_on.json` and a card."""
        write_edit(Path(folder), self.info, self._stored())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote. Raises `StoreError` naming the file at fault."""
        info, stored = read_edit(folder)
        prompts = stored.values.get("prompts")
        if not isinstance(prompts, list) or not prompts:
            raise StoreError(f"{folder / HEAD} must list prompts, got {prompts!r}; save again")
        return cls(info=info, prompts=tuple(str(prompt) for prompt in prompts))

    def _stored(self) -> Stored:
        return Stored(kind=self.kind, values={"prompts": list(self.prompts)})
