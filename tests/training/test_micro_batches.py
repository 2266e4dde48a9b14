"""A step in micro-batches: the same loss and weights, of any loss, at the memory of a part."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from equipoise.errors import RecipeError
from equipoise.training.data_parallel import shared_forward
from equipoise.training.loop import train
from equipoise.training.schedule import Schedule

from .processes import fit

PRONOUNS = {"words": ["a", "b"], "learning_rate": 1e-3, "epochs": 1, "batch_size": 4}
CONTRASTS = {"rank": 2, "dropout": 0.0, "steps": 2, "learning_rate": 1e-3, "longest": 100}
ROWS = {"training": {"name": "lora", "rank": 2, "dropout": 0.0, "epochs": 1, "batch_size": 5}}


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("lftf", {**PRONOUNS, "objective": "parity", "keep_hints": 0.5}),
        ("bias_unlearn", {**CONTRASTS, "controller": "none"}),
        ("finetune", ROWS),
    ],
)
def test_methods_train_to_the_same_weights(method: str, options: dict[str, Any]) -> None:
    parts = {"micro_batch": 2}
    if method == "finetune":
        parts = {"training": options["training"] | parts}
    whole, divided = fit(method, options), fit(method, options | parts)
    for loss in ("first_loss", "last_loss"):
        assert divided.info.report[loss] == pytest.approx(whole.info.report[loss], rel=1e-5)
    for name, values in whole.tensors.items():
        torch.testing.assert_close(divided.tensors[name], values, rtol=1e-4, atol=1e-6)


def not_a_mean(outputs: Tensor) -> Tensor:
    """A loss that no sum over parts of the batch would give."""
    return outputs.logsumexp(0).square().sum()


class Deep(nn.Module):
    def __init__(self, *, dropout: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        blocks = [(nn.Linear(8, 64), nn.GELU(), nn.Dropout(dropout), nn.Linear(64, 8))] * 4
        self.blocks = nn.Sequential(*(part for block in blocks for part in block))
        self.passes: list[int] = []  # examples of each forward pass

    def forward(self, inputs: Tensor) -> Tensor:
        self.passes.append(len(inputs))
        return self.blocks(inputs)


def trained(module: Deep, **options: Any) -> tuple[dict[str, Tensor], int]:
    """The weights after a training of two steps, and the bytes kept for a backward pass."""
    inputs = torch.linspace(-1, 1, 16 * 8).view(16, 8).sin()
    kept = 0

    def keep(tensor: Tensor) -> Tensor:
        nonlocal kept
        kept += tensor.nbytes * (tensor.shape[:1] != torch.Size([64]))  # no weight
        return tensor

    def loss(model: nn.Module, rows: Tensor, _step: int) -> Tensor:
        with saved_tensors_hooks(keep, lambda tensor: tensor):
            chosen = inputs[rows]
            return not_a_mean(shared_forward(lambda part: model(chosen[part]), [1] * len(rows)))

    schedule = Schedule(learning_rate=1e-2, epochs=1, batch_size=8, seed=0, **options)
    result = train(
        module, dict(module.named_parameters()), examples=16, loss=loss, schedule=schedule
    )
    return dict(result.weights), kept


def test_any_loss_is_that_of_the_whole_step() -> None:
    whole, divided = Deep(), Deep()
    expected, all_bytes = trained(whole)
    weights, few_bytes = trained(divided, micro_batch=3)
    for name, values in expected.items():
        torch.testing.assert_close(weights[name], values, rtol=1e-3, atol=1e-6)
    assert whole.passes == [8, 8, 8]  # the last to check the outcome
    # each part again, the last first, when its gradient is due
    assert divided.passes == [3, 3, 2, 2, 3, 3] * 2 + [3, 3, 2]
    assert few_bytes < all_bytes / 5


@pytest.mark.thorough
def test_a_part_has_its_dropout_again() -> None:
    """The gradient is that of the loss that was computed: a second draw would make another."""
    (once, _), (again, _) = (
        trained(Deep(dropout=0.5), micro_batch=3, dropout=True) for _ in range(2)
    )
    assert all(torch.equal(once[name], again[name]) for name in once)
    module = Deep(dropout=0.5).train()
    inputs = torch.ones(4, 8)

    def loss(_: nn.Module, _rows: Tensor, _step: int) -> Tensor:
        outputs = shared_forward(lambda part: module(inputs[part]), [1] * 4)
        seen.append(outputs.detach())
        outputs.register_hook(lambda gradient: gradients.append(gradient))
        return outputs.square().sum()

    seen: list[Tensor] = []
    gradients: list[Tensor] = []
    bias = {"bias": module.blocks[-1].bias}
    schedule = Schedule(
        learning_rate=1e-2, epochs=1, batch_size=4, seed=0, micro_batch=1, dropout=True
    )
    train(module, bias, examples=4, loss=loss, schedule=schedule)
    torch.testing.assert_close(gradients[0], 2 * seen[0])


def test_a_loss_that_divides_no_forward_pass_is_refused() -> None:
    module = Deep()
    schedule = Schedule(learning_rate=1e-2, epochs=1, batch_size=2, seed=0, micro_batch=1)
    with pytest.raises(RecipeError, match=r"got micro_batch=1; leave micro_batch out"):
        train(
            module,
            dict(module.named_parameters()),
            examples=2,
            loss=lambda model, *_: model(torch.ones(2, 8)).sum(),
            schedule=schedule,
        )
