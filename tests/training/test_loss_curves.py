"""Parts of a loss: recorded by step, and thinned for an edit's record."""

import math

import torch
from torch import Tensor, nn

from equipoise.training.loop import train
from equipoise.training.loss_curves import (
    MOST_POINTS,
    curve_report,
    extend_parts,
    record_parts,
    recording_parts,
)
from equipoise.training.schedule import Schedule


class Point(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros(()))


def parted(module: nn.Module, _rows: Tensor, step: int) -> Tensor:
    """Twice the pull and half of the push, which every other step lacks."""
    place = module.get_parameter("place")
    pull, push = (place - 3).square(), (place + 1).square()
    record_parts(pull=pull)
    if step % 2:
        return 2 * pull
    record_parts(push=push)
    return 2 * pull + 0.5 * push


def test_a_training_keeps_the_whole_and_each_part_by_step() -> None:
    point = Point()
    schedule = Schedule(learning_rate=0.1, epochs=1, batch_size=1, seed=0)
    result = train(
        point, dict(point.named_parameters()), examples=4, loss=parted, schedule=schedule
    )
    assert (result.steps, result.parameters) == (4, 1)
    assert result.parts["pull"][0] == 9.0
    assert result.parts["push"][0] == 1.0
    assert [math.isnan(value) for value in result.parts["push"]] == [False, True, False, True]
    for step, total in enumerate(result.losses):
        push = 0.0 if step % 2 else result.parts["push"][step]
        assert math.isclose(total, 2 * result.parts["pull"][step] + 0.5 * push, rel_tol=1e-6)


def test_a_name_that_is_given_twice_in_a_step_adds_up_and_outside_nothing_is_kept() -> None:
    record_parts(kl=torch.tensor(1.0))
    with recording_parts() as recorded:
        record_parts(kl=torch.tensor(1.0, requires_grad=True))
        record_parts(kl=torch.tensor(2.5))
    assert recorded["kl"].item() == 3.5
    assert not recorded["kl"].requires_grad  # no graph is kept alive


def test_a_part_that_begins_late_stands_at_its_steps() -> None:
    curves: dict[str, list[float]] = {}
    for step, values in enumerate(({"a": 1.0}, {}, {"b": 2.0})):
        extend_parts(curves, values, steps=step)
    assert str(curves) == "{'a': [1.0, nan, nan], 'b': [nan, nan, 2.0]}"


def test_a_short_curve_is_kept_whole() -> None:
    (curves,) = curve_report([2.0, 1.0], {"kl": [math.nan, 0.5]}).values()
    assert curves == {"every": 1, "steps": [1, 2], "total": [2.0, 1.0], "kl": [None, 0.5]}


def test_a_long_curve_is_the_means_of_equal_runs_each_at_its_last_step() -> None:
    (curves,) = curve_report([float(step) for step in range(250)], {}).values()
    assert curves["every"] == 3
    steps, total = curves["steps"], curves["total"]
    assert isinstance(steps, list)
    assert isinstance(total, list)
    assert len(steps) == len(total) == 84 <= MOST_POINTS
    assert steps[:2] == [3, 6]
    assert steps[-1] == 250  # of the last run, of a single step
    assert total[:2] == [1.0, 4.0]
    assert total[-1] == 249.0
