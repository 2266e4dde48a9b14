"""How much each text's feature agrees with the probes' gradients, at checkpoints of a warm-up."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from equipoise.errors import ModelError
from equipoise.inference.batches import Batches
from equipoise.inference.language_model import LanguageModel
from equipoise.influence.adam_features import AdamFeatures, Preconditioning
from equipoise.influence.adapter_gradients import CPU_TOKENS, AdapterGradients, TextGradients
from equipoise.influence.learnt_texts import LearntText
from equipoise.influence.probe_directions import ProbeDirections, ProbeTexts, probe_directions
from equipoise.influence.projection import Projection
from equipoise.influence.warm_up import WarmUp
from equipoise.training.lora import lora_in_training
from equipoise.training.resume import Checkpoint

_SAMPLE = 16  # texts on which the error of frozen moments is measured


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSettings:
    """How a row's gradient becomes its score."""

    features: Preconditioning = "adam"
    cosine: bool = True  # False: inner products, in which long gradients count more
    projection: int = 0  # dimension; 0: none
    batch: int = 1  # rows that share a feature, of the mean over all their tokens; for reproduction
    seed: int = 0  # of the projection


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What a checkpoint scores with."""

    checkpoint: Checkpoint
    weight: float
    features: AdamFeatures
    directions: ProbeDirections


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenError:
    """How far features with a frozen second moment are from exact features, over a few texts."""

    relative: float  # median of |frozen - exact| / |exact|
    cosine: float  # smallest cosine of the two


class TextScores:
    """Scores texts by their influence; use inside `text_scores`, while the adapter is on."""

    def __init__(
        self,
        model: LanguageModel,
        parameters: Mapping[str, nn.Parameter],
        warm_up: WarmUp,
        probes: ProbeTexts,
        settings: ScoreSettings,
    ) -> None:
        self.model, self.probes, self.settings = model, probes, settings
        self._parameters = parameters
        self._projection = None
        if settings.projection:
            half = settings.features == "less-code"
            self._projection = Projection(settings.projection, seed=settings.seed, half=half)
        self.gradients = AdapterGradients(model)
        self._states: list[_State] = []
        for checkpoint, weight in zip(warm_up.checkpoints, warm_up.weights, strict=True):
            self._put(checkpoint)
            if not self._states:
                self.gradients.refuse_chance(probes.texts[0][0])
            features = AdamFeatures(
                checkpoint, self.gradients.sizes, settings.features, device=model.module.device
            )
            directions = probe_directions(
                self.gradients, probes, cosine=settings.cosine, projection=self._projection
            )
            state = _State(
                checkpoint=checkpoint, weight=weight, features=features, directions=directions
            )
            self._states.append(state)

    @property
    def ratio(self) -> float:
        """Norm of the probes' gradients of A over that of B, at the last checkpoint."""
        return self._states[-1].directions.ratio

    @property
    def b_norm(self) -> float:
        """Norm of all B at the last checkpoint; 0: the adapter has not moved."""
        values = self._states[-1].checkpoint.values
        squares = [float(v.double().square().sum()) for k, v in values.items() if ".lora_B." in k]
        return float(np.sqrt(sum(squares)))

    def score(self, texts: Sequence[LearntText]) -> NDArray[np.float64]:
        """Scores by group of probes, summed over checkpoints: [text, group]."""
        if self.settings.batch > 1:
            return self._score_together(texts)
        numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        distinct = list(numbers)  # a text that is there twice has the same score
        scores = np.zeros((len(distinct), len(self.probes.groups)))
        lengths = [text.length for text in distinct]
        for state in self._states:
            self._put(state.checkpoint)
            batches = Batches(self.model, lengths, most_cpu_tokens=CPU_TOKENS)
            for batch in batches:
                with batches.retry_smaller():
                    gradients = self.gradients.compute([distinct[index] for index in batch])
                    part = self._agreement(state, gradients)
                    scores[batch] += state.weight * part.cpu().numpy()
        return scores[[numbers[text] for text in texts]]

    def frozen_error(self, texts: Sequence[LearntText]) -> FrozenError:
        """The error of a frozen second moment at the last checkpoint, over the first texts."""
        self._put(self._states[-1].checkpoint)
        vectors = []
        for kind in ("adam", "frozen"):
            features = AdamFeatures(
                self._states[-1].checkpoint,
                self.gradients.sizes,
                "frozen" if kind == "frozen" else "adam",
                device=self.model.module.device,
            )
            rows = []
            for text in texts[:_SAMPLE]:
                matrices = self.gradients.compute([text]).matrices()
                rows.append(torch.cat([features.apply(*matrix) for matrix in matrices], dim=1))
            vectors.append(torch.cat(rows).double())
        exact, frozen = vectors
        return FrozenError(
            relative=float(((frozen - exact).norm(dim=1) / exact.norm(dim=1)).median()),
            cosine=float(torch.cosine_similarity(frozen, exact).min()),
        )

    def _score_together(self, texts: Sequence[LearntText]) -> NDArray[np.float64]:
        """Rows that follow each other share a feature, and so a score."""
        size = self.settings.batch
        scores = np.zeros((len(texts), len(self.probes.groups)))
        for state in self._states:
            self._put(state.checkpoint)
            for start in range(0, len(texts), size):
                batch = texts[start : start + size]
                if len({self.gradients.layout.company(text.length) for text in batch}) > 1:
                    raise ModelError(
                        f"rows of a batch must not change each other, {self.model.identity} reads "
                        f"a text otherwise beside longer texts; set batch to 1, not {size}"
                    )
                gradients = self.gradients.compute(batch, together=True)
                part = self._agreement(state, gradients).cpu().numpy()
                scores[start : start + size] += state.weight * part
        return scores

    def _agreement(self, state: _State, gradients: TextGradients) -> Float[Tensor, "text group"]:
        """Cosine, or inner product, of each text's feature with the directions of a checkpoint."""
        count, means = len(gradients.losses), state.directions.means
        dots = torch.zeros(count, means.shape[1], dtype=torch.float64, device=means.device)
        squares = dots.new_zeros(count, 1)
        projected = means.new_zeros(count, len(means))
        start = 0
        for number, (name, values) in enumerate(gradients.matrices()):
            features = state.features.apply(name, values)
            if self._projection is not None:
                projected += self._projection.project(number, features)
                continue
            end = start + features.shape[1]
            dots += features @ means[start:end]
            squares += torch.linalg.vector_norm(features, dim=1, keepdim=True).double().square()
            start = end
        if self._projection is not None:
            dots, squares = (
                (projected @ means).double(),
                projected.double().square().sum(1)[:, None],
            )
        if not self.settings.cosine:
            return dots
        return torch.where(squares > 0, dots / squares.sqrt(), torch.nan)

    def _put(self, checkpoint: Checkpoint) -> None:
        """The adapter has the values of a checkpoint from here on."""
        if checkpoint.values.keys() != self._parameters.keys():
            odd = sorted(checkpoint.values.keys() ^ self._parameters.keys())
            raise ModelError(
                f"a checkpoint must be of the adapter on {self.model.identity}, '{odd[0]}' and "
                f"{len(odd) - 1} more names are not in both; train the adapter on this model"
            )
        for name, parameter in self._parameters.items():
            parameter.data = checkpoint.values[name].to(parameter.device, torch.float32)


@contextmanager
def text_scores(
    model: LanguageModel, warm_up: WarmUp, probes: ProbeTexts, settings: ScoreSettings
) -> Iterator[TextScores]:
    """What scores texts, while the model has the warm-up's adapter; then the adapter is removed.

    Raises `ModelError` as `AdapterGradients` and `AdamFeatures`, for checkpoints of another
    adapter, for dropout that stays on, and without checkpoints.
    """
    if not warm_up.checkpoints:
        raise ModelError(
            f"influence needs checkpoints of a warm-up, got {len(warm_up.checkpoints)}; train for "
            "at least an epoch"
        )
    with lora_in_training(model, warm_up.config, seed=0) as parameters:
        yield TextScores(model, parameters, warm_up, probes, settings)
