"""The Trainer: what it trains, what it leaves alone, and what it says when it cannot."""

import gc
import random
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from torch import Tensor, nn

from equipoise.errors import ModelError, RecipeError
from equipoise.records import JSON
from equipoise.training.loop import Schedule, Trained, train
from equipoise.training.monitor import TrainingMonitor
from equipoise.training.resume import states_kept_in

TARGETS = torch.arange(10, dtype=torch.float32)


@pytest.fixture(autouse=True)
def _no_garbage_is_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    """As accelerate does before each training: half of the time of so small a one."""
    monkeypatch.setattr(gc, "collect", lambda *_: 0)


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


def test_the_loss_falls_and_every_step_is_told() -> None:
    found = trained(epochs=20)
    assert found.steps == len(found.losses) == 20 * 3  # ten examples in batches of four
    assert np.mean(found.losses[-3:]) < 0.2 * np.mean(found.losses[:3])
    assert found.seconds > 0


def test_only_the_chosen_are_returned_and_the_module_is_as_it_was() -> None:
    line = Line().train()
    line.offset.grad = torch.tensor(7.0)
    line.slope.requires_grad_(False)
    found = trained(line)
    assert list(found.weights) == ["slope"]
    assert found.weights["slope"] != 0
    assert line.slope.item() == 0.0
    assert line.offset.item() == 1.0
    assert not line.slope.requires_grad
    assert line.offset.requires_grad
    assert line.slope.grad is None
    assert line.offset.grad == 7.0
    assert line.training
    assert line.drop.training


def test_one_step_of_adam_moves_by_the_rate() -> None:
    found = trained(epochs=1, batch_size=10)
    assert found.steps == 1
    assert found.weights["slope"].item() == pytest.approx(0.1, abs=1e-5)


def test_no_step_is_shared_out_among_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = trained()
    monkeypatch.setattr(transformers.TrainingArguments, "n_gpu", property(lambda _: 4))
    found = trained()
    assert found.steps == alone.steps == 9
    assert found.losses == alone.losses


def test_the_seed_decides_the_batches_and_nothing_else_does() -> None:
    first = trained()
    torch.manual_seed(99)
    assert trained().losses == first.losses
    assert trained(seed=1).losses != first.losses


def test_the_callers_generators_are_left_alone() -> None:
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
        found = trained(epochs=1, batch_size=10, max_gradient=clipped)
        assert found.norms == (pytest.approx(line.slope.grad.norm().item()),)
        assert found.norms[0] > 1e-3


def test_bfloat16_weights_are_trained_in_float32_and_come_back_in_bfloat16() -> None:
    line = Line(torch.bfloat16)
    found = trained(line, learning_rate=1e-3)
    assert found.weights["slope"].dtype == torch.bfloat16
    exact = trained(learning_rate=1e-3).weights["slope"].item()
    assert found.weights["slope"].item() == pytest.approx(
        exact, rel=1 / 256
    )  # bfloat16's own error
    assert line.slope.dtype == torch.bfloat16


def test_computing_in_bfloat16_is_near_and_does_not_stick() -> None:
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
    with pytest.raises(ModelError, match="training must change weights"):
        train(line, {"slope": line.slope}, examples=10, loss=flat, schedule=schedule())


def test_weights_that_are_not_finite_are_an_error() -> None:
    def steep(model: nn.Module, rows: Tensor, _: int) -> Tensor:
        return (0.0 * model(rows)).sum().sqrt()  # 0, with an infinite slope

    line = Line()
    once = schedule(epochs=1, batch_size=10)
    with pytest.raises(ModelError, match="weights must be finite after training, 'slope' is not"):
        train(line, {"slope": line.slope}, examples=10, loss=steep, schedule=once)


@pytest.mark.parametrize(("examples", "names"), [(0, ("slope",)), (10, ())])
def test_nothing_to_train_or_to_train_on(examples: int, names: tuple[str, ...]) -> None:
    line = Line()
    chosen = dict.fromkeys(names, line.slope)
    with pytest.raises(RecipeError, match="must have examples and parameters"):
        train(line, chosen, examples=examples, loss=squared, schedule=schedule())


def test_it_is_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    trained()
    out, err = capfd.readouterr()
    assert out == ""
    assert err == ""


# --- rates, and a watch ---------------------------------------------------------------------------


def test_the_rate_rises_falls_and_ends() -> None:
    plain = schedule()
    assert [plain.rate(step) for step in (0, 7, 10**6)] == [1.0, 1.0, 1.0]
    shaped = schedule(warmup=3, horizon=7)
    rates = [shaped.rate(step) for step in range(9)]
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0])
    assert schedule(warmup=3).rate(50) == 1.0
    assert schedule(warmup=3, horizon=3).rate(3) == 0.0


def test_a_rising_rate_is_used() -> None:
    """Adam moves by the rate at first, so by a third of it in the first of three steps."""
    found = trained(epochs=1, batch_size=10, warmup=2)
    assert found.weights["slope"].item() == pytest.approx(0.1 / 3, abs=1e-5)


