"""DAMA: what its projection is, what it removes, and the control of the same rank."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from equipoise.edits.edit import fingerprint
from equipoise.edits.weights import WeightEdit
from equipoise.errors import ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.dama import Dama, random_directions, removed_directions
from equipoise.records import Supply
from equipoise.testing import tiny_model, tiny_supply

WHOLE = tiny_supply()
SUPPLY = replace(WHOLE, prompts=WHOLE.prompts[:8], dev=WHOLE.dev[:2], hinted=WHOLE.hinted[:2])
QUICK = Dama(prefixes=0, value_steps=3, components=4)


def fit(model: LanguageModel, supply: Supply = SUPPLY, **options: object) -> WeightEdit:
    return replace(QUICK, **options).fit(model, supply, seed=0)  # type: ignore[arg-type]


def drawn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    """A model that no test changes."""
    return tiny_model()


@pytest.mark.thorough  # scikit-learn takes a second to import
@pytest.mark.parametrize("count", [0, 1, 5])
@pytest.mark.parametrize("kind", ["pls", "random"])
def test_the_projection_is_symmetric_idempotent_and_of_rank_d_minus_n(
    count: int, kind: str
) -> None:
    outputs, contrast = drawn(20, 9), drawn(20, 9, seed=1)
    if kind == "pls":
        basis = removed_directions(outputs, contrast, count)
    else:
        basis = random_directions(9, count, seed=0)
    projection = torch.eye(9, dtype=torch.float64) - basis @ basis.T
    torch.testing.assert_close(projection, projection.T)
    torch.testing.assert_close(projection @ projection, projection)
    assert int(torch.linalg.matrix_rank(projection)) == 9 - count


@pytest.mark.thorough  # scikit-learn takes a second to import
def test_the_first_direction_is_that_of_the_largest_covariance() -> None:
    """The first weight of partial least squares is a singular vector, computed here by itself."""
    outputs, contrast = drawn(20, 9), drawn(20, 9, seed=1)
    centered = (outputs - outputs.mean(0)).T @ (contrast - contrast.mean(0))
    left, _, _ = np.linalg.svd(centered.numpy())
    (direction,) = removed_directions(outputs, contrast, 1).T
    assert abs(float(direction @ torch.from_numpy(left[:, 0]))) == pytest.approx(1, abs=1e-5)


@pytest.mark.thorough  # scikit-learn takes a second to import
def test_directions_that_do_not_predict_the_contrast_stay() -> None:
    outputs = drawn(40, 6)
    contrast = torch.outer(outputs[:, 2], drawn(6, seed=1))
    outputs[:, [0, 1, 3, 4, 5]] -= (
        outputs[:, [2]]
        * (outputs.T @ outputs[:, 2])[[0, 1, 3, 4, 5]]
        / (outputs[:, 2] @ outputs[:, 2])
    )
    outputs -= outputs.mean(0)
    basis = removed_directions(outputs, contrast - contrast.mean(0), 1)
    assert abs(float(basis[2, 0])) == pytest.approx(1, abs=0.05)


@pytest.mark.thorough  # scikit-learn takes a second to import
def test_less_to_predict_gives_fewer_directions() -> None:
    outputs = drawn(20, 9)
    still = torch.ones(20, 9, dtype=torch.float64)  # the same contrast after every prompt
    assert removed_directions(outputs, still, 3).shape == (9, 0)


@pytest.mark.thorough
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_the_layer_puts_out_nothing_along_the_removed_directions(family: str) -> None:
    model = tiny_model(family)
    edit = fit(model)
    (name,) = edit.tensors
    before, after = model.module.get_parameter(name).detach(), edit.tensors[name]
    if family == "llama":  # [output, input], and GPT-2's Conv1D the other way round
        before, after = before.T, after.T
    change = after - before
    left, sizes, right = torch.linalg.svd(change.double(), full_matrices=False)
    assert int((sizes > 1e-5 * sizes[0]).sum()) == 4
    removed = right[:4].T  # [output, direction]
    assert float((after.double() @ removed).abs().max()) < 1e-5
    kept = torch.eye(len(removed), dtype=torch.float64) - removed @ removed.T
    torch.testing.assert_close(after.double(), before.double() @ kept, rtol=1e-4, atol=1e-6)
    assert left.shape[1] > 4


@pytest.mark.thorough
def test_no_components_leave_every_bit(model: LanguageModel) -> None:
    edit = fit(model, components=0)
    assert edit.info.report["components"] == 0
    for name, weight in edit.tensors.items():
        assert torch.equal(weight, model.module.get_parameter(name))


@pytest.mark.thorough
def test_the_random_control_has_the_same_rank_and_other_directions(model: LanguageModel) -> None:
    edit, control = fit(model), fit(model, projection="random")
    assert edit.tensors.keys() == control.tensors.keys()
    (name,) = edit.tensors
    before = model.module.get_parameter(name).detach()
    ranks = [
        int(torch.linalg.matrix_rank((each.tensors[name] - before).double(), rtol=1e-5))
        for each in (edit, control)
    ]
    assert ranks == [4, 4]
    assert edit.content != control.content


@pytest.mark.thorough
def test_layers_are_projected_one_after_another_from_the_lowest() -> None:
    model = tiny_model(blocks=3)
    names = [name for name, _ in model.module.named_parameters()]
    before = fingerprint(model.module, names)
    options = {"blocks": (2, 1), "value_steps": 2, "components": 2}
    one_by_one, together = fit(model, **options), fit(model, iterative=False, **options)
    assert fingerprint(model.module, names) == before
    first, second = (f"model.layers.{block}.mlp.down_proj.weight" for block in (1, 2))
    assert list(one_by_one.tensors) == [first, second]
    # the lowest is the same, the one above sees another model
    assert torch.equal(one_by_one.tensors[first], together.tensors[first])
    assert not torch.equal(one_by_one.tensors[second], together.tensors[second])
    trajectory = one_by_one.info.report["trajectory"]
    assert isinstance(trajectory, dict)
    assert trajectory["edits"] == [0, 1, 2]


@pytest.mark.parametrize(("blocks", "chosen"), [(1, [0]), (2, [1]), (6, [4, 5])])
def test_the_blocks_are_the_papers_share_of_the_depth(blocks: int, chosen: list[int]) -> None:
    method = replace(QUICK, components=0, value_steps=2, covariance="identity")
    supply = replace(SUPPLY, prompts=SUPPLY.prompts[:2])
    report = method.fit(tiny_model(blocks=blocks), supply, seed=0).info.report
    assert report["blocks"] == chosen
    assert report["covariance"] == "identity"


@pytest.mark.thorough  # scikit-learn takes a second to import
def test_more_components_than_prompts_are_refused_and_the_default_fits(
    model: LanguageModel,
) -> None:
    with pytest.raises(RecipeError, match="components must be at most 7"):
        fit(model, components=8)
    few = replace(SUPPLY, prompts=SUPPLY.prompts[:3])
    assert fit(model, few, components=None).info.report["components"] == 2


def test_what_it_needs_is_said(model: LanguageModel) -> None:
    with pytest.raises(RecipeError, match="dama needs prompts"):
        fit(model, replace(SUPPLY, prompts=()))
    with pytest.raises(ModelError):
        fit(tiny_model("bert"))
    without = tuple(replace(prompt, groups={}) for prompt in SUPPLY.prompts)
    with pytest.raises(RecipeError, match="must hold its subject"):
        fit(model, replace(SUPPLY, prompts=without))


def test_without_scikit_learn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sklearn.cross_decomposition", None)
    with pytest.raises(RecipeError, match=r"pip install 'equipoise\[editing\]'"):
        removed_directions(drawn(5, 4), drawn(5, 4, seed=1), 1)
