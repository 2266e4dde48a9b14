"""The loop: what it trains, what it restores, its errors, its checkpoints and its monitor."""

import random
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from equipoise.errors import ModelError, RecipeError
from equipoise.records import JSON
from equipoise.training.loop import Trained, TrainingMonitor, train
from equipoise.training.resume import Keep, checkpoints_in, kept_checkpoints, read_checkpoint
from equipoise.training.schedule import Schedule

TARGETS = torch.arange(10, dtype=torch.float32)


class Line(nn.Module):
    """Two numbers; the second is never to be trained unless asked."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.zeros((), dtype=dtype))
        self.offset = nn.Parameter(torch.ones((), dtype=dtype))
        self.drop = nn.Dropout(0.5)

    def forward(self, rows: Tensor) -> Tensor:
        return self.drop(self.slope * rows.float() + self.offset)


def squared(model: nn.Module, rows: Tensor, _: int) -> Tensor:
    return (model(rows) - TARGETS[rows]).square().mean()


def schedule(**changes: object) -> Schedule:
    options = {"learning_rate": 0.1, "epochs": 3, "batch_size": 4, "seed": 0}
    return Schedule(**{**options, **changes})  # type: ignore[arg-type]


def trained(module: nn.Module | None = None, **changes: object) -> Trained:
    line = module or Line()
    chosen = {"slope": dict(line.named_parameters())["slope"]}
    return train(line, chosen, examples=10, loss=squared, schedule=schedule(**changes))


@pytest.mark.thorough
def test_the_loss_falls_and_every_step_is_recorded() -> None:
    result = trained(epochs=10)
    assert result.steps == len(result.losses) == 10 * 3  # ten examples in batches of four
    assert np.mean(result.losses[-3:]) < 0.2 * np.mean(result.losses[:3])


def test_chosen_weights_are_returned_and_the_module_is_unchanged() -> None:
    line = Line().train()
    line.offset.grad = torch.tensor(7.0)
    line.slope.requires_grad_(False)
    result = trained(line)
    assert list(result.weights) == ["slope"]
    assert result.weights["slope"] != 0
    assert line.slope.item() == 0.0
    assert line.offset.item() == 1.0
    assert not line.slope.requires_grad
    assert line.offset.requires_grad
    assert line.slope.grad is None
    assert line.offset.grad == 7.0
    assert line.training
    assert line.drop.training


def test_one_step_of_adam_moves_by_the_rate() -> None:
    result = trained(epochs=1, batch_size=10)
    assert result.steps == 1
    assert result.weights["slope"].item() == pytest.approx(0.1, abs=1e-5)


@pytest.mark.thorough
def test_the_seed_decides_the_batches_and_nothing_else_does() -> None:
    first = trained()
    torch.manual_seed(99)
    assert trained().losses == first.losses
    assert trained(seed=1).losses != first.losses


def test_random_state_of_the_caller_is_unchanged() -> None:
    states = random.getstate(), _numpy(), torch.get_rng_state()
    trained()
    assert random.getstate() == states[0]
    assert _numpy() == states[1]
    assert torch.equal(torch.get_rng_state(), states[2])


def _numpy() -> list[int]:
    return list(np.random.get_state()[1])  # noqa: NPY002  # it is the global one that is watched


def test_dropout_is_off_unless_asked_for() -> None:
    assert trained(epochs=1, batch_size=10).losses == (squared(Line().eval(), *all_rows()).item(),)
    assert trained(epochs=1, batch_size=10, dropout=True).losses != trained(epochs=1).losses[:1]


def all_rows() -> tuple[Tensor, int]:
    return torch.arange(10), 0


@pytest.mark.thorough
def test_weight_decay_and_clipping_change_the_result() -> None:
    line = Line()
    line.slope.data.fill_(3.0)
    plain = trained(line).weights["slope"]
    assert trained(line, weight_decay=0.5).weights["slope"] < plain
    # Adam divides the gradient's size out again, save where it is as small as its epsilon
    assert trained(line, max_gradient=1e-9).weights["slope"] > plain


def test_the_gradients_norm_is_that_before_clipping() -> None:
    line = Line().eval()
    squared(line, *all_rows()).backward()
    assert line.slope.grad is not None
    for clipped in (0.0, 1e-3):
        result = trained(epochs=1, batch_size=10, max_gradient=clipped)
        assert result.norms == (pytest.approx(line.slope.grad.norm().item()),)
        assert result.norms[0] > 1e-3


def test_bfloat16_weights_are_trained_in_float32_and_come_back_in_bfloat16() -> None:
    line = Line(torch.bfloat16)
    result = trained(line, learning_rate=1e-3)
    assert result.weights["slope"].dtype == torch.bfloat16
    exact = trained(learning_rate=1e-3).weights["slope"].item()
    assert result.weights["slope"].item() == pytest.approx(
        exact, rel=1 / 256
    )  # bfloat16's own error
    assert line.slope.dtype == torch.bfloat16


@pytest.mark.thorough
def test_bfloat16_autocast_is_close_and_temporary() -> None:
    class Wide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            generator = torch.Generator().manual_seed(0)
            self.slope = nn.Parameter(torch.randn(4, 4, generator=generator))

        def forward(self, rows: Tensor) -> Tensor:
            return (torch.eye(4)[rows % 4] @ self.slope).sum(-1)

    exact = trained(Wide()).losses
    rough = trained(Wide(), bf16=True).losses
    assert rough != exact
    assert rough == pytest.approx(exact, rel=0.02)
    assert trained(Wide()).losses == exact


def test_a_loss_that_is_not_finite_names_its_step() -> None:
    def broken(model: nn.Module, rows: Tensor, step: int) -> Tensor:
        return squared(model, rows, step) * (float("nan") if step == 2 else 1.0)

    line = Line()
    with pytest.raises(ModelError, match="step 2: the loss must be finite, got nan"):
        train(line, {"slope": line.slope}, examples=10, loss=broken, schedule=schedule())
    assert line.slope.item() == 0.0
    assert line.slope.grad is None


def test_weights_that_do_not_change_are_an_error() -> None:
    def flat(model: nn.Module, rows: Tensor, _: int) -> Tensor:
        return 0.0 * model(rows).sum()

    line = Line()
    says = "training must change weights, .* unless the loss is 0"  # as it is here
    with pytest.raises(ModelError, match=says):
        train(line, {"slope": line.slope}, examples=10, loss=flat, schedule=schedule())


def test_weights_that_are_not_finite_are_an_error() -> None:
    def steep(model: nn.Module, rows: Tensor, _: int) -> Tensor:
        return (0.0 * model(rows)).sum().sqrt()  # 0, with an infinite slope

    line = Line()
    once = schedule(epochs=1, batch_size=10)
    with pytest.raises(
        ModelError, match="after step 0 weights must have a finite norm, that of 'slope' is"
    ):
        train(line, {"slope": line.slope}, examples=10, loss=steep, schedule=once)


def test_an_absurd_last_step_is_an_error() -> None:
    line = Line()
    once = schedule(epochs=1, batch_size=10, learning_rate=1e30)
    with pytest.raises(
        ModelError, match=r"after step 0 the loss must be finite, got inf; lower .*it is 1e\+30"
    ):
        train(line, {"slope": line.slope}, examples=10, loss=squared, schedule=once)
    assert line.slope == 0.0


@pytest.mark.parametrize(("examples", "names"), [(0, ("slope",)), (10, ())])
def test_no_parameters_or_no_examples(examples: int, names: tuple[str, ...]) -> None:
    line = Line()
    chosen = dict.fromkeys(names, line.slope)
    with pytest.raises(RecipeError, match="must have examples and parameters"):
        train(line, chosen, examples=examples, loss=squared, schedule=schedule())


def test_it_is_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    trained()
    out, err = capfd.readouterr()
    assert out == ""
    assert err == ""


# --- rates, monitors and checkpoints ------------------------------------------------------------


def test_the_rate_rises_falls_and_ends() -> None:
    plain = schedule()
    assert [plain.rate(step) for step in (0, 7, 10**6)] == [1.0, 1.0, 1.0]
    shaped = schedule(warmup=3, horizon=7)
    rates = [shaped.rate(step) for step in range(9)]
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0])
    assert schedule(warmup=3).rate(50) == 1.0
    assert schedule(warmup=3, horizon=3).rate(3) == 0.0


def test_a_cosine_falls_from_full_height_as_often_as_asked() -> None:
    once, twice = schedule(horizon=8, cosines=1), schedule(horizon=8, cosines=2)
    # 1/2 (1 + cos(pi t)), as transformers' cosine_with_restarts
    assert [once.rate(step) for step in (0, 2, 4, 8)] == pytest.approx([1, 0.853553, 0.5, 0])
    assert [twice.rate(step) for step in (0, 2, 4, 6, 8)] == pytest.approx([1, 0.5, 1, 0.5, 0])


def test_a_rising_rate_is_used() -> None:
    """Adam moves by the rate at first, so by a third of it in the first of three steps."""
    result = trained(epochs=1, batch_size=10, warmup=2)
    assert result.weights["slope"].item() == pytest.approx(0.1 / 3, abs=1e-5)


class Recording(TrainingMonitor):
    """Records its evaluations; stops, or refuses weights, at chosen steps."""

    def __init__(
        self, line: Line, *, stop: int | None = None, refused: tuple[int, ...] = ()
    ) -> None:
        self.line = line
        self.stop = stop
        self.refused = refused
        self.evaluations: list[tuple[int, float]] = []
        self.last: list[int] = []
        self.every = 4
        self.restores_best = bool(refused)

    @property
    def is_best(self) -> bool:
        return self.evaluations[-1][0] not in self.refused

    def evaluate(self, steps: int, *, last: bool) -> bool:
        self.evaluations.append((steps, self.line.slope.item()))
        self.last += [steps] * last
        return steps == self.stop

    def state(self) -> JSON:
        return [list(evaluation) for evaluation in self.evaluations]

    def restore(self, state: JSON) -> None:
        self.evaluations = [tuple(evaluation) for evaluation in state]  # type: ignore[union-attr, misc, arg-type]


def monitored(line: Line, monitor: TrainingMonitor | None, *, examples: int = 10) -> Trained:
    return train(
        line,
        {"slope": line.slope},
        examples=examples,
        loss=squared,
        schedule=schedule(batch_size=1, epochs=1),
        monitor=monitor,
    )


def test_a_monitor_evaluates_every_few_steps() -> None:
    line = Line()
    monitor = Recording(line)
    result = monitored(line, monitor)
    assert [steps for steps, _ in monitor.evaluations] == [4, 8, 10]
    assert 0 < monitor.evaluations[0][1] < monitor.evaluations[1][1] < monitor.evaluations[2][1]
    assert result.losses == monitored(Line(), None).losses
    assert result.weights["slope"].item() == monitor.evaluations[2][1]


def test_a_monitor_ends_the_training() -> None:
    line = Line()
    monitor = Recording(line, stop=8)
    result = monitored(line, monitor)
    assert (result.steps, len(result.losses)) == (8, 8)
    assert result.weights["slope"].item() == monitor.evaluations[-1][1]
    assert line.slope.item() == 0.0


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("refused", "stop", "best"),
    [((8,), 8, 4), ((10,), None, 8), ((4, 8), None, 10), ((4,), 8, 8), ((8, 10), None, 4)],
)
def test_the_weights_of_the_last_acceptable_evaluation_are_returned(
    refused: tuple[int, ...], stop: int | None, best: int
) -> None:
    line = Line()
    monitor = Recording(line, stop=stop, refused=refused)
    result = monitored(line, monitor)
    assert result.steps == (stop or 10)
    assert result.losses == monitored(Line(), None).losses[: result.steps]
    assert result.weights["slope"].item() == dict(monitor.evaluations)[best]
    assert line.slope.item() == 0.0


def test_without_an_acceptable_evaluation_nothing_was_trained() -> None:
    line = Line()
    with pytest.raises(ModelError, match="training must change weights"):
        monitored(line, Recording(line, refused=(4, 8, 10)))


@pytest.mark.parametrize(("examples", "evaluations"), [(10, [4, 8, 10]), (8, [4, 8]), (3, [3])])
def test_last_evaluation_is_marked(examples: int, evaluations: list[int]) -> None:
    line = Line()
    monitor = Recording(line)
    monitored(line, monitor, examples=examples)
    assert [steps for steps, _ in monitor.evaluations] == evaluations
    assert monitor.last == [examples]


@pytest.mark.parametrize(("bad", "evaluations"), [(3, 0), (9, 2)])
def test_weights_that_are_not_finite_are_not_evaluated(bad: int, evaluations: int) -> None:
    """A gradient that is not finite is reported before the monitor sees its weights."""

    def steep(model: nn.Module, rows: Tensor, step: int) -> Tensor:
        value = squared(model, rows, step)
        return value + (0.0 * value).sqrt() if step == bad else value

    line = Line()
    monitor = Recording(line)
    with pytest.raises(
        ModelError, match=f"step {bad}: weights must have a finite norm, that of 'slope' is"
    ):
        train(
            line,
            {"slope": line.slope},
            examples=10,
            loss=steep,
            schedule=schedule(batch_size=1, epochs=1),
            monitor=monitor,
        )
    assert len(monitor.evaluations) == evaluations


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("step", "refused"), [(2, (8,)), (4, ()), (7, (4, 8)), (7, (10,)), (9, (8, 10)), (9, (8,))]
)
def test_killed_it_resumes_with_its_monitor_to_the_same_bits(
    tmp_path: Path, step: int, refused: tuple[int, ...]
) -> None:
    line = Line()
    whole_monitor = Recording(line, refused=refused)
    whole = monitored(line, whole_monitor)

    def dying(model: nn.Module, rows: Tensor, now: int) -> Tensor:
        if now == step:
            raise KeyboardInterrupt
        return squared(model, rows, now)

    with checkpoints_in(tmp_path):
        first = Line()
        with pytest.raises(KeyboardInterrupt):
            train(
                first,
                {"slope": first.slope},
                examples=10,
                loss=dying,
                schedule=schedule(batch_size=1, epochs=1),
                monitor=Recording(first, refused=refused),
            )
        assert first.slope.item() == 0.0
        second = Line()
        monitor = Recording(second, refused=refused)
        result = monitored(second, monitor)
    assert monitor.evaluations == whole_monitor.evaluations
    assert result.losses == whole.losses
    assert torch.equal(result.weights["slope"], whole.weights["slope"])


@pytest.mark.thorough
def test_a_resumed_training_skips_the_steps_that_are_done(tmp_path: Path) -> None:
    steps: list[int] = []

    def dies_once(model: nn.Module, rows: Tensor, step: int) -> Tensor:
        steps.append(step)
        if steps.count(7) == 1 and step == 7:
            raise KeyboardInterrupt
        return squared(model, rows, step)

    line = Line()
    for _ in range(2):
        with checkpoints_in(tmp_path), suppress(KeyboardInterrupt):
            result = train(
                line,
                {"slope": line.slope},
                examples=10,
                loss=dies_once,
                schedule=schedule(checkpoint_every=3, dropout=True),
            )
    assert steps == [*range(8), 6, 7, 8, 8]  # the last again, to check the outcome
    assert result.losses == trained(dropout=True).losses


@pytest.mark.parametrize(
    ("keep", "steps"), [("latest", []), ("epochs", [3, 6, 9]), (2, [2, 4, 6, 8])]
)
def test_checkpoints_are_kept_per_epoch_or_every_few_steps(
    tmp_path: Path, keep: Keep, steps: list[int]
) -> None:
    """Adam's moments in them, by name, are those of a plain loop."""
    options = {"warmup": 2, "weight_decay": 0.1, "max_gradient": 5.0}
    with checkpoints_in(tmp_path, keep=keep):
        result = trained(**options)
    checkpoints = [read_checkpoint(file) for file in kept_checkpoints(tmp_path)]
    assert [checkpoint.steps for checkpoint in checkpoints] == steps
    line = Line().eval()
    adam = torch.optim.AdamW([line.slope], weight_decay=0.1)
    expected = {}
    for step, rows in schedule().batches(10, first=0):
        rate = 0.1 * schedule(**options).rate(step)
        adam.param_groups[0]["lr"] = rate
        squared(line, rows, step).backward()
        torch.nn.utils.clip_grad_norm_([line.slope], 5.0)
        adam.step()
        line.zero_grad()
        moments = adam.state[line.slope]
        expected[step + 1] = (rate, *(moments[name].item() for name in ("exp_avg", "exp_avg_sq")))
    for checkpoint in checkpoints:
        moments = (checkpoint.exp_avg["slope"].item(), checkpoint.exp_avg_sq["slope"].item())
        assert (checkpoint.learning_rate, *moments) == expected[checkpoint.steps]
        assert checkpoint.losses == result.losses[: checkpoint.steps]
    if steps == [3, 6, 9]:
        assert torch.equal(checkpoints[-1].values["slope"], result.weights["slope"])
