"""A training that was killed goes on to the very weights of one that was not."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
from contrast_items import SUPPLY, quick, same, weights
from contrast_items import small as model
from torch import Tensor

from equipoise.contrast_training import session
from equipoise.contrast_training.early_stopping import (
    EquivalenceStopping,
    NoController,
    PaperSwapping,
    ProportionalSwapping,
)
from equipoise.contrast_training.evaluation import HeldOutEvaluation, SideEffectChange
from equipoise.contrast_training.steps import ForwardKl
from equipoise.edits.adapter import AdapterEdit
from equipoise.edits.base import Edit
from equipoise.edits.weights import WeightEdit
from equipoise.errors import ModelError
from equipoise.mitigate.bias_unlearn import BiasUnlearn, Likelihood, Npo, UnlearningLoss
from equipoise.mitigate.lftf import Lftf
from equipoise.mitigate.parity import Parity
from equipoise.records import Contrast, Prompt, Supply
from equipoise.stats.resample import Interval
from equipoise.training import loop, pronoun_training, resume
from equipoise.training.pronoun_training import PronounLoss
from equipoise.training.resume import checkpoints_in
from equipoise.training.schedule import Schedule

STEPS, EVERY = 5, 2  # states after 2 and 4 steps
UNLEARN = BiasUnlearn(
    controller=PaperSwapping(),
    steps=STEPS,
    evaluate_every=EVERY,
    first_evaluation=EVERY,
    rank=2,
    retain=Likelihood(batch=3),
    kl=ForwardKl(batch=2),
)
BARE = replace(UNLEARN, controller=NoController())
WITHOUT_DEV = replace(SUPPLY, dev_contrasts=())
ENDING = replace(UNLEARN, controller=EquivalenceStopping())
LFTF = Lftf(words=("a", "b"), epochs=2, batch_size=2, blocks=1)  # 8 steps
PROMPTS = Supply(
    origin="by hand",
    prompts=tuple(
        Prompt(id=job, text=f"The {job} ran because")
        for job in ("cook", "guard", "clerk", "pilot", "baker", "judge", "maid", "smith")
    ),
)


class Killed(Exception):
    """Nothing in the package catches it."""


@pytest.fixture(autouse=True)
def _quick_and_states_of_lftf_come_as_often(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    every = partial(Schedule, checkpoint_every=EVERY)
    monkeypatch.setattr(pronoun_training, "Schedule", every)


def fitted(method: Any = UNLEARN, *, seed: int = 0, supply: Supply | None = None) -> Any:
    usual = PROMPTS if isinstance(method, Lftf) else SUPPLY
    return method.fit(model(), supply or usual, seed=seed)


@cache
def whole(method: Any = UNLEARN) -> AdapterEdit | WeightEdit:
    """Of a training that nothing happened to."""
    edit: AdapterEdit | WeightEdit = fitted(method)
    return edit


@contextmanager
def loss_that(
    change: Callable[[Tensor, int], Tensor], *, of: type = UnlearningLoss
) -> Iterator[list[int]]:
    """Change the loss by its step; gives the steps that were taken."""
    usual = of.__call__
    steps: list[int] = []

    def changed(self: Any, module: Any, rows: Any, step: int) -> Tensor:
        steps.append(step)
        return change(usual(self, module, rows, step), step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(of, "__call__", changed)
        yield steps


def dies_at(step: int) -> Callable[[Tensor, int], Tensor]:
    def change(value: Tensor, number: int) -> Tensor:
        if number == step:
            raise Killed
        return value

    return change


def unchanged(value: Tensor, _: int) -> Tensor:
    return value


def killed_at(step: int, method: Any = UNLEARN, *, of: type = UnlearningLoss) -> list[int]:
    """The steps that were done before, the last of them not to its end."""
    with loss_that(dies_at(step), of=of) as steps, pytest.raises(Killed):
        fitted(method)
    return steps


def begins_at(method: Any = UNLEARN, *, of: type = UnlearningLoss) -> int:
    """The first step that a training does, which is killed then."""

    def at_once(_: Tensor, __: int) -> Tensor:
        raise Killed

    with loss_that(at_once, of=of) as steps, pytest.raises(Killed):
        fitted(method)
    return steps[0]


def finished(
    method: Any = UNLEARN, *, of: type = UnlearningLoss, seed: int = 0
) -> tuple[Any, list[int]]:
    """The edit, and the steps that were done for it."""
    with loss_that(unchanged, of=of) as steps:
        edit = fitted(method, seed=seed)
    assert steps[-1] == max(steps)  # the outcome's loss, of the last step's examples again
    return edit, steps[:-1]


def equal(first: Edit, second: Edit) -> bool:
    assert isinstance(first, AdapterEdit | WeightEdit)
    assert isinstance(second, AdapterEdit | WeightEdit)
    return first.info == second.info and same(first.tensors, second.tensors)


def the_file(folder: Path) -> Path:
    (file,) = folder.glob("*.safetensors")
    return file


@pytest.mark.thorough
def test_training_swaps_a_type_before_it_is_killed() -> None:
    evaluations: Any = whole().info.report["evaluations"]
    assert [evaluation["steps"] for evaluation in evaluations] == [0, 2, 4, STEPS]
    assert evaluations[0]["directions"] == {"color": 1, "size": 1}
    assert -1 in evaluations[1]["directions"].values()
    assert whole().info.report["steps"] == STEPS


@pytest.mark.thorough
def test_repeatedly_killed_training_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    """Before any state, between two, at a state's step, where it was killed already."""
    before = weights(model())
    done = []
    with checkpoints_in(tmp_path):
        for step in (1, 3, 4, 4):
            done.append(killed_at(step))
            assert weights(model()) == before
        edit, last = finished()
    assert done == [[0, 1], [0, 1, 2, 3], [2, 3, 4], [4]]
    assert last == [4]
    assert equal(edit, whole())
    assert weights(model()) == before


