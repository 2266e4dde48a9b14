"""Targets that are held out, to choose the weights on and to stop a distillation."""

import math
from dataclasses import dataclass
from typing import cast

import torch

from equipoise.records import JSON
from equipoise.training.exchange_targets import ExchangeTargets, mean_divergence
from equipoise.training.loop import TrainingMonitor
from equipoise.training.row_forward import RowForward
from equipoise.training.row_tokens import TokenizedRows


@dataclass(kw_only=True)
class HeldOutTargets(TrainingMonitor):
    """Ends a training when texts that are held out become less likely; keeps the best weights."""

    forward: RowForward
    targets: ExchangeTargets
    every: int
    most_rise: float | None  # relative, of perplexity
    values: list[tuple[float, float]]  # divergence from targets, and nats per token; first: before
    restores_best: bool = True

    @property
    def is_best(self) -> bool:
        """Whether the last look is within the limit, and nearer to the targets than all before."""
        *before, (divergence, _) = self.values
        return self._is_within(-1) and divergence < min(value for value, _ in before)

    @property
    def ever_best(self) -> bool:
        """Whether any look was."""
        (before, _), *later = self.values
        return any(
            value < before for number, (value, _) in enumerate(later, 1) if self._is_within(number)
        )

    @property
    def why_not(self) -> str:
        """What to do where none was."""
        (before, nats), *later = self.values
        divergence, after = min(later)
        return (
            "texts that are held out must come nearer to their targets and stay as likely, got "
            f"{divergence:.3g} nats from {before:.3g}, and perplexity {math.exp(after):.4g} from "
            f"{math.exp(nats):.4g}; lower training.learning_rate, raise sets, or raise most_rise"
        )

    def _is_within(self, number: int) -> bool:
        if self.most_rise is None:
            return True
        return self.values[number][1] - self.values[0][1] <= math.log1p(self.most_rise)

    @property
    def record(self) -> dict[str, JSON]:
        """For an edit's report."""
        return {
            "held_out_divergence": [divergence for divergence, _ in self.values],
            "held_out_perplexity": [math.exp(nats) for _, nats in self.values],
            "evaluated_every": self.every,
        }

    def evaluate(self, steps: int, *, last: bool) -> bool:
        """Measure; True beyond the limit."""
        del steps, last
        divergence = mean_divergence(self.forward, self.targets)
        self.values.append((divergence, mean_surprise(self.forward, self.targets)))
        return not self._is_within(-1)

    def state(self) -> JSON:
        """What was measured."""
        return [list(pair) for pair in self.values]

    def restore(self, state: JSON) -> None:
        """Take what was measured before a stop."""
        pairs = cast(list[list[float]], state)
        self.values = [(first, second) for first, second in pairs]


def mean_surprise(forward: RowForward, learning: ExchangeTargets) -> float:
    """Mean over tokens of the negative log-probability, in nats; nan without any."""
    scored = [[place > 0 for place in range(len(row))] for row in learning.ids]
    rows = TokenizedRows(ids=learning.ids, scored=scored)
    values = torch.cat(forward.measured(rows)) if learning.ids else torch.empty(0)
    return -float(values.mean())
