"""WeightEdit: some of a model's parameters, replaced."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from torch import Tensor

from equipoise.edits.base import Edit, Stored, described
from equipoise.edits.edit import EditInfo, check_base, parameter
from equipoise.errors import ModelError
from equipoise.inference.language_model import LanguageModel


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class WeightEdit(Edit):
    """Parameters by name, and the values they take while the edit is attached.

    A parameter that is tied (an embedding that is also the head) changes wherever it is used.
    Values are cast to the dtype and device of the model; afterwards it holds its original tensors.
    A parameter that is missing or has another shape raises `ModelError`, as does another base.
    `info.base_fingerprint` is `edit.fingerprint(model.module, tensors)` of the unchanged model.
    """

    kind: ClassVar[str] = "weights"

    tensors: Mapping[str, Tensor]  # new values by parameter name, shapes as in the model

    def put(self, model: LanguageModel, undo: ExitStack) -> LanguageModel:
        """Point the parameters to the new values."""
        for name, values in self.tensors.items():
            shape = parameter(model.module, name).shape
            if shape != values.shape:
                raise ModelError(
                    f"parameter '{name}' must have shape {tuple(values.shape)} as in "
                    f"{self.info.base}, got {tuple(shape)} in {model.identity}; "
                    "attach the edit to the model it was learnt on"
                )
        check_base(model, self.info, self.tensors)
        for name, values in self.tensors.items():
            replaced = parameter(model.module, name)
            # The parameter is pointed to other values; the tensor that it held does not change.
            undo.callback(setattr, replaced, "data", replaced.data)
            replaced.data = values.detach().to(replaced.device, replaced.dtype, copy=True)
        return described(model, self)

    @classmethod
    def _from_stored(cls, info: EditInfo, stored: Stored, folder: Path) -> Self:  # noqa: ARG003
        return cls(info=info, tensors=stored.tensors)

    def stored(self) -> Stored:
        """The tensors, in `weights.safetensors`."""
        return Stored(kind=self.kind, tensors=self.tensors, tensors_file="weights.safetensors")
