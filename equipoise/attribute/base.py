"""Attributor: which training rows taught a model its bias?"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from equipoise.attributions import Attribution
from equipoise.inference.language_model import LanguageModel
from equipoise.rows import Probe, TrainingRow


class Attributor(ABC):
    """Scores training rows by how much they support a bias; a subclass is a frozen dataclass."""

    version: ClassVar[str]
    paper: ClassVar[str]
    baseline: ClassVar[bool] = False  # a control that is always reported beside the others
    uses_model: ClassVar[bool] = True  # False: reads texts alone
    taught_by: ClassVar[str] = "mix"  # the supply of rows and probes unless another is named

    @abstractmethod
    def attribute(
        self,
        model: LanguageModel,
        rows: Sequence[TrainingRow],
        probes: Sequence[Probe],
        *,
        seed: int,
    ) -> Attribution:
        """Score every row; the model is left bit for bit as it was.

        `rows` may be a file that is read a few rows at a time: they are gone through in order, and
        a few at a time. Raises `RecipeError` without rows or probes, or for probes that it cannot
        use, and `ModelError` for a model that it does not understand.
        """
