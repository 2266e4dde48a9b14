"""Interface for what evaluates a model while it is trained, e.g. early stopping."""

from abc import ABC, abstractmethod

from equipoise.records import JSON


class TrainingMonitor(ABC):
    """Evaluates a model in training every few steps and at the end; may stop or steer training."""

    @property
    @abstractmethod
    def every(self) -> int:
        """Steps between two evaluations."""

    @property
    @abstractmethod
    def restores_best(self) -> bool:
        """Whether `is_best` may ever be False, so that earlier weights must be kept."""

    @property
    @abstractmethod
    def is_best(self) -> bool:
        """Whether the weights at the last evaluation are acceptable.

        Training returns the weights of the last acceptable evaluation, or the initial ones.
        """

    @abstractmethod
    def evaluate(self, steps: int, *, last: bool) -> bool:
        """Evaluate after `steps` steps; True ends training. `last`: no step follows."""

    @abstractmethod
    def state(self) -> JSON:
        """Everything that later evaluations and losses depend on, for a checkpoint."""

    @abstractmethod
    def restore(self, state: JSON) -> None:
        """Set the state that `state` returned."""
