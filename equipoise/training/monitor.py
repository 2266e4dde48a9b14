"""Who looks on while a model is trained."""

from abc import ABC, abstractmethod

from equipoise.records import JSON


class TrainingMonitor(ABC):
    """Looks at a model in training every few steps and at the end, and may stop or change it."""

    @property
    @abstractmethod
    def every(self) -> int:
        """Steps between two looks."""

    @property
    @abstractmethod
    def restores_best(self) -> bool:
        """Whether `keeps` may ever be False, so that values of an earlier look are held."""

    @property
    @abstractmethod
    def is_best(self) -> bool:
        """Whether what was looked at last may be what is kept.

        The trained values are those of the last look that may, or of the beginning.
        """

    @abstractmethod
    def evaluate(self, steps: int, *, last: bool) -> bool:
        """Look after so many steps; True ends the training. `last`: nothing comes after it."""

    @abstractmethod
    def state(self) -> JSON:
        """All that later looks and losses depend on, for a training that is killed."""

    @abstractmethod
    def restore(self, state: JSON) -> None:
        """Take up what `state` gave."""
