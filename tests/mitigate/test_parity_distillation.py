"""Parity distillation: what it learns from, its dial, when it stops, and what it refuses."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from equipoise.edits.adapter import AdapterEdit
from equipoise.errors import ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.parity_distillation import (
    DistilledAdapter,
    ParityDistillation,
)
from equipoise.records import Continuation, Supply
from equipoise.rows import text_sha256
from equipoise.testing import tiny_model
from equipoise.training.exchange_targets import ExchangeTargets
from equipoise.training.held_out_targets import HeldOutTargets
from equipoise.training.row_forward import RowForward

TEXTS = (
    "He was late, and his friend waited.",
    "She took her bag.",
    "A black man saw the river.",
    "The nurse met an engineer.",
    "It rains in the morning.",
    "The door is open.",
)
SUPPLY = Supply(origin="a file", texts=TEXTS)
REQUESTS = [
    Continuation(context="He took", continuation=" a bag."),
    Continuation(context="", continuation="So."),
]


def method(**options: Any) -> ParityDistillation:
    training = DistilledAdapter(epochs=6, rank=8, batch_size=4, learning_rate=1e-2)
    quick: dict[str, Any] = {"training": training, "held_out": 0, "evaluate_every": 4}
    return ParityDistillation(**{**quick, "most_rise": None, **options})


def fitted(model: LanguageModel, **options: Any) -> AdapterEdit:
    return method(**options).fit(model, SUPPLY, seed=0)


def scores(model: LanguageModel) -> list[tuple[float, ...]]:
    return [tuple(answer.token_logprobs) for answer in model.score(REQUESTS)]


def test_texts_of_other_groups_come_nearer_to_each_other() -> None:
    model = tiny_model("llama", context=512)
    edit = fitted(model)

    def gap(subject: LanguageModel) -> float:
        """Of what is said after words of groups that are exchanged."""
        ends = [" waited.", " was open.", " took it."]
        pairs = [
            [Continuation(context=f"{who}", continuation=end) for end in ends]
            for who in ("He", "She")
        ]
        first, second = (subject.score(each) for each in pairs)
        return sum(abs(a.logprob - b.logprob) for a, b in zip(first, second, strict=True))

    before = gap(model)
    with edit.attached(model) as edited:
        assert gap(edited) < 0.8 * before
    curves: Any = edit.info.report["curves"]
    assert curves["total"][-1] < 0.7 * curves["total"][0]


def test_at_strength_0_the_adapter_changes_no_bit() -> None:
    model = tiny_model("llama", context=512)
    edit = fitted(model, strength=0)
    before = scores(model)
    with edit.attached(model) as edited:
        assert scores(edited) == before
    assert "steps" not in edit.info.report


def test_the_report_says_what_was_learnt_and_all_of_it_is_marked() -> None:
    edit = fitted(tiny_model("llama", context=512))
    report: Any = edit.info.report
    assert (report["sets"], report["neutral_texts"], report["left_out"]) == (4, 2, {})
    assert report["texts"] > 4 + 2
    assert {text_sha256(text) for text in TEXTS} <= edit.info.trained_on
    assert text_sha256("He took his bag.") in edit.info.trained_on  # an exchange that was learnt
    assert "held_out_divergence" not in report  # nothing is


def test_texts_are_held_out_to_choose_the_weights() -> None:
    slow = DistilledAdapter(epochs=4, rank=4, batch_size=4, learning_rate=5e-4)
    texts = tuple(f"{who} {what}." for who in ("He", "She") for what in ("left", "sat", "was late"))
    subject = method(held_out=0.5, training=slow)
    edit = subject.fit(tiny_model("llama", context=512), replace(SUPPLY, texts=texts), seed=0)
    report: Any = edit.info.report
    divergence = report["held_out_divergence"]
    assert len(divergence) == len(report["held_out_perplexity"]) > 2
    assert min(divergence) < divergence[0]


def test_where_held_out_texts_come_no_nearer_it_says_what_to_do() -> None:
    rough = DistilledAdapter(epochs=2, rank=4, batch_size=2, learning_rate=1.0)
    with pytest.raises(ModelError, match=r"must come nearer .* lower training.learning_rate"):
        fitted(tiny_model("llama", context=512), held_out=0.3, training=rough)


def test_sets_are_shared_out_among_the_axes() -> None:
    many = [f"He met number {number}." for number in range(50)]
    few = ["A Muslim came.", "A Christian left."]
    supply = replace(SUPPLY, texts=(*many, *few))
    sets, neutral = method(sets=10, axes=("gender", "religion")).choose(supply, seed=0)
    texts = [each[0].text for each in sets]
    assert set(few) <= set(texts)
    assert len(texts) == 5 + len(few)
    assert neutral == []


def test_the_seed_draws_what_is_learnt() -> None:
    chosen = [
        method(sets=2, axes=("gender",)).choose(SUPPLY, seed=seed)[0] for seed in (0, 0, 1, 2)
    ]
    assert chosen[0] == chosen[1]
    assert any(chosen[0] != other for other in chosen[2:])


def test_a_limit_that_is_passed_ends_it_and_the_best_weights_are_kept() -> None:
    monitor = HeldOutTargets(
        forward=RowForward(tiny_model("llama")),
        targets=ExchangeTargets(),
        every=1,
        most_rise=0.02,
        values=[(1.0, 5.0), (0.5, 5.01)],
    )
    assert monitor.is_best
    monitor.values.append((0.4, 5.0 + math.log(1.03)))
    assert not monitor.is_best
    monitor.values.append((0.6, 5.0))
    assert not monitor.is_best
    state = monitor.state()
    monitor.values.clear()
    monitor.restore(state)
    assert monitor.values[2][0] == 0.4


def test_texts_without_a_group_of_the_axes_are_refused() -> None:
    supply = replace(SUPPLY, texts=TEXTS[4:])
    with pytest.raises(RecipeError, match="mention a group of gender, got 2 texts without any"):
        method(axes=("gender",)).fit(tiny_model("llama"), supply, seed=0)


def test_texts_that_are_too_long_with_their_exchanges_are_counted_and_refused() -> None:
    model = tiny_model("llama", context=512)
    short = DistilledAdapter(max_tokens=6, epochs=1, rank=2)
    with pytest.raises(RecipeError, match=r"at most 6 tokens .* raise training.max_tokens"):
        fitted(model, training=short, axes=("gender", "race"))


def test_the_model_is_as_it_was() -> None:
    model = tiny_model("llama", context=512)
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    fitted(model)
    after = model.module.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
