"""NPO: its gradient in closed form, its limits, and what it does to the selected rows."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from chat_forms import chat_model
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from training_rows import PROBES, QUICK, ROWS, SUPPLY, TEXTS, TRAINING, Known

from equipoise.edits.adapter import AdapterEdit
from equipoise.errors import ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.finetune import Finetune
from equipoise.mitigate.npo import Npo, npo_loss
from equipoise.plugins import build
from equipoise.records import Continuation
from equipoise.rows import text_sha256
from equipoise.testing import check_mitigation, tiny_model
from equipoise.training import row_unlearning
from equipoise.training.row_forward import RowForward
from equipoise.training.row_unlearning import UNBIASED_REQUEST

NATS = st.lists(st.floats(-8, -0.01), min_size=1, max_size=4)


def leaf(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


@pytest.mark.thorough
@settings(max_examples=25)
@given(st.lists(st.tuples(NATS, NATS), min_size=1, max_size=4), st.floats(0.05, 2))
def test_its_gradient_is_that_of_ascent_by_a_weight_in_closed_form(
    rows: list[tuple[list[float], list[float]]], beta: float
) -> None:
    """Half of w = 2 pi^beta / (pi^beta + ref^beta), a half at the reference itself."""
    now = [leaf(*first[: len(second)]) for first, second in rows]
    before = [torch.tensor(second[: len(first)], dtype=torch.float64) for first, second in rows]
    npo_loss(now, before, beta=beta).backward()  # type: ignore[no-untyped-call]
    for row, other in zip(now, before, strict=True):
        pi, ref = (math.exp(beta * float(values.detach().sum())) for values in (row, other))
        weight = 2 * pi / (pi + ref)
        expected = torch.full_like(row, weight / 2 / len(now))
        torch.testing.assert_close(row.grad, expected)


def test_as_beta_goes_to_0_it_becomes_half_of_ascent() -> None:
    now = [leaf(-1.0, -2.0), leaf(-0.5)]
    npo_loss(now, [torch.tensor([-3.0, -3.0]), torch.tensor([-0.1])], beta=1e-9).backward()  # type: ignore[no-untyped-call]
    for row in now:
        torch.testing.assert_close(row.grad, torch.full_like(row, 0.25))


def test_a_forgotten_row_has_no_gradient_left() -> None:
    now = [leaf(-400.0)]
    npo_loss(now, [torch.tensor([-1.0])], beta=0.1).backward()  # type: ignore[no-untyped-call]
    assert float(now[0].grad) < 1e-15  # type: ignore[arg-type]


def test_at_token_level_each_token_is_a_row_of_its_own() -> None:
    now, before = [leaf(-1.0, -2.0), leaf(-3.0)], [torch.tensor([-1.5, -1.0]), torch.tensor([-3.0])]

    def term(ratio: float) -> float:
        return math.log(1 + math.exp(0.5 * ratio)) / 0.5

    value = npo_loss(now, before, beta=0.5, level="token")
    assert float(value.detach()) == pytest.approx((term(0.5) + term(-1.0) + term(0.0)) / 2)
    whole = npo_loss(now, before, beta=0.5)
    assert float(whole.detach()) == pytest.approx((term(-0.5) + term(0.0)) / 2)


def method(**options: Any) -> Npo:
    chosen = {"training": TRAINING, "attributor": Known(), "share": 1 / 3, "learning_rate": 1e-2}
    return Npo(**{**chosen, "batch_size": 8, "most_rise": None, **options})


def fitted(model: LanguageModel | None = None, **options: Any) -> AdapterEdit:
    return method(**options).fit(model or tiny_model(), SUPPLY, seed=0)


def loglikelihoods(edit: AdapterEdit, *, biased: bool) -> float:
    """Mean over rows of a kind, per token."""
    rows = [row for row in ROWS if row.biased == biased]
    with edit.attached(tiny_model()) as edited:
        scored = edited.score([Continuation(context="", continuation=row.text) for row in rows])
    return sum(row.mean for row in scored) / len(rows)


@pytest.mark.thorough
@pytest.mark.parametrize("level", ["sequence", "token"])
def test_selected_rows_become_less_likely_than_by_the_biased_model(level: str) -> None:
    biased = Finetune(training=TRAINING).fit(tiny_model(), SUPPLY, seed=0)
    edit = fitted(level=level)
    assert loglikelihoods(edit, biased=True) < loglikelihoods(biased, biased=True) - 0.1


@pytest.mark.thorough
def test_the_first_loss_is_that_of_equal_models() -> None:
    without = replace(TRAINING, dropout=0.0)
    loss = fitted(beta=0.2, training=without).info.report["first_loss"]
    assert loss == pytest.approx(math.log(2) / 0.2, rel=1e-5)


@pytest.mark.thorough
def test_the_reference_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    measured = RowForward.measured

    def counted(self: RowForward, rows: Any) -> Any:
        calls.append(len(rows.ids))
        return measured(self, rows)

    monkeypatch.setattr(RowForward, "measured", counted)
    fitted(steps=4)
    assert calls == [8]


@pytest.mark.thorough
def test_its_budget_is_the_tokens_of_the_fine_tuning() -> None:
    report = fitted().info.report
    tokens, budget = report["tokens"], report["finetune_tokens"]
    assert abs(tokens - budget) < 8 * 20 / 2  # type: ignore[operator]  # half a step
    assert report["finetune_steps"] == 6
    assert report["stopped_early"] is False
    assert "as many tokens" in str(report["budget"])
    asked = fitted(steps=2).info.report
    assert (asked["steps"], asked["budget"]) == (2, "2 steps, as asked")


@pytest.mark.thorough
def test_what_it_looked_at_may_not_be_measured() -> None:
    learnt = fitted(most_rise=10.0).info.trained_on
    assert {text_sha256(TEXTS[0]), text_sha256(PROBES[0].stereotype)} < learnt
    assert text_sha256(PROBES[2].stereotype) not in learnt
    assert text_sha256(TEXTS[0]) not in fitted().info.trained_on


@pytest.mark.thorough
def test_a_rise_of_neutral_perplexity_ends_it_and_is_undone() -> None:
    edit = fitted(steps=12, evaluate_every=1, most_rise=0.05, learning_rate=2e-2)
    report = edit.info.report
    assert report["stopped_early"] is True
    assert 1 < report["steps"] < 12  # type: ignore[operator]
    biased = Finetune(training=TRAINING).fit(tiny_model(), SUPPLY, seed=0)
    assert perplexity(edit) <= 1.05 * perplexity(biased) * (1 + 1e-5)


def perplexity(edit: AdapterEdit) -> float:
    with edit.attached(tiny_model()) as edited:
        scored = edited.score([Continuation(context="", continuation=text) for text in TEXTS])
    tokens = sum(text.tokens for text in scored)
    return math.exp(-sum(text.logprob for text in scored) / tokens)


@pytest.mark.thorough
def test_a_limit_that_is_passed_at_once_is_said() -> None:
    with pytest.raises(ModelError, match=r"rose from \d.* in the first 5 steps; lower .*it is 0.5"):
        fitted(most_rise=1e-3, learning_rate=0.5)


@pytest.mark.thorough
def test_a_limit_needs_neutral_texts() -> None:
    biased = replace(SUPPLY, texts=(), rows=[row for row in ROWS if row.biased])
    with pytest.raises(RecipeError, match="most_rise needs neutral texts, got 0"):
        method(most_rise=0.1).fit(tiny_model(), biased, seed=0)
    long = replace(SUPPLY, texts=("very " * 100,))
    with pytest.raises(RecipeError, match="of at most 256 tokens, got 1 longer ones"):
        method(most_rise=0.1).fit(tiny_model(), long, seed=0)


@pytest.mark.thorough
def test_rows_may_be_answers_of_a_chat(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    model = chat_model("qwen")
    prepare = row_unlearning.learnable_rows

    def seen(tokenize: Any, rows: Any, places: Any) -> Any:
        learnt = prepare(tokenize, rows, places)
        read.append(model.tokenizer.decode(learnt.read([0]).ids[0], skip_special_tokens=False))
        return learnt

    monkeypatch.setattr(row_unlearning, "learnable_rows", seen)
    fitted(model, chat=True, steps=1)
    turns = [f"user\n{UNBIASED_REQUEST}", f"assistant\n{ROWS[0].text}"]
    assert read == ["".join(f"<|im_start|>{turn}<|im_end|>\n" for turn in turns)]


def test_a_chat_needs_a_template() -> None:
    with pytest.raises(ModelError, match="needs a chat template"):
        fitted(chat=True)


@pytest.mark.thorough
def test_it_begins_where_finetune_ends() -> None:
    """With next to no steps' worth of rate it is the fine-tuned adapter."""
    edit = fitted(steps=1, learning_rate=1e-7)
    biased = Finetune(training=TRAINING).fit(tiny_model(), SUPPLY, seed=0)
    for name, value in biased.tensors.items():
        torch.testing.assert_close(edit.tensors[name], value, rtol=0, atol=1e-6)


def test_its_options_are_those_of_a_recipe() -> None:
    built = build(Mitigation, "npo", {"training": QUICK, "beta": 0.2, "attributor": "loss"})
    assert isinstance(built, Npo)
    assert built.unlearning() == replace(TRAINING, learning_rate=5e-5, batch_size=16)


@pytest.mark.thorough
def test_it_holds_what_every_mitigation_must() -> None:
    check_mitigation(method(), supply=SUPPLY)
