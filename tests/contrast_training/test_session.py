"""What every method of the family shares: the budget, the record, the key of a training."""

import math
from dataclasses import replace
from functools import cache

import pytest
import torch
from contrast_items import SUPPLY, model, quick, same, small
from pydantic import ValidationError

from equipoise.contrast_training.session import AdapterOptions, training_key
from equipoise.edits.adapter import AdapterEdit
from equipoise.errors import ModelError
from equipoise.mitigate.sft import Sft
from equipoise.records import DataUse, Supply
from equipoise.rows import text_sha256
from equipoise.testing import tiny_model


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)


WITHOUT_DEV = replace(SUPPLY, dev_contrasts=())  # nothing is evaluated


@cache
def baseline() -> AdapterEdit:
    return fitted()


def fitted(*, supply: Supply = WITHOUT_DEV, **options: object) -> AdapterEdit:
    chosen = {"steps": 2, "rank": 2, "batch_size": 4, **options}
    return Sft(**chosen).fit(small(), supply, seed=0)  # type: ignore[arg-type]


def test_learning_rate_scales_with_the_width() -> None:
    assert AdapterOptions.default_rate(tiny_model("llama")) == pytest.approx(5e-5 * 1024 / 32)
    assert AdapterOptions.default_rate(tiny_model("gpt2", width=64)) == pytest.approx(
        5e-5 * 1024 / 64
    )


def test_the_schedule_rises_and_falls_to_a_horizon_beyond_the_steps() -> None:
    schedule = AdapterOptions(steps=10, warmup=4, learning_rate=0.5).schedule(model(), seed=0)
    assert schedule.learning_rate == 0.5
    rates = [schedule.rate(step) for step in range(13)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[5:] == pytest.approx([7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8, 0.0])
    assert AdapterOptions(steps=3, warmup=10).schedule(model(), seed=0).warmup == 3
    plain = AdapterOptions(steps=10).schedule(model(), seed=0)
    assert (plain.weight_decay, plain.max_gradient, plain.dropout) == (0.0, 1.0, False)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "changed",
    [
        {"rank": 3},
        {"alpha": 4.0},
        {"dropout": 0.0},
        {"targets": ("q_proj",)},
        {"targets": ("all-linear",)},
        {"learning_rate": 1e-4},
        {"warmup": 0},
        {"weight_decay": 0.5},
        {"max_gradient": 1e-6},
        {"bf16": True},
        {"batch_size": 3},
        {"over": "text"},
        {"longest": 22},
    ],
    ids=str,
)
def test_every_option_changes_the_edit(changed: dict[str, object]) -> None:
    assert not same(baseline().tensors, fitted(**changed).tensors)


@pytest.mark.thorough
def test_edit_info() -> None:
    edit = fitted(supply=SUPPLY)
    info = edit.info
    assert (info.method, info.base, info.origin, info.seed) == ("sft", "tiny-llama@0", "by hand", 0)
    learnt = [text for text in SUPPLY.learnt_texts() if not text.startswith("Door")]
    assert info.trained_on == {text_sha256(text) for text in learnt}
    assert info.report["steps"] == 2
    assert info.report["learning_rate"] == pytest.approx(1.6e-3)
    assert info.report["items"] == info.report["held_out_items"] == 12
    assert info.report["stopped"] == "the steps were used up"
    assert edit.config["r"] == 2
    assert {tensor.dtype for tensor in edit.tensors.values()} == {torch.float32}
    assert len(edit.tensors) == 2 * 4


@pytest.mark.thorough
def test_clipped_steps_are_counted() -> None:
    plain = baseline().info.report
    largest = plain["largest_gradient"]
    assert isinstance(largest, float)
    assert 0 < largest < math.inf
    assert fitted(max_gradient=1e-6).info.report["clipped_steps"] == 2
    assert fitted(max_gradient=0.0).info.report["clipped_steps"] == 0


@pytest.mark.thorough
def test_too_long_texts_are_not_recorded_as_learnt() -> None:
    short = fitted(longest=22)  # as "The cook is seven now" has, with its start
    assert 0 < len(short.info.trained_on) < len(baseline().info.trained_on)
    assert short.info.report["items"] < 12  # type: ignore[operator]


def test_invalid_targets_and_ranks() -> None:
    with pytest.raises(ModelError, match="LoRA's target 'c_attn' must end the name"):
        fitted(targets=("c_attn",))
    with pytest.raises(ValidationError, match="at least 1 item"):
        fitted(targets=())
    with pytest.raises(ModelError, match=r"LoRA.s rank must be at most 32, .* got 99; lower it"):
        fitted(rank=99)


def test_training_key_depends_on_the_files() -> None:
    """The texts may be the same where a file of word lists is another."""
    uses = [DataUse(name="words.json", sha256=sha256, licence="", verified=True) for sha256 in "ab"]
    keys = {training_key(model(), Sft(), replace(SUPPLY, files=(use,))) for use in (*uses, uses[0])}
    assert len(keys) == 2
