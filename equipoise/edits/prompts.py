"""PromptEdit: a family of prompts put before, or around, every context. No weight changes."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

from equipoise.edits.base import HEAD, Edit, Stored, described
from equipoise.edits.edit import EditInfo
from equipoise.errors import ModelError, StoreError
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.prompting import INPUT, nested


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PromptEdit(Edit):
    """Prompts; each is measured in turn, and the mean and spread are reported.

    A prompt stands around the context where it holds `{input}`, and before it where it does not.
    A text that has no context stands behind the prompt, with nothing in place of `{input}`.
    It sits on no parameters, so it can be attached to any model, whatever `info.base` says.
    """

    kind: ClassVar[str] = "prompts"

    #: a prompt before a context ends with the space or line end before it
    prompts: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse an empty family, with nothing to measure, and a prompt with several inputs."""
        if not self.prompts:
            raise ModelError(
                f"a prompt edit must have at least 1 prompt, got {self.prompts}; add a prompt"
            )
        for prompt in self.prompts:
            if prompt.count(INPUT) > 1:
                raise ModelError(
                    f"a prompt must have {INPUT} at most once, got {prompt!r}; leave all but one "
                    "out"
                )

    def put(self, model: LanguageModel, undo: ExitStack) -> LanguageModel:  # noqa: ARG002
        """Put every prompt of this family inside every prompt of the model; nothing to undo."""
        prompts = tuple(nested(outer, prompt) for outer in model.prompts for prompt in self.prompts)
        return replace(described(model, self), prompts=prompts)

    @classmethod
    def _from_stored(cls, info: EditInfo, stored: Stored, folder: Path) -> Self:
        prompts = stored.values.get("prompts")
        if not isinstance(prompts, list) or not prompts:
            raise StoreError(f"{folder / HEAD} must list prompts, got {prompts!r}; save again")
        return cls(info=info, prompts=tuple(str(prompt) for prompt in prompts))

    def stored(self) -> Stored:
        """The prompts, in `edit.json`."""
        return Stored(kind=self.kind, values={"prompts": list(self.prompts)})


def choose_prompts(
    family: Sequence[str], *, only: int | None, instruction: str | None
) -> tuple[str, ...]:
    """What a method puts into its edit: the user's own prompt, a member, or the whole family.

    Raises `ValueError` for a member that is not there, an own prompt with no words or several
    inputs, and for both at once.
    """
    if instruction is not None:
        if only:
            raise ValueError(
                f"only counts members of the family, which an instruction replaces, got {only}; "
                "leave one of the two out"
            )
        if not instruction.replace(INPUT, "").strip() or instruction.count(INPUT) > 1:
            raise ValueError(
                f"an instruction must have words, and {INPUT} at most once, got {instruction!r}"
            )
        return (instruction,)
    if only is None:
        return tuple(family)
    if not 0 <= only < len(family):
        raise ValueError(f"only must be 0 to {len(family) - 1} or left out, got {only}")
    return (family[only],)
