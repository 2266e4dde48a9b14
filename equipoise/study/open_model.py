"""The open model and the edit on it: a study keeps one model in memory at a time."""

import gc
from contextlib import ExitStack
from pathlib import Path

import torch

from equipoise.edits.registry import load_edit
from equipoise.inference.language_model import LanguageModel
from equipoise.loading.load import load
from equipoise.study.recipe import ModelSpec


class OpenModel:
    """Loads models and attaches edits; the last model and edit stay loaded for the next step."""

    def __init__(self, *, device: str, batch_tokens: int | None) -> None:
        self._device = device
        self._batch_tokens = batch_tokens
        self._spec: ModelSpec | None = None
        self._model: LanguageModel | None = None
        self._edit: Path | None = None
        self._edited: LanguageModel | None = None
        self._undo = ExitStack()

    def model(self, spec: ModelSpec, edit: Path | None = None) -> LanguageModel:
        """The model, with the edit saved in `edit` attached if it is given.

        Raises what `load`, `load_edit` and `Edit.attached` raise.
        """
        if self._model is None or self._spec != spec:
            self.close()
            self._model = self._edited = load(
                spec.name,
                revision=spec.revision,
                dtype=spec.dtype,
                device=self._device,
                base=spec.base,
                batch_tokens=self._batch_tokens,
            )
            self._spec = spec
        if self._edited is None or self._edit != edit:
            self._detach()
            if edit is not None:
                self._edited = self._undo.enter_context(load_edit(edit).attached(self._model))
                self._edit = edit
        if self._edited is None:
            self._edited = self._model
        return self._edited

    def close(self) -> None:
        """Take the edit off and free the memory."""
        self._detach()
        self._spec = self._model = self._edited = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _detach(self) -> None:
        self._edit = self._edited = None
        self._undo.close()
        self._undo = ExitStack()