class Looking(TrainingMonitor):
    """Notes when it looks, and what it sees; stops, or keeps no more, where it is told to."""

    def __init__(
        self, line: Line, *, stop: int | None = None, refused: tuple[int, ...] = ()
    ) -> None:
        self.line = line
        self.stop = stop
        self.refused = refused
        self.seen: list[tuple[int, float]] = []
        self.last: list[int] = []

    @property
    def every(self) -> int:
        return 4

    @property
    def restores_best(self) -> bool:
        return bool(self.refused)

    @property
    def is_best(self) -> bool:
        return self.seen[-1][0] not in self.refused

    def evaluate(self, steps: int, *, last: bool) -> bool:
        self.seen.append((steps, self.line.slope.item()))
        self.last += [steps] * last
        return steps == self.stop

    def state(self) -> JSON:
        return [list(one) for one in self.seen]

    def restore(self, state: JSON) -> None:
        self.seen = [tuple(one) for one in state]  # type: ignore[union-attr, misc, arg-type]


def watched(line: Line, watch: TrainingMonitor | None, *, examples: int = 10) -> Trained:
    return train(
        line,
        {"slope": line.slope},
        examples=examples,
        loss=squared,
        schedule=schedule(batch_size=1, epochs=1),
        watch=watch,
    )


def test_a_watch_looks_every_few_steps_at_the_weights_of_then() -> None:
    line = Line()
    watch = Looking(line)
    found = watched(line, watch)
    assert [steps for steps, _ in watch.seen] == [4, 8, 10]
    assert 0 < watch.seen[0][1] < watch.seen[1][1] < watch.seen[2][1]
    assert found.losses == watched(Line(), None).losses
    assert found.weights["slope"].item() == watch.seen[2][1]


def test_a_watch_ends_the_training() -> None:
    line = Line()
    watch = Looking(line, stop=8)
    found = watched(line, watch)
    assert (found.steps, len(found.losses)) == (8, 8)
    assert found.weights["slope"].item() == watch.seen[-1][1]
    assert line.slope.item() == 0.0


@pytest.mark.parametrize(
    ("refused", "stop", "kept"),
    [((8,), 8, 4), ((10,), None, 8), ((4, 8), None, 10), ((4,), 8, 8), ((8, 10), None, 4)],
)
def test_what_is_kept_is_of_the_last_look_that_may_be(
    refused: tuple[int, ...], stop: int | None, kept: int
) -> None:
    line = Line()
    watch = Looking(line, stop=stop, refused=refused)
    found = watched(line, watch)
    assert found.steps == (stop or 10)
    assert found.losses == watched(Line(), None).losses[: found.steps]
    assert found.weights["slope"].item() == dict(watch.seen)[kept]
    assert line.slope.item() == 0.0


def test_where_nothing_may_be_kept_nothing_was_trained() -> None:
    line = Line()
    with pytest.raises(ModelError, match="training must change weights"):
        watched(line, Looking(line, refused=(4, 8, 10)))


@pytest.mark.parametrize(("examples", "looks"), [(10, [4, 8, 10]), (8, [4, 8]), (3, [3])])
def test_the_last_look_is_told_that_it_is(examples: int, looks: list[int]) -> None:
    line = Line()
    watch = Looking(line)
    watched(line, watch, examples=examples)
    assert [steps for steps, _ in watch.seen] == looks
    assert watch.last == [examples]


@pytest.mark.parametrize(("at", "looks"), [(3, 0), (9, 2)])
def test_what_is_not_finite_is_not_looked_at(at: int, looks: int) -> None:
    """A gradient that is not finite is told before the watch sees its weights."""

    def steep(model: nn.Module, rows: Tensor, step: int) -> Tensor:
        value = squared(model, rows, step)
        return value + (0.0 * value).sqrt() if step == at else value

    line = Line()
    watch = Looking(line)
    with pytest.raises(ModelError, match=f"step {at}: weights must be finite, 'slope' is not"):
        train(
            line,
            {"slope": line.slope},
            examples=10,
            loss=steep,
            schedule=schedule(batch_size=1, epochs=1),
            watch=watch,
        )
    assert len(watch.seen) == looks


@pytest.mark.parametrize("refused", [(), (8,), (4, 8), (8, 10), (10,)])
@pytest.mark.parametrize("step", [2, 4, 7, 9])
def test_killed_it_goes_on_with_its_watch_to_the_same_bits(
    tmp_path: Path, step: int, refused: tuple[int, ...]
) -> None:
    line = Line()
    whole_watch = Looking(line, refused=refused)
    whole = watched(line, whole_watch)

    def dying(model: nn.Module, rows: Tensor, at: int) -> Tensor:
        if at == step:
            raise KeyboardInterrupt
        return squared(model, rows, at)

    with states_kept_in(tmp_path):
        first = Line()
        with pytest.raises(KeyboardInterrupt):
            train(
                first,
                {"slope": first.slope},
                examples=10,
                loss=dying,
                schedule=schedule(batch_size=1, epochs=1),
                watch=Looking(first, refused=refused),
            )
        assert first.slope.item() == 0.0
        second = Line()
        watch = Looking(second, refused=refused)
        found = watched(second, watch)
    assert watch.seen == whole_watch.seen
    assert found.losses == whole.losses
    assert torch.equal(found.weights["slope"], whole.weights["slope"])
