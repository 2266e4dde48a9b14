"""Edit: a small change to a model, whoever made it; attached in a `with` block, undone after."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from equipoise.models.language_model import LanguageModel
from equipoise.records import JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class EditInfo:
    """Where an edit came from: enough to repeat it and to refuse it on the wrong model."""

    method: str  # the mitigation's name
    version: str
    options: Mapping[str, JSON]
    seed: int
    base: str  # identity of the model it was learnt on
    base_fingerprint: str  # sha256 over the base's parameters that the edit replaces or sits on
    trained_on: frozenset[str]  # sha256 of each text it learnt from (`records.text_sha256`)
    origin: str  # of the supply
    report: Mapping[str, JSON] = field(default_factory=dict)  # blocks trained, losses, seconds, …


class Edit(ABC):
    """A change to a model."""

    @property
    @abstractmethod
    def info(self) -> EditInfo:
        """Where it came from."""

    @abstractmethod
    def attached(self, model: LanguageModel) -> AbstractContextManager[LanguageModel]:
        """The edited model for the length of a `with` block; afterwards every byte is as before.

        Raises `ModelError` when the model is not the one the edit was made for.
        """

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write `edit.json` and safetensors into a new folder.

        Raises `StoreError` when the folder exists and is not empty.
        """

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> "Edit":
        """Read what `save` wrote."""
