"""Train an editor (`hypernetwork.Editor`) on a method's losses, and solve for the final shift.

Each step shifts the base anew, never the model of the step before: the rows (input, gradient) of
an example are the same in every epoch, and the statistics that normalize them are those of a
single pass before training.
Paper: Xu et al. 2025 (BiasEdit), section 3 and the released code, with its faults corrected.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from equipoise.errors import ModelError
from equipoise.model_editing.hypernetwork import Editor, regress
from equipoise.model_editing.target_modules import Rows
from equipoise.training.data_parallel import refuse_several_processes
from equipoise.training.loop import Schedule, Trained, train


class EditorObjective(Protocol):
    """What an editor is trained for; examples are named by their index."""

    def edit_rows(self, batch: Sequence[int]) -> Iterator[Sequence[Rows]]:
        """The rows of each module from which a shift is made, in parts that fit memory."""

    def loss_parts(
        self, shifts: Sequence[Tensor], batch: Sequence[int], step: int
    ) -> Iterator[Tensor]:
        """The loss of the shifted model, in parts that add up to it, each with its own graph."""


def train_editor(
    editor: Editor,
    objective: EditorObjective,
    *,
    examples: int,
    schedule: Schedule,
    device: torch.device,
    key: str,
) -> Trained:
    """Train the editor in place; the edited model, on `device`, is left as it was.

    `key` names all that the result depends on, by which a killed training is resumed.
    Raises `ModelError` naming the step when a loss or a gradient is not finite, `RecipeError` in
    several processes: the rows of a shift are read by hooks, which see one process's share.
    """
    refuse_several_processes("training an editor")
    for part in objective.edit_rows(range(examples)):
        _check_finite([tensor for rows in part for tensor in rows], "before training")
        for index, (keys, gradients) in enumerate(part):
            editor.observe(index, keys, gradients)
    trained = train(
        editor,
        dict(editor.named_parameters()),
        examples=examples,
        loss=_EditorLoss(objective, device),
        schedule=schedule,
        key=key,
    )
    with torch.no_grad():
        for name, parameter in editor.named_parameters():
            parameter.copy_(trained.weights[name])
    return trained


@torch.no_grad()
def solve_shifts(
    editor: Editor, parts: Iterable[Sequence[Rows]], *, device: torch.device
) -> list[Tensor]:
    """One shift of each module, [input, output], on `device`, from all these rows at once.

    The ridge regression over all rows, whose products are summed in float64 part by part.
    """
    grams: dict[int, Tensor] = {}  # by number of the module
    crosses: dict[int, Tensor] = {}
    for part in parts:
        for index, (keys, gradients) in enumerate(part):
            gram = keys.double().T @ keys.double()
            cross = keys.double().T @ editor.values(index, keys, gradients).double()
            grams[index] = grams[index] + gram if index in grams else gram
            crosses[index] = crosses[index] + cross if index in crosses else cross
    return [
        regress(gram, crosses[index], editor.ridge(index)).float().to(device)
        for index, gram in grams.items()
    ]


class _EditorLoss:
    """The loss of a step: of the model shifted as the editor says for the step's examples.

    The gradient is taken first by the shifts and from there through the editor, so that the graphs
    of the model and of the editor are never in memory together.
    """

    def __init__(self, objective: EditorObjective, device: torch.device) -> None:
        self.objective = objective
        self.device = device

    def __call__(self, editor: nn.Module, examples: Tensor, step: int) -> Tensor:
        if not isinstance(editor, Editor):
            raise TypeError(f"an editor is trained, got {type(editor).__name__}")
        batch = examples.tolist()
        parts = list(self.objective.edit_rows(batch))
        shifts = [
            editor.shift(
                index, torch.cat([keys for keys, _ in rows]), torch.cat([by for _, by in rows])
            )
            for index, rows in enumerate(zip(*parts, strict=True))
        ]
        _check_finite([shift.detach() for shift in shifts], f"step {step}")
        leaves = [shift.detach().to(self.device).requires_grad_() for shift in shifts]
        value = torch.zeros((), device=self.device)
        gradients = [torch.zeros_like(leaf) for leaf in leaves]
        for loss in self.objective.loss_parts(leaves, batch, step):
            value = value + loss.detach()
            for total, gradient in zip(gradients, torch.autograd.grad(loss, leaves), strict=True):
                total += gradient
        # Its value is the loss's, its gradient by the editor is that through the shifts.
        carried = torch.stack(
            [
                (shift * gradient.to(shift.device)).sum()
                for shift, gradient in zip(shifts, gradients, strict=True)
            ]
        ).sum()
        return carried + (value.to(carried.device) - carried.detach())


def _check_finite(tensors: Sequence[Tensor], when: str) -> None:
    for tensor in tensors:
        if not bool(torch.isfinite(tensor).all()):
            worst = float(tensor.detach().float().abs().max())
            raise ModelError(
                f"{when}: the loss and its gradients must be finite, got {worst}; "
                "lower the rates or check the model's weights"
            )
