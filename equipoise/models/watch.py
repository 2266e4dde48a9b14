"""Who looks on while a model is trained."""

from abc import ABC, abstractmethod

from equipoise.records import JSON


class Watch(ABC):
    """Looks at a model in training every few steps and at the end, and may stop or change it."""

    @property
    @abstractmethod
    def every(self) -> int:
        """Steps between two looks."""

    @abstractmethod
    def look(self, steps: int) -> bool:
        """Look after so many steps; True ends the training. What comes next may change, too."""

    @property
    @abstractmethod
    def spoilt(self) -> bool:
        """Whether the last look, which ended the training, found what must not be kept.

        The weights are then those of the look before, or of the beginning.
        """

    @abstractmethod
    def state(self) -> JSON:
        """All that later looks and losses depend on, for a training that is killed."""

    @abstractmethod
    def restore(self, state: JSON) -> None:
        """Take up what `state` gave."""
