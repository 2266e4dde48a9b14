"""Supplier: what a mitigation may learn from, as a plug-in of its own.

A subclass is a frozen pydantic dataclass (`config=OPTIONS`) whose fields are its options, in a file
whose name is the supplier's name. It never sees a model, and no benchmark.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

from equipoise.records import DataUse, Supply


class Supplier(ABC):
    """A source of prompts, contrasts or texts to learn from, disjoint from what is measured."""

    version: ClassVar[str]  # raised whenever what is supplied could change
    labelled_by: ClassVar[str | None] = None  # the benchmark that tells a method labels if it asks

    @abstractmethod
    def supply(self) -> Supply:
        """What may be learnt. Raises `DataError` naming file and item, or `RecipeError`."""

    @abstractmethod
    def files(self) -> tuple[DataUse, ...]:
        """The files that it is read from, with their hashes; same errors as `supply`."""