@pytest.mark.slow
def test_killed_while_checkpoints_are_written(tmp_path: Path) -> None:
    """The part that was written lies beside; the state before it is still whole."""
    replacing = Path.replace
    left: list[int] = []  # as many more go through, then it dies

    def dies(self: Path, target: Path) -> Path:
        if not left:
            raise Killed
        left.pop()
        return replacing(self, target)

    first = []
    with checkpoints_in(tmp_path):
        for count in (0, 1, 0):
            left[:] = [1] * count
            with pytest.MonkeyPatch.context() as patch, loss_that(unchanged) as steps:
                patch.setattr(Path, "replace", dies)
                with pytest.raises(Killed):
                    fitted()
            first.append(steps[0])
        edit, last = finished()
    assert first == [0, 0, 2]
    assert last == [2, 3, 4]
    assert equal(edit, whole())


def after_training(method: Any) -> None:
    """Killed when all is trained and nothing is told."""

    def dies(*_: object, **__: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "info_of", dies)
        with pytest.raises(Killed):
            fitted(method)


@pytest.mark.slow
def test_killed_after_the_last_step(tmp_path: Path) -> None:
    with checkpoints_in(tmp_path):
        after_training(UNLEARN)
        edit, steps = finished()
    assert steps == [4]
    assert equal(edit, whole())


@pytest.mark.slow
def test_killed_after_a_last_step_with_a_checkpoint(tmp_path: Path) -> None:
    even = replace(UNLEARN, steps=4)
    with checkpoints_in(tmp_path):
        after_training(even)
        edit, steps = finished(even)
    assert steps == []
    assert equal(edit, whole(even))
    assert edit.info.report["stopped"] == "the steps were used up"


@pytest.mark.thorough
def test_killed_after_early_stopping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EquivalenceStopping, "step", lambda *_: "enough")
    with checkpoints_in(tmp_path):
        after_training(ENDING)
        edit, steps = finished(ENDING)
    assert steps == []
    assert equal(edit, whole(ENDING))
    assert edit.info.report["steps"] == EVERY
    assert edit.info.report["stopped"] == "enough"


@pytest.mark.slow
def test_killed_before_and_after_lms_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it goes back to is the state's, also where another process made that."""
    keeping = replace(UNLEARN, keep_lms=0.0, controller=NoController(), steps=11, evaluate_every=3)
    evaluations = fitted(keeping).info.report["evaluations"]
    moved = [abs(evaluation["lms"]["fall"]) for evaluation in evaluations]
    assert moved[3] > max(moved[1:3])
    # what is lost here is too little to be shown
    real = HeldOutEvaluation._lms_fall
    lost = Interval(value=1.0, low=0.5, high=1.5, n=12, clusters=6)
    unmoved = Interval(value=0.0, low=0.0, high=0.0, n=12, clusters=6)

    def shown(self: HeldOutEvaluation, *means: Any) -> SideEffectChange:
        fall = real(self, *means)
        far = abs(fall.change.value) > max(moved[1:3])
        return replace(fall, change=lost if far else unmoved)

    monkeypatch.setattr(HeldOutEvaluation, "_lms_fall", shown)
    expected = whole(keeping)
    assert expected.info.report["kept_after"] == 6
    with checkpoints_in(tmp_path):
        killed_at(8, keeping)
        after_training(keeping)
        edit, steps = finished(keeping)
    assert steps == []
    assert equal(edit, expected)


@pytest.mark.slow
def test_phases_of_unequal_weights_resume(tmp_path: Path) -> None:
    method = replace(UNLEARN, controller=ProportionalSwapping())
    with checkpoints_in(tmp_path):
        killed_at(3, method)
        edit, steps = finished(method)
    assert steps == list(range(2, STEPS))
    assert equal(edit, whole(method))


@pytest.mark.thorough
def test_training_without_a_monitor_resumes(tmp_path: Path) -> None:
    """LFTF's, in the middle of an epoch too: the order of examples is that of one run."""
    with checkpoints_in(tmp_path):
        assert killed_at(3, LFTF, of=PronounLoss)[0] == 0
        edit, steps = finished(LFTF, of=PronounLoss)
    assert steps == [2, 3, 4, 5, 6, 7]
    assert equal(edit, whole(LFTF))


