"""The editor: a hyper-network from a module's inputs and gradients to a shift of its weight.

For each edited module it maps rows (input k, gradient g of the loss at the output), one per token,
to other rows (k~, g~); what shift these make is the method's. `Editor` is BiasEdit's: wanted
changes v of the output, and the ridge regression of v on k.
Papers: Mitchell et al. 2022 (MEND, whose shift is in `mitigate/mend.py`); Tan, Zhang & Fu 2024
(MALMEN), which joins the rows by least squares; Xu et al. 2025 (BiasEdit), whose editor is
MALMEN's. Training corrects faults of the released code. Each step shifts the base anew, never the
model of the step before: the rows of an example are the same in every epoch, and the statistics
that normalize them are of a single pass.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, TypeAlias, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from equipoise.errors import ModelError
from equipoise.model_editing.target_modules import Rows
from equipoise.processes.launch import refuse_several_processes
from equipoise.training.loop import Loss, Trained, train
from equipoise.training.schedule import Schedule

Keys: TypeAlias = Float[Tensor, "row key"]
Values: TypeAlias = Float[Tensor, "row value"]
Joint: TypeAlias = Float[Tensor, "row feature"]  # key features, then value features
Shift: TypeAlias = Float[Tensor, "key value"]
#: Numbers of the examples → the rows of each module that make a shift, in parts that fit memory.
EditRows: TypeAlias = Callable[[Sequence[int]], Iterable[Sequence[Rows]]]
#: (shifts, numbers of the examples, step from 0) → the loss of the shifted model, in parts that
#: add up to it, each with its own graph.
LossParts: TypeAlias = Callable[[Sequence[Tensor], Sequence[int], int], Iterable[Tensor]]

_LAYERS = 2  # of a network, as in the paper
_CONSTANT = 1e-7  # a feature that deviates by less than this share of its mean is constant


class ResidualLayer(nn.Module):
    """x + scale * max(x A B + bias, 0) + shift, with a scale and a shift for each module.

    B, bias and shift start at 0. Clamped and not `relu`: at 0 exactly, where every layer starts,
    relu has the slope 0 in torch, and B would never be trained. Source: MALMEN's released code.
    """

    def __init__(self, features: int, rank: int, modules: int, generator: torch.Generator) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.randn(features, rank, generator=generator))
        self.up = nn.Parameter(torch.zeros(rank, features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.scale = nn.Parameter(torch.ones(modules, features))
        self.shift = nn.Parameter(torch.zeros(modules, features))

    def forward(self, joint: Joint, module: int) -> Joint:
        """The rows after this layer, with the scale and shift of a module."""
        raised = (joint @ self.down @ self.up + self.bias).clamp(min=0)
        return joint + self.scale[module] * raised + self.shift[module]


class Hypernetwork(nn.Module, ABC):
    """A network for each shape of module, from rows (k, g) to rows (k~, g~), and a rate per module.

    `rank`: hidden features of a network's layer. `rate`: of each module's shift at first, which a
    subclass scales by `rates`; each module learns its own. Before training the layers are the
    identity, so that (k~, g~) is the normalized (k, g).
    """

    layer: ClassVar[type[ResidualLayer]] = ResidualLayer

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
            _Network(self.layer, sum(kind), list(shapes).count(kind), rank, generator)
            for kind in kinds
        )
        self.rates = nn.Parameter(torch.full((len(shapes),), rate))

    def observe(self, index: int, keys: Keys, gradients: Values) -> None:
        """Add rows of a module to the mean and deviation that its network normalizes by.

        For training alone: a statistic that changes during a test would depend on its order.
        """
        self._network(index).normalizer.observe(torch.cat([keys, gradients], -1))

    def transform(self, index: int, keys: Keys, gradients: Values) -> tuple[Keys, Values]:
        """(k~, g~): what the network of a module makes of its normalized rows."""
        network = self._network(index)
        joint = network(torch.cat([keys, gradients], -1), self.assignments[index][1])
        new_keys, direction = joint.split([keys.shape[-1], gradients.shape[-1]], -1)
        return new_keys, direction

    @abstractmethod
    def shift(self, index: int, keys: Keys, gradients: Values) -> Shift:
        """The change of a module's weight (as [input, output]) for these rows."""

    def _network(self, index: int) -> "_Network":
        return cast(_Network, self.networks[self.assignments[index][0]])


