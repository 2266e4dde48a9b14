"""ROME and R-ROME: their closed forms, in plain float64, and what both leave alone."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from plain_editing import SUPPLY, exact_model, matrix, mean, put, shuffled_requests, states
from torch import Tensor

from equipoise.mitigate.memit import Memit
from equipoise.mitigate.r_rome import RRome, same_key_update
from equipoise.mitigate.rome import Rome, middle_block, random_update, rank_one_update
from equipoise.model_editing.context_templates import rome_prefixes
from equipoise.model_editing.covariance import covariances
from equipoise.model_editing.values import ValueSettings, optimize_values
from equipoise.models.anatomy import mlp_output
from equipoise.records import NextToken, Prompt
from equipoise.testing import tiny_model

GENERATOR = torch.Generator().manual_seed(0)
SETTINGS = ValueSettings(steps=3)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path))


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=GENERATOR, dtype=torch.float64)


def moment(features: int) -> Tensor:
    keys = draw(3 * features, features)
    return keys.T @ keys / len(keys)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("family", "rebuilt", "identity"),
    [
        *(("gpt2", rebuilt, identity) for rebuilt in (False, True) for identity in (False, True)),
        *(("llama", rebuilt, False) for rebuilt in (False, True)),
        ("gpt_neox", False, False),
        ("qwen2", True, True),
        ("gemma2", False, False),
    ],
)
def test_the_edit_is_the_plain_solution(family: str, rebuilt: bool, identity: bool) -> None:
    model = exact_model(family)
    words = (" he", " she")
    method = (RRome if rebuilt else Rome)(
        target="parity",
        block=1,
        prefixes=1,
        steps=3,
        limit=2,
        covariance="identity" if identity else "corpus",
    )
    edit = method.fit(model, SUPPLY, seed=3)
    module = mlp_output(model.module, 1)
    prefixes = rome_prefixes(model, each=1, seed=3)
    moment = covariances(model, (1,), SUPPLY.texts)[1].second_moment.double()
    moment = torch.eye(len(moment)).double() if identity else moment
    before = matrix(module).clone()
    for request in shuffled_requests(words, seed=3)[:2]:
        values = optimize_values(
            model, [request], prefixes, block=1, module=module, settings=SETTINGS
        )
        pairs = [states(model, request, prefix, module) for prefix in prefixes]
        key, output = mean([pair[0] for pair in pairs]), mean([pair[1] for pair in pairs])
        direction = torch.linalg.inv(moment) @ key
        plain_key, plain_output = pairs[0]
        if not rebuilt:
            key, output = plain_key, plain_output
        change = torch.outer(values.wanted[0] - output, direction) / (key @ direction)
        put(module, matrix(module) + change)
        if not rebuilt:
            _, reached = states(model, request, "", module)
            torch.testing.assert_close(reached, values.wanted[0])
    (tensor,) = edit.tensors.values()
    expected = module.get_parameter("weight").detach()
    scale = float((matrix(module) - before).abs().max())
    assert scale > 1e-3
    torch.testing.assert_close(tensor, expected, rtol=0, atol=1e-6 * scale)


def test_an_update_has_rank_one_and_leaves_conjugate_keys_alone() -> None:
    covariance, key, plain, residual = moment(6), draw(6), draw(6), draw(4)
    update = rank_one_update(key, plain, residual, covariance)
    assert int(torch.linalg.matrix_rank(update)) == 1
    torch.testing.assert_close(update @ plain, residual)
    other = draw(6)
    direction = torch.linalg.solve(covariance, key)
    # orthogonal to the key in the metric of C^-1
    other = other - key * (other @ direction) / (key @ direction)
    torch.testing.assert_close(update @ other, torch.zeros(4).double(), atol=1e-12, rtol=0)


def test_with_the_plain_prompt_alone_both_are_the_same() -> None:
    covariance, key, residual = moment(6), draw(6), draw(4)
    for matrix_of_keys in (covariance, None):
        torch.testing.assert_close(
            rank_one_update(key, key, residual, matrix_of_keys),
            same_key_update(key, residual, matrix_of_keys),
        )
    model = tiny_model("gpt2", context=64)
    edits = [
        method(prefixes=0, steps=3, limit=2, block=0).fit(model, SUPPLY, seed=0)
        for method in (Rome, RRome)
    ]
    for first, second in zip(*(edit.tensors.values() for edit in edits), strict=True):
        torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-5)


@pytest.mark.thorough
@pytest.mark.parametrize("method", [Rome, RRome, Memit])
def test_conv1d_and_linear_are_the_same_function(method: type[Rome | RRome | Memit]) -> None:
    weights = []
    for linear in (False, True):
        model = exact_model("gpt2", blocks=2)
        if linear:
            for number in range(2):
                mlp = model.module.get_submodule(f"transformer.h.{number}.mlp")
                conv = mlp.get_submodule("c_proj")
                mlp.c_proj = torch.nn.Linear(128, 32, dtype=torch.float64)
                mlp.c_proj.weight.data = conv.get_parameter("weight").data.T.clone()
                mlp.c_proj.bias.data = conv.get_parameter("bias").data.clone()
        edit = method(prefixes=0, steps=3, limit=2).fit(model, SUPPLY, seed=0)
        (tensor,) = edit.tensors.values()
        weights.append(tensor.T if linear else tensor)
        before = matrix(mlp_output(model.module, 0)).T
        assert float((weights[-1] - before).abs().max()) > 1e-3
    torch.testing.assert_close(*weights, rtol=1e-9, atol=1e-9)


def test_the_target_of_the_edited_prompt_becomes_likely() -> None:
    model = tiny_model("llama", context=64, width=128)  # logits of a narrow one are bounded
    prompt = Prompt(id="nurse", text="The nurse", groups={"profession": "nurse"})
    method = Rome(
        prefixes=0, steps=30, block=-1, clamp=50.0, weight_decay=0.0, kl=0.0, words=("s", "!")
    )
    edit = method.fit(model, replace(SUPPLY, prompts=(prompt,)), seed=0)
    targets = edit.info.report["targets"]
    assert isinstance(targets, dict)
    asked = [NextToken(context=prompt.text, words=tuple(targets))]
    (before,) = model.next_token(asked)
    with edit.attached(model):
        (after,) = model.next_token(asked)
    assert math.exp(before.logprobs[0]) < 0.1
    assert math.exp(after.logprobs[0]) > 0.9
    (name,) = edit.tensors
    change = edit.tensors[name] - model.module.get_parameter(name).detach()
    values = torch.linalg.svdvals(change.double())
    assert float(values[1] / values[0]) < 1e-5  # rank one, but for rounding


def test_a_random_key_is_a_control_of_the_same_rank_and_size() -> None:
    covariance = moment(6)
    update = rank_one_update(draw(6), draw(6), draw(4), covariance)
    for matrix_of_keys in (covariance, None):
        control = random_update(update, matrix_of_keys, torch.Generator().manual_seed(0))
        assert int(torch.linalg.matrix_rank(control)) == 1
        assert float(control.norm()) == pytest.approx(float(update.norm()))
        outputs = torch.linalg.svd(control).U[:, 0] @ torch.linalg.svd(update).U[:, 0]
        assert abs(float(outputs)) == pytest.approx(1.0)
        assert not torch.allclose(control, update, atol=1e-2)
    model = tiny_model(context=64)
    for method in (Rome, RRome):
        edits = [
            method(prefixes=0, steps=2, limit=1, key=key).fit(model, SUPPLY, seed=0)
            for key in ("subject", "random")
        ]
        shares = [edit.info.report["shift_share"][0] for edit in edits]  # type: ignore[index]
        assert shares[0] == pytest.approx(shares[1], rel=1e-4)
        assert edits[0].content != edits[1].content


def test_a_batch_has_every_request_at_its_value() -> None:
    model = exact_model("llama")
    method = Rome(prefixes=0, steps=3, block=1, batch_size=None, target="parity")
    edit = method.fit(model, SUPPLY, seed=0)
    module = mlp_output(model.module, 1)
    requests = shuffled_requests((" he", " she"), seed=0)
    values = optimize_values(
        model,
        requests,
        ("",),
        block=1,
        module=module,
        settings=method.value_settings(requests, clamp=4.0, weight_decay=0.5),
    )
    with edit.attached(model):
        _, output = states(model, requests[-1], "", module)
    torch.testing.assert_close(output, values.wanted[-1], rtol=1e-6, atol=1e-6)


def test_the_block_is_at_a_third_of_the_depth() -> None:
    assert [middle_block(tiny_model(blocks=n)) for n in (1, 2, 3, 6, 12)] == [0, 0, 1, 2, 4]
