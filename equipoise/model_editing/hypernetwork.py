"""The editor of BiasEdit: a hyper-network from what a module read and how its output should move.

For each edited module it maps rows (input k, gradient g of the loss at the output), one a token, to
wanted changes v of the output; the shift S of the weight is the ridge regression of v on k.
Paper: Xu et al. 2025 (BiasEdit), whose editor is MALMEN (Tan, Zhang & Fu 2024), itself MEND's
(Mitchell et al. 2022) with the rows joined by least squares.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

Keys: TypeAlias = Float[Tensor, "row key"]
Values: TypeAlias = Float[Tensor, "row value"]
Joint: TypeAlias = Float[Tensor, "row feature"]  # key features, then value features
Shift: TypeAlias = Float[Tensor, "key value"]

_CONSTANT = 1e-7  # a deviation that is no larger share of the mean is that of a constant


@dataclass(frozen=True, slots=True, kw_only=True)
class EditorSize:
    """How an editor is built; the paper's values."""

    rank: int = 1920  # hidden features of a layer
    layers: int = 2
    rate: float = 1e-6  # that scales the wanted changes at first, one a module, learnt


class Editor(nn.Module):
    """One network for each shape of module, and for each module a rate and a ridge weight.

    Before any training the layers are the identity, so that an untrained editor takes a step of
    size `rate` against the normalized gradient; at a rate of 0 it changes nothing.
    """

    def __init__(self, shapes: Sequence[tuple[int, int]], size: EditorSize, *, seed: int) -> None:
        super().__init__()
        self.shapes = tuple(shapes)  # (inputs, outputs) of each module
        kinds = tuple(dict.fromkeys(self.shapes))
        generator = torch.Generator().manual_seed(seed)
        self.places = tuple(
            (kinds.index(shape), self._among(index)) for index, shape in enumerate(shapes)
        )
        self.networks = nn.ModuleList(
            _Network(sum(kind), self.shapes.count(kind), size, generator) for kind in kinds
        )
        self.rates = nn.Parameter(torch.full((len(self.shapes),), size.rate))
        self.ridges = nn.Parameter(torch.zeros(len(self.shapes)))  # natural logarithms

    def _among(self, number: int) -> int:
        """Which of the modules of its shape a module is."""
        return self.shapes[:number].count(self.shapes[number])

    def observe(self, number: int, keys: Keys, gradients: Values) -> None:
        """Take rows of a module into the mean and deviation that its network normalizes by.

        For training alone: a statistic that goes on during a test would depend on its order.
        """
        self._network(number).normalizer.observe(torch.cat([keys, gradients], -1))

    def values(self, number: int, keys: Keys, gradients: Values) -> Values:
        """How the output of a module should change at each row: -rate <k, k~> g~.

        (k~, g~) is what the network makes of the normalized (k, g).
        """
        network = self._network(number)
        joint = network(torch.cat([keys, gradients], -1), self.places[number][1])
        made, direction = joint.split([keys.shape[-1], gradients.shape[-1]], -1)
        values: Tensor = -self.rates[number] * (keys * made).sum(-1, keepdim=True) * direction
        return values

    def ridge(self, number: int) -> Float[Tensor, ""]:
        """The ridge weight of a module, above 0."""
        return self.ridges[number].exp()

    def shift(self, number: int, keys: Keys, gradients: Values) -> Shift:
        """What is added to a module's weight (as [input, output]) for these rows."""
        return solved(keys, self.values(number, keys, gradients), self.ridge(number))

    def _network(self, number: int) -> "_Network":
        found = self.networks[self.places[number][0]]
        if not isinstance(found, _Network):
            raise TypeError(f"module {number} must have a network, got {type(found).__name__}")
        return found


def solved(keys: Keys, values: Values, ridge: Float[Tensor, ""]) -> Shift:
    """The S that minimizes |K S - V|^2 + ridge |S|^2, solved in float64 in the smaller dimension.

    S = (K'K + ridge I)^-1 K'V = K'(KK' + ridge I)^-1 V.
    """
    k, v, weight = keys.double(), values.double(), ridge.double()
    if len(k) < k.shape[-1]:
        eye = torch.eye(len(k), dtype=k.dtype, device=k.device)
        found: Tensor = k.T @ torch.linalg.solve(k @ k.T + weight * eye, v)
    else:
        found = regressed(k.T @ k, k.T @ v, weight)
    return found.to(keys.dtype)


def regressed(
    gram: Float[Tensor, "key key"], cross: Shift, ridge: Float[Tensor, ""]
) -> Float[Tensor, "key value"]:
    """(K'K + ridge I)^-1 K'V from the two products, for rows that came in parts."""
    eye = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    found: Tensor = torch.linalg.solve(gram + ridge.to(gram.dtype) * eye, cross)
    return found


class _Network(nn.Module):
    """Residual layers over normalized rows, shared by all modules of one shape."""

    def __init__(
        self, features: int, modules: int, size: EditorSize, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.normalizer = _Normalizer(features)
        self.layers = nn.ModuleList(
            _Layer(features, size.rank, modules, generator) for _ in range(size.layers)
        )

    def forward(self, joint: Joint, module: int) -> Joint:
        joint = self.normalizer(joint)
        for layer in self.layers:
            joint = layer(joint, module)
        return joint


class _Layer(nn.Module):
    """x + scale * max(x A B + bias, 0) + shift, with a scale and a shift for each module.

    B, bias and shift begin at 0. Clamped and not `relu`: at 0 exactly, where every layer begins,
    relu has the slope 0 in torch, and B would never be trained.
    """

    def __init__(self, features: int, rank: int, modules: int, generator: torch.Generator) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.randn(features, rank, generator=generator))
        self.up = nn.Parameter(torch.zeros(rank, features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.scale = nn.Parameter(torch.ones(modules, features))
        self.shift = nn.Parameter(torch.zeros(modules, features))

    def forward(self, joint: Joint, module: int) -> Joint:
        raised = (joint @ self.down @ self.up + self.bias).clamp(min=0)
        return joint + self.scale[module] * raised + self.shift[module]


class _Normalizer(nn.Module):
    """(x - mean) / deviation of each feature over all rows observed; as it is before any."""

    count: Tensor
    mean: Tensor
    squares: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(features, dtype=torch.float64))
        self.register_buffer("squares", torch.zeros(features, dtype=torch.float64))

    def observe(self, rows: Joint) -> None:
        """Chan, Golub & LeVeque's update: exact for parts of any size, one row included."""
        rows = rows.detach().double()
        if not len(rows):
            return
        mean, count = rows.mean(0), self.count + len(rows)
        apart = mean - self.mean
        self.squares += (rows - mean).square().sum(0)
        self.squares += apart.square() * (self.count * len(rows) / count)
        self.mean += apart * (len(rows) / count)
        self.count.copy_(count)

    def forward(self, rows: Joint) -> Joint:
        if float(self.count) < 2:
            return rows
        deviation = (self.squares / (self.count - 1)).sqrt()
        constant = deviation <= _CONSTANT * self.mean.abs()
        scaled = (rows.double() - self.mean) / deviation.masked_fill(constant, 1.0)
        return scaled.to(rows.dtype)