class Editor(Hypernetwork):
    """BiasEdit's editor: the shift is a ridge regression, whose weight each module learns.

    Untrained it takes a step of size `rate` against the normalized gradient; at a rate of 0 it
    changes nothing.
    """

    def __init__(
        self, shapes: Sequence[tuple[int, int]], *, rank: int, rate: float, seed: int
    ) -> None:
        super().__init__(shapes, rank=rank, rate=rate, seed=seed)
        self.ridges = nn.Parameter(torch.zeros(len(shapes)))  # natural logarithms

    def values(self, index: int, keys: Keys, gradients: Values) -> Values:
        """How the output of a module should change at each row: -rate <k, k~> g~."""
        new_keys, direction = self.transform(index, keys, gradients)
        values: Tensor = -self.rates[index] * (keys * new_keys).sum(-1, keepdim=True) * direction
        return values

    def shift(self, index: int, keys: Keys, gradients: Values) -> Shift:
        """The change of a module's weight (as [input, output]) for these rows."""
        return solve_ridge(keys, self.values(index, keys, gradients), self.ridges[index].exp())


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

    def __init__(
        self,
        layer: type[ResidualLayer],
        features: int,
        modules: int,
        rank: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.normalizer = _Normalizer(features)
        self.layers = nn.ModuleList(
            layer(features, rank, modules, generator) for _ in range(_LAYERS)
        )

    def forward(self, joint: Joint, module: int) -> Joint:
        joint = self.normalizer(joint)
        for layer in self.layers:
            joint = layer(joint, module)
        return joint


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


def train_editor(  # noqa: PLR0913
    editor: Hypernetwork,
    edit_rows: EditRows,
    loss_parts: LossParts,
    *,
    examples: int,
    schedule: Schedule,
    device: torch.device,
    key: str,
    edit_size: int = 0,
) -> Trained:
    """Train the editor in place; the edited model, on `device`, is left as it was.

    `edit_size`: examples that make a shift; a step's loss is the mean over its shifts. 0: all of
    the step's examples make one.
    `key` names all that the result depends on, by which a killed training is resumed.
    Raises `ModelError` naming the step when a loss or a gradient is not finite, `RecipeError` in
    several processes: the rows of a shift are read by hooks, which see one process's share.
    """
    refuse_several_processes("training an editor")
    for part in edit_rows(range(examples)):
        _check_finite([tensor for rows in part for tensor in rows], "before training")
        for index, (keys, gradients) in enumerate(part):
            editor.observe(index, keys, gradients)
    trained = train(
        editor,
        dict(editor.named_parameters()),
        examples=examples,
        loss=_editor_loss(editor, edit_rows, loss_parts, device, edit_size),
        schedule=schedule,
        key=key,
    )
    editor.load_state_dict(dict(trained.weights), strict=False)  # its statistics stay
    return trained


@torch.no_grad()
def solve_shifts(
    editor: Editor, parts: Iterable[Sequence[Rows]], *, device: torch.device
) -> list[Tensor]:
    """A shift of each module, [input, output], on `device`, from all these rows at once."""
    grams: dict[int, Tensor] = {}  # by number of the module
    crosses: dict[int, Tensor] = {}
    for part in parts:
        for index, (keys, gradients) in enumerate(part):
            # The regression needs the rows only in these products, summed part by part.
            gram = keys.double().T @ keys.double()
            cross = keys.double().T @ editor.values(index, keys, gradients).double()
            grams[index] = grams[index] + gram if index in grams else gram
            crosses[index] = crosses[index] + cross if index in crosses else cross
    return [
        regress(gram, crosses[index], editor.ridges[index].exp()).float().to(device)
        for index, gram in grams.items()
    ]


def _editor_loss(
    editor: Hypernetwork,
    edit_rows: EditRows,
    loss_parts: LossParts,
    device: torch.device,
    edit_size: int,
) -> Loss:
    """The loss of a step: of the model shifted as the editor says for the step's examples."""

    def edit_loss(batch: Sequence[int], step: int) -> Tensor:
        """The loss of the model with the shift that these examples make."""
        shifts = [
            editor.shift(
                index, torch.cat([keys for keys, _ in rows]), torch.cat([by for _, by in rows])
            )
            for index, rows in enumerate(zip(*edit_rows(batch), strict=True))
        ]
        _check_finite([shift.detach() for shift in shifts], f"step {step}")
        # The gradient is taken first by the shifts and from there through the editor, so that the
        # graphs of the model and of the editor are never in memory together.
        leaves = [shift.detach().to(device).requires_grad_() for shift in shifts]
        value = torch.zeros((), device=device)
        gradients = [torch.zeros_like(leaf) for leaf in leaves]
        for part in loss_parts(leaves, batch, step):
            value = value + part.detach()
            for total, gradient in zip(gradients, torch.autograd.grad(part, leaves), strict=True):
                total += gradient
        # Its value is the loss's, its gradient by the editor is that through the shifts.
        pairs = zip(shifts, gradients, strict=True)
        products = [(shift * gradient.to(shift.device)).sum() for shift, gradient in pairs]
        carried = torch.stack(products).sum()
        return carried + (value.to(carried.device) - carried.detach())

    def loss(_: nn.Module, examples: Tensor, step: int) -> Tensor:
        edits = torch.split(examples, edit_size or len(examples))
        return torch.stack([edit_loss(edit.tolist(), step) for edit in edits]).mean()

    return loss


def _check_finite(tensors: Sequence[Tensor], when: str) -> None:
    for tensor in tensors:
        if not bool(torch.isfinite(tensor).all()):
            worst = float(tensor.detach().float().abs().max())
            raise ModelError(
                f"{when}: the loss and its gradients must be finite, got {worst}; "
                "lower the rates or check the model's weights"
            )
