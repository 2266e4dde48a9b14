"""MEND: the closed form of its shift, the slope of alpha, and what its edits do to a tiny model."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from equipoise.edits.weights import WeightEdit
from equipoise.errors import ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.mend import Mend, _MendEditor
from equipoise.model_editing.hypernetwork import _editor_loss
from equipoise.model_editing.prompt_edits import PromptEdits
from equipoise.model_editing.target_modules import Rows, select_target_modules, shifted
from equipoise.models.hooks import frozen
from equipoise.records import NextToken, Supply
from equipoise.testing import tiny_model, tiny_supply

WHOLE = tiny_supply()
SUPPLY = replace(WHOLE, prompts=WHOLE.prompts[:6], dev=WHOLE.dev[:2], hinted=WHOLE.hinted[:2])
FEW = replace(SUPPLY, prompts=WHOLE.prompts[:2])
QUICK = Mend(rank=4, epochs=1, batch_size=3, blocks=(-1,), learning_rate=1e-3)


def fit(model: LanguageModel, supply: Supply = SUPPLY, **options: object) -> WeightEdit:
    return replace(QUICK, **options).fit(model, supply, seed=0)  # type: ignore[arg-type]


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def prompt_edits(model: LanguageModel, *, target: str = "anti", blocks: int = -1) -> PromptEdits:
    targets = select_target_modules(model, (blocks,), projections="all")
    return PromptEdits(
        model,
        targets,
        SUPPLY,
        words=(" he", " she"),
        target=target,  # type: ignore[arg-type]
        edit_weight=0.1,
        locality_weight=1.0,
    )


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    """A model that no test changes."""
    return tiny_model()


def test_an_untrained_editor_takes_a_step_against_the_normalized_gradient() -> None:
    editor = _MendEditor([(2, 2)], method=replace(QUICK, edit_rate=0.25), size=1, seed=0)
    keys = torch.tensor([[1.0, 2.0], [3.0, 2.0]])
    gradients = torch.tensor([[4.0, 0.0], [0.0, 2.0]])
    editor.observe(0, keys, gradients)
    spread = 2**0.5 / 2  # of two rows: -, + half of the difference over its deviation
    new_keys = torch.tensor([[-spread, 0.0], [spread, 0.0]])  # the second key is constant
    direction = torch.tensor([[spread, -spread], [-spread, spread]])
    expected = -0.25 * (
        torch.outer(new_keys[0], direction[0]) + torch.outer(new_keys[1], direction[1])
    )
    torch.testing.assert_close(editor.shift(0, keys, gradients), expected)


def test_a_layer_clamps_after_its_scale_and_shift() -> None:
    editor = _MendEditor([(1, 1), (1, 1)], method=QUICK, size=1, seed=0)
    layer = editor.networks[0].layers[0]  # type: ignore[index, union-attr]
    with torch.no_grad():
        layer.down.copy_(torch.ones(2, 4))
        layer.up.copy_(torch.full((4, 2), 0.5))
        layer.bias.copy_(torch.tensor([1.0, -9.0]))
        layer.scale[1] = torch.tensor([-1.0, -1.0])
        layer.shift[1] = torch.tensor([12.0, 0.0])
    # x A B + bias = 2 (1 + 2) + bias = [7, -3]
    rows = torch.tensor([[1.0, 2.0]])
    assert layer(rows, 0).tolist() == [[1.0 + 7.0, 2.0]]
    assert layer(rows, 1).tolist() == [[1.0 + 5.0, 2.0 + 3.0]]


def test_alpha_0_leaves_every_bit(model: LanguageModel) -> None:
    targets = select_target_modules(model, None, projections="all")
    editor = _MendEditor(targets.shapes, method=QUICK, size=1, seed=0)
    with torch.no_grad():
        editor.rates.zero_()
    shifts = [
        editor.shift(index, drawn(5, into), drawn(5, out, seed=1))
        for index, (into, out) in enumerate(targets.shapes)
    ]
    for name, weight in targets.weights(shifts).items():
        assert torch.equal(weight, model.module.get_parameter(name))


@pytest.mark.parametrize("target", ["anti", "parity"])
def test_alpha_has_the_slope_of_finite_differences(target: str) -> None:
    model = tiny_model()
    model.module.double()
    with frozen(model.module):
        edits = prompt_edits(model, target=target)
        editor = _MendEditor(edits.targets.shapes, method=QUICK, size=1, seed=0).double()

        def rows(batch: Sequence[int]) -> list[list[Rows]]:
            return [[(u.double(), d.double()) for u, d in part] for part in edits.rows(batch)]

        loss = _editor_loss(editor, rows, edits.loss_parts, edits.device, 1)

        def value() -> Tensor:
            return loss(editor, torch.tensor([0, 3]), 0)

        value().backward()
        assert editor.rates.grad is not None
        slope = float(editor.rates.grad[0])
        ends = []
        # the loss is float32, so that smaller steps would measure its rounding
        for step in (1e-3, -2e-3):
            with torch.no_grad():
                editor.rates[0] += step
            ends.append(float(value().detach()))
    assert abs(slope) > 1e-4
    assert slope == pytest.approx((ends[0] - ends[1]) / 2e-3, rel=2e-3)


def test_rows_are_the_gradient_of_the_weight(model: LanguageModel) -> None:
    edits = prompt_edits(model, blocks=0)
    (part,) = edits.rows([1])
    prompts, wanted = torch.tensor([1]), edits.less_likely[[1]]
    weights = [module.get_parameter("weight") for module in edits.targets.modules]
    gradients = torch.autograd.grad(edits.losses(prompts, wanted), weights)
    for (keys, outputs), gradient in zip(part, gradients, strict=True):
        torch.testing.assert_close(keys.T @ outputs, gradient.T, rtol=1e-4, atol=1e-6)
        assert bool(outputs.any(-1).all())


@pytest.mark.thorough
def test_all_projections_of_the_last_blocks_are_edited() -> None:
    llama, gpt2 = (fit(tiny_model(family), FEW) for family in ("llama", "gpt2"))
    assert list(llama.tensors) == [
        f"model.layers.1.mlp.{name}_proj.weight" for name in ("gate", "up", "down")
    ]
    assert list(gpt2.tensors) == [
        f"transformer.h.1.mlp.{name}.weight" for name in ("c_fc", "c_proj")
    ]
    assert gpt2.info.report["blocks"] == [1]


@pytest.mark.thorough
@pytest.mark.parametrize("target", ["anti", "parity"])
def test_edits_do_what_they_are_asked(model: LanguageModel, target: str) -> None:
    edit = fit(model, target=target, edit_rate=1e-3, epochs=2)
    asked = [NextToken(context=prompt.text, words=(" he", " she")) for prompt in SUPPLY.prompts]
    before = torch.tensor([answer.logprobs for answer in model.next_token(asked)])
    with edit.attached(model) as edited:
        after = torch.tensor([answer.logprobs for answer in edited.next_token(asked)])
    if target == "anti":
        less_likely = before.argmin(-1, keepdim=True)
        assert bool((after.gather(1, less_likely) > before.gather(1, less_likely)).all())
    else:
        gaps = [float((words[:, 0] - words[:, 1]).abs().mean()) for words in (before, after)]
        assert gaps[1] < 0.5 * gaps[0]


def test_an_edit_of_all_prompts_at_once_is_the_sum_of_their_shifts(model: LanguageModel) -> None:
    """The editor's shift is a sum over rows, so that all at once is each of the original model."""
    edits = prompt_edits(model)
    editor = _MendEditor(edits.targets.shapes, method=QUICK, size=1, seed=0)
    (whole,) = edits.rows(range(edits.count))
    parts = [part for number in range(edits.count) for part in edits.rows([number])]
    for index, rows in enumerate(whole):
        apart = torch.stack([editor.shift(index, *part[index]) for part in parts]).sum(0)
        torch.testing.assert_close(editor.shift(index, *rows), apart, rtol=1e-4, atol=1e-7)


