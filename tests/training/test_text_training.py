"""An adapter is fine-tuned on rows: the loss, the schedule, checkpoints, exact resumption."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from equipoise.edits.edit import fingerprint
from equipoise.errors import DataError, ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.rows import TrainingRow
from equipoise.testing import tiny_model
from equipoise.training import text_training
from equipoise.training.lora import lora_in_training
from equipoise.training.resume import checkpoints_in, kept_checkpoints
from equipoise.training.row_forward import RowForward
from equipoise.training.schedule import Rows
from equipoise.training.text_training import Objective, TextTraining, TrainedText, train_once

ROWS = [
    TrainingRow(
        id=str(i), text=f"Nurse {i} is {'very ' * (i % 4)}kind.", groups={"label": "biased"}
    )
    for i in range(10)
]


def fitted(rows: list[TrainingRow] | None = None, **options: Any) -> TrainedText:
    chosen = {"rank": 2, "epochs": 2, "batch_size": 4, "learning_rate": 1e-2, **options}
    more = {name: chosen.pop(name) for name in ("steps", "start", "model") if name in chosen}
    seed = chosen.pop("seed", 0)
    model: LanguageModel = more.pop("model", None) or tiny_model()
    rows = ROWS if rows is None else rows
    return TextTraining(**chosen).fit(model, rows, seed=seed, **more)


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.thorough
def test_a_step_is_adams_on_the_mean_of_the_rows_means() -> None:
    """Against a plain loop of three steps, dropout off, with decay, warm-up and clipping."""
    options: dict[str, Any] = {"dropout": 0.0, "epochs": 1, "warmup": 0.34, "weight_decay": 0.1}
    trained = fitted(**options, max_gradient=0.01)
    training = TextTraining(rank=2, batch_size=4, learning_rate=1e-2, **options)
    model = tiny_model()
    rows = training.tokenize(model, ROWS)
    forward = RowForward(model)
    orders = training.schedule(10, seed=0).batches(10, first=0)
    losses = []
    with lora_in_training(model, training.lora(model), seed=0) as parameters:
        for parameter in parameters.values():
            parameter.requires_grad_(True)
        adam = torch.optim.AdamW(parameters.values(), weight_decay=0.1)
        # two steps of warm-up (a third and two thirds), then the full height
        for rate, (_, chosen) in zip((1 / 3, 2 / 3, 1.0), orders, strict=True):
            adam.param_groups[0]["lr"] = 1e-2 * rate
            means = [-values.mean() for values in forward.token_logprobs(rows, chosen.tolist())]
            loss = torch.stack(means).mean()
            losses.append(float(loss.detach()))
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(parameters.values(), 0.01)
            adam.step()
            adam.zero_grad()
        expected = {name: value.detach().clone() for name, value in parameters.items()}
    assert trained.losses == pytest.approx(losses, rel=1e-5)
    for name, value in expected.items():
        torch.testing.assert_close(trained.weights[name], value, rtol=1e-4, atol=1e-6)


@pytest.mark.thorough
def test_the_model_is_left_as_it_was() -> None:
    model = tiny_model()
    names = dict(model.module.named_parameters())
    before = fingerprint(model.module, names)
    fitted(model=model)
    assert fingerprint(model.module, names) == before
    assert dict(model.module.named_parameters()).keys() == names.keys()


@pytest.mark.thorough
def test_a_checkpoint_follows_each_epoch_with_adams_state() -> None:
    trained = fitted()
    first, last = trained.checkpoints
    assert (first.steps, last.steps, trained.steps) == (3, 6, 6)
    assert first.exp_avg.keys() == first.exp_avg_sq.keys() == trained.weights.keys()
    assert {int(count) for count in last.updates.values()} == {6}
    assert same(last.values, trained.weights)
    assert not same(first.values, last.values)


@pytest.mark.thorough
def test_the_mean_rate_of_each_epoch_is_recorded() -> None:
    rate = fitted(warmup=0.2).rates
    # warm-up over two of six steps, then linearly to 0 at the end of the sixth
    steps = [1 / 3, 2 / 3, 1.0, 3 / 4, 2 / 4, 1 / 4]
    assert rate == pytest.approx((1e-2 * np.mean(steps[:3]), 1e-2 * np.mean(steps[3:])))
    assert fitted(warmup=0.0, decay="constant").rates == pytest.approx((1e-2, 1e-2))


@pytest.mark.thorough
def test_steps_take_the_place_of_epochs() -> None:
    shorter, longer = fitted(steps=4), fitted(steps=8)
    assert [checkpoint.steps for checkpoint in shorter.checkpoints] == [3, 4]
    assert [checkpoint.steps for checkpoint in longer.checkpoints] == [3, 6, 8]
    assert (shorter.steps, longer.steps) == (4, 8)


@pytest.mark.thorough
def test_tokens_are_counted_as_often_as_they_are_learnt() -> None:
    counts = [len(row.text) for row in ROWS]  # a token a byte; the start token is not learnt
    assert fitted().tokens == 2 * sum(counts)


@pytest.mark.thorough
def test_it_goes_on_from_another_training() -> None:
    start = fitted()
    further = fitted(start=start, steps=1)
    assert further.losses[0] < fitted(steps=1).losses[0] - 0.1
    assert not same(further.weights, start.weights)


@pytest.mark.thorough
def test_an_adapter_of_another_shape_is_no_start() -> None:
    start = fitted(targets=("q_proj",))
    with pytest.raises(ModelError, match="is not in both; take one that was trained on it"):
        fitted(start=start)


@pytest.mark.thorough
def test_few_are_a_share_drawn_by_the_seed() -> None:
    places = [fitted(share=0.3, seed=seed).index.tolist() for seed in (0, 0, 1)]
    assert [len(chosen) for chosen in places] == [3, 3, 3]
    assert places[0] == places[1] != places[2]
    assert fitted(share=0.001).index.size == 1


@pytest.mark.thorough
def test_rows_left_out_are_counted() -> None:
    rows = [*ROWS, TrainingRow(id="empty", text=" "), TrainingRow(id="long", text="a" * 300)]
    trained = fitted(rows)
    assert trained.skipped == {"empty": "has no text", "long": "has 301 tokens, more than 128"}
    assert trained.index.tolist() == list(range(10))
    assert "2 rows were left out" in trained.notes[0]
    with pytest.raises(DataError, match="row 'empty' has no text"):
        fitted(rows, strict=True)


@pytest.mark.parametrize("rows", [[], [TrainingRow(id="empty", text="")]])
def test_without_a_row_to_learn_there_is_no_training(rows: list[TrainingRow]) -> None:
    with pytest.raises(RecipeError, match="must have rows to learn from"):
        fitted(rows)


def test_no_steps_are_refused() -> None:
    with pytest.raises(RecipeError, match="a step or more, got 0"):
        fitted(steps=0)


@pytest.mark.thorough
def test_an_adapter_that_did_not_move_is_said() -> None:
    with pytest.raises(ModelError, match=r"raise the learning rate \(1e-46\)"):
        fitted(learning_rate=1e-46)
    training, model = TextTraining(rank=2, epochs=1), tiny_model()

    def flat(module: nn.Module, chosen: Rows, step: int) -> Tensor:
        """Nothing but decay moves the adapter."""
        del chosen, step
        return torch.stack([0 * value.sum() for value in module.parameters()]).sum()

    learnt, objective = training.learnable(model, ROWS, seed=0), Objective(name="flat", loss=flat)
    with pytest.raises(ModelError, match=r"B are as before training \(norm 0\); raise"):
        training.fit_loss(model, learnt, objective, seed=0)
    (note,) = fitted(learning_rate=1.5e-6).notes
    assert "hardly moved (norm of B" in note
    assert fitted().notes == ()


@pytest.mark.thorough
def test_a_second_adapter_is_refused() -> None:
    trained, model = fitted(), tiny_model()
    with trained.attached(model), pytest.raises(ModelError, match="must have no adapter"):
        fitted(model=model)


@pytest.mark.thorough
def test_an_attached_adapter_is_that_of_the_checkpoint() -> None:
    trained, model = fitted(), tiny_model()
    for checkpoint in (None, trained.checkpoints[0]):
        expected = trained.weights if checkpoint is None else checkpoint.values
        with trained.attached(model, checkpoint) as parameters:
            assert same({name: value.detach() for name, value in parameters.items()}, expected)
    assert not any(".lora_" in name for name, _ in model.module.named_parameters())


@pytest.mark.thorough
def test_a_killed_training_resumes_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fitted()
    calls: list[int] = []
    mean_losses = RowForward.mean_losses

    def dies_once(self: RowForward, *arguments: Any) -> Tensor:
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return mean_losses(self, *arguments)

    monkeypatch.setattr(RowForward, "mean_losses", dies_once)
    for _ in range(2):
        with checkpoints_in(tmp_path), suppress(KeyboardInterrupt):
            trained = fitted()
    # the fourth step is done again, the first three are not; the last is of the outcome
    assert len(calls) == 5 + 3 + 1
    assert same(trained.weights, expected.weights)
    assert trained.losses == expected.losses
    assert trained.tokens == expected.tokens
    for checkpoint, other in zip(trained.checkpoints, expected.checkpoints, strict=True):
        assert same(checkpoint.exp_avg_sq, other.exp_avg_sq)
        assert same(checkpoint.values, other.values)


@pytest.mark.thorough
def test_checkpoints_of_other_trainings_in_the_folder_are_not_its_own(tmp_path: Path) -> None:
    with checkpoints_in(tmp_path):
        fitted(epochs=3)
        trained = fitted(seed=1)
    assert len(kept_checkpoints(tmp_path)) == 5
    assert [checkpoint.steps for checkpoint in trained.checkpoints] == [3, 6]


@pytest.mark.thorough
def test_it_is_trained_once_for_all_that_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_training, "_trained", {})
    training = TextTraining(rank=2, epochs=1, batch_size=4)
    model = tiny_model()
    first = train_once(training, model, ROWS, seed=0)
    assert train_once(training, model, list(ROWS), seed=0) is first
    others = [
        train_once(training, model, ROWS, seed=1),
        train_once(training, model, ROWS, seed=0, steps=2),
        train_once(training, model, ROWS[:9], seed=0),
        train_once(TextTraining(rank=2, epochs=2, batch_size=4), model, ROWS, seed=0),
        train_once(training, tiny_model(seed=1), ROWS, seed=0),
    ]
    assert all(other is not first for other in others)
    assert len(text_training._trained) == 4  # the latest
    assert train_once(training, model, ROWS, seed=0) is not first


@pytest.mark.thorough
def test_large_sets_are_read_by_the_batch() -> None:
    """In order once, to see what can be learnt; then only the rows of a step, the last twice."""
    read: list[int] = []

    class Lazy(list[TrainingRow]):
        def __getitem__(self, place: Any) -> Any:
            read.append(place)
            return super().__getitem__(place)

    fitted(Lazy(ROWS), epochs=1)
    assert read[:10] == list(range(10))
    assert sorted(read[10:20]) == list(range(10))
    assert read[20:] == read[20 - len(read[20:]) : 20]


@pytest.mark.thorough
def test_the_global_generator_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    fitted()
    assert torch.equal(torch.random.get_rng_state(), before)
