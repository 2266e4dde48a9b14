"""Mitigation: from a model and a supply to an edit that can be attached, saved and undone."""

from abc import ABC, abstractmethod
from typing import ClassVar

from equipoise.models.edit import Edit
from equipoise.models.language_model import LanguageModel
from equipoise.records import Supply


class Mitigation(ABC):
    """A method that removes bias; a subclass is a frozen dataclass of its hyperparameters."""

    version: ClassVar[str]
    paper: ClassVar[str]

    @abstractmethod
    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> Edit:
        """Learn an edit; the model itself is left bit for bit as it was.

        Raises `RecipeError` when the supply lacks what the method needs, and `ModelError` naming
        the step when a loss is not finite.
        """
