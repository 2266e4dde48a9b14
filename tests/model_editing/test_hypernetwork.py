"""The editor: a ridge regression, an untrained step, statistics, and what is shared."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from equipoise.model_editing.hypernetwork import Editor, regress, solve_ridge


def small(shapes: list[tuple[int, int]], *, rate: float = 0.25, seed: int = 0) -> Editor:
    return Editor(shapes, rank=5, rate=rate, seed=seed)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def parameter(editor: Editor, name: str) -> Tensor:
    return dict(editor.named_parameters())[name]


@pytest.mark.thorough
@settings(max_examples=25)
@given(rows=st.integers(1, 8), seed=st.integers(0, 99), log_ridge=st.floats(-3, 3))
def test_the_shift_is_the_ridge_regression_however_it_is_solved(
    rows: int, seed: int, log_ridge: float
) -> None:
    keys, values = drawn(rows, 4, seed=seed).double(), drawn(rows, 3, seed=seed + 1).double()
    ridge = torch.tensor(log_ridge).exp()
    shift = solve_ridge(keys, values, ridge)
    half_gradient = keys.T @ (keys @ shift - values) + ridge.double() * shift
    assert float(half_gradient.abs().max()) < 1e-9
    half = rows // 2
    gram = keys[:half].T @ keys[:half] + keys[half:].T @ keys[half:]
    cross = keys[:half].T @ values[:half] + keys[half:].T @ values[half:]
    torch.testing.assert_close(shift, regress(gram, cross, ridge.double()))


def test_an_untrained_editor_steps_against_the_normalized_gradient() -> None:
    editor = small([(2, 2)])
    keys = torch.tensor([[1.0, 2.0], [3.0, 2.0]])
    gradients = torch.tensor([[4.0, 0.0], [0.0, 2.0]])
    editor.observe(0, keys, gradients)
    spread = 2**0.5 / 2  # of two rows: -, + half of the difference over its deviation
    new_keys = torch.tensor([[-spread, 0.0], [spread, 0.0]])  # the second key is constant
    direction = torch.tensor([[spread, -spread], [-spread, spread]])
    expected = -0.25 * (keys * new_keys).sum(-1, keepdim=True) * direction
    torch.testing.assert_close(editor.values(0, keys, gradients), expected)


def test_a_rate_of_0_changes_nothing_at_first() -> None:
    editor = small([(4, 3)], rate=0.0)
    shift = editor.shift(0, drawn(6, 4), drawn(6, 3)).detach()
    assert float(shift.abs().max()) == 0


def test_every_part_of_the_editor_can_learn_from_the_start() -> None:
    editor = small([(4, 3)])
    editor.shift(0, drawn(6, 4), drawn(6, 3, seed=1)).square().sum().backward()
    idle = {
        name
        for name, weight in editor.named_parameters()
        if weight.grad is None or not bool(weight.grad.any())
    }
    # A layer is 0 before its `up` is trained, so that what feeds and what scales it waits for it.
    assert idle == {f"networks.0.layers.{n}.{part}" for n in (0, 1) for part in ("down", "scale")}


def test_modules_of_one_shape_share_a_network_and_not_their_scales() -> None:
    editor = small([(4, 3), (5, 3), (4, 3)])
    assert len(editor.networks) == 2
    assert parameter(editor, "networks.0.layers.0.scale").shape == (2, 7)
    assert parameter(editor, "networks.1.layers.0.scale").shape == (1, 8)
    assert parameter(editor, "networks.1.layers.0.down").shape == (8, 5)
    keys, gradients = drawn(6, 4), drawn(6, 3)
    assert editor.shift(2, keys, gradients).shape == (4, 3)
    first, third = (editor.values(index, keys, gradients) for index in (0, 2))
    assert torch.equal(first, third)
    with torch.no_grad():
        parameter(editor, "networks.0.layers.1.shift")[1] += 1.0
    assert torch.equal(editor.values(0, keys, gradients), first)
    assert not torch.equal(editor.values(2, keys, gradients), third)


def test_the_ridge_weight_has_the_slope_of_finite_differences() -> None:
    editor = small([(4, 3)]).double()
    keys, gradients = drawn(6, 4).double(), drawn(6, 3, seed=1).double()
    target = drawn(4, 3, seed=2).double()

    def value() -> Tensor:
        return (editor.shift(0, keys, gradients) * target).sum()

    value().backward()
    assert editor.ridges.grad is not None
    slope = float(editor.ridges.grad[0])
    ends = []
    with torch.no_grad():
        for step in (1e-4, -2e-4):
            editor.ridges += step
            ends.append(float(value()))
    assert slope == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-4)


def test_statistics_do_not_depend_on_the_batches() -> None:
    keys, gradients = drawn(7, 4) * 3 + 2, drawn(7, 3, seed=1) * 1e-6
    whole, cut = (small([(4, 3)]) for _ in range(2))
    whole.observe(0, keys, gradients)
    for part in (slice(0, 1), slice(1, 1), slice(1, 5), slice(5, 7)):
        cut.observe(0, keys[part], gradients[part])
    normalized, other = (
        editor.networks[0].normalizer(torch.cat([keys, gradients], -1))  # type: ignore[operator, union-attr]
        for editor in (whole, cut)
    )
    torch.testing.assert_close(normalized, other)
    torch.testing.assert_close(normalized.mean(0), torch.zeros(7), atol=1e-5, rtol=0)
    torch.testing.assert_close(normalized.std(0), torch.ones(7))  # however small the gradients are


def test_seed_determines_the_editor() -> None:
    editor, again, reseeded = (small([(4, 3)], seed=seed) for seed in (1, 1, 2))
    name = "networks.0.layers.0.down"
    assert torch.equal(parameter(editor, name), parameter(again, name))
    assert not torch.equal(parameter(editor, name), parameter(reseeded, name))