# --- what is not taken up -------------------------------------------------------------------------


def key_of(method: Any = BARE, *, seed: int = 0, supply: Supply | None = None) -> str:
    """By which a training finds its checkpoints; nothing is trained."""
    keys: list[str] = []

    def dies(key: str) -> None:
        keys.append(key)
        raise Killed

    usual = PROMPTS if isinstance(method, Lftf) else WITHOUT_DEV
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "latest_checkpoint", dies)
        with pytest.raises(Killed):
            fitted(method, seed=seed, supply=supply or usual)
    return keys[0]


def swapped(item: Contrast) -> Contrast:
    return replace(item, stereotype=item.antistereotype, antistereotype=item.stereotype)


@pytest.mark.thorough
def test_checkpoint_of_another_training_is_ignored() -> None:
    swapped_labels = tuple(map(swapped, SUPPLY.contrasts))
    keys = [
        key_of(),
        key_of(replace(BARE, forget=Npo(beta=0.2))),
        key_of(replace(BARE, steps=STEPS + 1)),
        key_of(replace(BARE, rank=3)),
        key_of(Parity(steps=STEPS, rank=2)),
        key_of(seed=1),
        key_of(supply=replace(WITHOUT_DEV, contrasts=swapped_labels)),
        key_of(supply=replace(WITHOUT_DEV, origin="elsewhere")),
        key_of(supply=replace(SUPPLY, origin="by hand")),
    ]
    assert len(set(keys)) == len(keys)
    assert key_of() == keys[0]


@pytest.mark.thorough
def test_checkpoint_of_another_objective_or_prompts_is_ignored() -> None:
    longer = tuple(replace(prompt, text=f"{prompt.text} then") for prompt in PROMPTS.prompts)
    keys = [
        key_of(LFTF),
        key_of(replace(LFTF, objective=pronoun_training.Parity())),
        key_of(replace(LFTF, words=("a", "c"))),
        key_of(LFTF, supply=replace(PROMPTS, prompts=longer)),
    ]
    assert len(set(keys)) == len(keys)


@pytest.mark.slow
def test_foreign_or_truncated_checkpoint_restarts(tmp_path: Path) -> None:
    with checkpoints_in(tmp_path / "other"), loss_that(dies_at(4)), pytest.raises(Killed):
        fitted(seed=1)
    with checkpoints_in(tmp_path / "own"):
        killed_at(4)
        place = the_file(tmp_path / "own")
        content = place.read_bytes()
        for damaged in (
            the_file(tmp_path / "other").read_bytes(),
            content[: len(content) // 2],
            b"",
        ):
            place.write_bytes(damaged)
            assert begins_at() == 0
        place.write_bytes(content)
        assert begins_at() == 4


# --- trainings that go wrong ----------------------------------------------------------------------


@pytest.mark.thorough
def test_nan_loss_names_its_step_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    def spoilt(value: Tensor, step: int) -> Tensor:
        return value * float("nan") if step >= 3 else value

    before = weights(model())
    with checkpoints_in(tmp_path):
        with loss_that(spoilt), pytest.raises(ModelError, match="step 3: "):
            fitted()
        assert weights(model()) == before
        edit, steps = finished()
    assert steps == list(range(2, STEPS))
    assert equal(edit, whole())


@pytest.mark.thorough
def test_nonfinite_gradient_keeps_the_checkpoint(tmp_path: Path) -> None:
    """The loss of its step is finite, and the next would come after the state is written."""

    def steep(value: Tensor, step: int) -> Tensor:
        return value + (0.0 * value).sqrt() if step == 3 else value

    with checkpoints_in(tmp_path):
        with loss_that(steep), pytest.raises(ModelError, match="step 3: weights"):
            fitted()
        assert begins_at() == 2


@pytest.mark.thorough
def test_unchanged_adapter_is_an_error() -> None:
    def flat(value: Tensor, _: int) -> Tensor:
        return 0.0 * value

    short = replace(BARE, steps=1)
    with loss_that(flat), pytest.raises(ModelError, match="training must change weights"):
        fitted(short, supply=WITHOUT_DEV)
    decayed = replace(short, weight_decay=0.1)  # moves the factor that is not zero
    with loss_that(flat), pytest.raises(ModelError, match="all 4 products are 0 after training"):
        fitted(decayed, supply=WITHOUT_DEV)


@pytest.mark.thorough
def test_no_folder_no_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = whole()
    written: list[Path] = []
    monkeypatch.setattr(resume, "write_file", lambda file, *_, **__: written.append(file))
    monkeypatch.chdir(tmp_path)
    state = torch.get_rng_state()
    assert equal(fitted(), expected)
    assert torch.equal(torch.get_rng_state(), state)
    assert written == []
    assert list(tmp_path.iterdir()) == []