@pytest.mark.thorough
def test_later_edits_are_of_the_model_that_earlier_ones_left(model: LanguageModel) -> None:
    edits = prompt_edits(model)
    shifts = [drawn(*shape) * 0.1 for shape in edits.targets.shapes]
    (before,) = edits.rows([0])
    with shifted(edits.targets, shifts):
        (after,) = edits.rows([0])
    assert not torch.equal(before[-1][1], after[-1][1])
    one_by_one, at_once = fit(model, FEW), fit(model, FEW, edit_size=0)
    assert one_by_one.content != at_once.content


@pytest.mark.thorough
def test_the_trajectory_has_an_entry_at_the_start_every_few_edits_and_at_the_end(
    model: LanguageModel,
) -> None:
    report = fit(model, trajectory_every=4).info.report
    trajectory = report["trajectory"]
    assert isinstance(trajectory, dict)
    assert trajectory["edits"] == [0, 4, 6]
    assert {len(column) for column in trajectory.values()} == {3}  # type: ignore[arg-type]
    assert report["locality"] == "texts"
    assert len(report["alpha"]) == len(report["modules"])  # type: ignore[arg-type]


@pytest.mark.thorough
def test_without_texts_hinted_prompts_are_held_and_without_both_it_is_said(
    model: LanguageModel,
) -> None:
    hinted = replace(FEW, texts=())
    assert fit(model, hinted).info.report["locality"] == "hinted"
    bare = replace(hinted, hinted=())
    with pytest.raises(RecipeError, match="set locality_weight to 0"):
        fit(model, bare)
    assert fit(model, bare, locality_weight=0.0).info.report["locality"] is None


@pytest.mark.parametrize("rate", [1e-30, 1e30])
def test_rates_that_are_too_small_or_too_large_are_said(model: LanguageModel, rate: float) -> None:
    with pytest.raises(ModelError, match=r"finite|must change weights"):
        fit(model, edit_rate=rate, rate_learning_rate=1e-30, learning_rate=1e-30)


def test_a_masked_model_and_words_that_are_alike_are_refused(model: LanguageModel) -> None:
    with pytest.raises(ModelError, match="tiny-bert@0"):
        fit(tiny_model("bert"))
    with pytest.raises(RecipeError, match="no word may begin another"):
        fit(model, words=(" he", " he"))
    with pytest.raises(RecipeError, match="blocks must be different numbers"):
        fit(model, blocks=(7,))
