"""PromptEdit: a family of prefixes put before every context. No weight changes."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

from equipoise.edits.base import HEAD, Edit, Stored, described
from equipoise.edits.edit import EditInfo
from equipoise.errors import ModelError, StoreError
from equipoise.inference.language_model import LanguageModel


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptEdit(Edit):
    """Prefixes; each is measured in turn, and the mean and spread are reported.

    It sits on no parameters, so it can be attached to any model, whatever `info.base` says.
    """

    kind: ClassVar[str] = "prompts"

    prompts: tuple[str, ...]  # each ends with the space or line end before the context

    def __post_init__(self) -> None:
        """Refuse an empty family: there would be nothing to measure."""
        if not self.prompts:
            raise ModelError(
                f"a prompt edit must have at least 1 prefix, got {self.prompts}; add a prefix"
            )

    def put(self, model: LanguageModel, undo: ExitStack) -> LanguageModel:  # noqa: ARG002
        """Add every prefix of this family to every prefix of the model; nothing to undo."""
        prompts = tuple(before + prompt for before in model.prompts for prompt in self.prompts)
        return replace(described(model, self), prompts=prompts)

    @classmethod
    def _from_stored(cls, info: EditInfo, stored: Stored, folder: Path) -> Self:
        prompts = stored.values.get("prompts")
        if not isinstance(prompts, list) or not prompts:
            raise StoreError(f"{folder / HEAD} must list prompts, got {prompts!r}; save again")
        return cls(info=info, prompts=tuple(str(prompt) for prompt in prompts))

    def stored(self) -> Stored:
        """The prefixes, in `edit.json`."""
        return Stored(kind=self.kind, values={"prompts": list(self.prompts)})
