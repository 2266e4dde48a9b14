"""The editor: a hyper-network from a module's inputs and gradients to a shift of its weight.

For each edited module it maps rows (input k, gradient g of the loss at the output), one per token,
to wanted changes v of the output; the shift S of the weight is the ridge regression of v on k.
Paper: Xu et al. 2025 (BiasEdit), whose editor is MALMEN (Tan, Zhang & Fu 2024), itself MEND's
(Mitchell et al. 2022) with the rows joined by least squares.
"""

from collections.abc import Sequence
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

Keys: TypeAlias = Float[Tensor, "row key"]
Values: TypeAlias = Float[Tensor, "row value"]
Joint: TypeAlias = Float[Tensor, "row feature"]  # key features, then value features
Shift: TypeAlias = Float[Tensor, "key value"]

_LAYERS = 2  # of a network, as in the paper
_CONSTANT = 1e-7  # a feature that deviates by less than this share of its mean is constant


class Editor(nn.Module):
    """One network for each shape of module, and for each module a rate and a ridge weight.

    `rank`: hidden features of a network's layer. `rate` scales the wanted changes at first; each
    module learns its own. Before training the layers are the identity, so that an untrained editor
    takes a step of size `rate` against the normalized gradient; at a rate of 0 it changes nothing.
    """

    def __init__(
        self, shapes: Sequence[tuple[int, int]], *, rank: int, rate: float, seed: int
    ) -> None:
        super().__init__()
        kinds = tuple(dict.fromkeys(shapes))  # (inputs, outputs)
        # Of each module: its network, and its number among the modules of that network.
        self.assignments = tuple(
            (kinds.index(shape), list(shapes[:index]).count(shape))
            for index, shape in enumerate(shapes)
        )
        generator = torch.Generator().manual_seed(seed)
        self.networks = nn.ModuleList(
            _Network(sum(kind), list(shapes).count(kind), rank, generator) for kind in kinds
        )
        self.rates = nn.Parameter(torch.full((len(shapes),), rate))
        self.ridges = nn.Parameter(torch.zeros(len(shapes)))  # natural logarithms

    def observe(self, index: int, keys: Keys, gradients: Values) -> None:
        """Add rows of a module to the mean and deviation that its network normalizes by.

        For training alone: a statistic that changes during a test would depend on its order.
        """
        self._network(index).normalizer.observe(torch.cat([keys, gradients], -1))

    def values(self, index: int, keys: Keys, gradients: Values) -> Values:
        """How the output of a module should change at each row: -rate <k, k~> g~.

        (k~, g~) is what the network makes of the normalized (k, g).
        """
        network = self._network(index)
        joint = network(torch.cat([keys, gradients], -1), self.assignments[index][1])
        new_keys, direction = joint.split([keys.shape[-1], gradients.shape[-1]], -1)
        values: Tensor = -self.rates[index] * (keys * new_keys).sum(-1, keepdim=True) * direction
        return values

    def ridge(self, index: int) -> Float[Tensor, ""]:
        """The ridge weight of a module, above 0."""
        return self.ridges[index].exp()

    def shift(self, index: int, keys: Keys, gradients: Values) -> Shift:
        """The change of a module's weight (as [input, output]) for these rows."""
        return solve_ridge(keys, self.values(index, keys, gradients), self.ridge(index))

    def _network(self, index: int) -> "_Network":
        network = self.networks[self.assignments[index][0]]
        if not isinstance(network, _Network):
            raise TypeError(f"module {index} must have a network, got {type(network).__name__}")
        return network


def solve_ridge(keys: Keys, values: Values, ridge: Float[Tensor, ""]) -> Shift:
    """The S that minimizes |K S - V|^2 + ridge |S|^2, solved in float64 in the smaller dimension.

    S = (K'K + ridge I)^-1 K'V = K'(KK' + ridge I)^-1 V.
    """
    k, v, weight = keys.double(), values.double(), ridge.double()
    if len(k) < k.shape[-1]:
        eye = torch.eye(len(k), dtype=k.dtype, device=k.device)
        shift: Tensor = k.T @ torch.linalg.solve(k @ k.T + weight * eye, v)
    else:
        shift = regress(k.T @ k, k.T @ v, weight)
    return shift.to(keys.dtype)


def regress(
    gram: Float[Tensor, "key key"], cross: Shift, ridge: Float[Tensor, ""]
) -> Float[Tensor, "key value"]:
    """(K'K + ridge I)^-1 K'V from the two products, for rows that come in parts."""
    eye = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    shift: Tensor = torch.linalg.solve(gram + ridge.to(gram.dtype) * eye, cross)
    return shift


class _Network(nn.Module):
    """Residual layers over normalized rows, shared by all modules of the same shape."""

    def __init__(self, features: int, modules: int, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        self.normalizer = _Normalizer(features)
        self.layers = nn.ModuleList(
            _Layer(features, rank, modules, generator) for _ in range(_LAYERS)
        )

    def forward(self, joint: Joint, module: int) -> Joint:
        joint = self.normalizer(joint)
        for layer in self.layers:
            joint = layer(joint, module)
        return joint


class _Layer(nn.Module):
    """x + scale * max(x A B + bias, 0) + shift, with a scale and a shift for each module.

    B, bias and shift start at 0. Clamped and not `relu`: at 0 exactly, where every layer starts,
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
    """(x - mean) / deviation of each feature over all rows observed; x itself before any."""

    count: Tensor
    mean: Tensor
    squares: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(features, dtype=torch.float64))
        self.register_buffer("squares", torch.zeros(features, dtype=torch.float64))

    def observe(self, rows: Joint) -> None:
        """Chan, Golub & LeVeque's update: exact for parts of any size."""
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
