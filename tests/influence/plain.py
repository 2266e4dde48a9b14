"""The slow, obvious way: a text at a time, a whole backward pass, and formulas as they are written.

Nothing here imports what it checks.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from equipoise.inference.language_model import LanguageModel
from equipoise.training.lora import lora_config, lora_in_training
from equipoise.training.resume import Checkpoint

Text = tuple[list[int], list[int]]  # ids, positions that are predicted


@contextmanager
def adapter(
    model: LanguageModel, *, targets: Sequence[str] = ("auto",), seed: int = 0
) -> Iterator[dict[str, nn.Parameter]]:
    """A float32 adapter with values drawn by the seed, B too."""
    config = lora_config(model.module, rank=3, alpha=6, dropout=0.0, targets=targets)
    generator = torch.Generator().manual_seed(seed)
    with lora_in_training(model, config, seed=0) as parameters:
        for parameter in parameters.values():
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.05
        yield parameters


def loss_of(model: LanguageModel, text: Text) -> Tensor:
    """Mean loss over the predicted tokens, as a model's own `labels` have it."""
    ids, positions = text
    labels = torch.full((1, len(ids)), -100)
    labels[0, positions] = torch.tensor(ids)[positions]
    logits = model.module(torch.tensor([ids])).logits.float()
    return nn.functional.cross_entropy(logits[0, :-1], labels[0, 1:], ignore_index=-100)


def gradient(
    model: LanguageModel, parameters: Mapping[str, nn.Parameter], text: Text
) -> dict[str, Tensor]:
    """The gradient with respect to each matrix of the adapter: backward, then `.grad`."""
    for parameter in parameters.values():
        parameter.requires_grad_()
        parameter.grad = None
    loss_of(model, text).backward()
    gradients = {}
    for name, parameter in parameters.items():
        assert parameter.grad is not None
        gradients[name] = parameter.grad.clone()
        parameter.grad = None
        parameter.requires_grad_(False)
    return gradients


def flat(values: Mapping[str, Tensor]) -> NDArray[np.float64]:
    return np.concatenate([value.double().flatten().numpy() for value in values.values()])


def adam_feature(
    g: NDArray[np.float64], m: NDArray[np.float64], v: NDArray[np.float64], t: float
) -> NDArray[np.float64]:
    first = (0.9 * m + 0.1 * g) / (1 - 0.9 ** (t + 1))
    second = (0.999 * v + 0.001 * g * g) / (1 - 0.999 ** (t + 1))
    return first / (np.sqrt(second) + 1e-8)


def scaled_feature(
    g: NDArray[np.float64], m: NDArray[np.float64], v: NDArray[np.float64], t: float
) -> NDArray[np.float64]:
    return adam_feature(g, 0 * m, v, t)


def less_code_feature(
    g: NDArray[np.float64], m: NDArray[np.float64], v: NDArray[np.float64], t: float
) -> NDArray[np.float64]:
    del t
    return (0.9 * m + 0.1 * g) / np.sqrt(0.999 * v + 0.001 * g * g + 1e-8)


def sgd_feature(
    g: NDArray[np.float64], m: NDArray[np.float64], v: NDArray[np.float64], t: float
) -> NDArray[np.float64]:
    del m, v, t
    return g


def frozen_feature(
    g: NDArray[np.float64], m: NDArray[np.float64], v: NDArray[np.float64], t: float
) -> NDArray[np.float64]:
    root, correction = np.sqrt(v / (1 - 0.999**t)) + 1e-8, 1 - 0.9 ** (t + 1)
    most = (0.1 / correction) / np.sqrt(0.001 / (1 - 0.999 ** (t + 1)))
    return 0.9 * m / correction / root + np.clip(0.1 * g / correction / root, -most, most)


FEATURES = {
    "scaled": scaled_feature,
    "adam": adam_feature,
    "less-code": less_code_feature,
    "sgd": sgd_feature,
    "frozen": frozen_feature,
}


@dataclass(frozen=True, kw_only=True)
class Gradients:
    """Of all texts at a checkpoint, and what Adam has there."""

    rows: list[NDArray[np.float64]]
    probes: list[tuple[NDArray[np.float64], ...]]  # of both sentences
    m: NDArray[np.float64]
    v: NDArray[np.float64]
    t: float


def gradients(
    model: LanguageModel,
    config: Mapping[str, object],
    checkpoint: Checkpoint,
    rows: Sequence[Text],
    probes: Sequence[tuple[Text, Text]],
) -> Gradients:
    with lora_in_training(model, config, seed=0) as parameters:  # type: ignore[arg-type]
        for name, parameter in parameters.items():
            parameter.data = checkpoint.values[name].clone()
        names = list(parameters)
        return Gradients(
            rows=[flat(gradient(model, parameters, row)) for row in rows],
            probes=[
                tuple(flat(gradient(model, parameters, side)) for side in probe) for probe in probes
            ],
            m=flat({name: checkpoint.exp_avg[name] for name in names}),
            v=flat({name: checkpoint.exp_avg_sq[name] for name in names}),
            t=float(checkpoint.updates[names[0]]),
        )


def scores(
    checkpoints: Sequence[Gradients],
    weights: Sequence[float],
    *,
    features: str = "adam",
    contrastive: bool = True,
    cosine: bool = True,
) -> NDArray[np.float64]:
    """[row, probe]: the sum over checkpoints of weight times cosine, by explicit vectors."""
    total = np.zeros((len(checkpoints[0].rows), len(checkpoints[0].probes)))
    for part, weight in zip(checkpoints, weights, strict=True):
        phi = []
        for stereotype, antistereotype in part.probes:
            vector = stereotype - antistereotype if contrastive else stereotype
            phi.append(vector / np.linalg.norm(vector) if cosine else vector)
        for index, row in enumerate(part.rows):
            feature = FEATURES[features](row, part.m, part.v, part.t)
            if cosine:
                feature = feature / np.linalg.norm(feature)
            total[index] += weight * np.array([feature @ vector for vector in phi])
    return total
