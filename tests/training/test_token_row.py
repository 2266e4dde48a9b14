"""One trained row: the gradients of a full table's row, and nothing else touched."""

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from tiny_adapters import weights
from torch import Tensor, nn

from equipoise.errors import ModelError
from equipoise.inference.language_model import LanguageModel
from equipoise.testing import CAUSAL_FAMILIES, tiny_model
from equipoise.training.token_row import TokenRow, is_tied

NEW, PADDED = 259, 200  # the tables have 259 rows


def untied(model: LanguageModel) -> LanguageModel:
    """The same with an output layer of its own."""
    head = model.module.get_output_embeddings()
    noise = torch.randn(head.weight.shape, generator=torch.Generator().manual_seed(5))
    head.weight = nn.Parameter(head.weight.detach() + 0.1 * noise)
    model.module.config.tie_word_embeddings = False
    return model


def vectors(model: LanguageModel) -> tuple[Tensor, Tensor]:
    width = model.module.get_input_embeddings().weight.shape[1]
    generator = torch.Generator().manual_seed(7)
    return 0.3 * torch.randn(width, generator=generator), 0.3 * torch.randn(
        width, generator=generator
    )


def row_of(model: LanguageModel, token: int) -> TokenRow:
    first, second = vectors(model)
    return TokenRow(model, token, first, None if is_tied(model) else second)


def texts(token: int) -> tuple[Tensor, Tensor, Tensor]:
    """Token ids, which of them are no padding, and which are scored."""
    tokens = torch.tensor([[1, 70, token, 90, token, 71, 80], [1, token, token, 75, 60, 0, 0]])
    real = torch.tensor([[True] * 7, [True] * 5 + [False] * 2])
    scored = real.clone()
    scored[:, 0] = scored[0, 1] = False
    return tokens, real, scored


def full_table(model: LanguageModel, token: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    """A copy of the module with the row in its tables, all of which take gradients."""
    module = copy.deepcopy(model.module)
    if token == NEW:
        with torch.random.fork_rng():
            module.resize_token_embeddings(NEW + 1, mean_resizing=False)
    first, second = vectors(model)
    embeddings, head = module.get_input_embeddings(), module.get_output_embeddings()
    with torch.no_grad():
        head.weight[token] = first if is_tied(model) else second
        embeddings.weight[token] = first
    return module, embeddings, head


def plain_loss(module: nn.Module, tokens: Tensor, real: Tensor, scored: Tensor) -> Tensor:
    logits = module(input_ids=tokens, attention_mask=real.long(), use_cache=False).logits
    targets = tokens.masked_fill(~scored, -100)
    return nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), targets[:, 1:].flatten())


@pytest.mark.thorough
@pytest.mark.parametrize("token", [NEW, PADDED], ids=["new row", "padded table"])
@pytest.mark.parametrize("family", [*CAUSAL_FAMILIES, "untied gemma2"])
def test_loss_and_gradients_are_those_of_the_row_in_a_full_table(family: str, token: int) -> None:
    model = tiny_model(family.removeprefix("untied "))
    model = untied(model) if "untied" in family else model
    module, embeddings, head = full_table(model, token)
    batch = texts(token)
    expected = plain_loss(module, *batch)
    expected.backward()
    row = row_of(model, token)
    for parameter in model.module.parameters():
        parameter.requires_grad_(False)
    loss = row(*batch)
    loss.backward()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    torch.testing.assert_close(row.vector.grad, embeddings.weight.grad[token], rtol=0, atol=1e-6)
    torch.testing.assert_close(row.vector_out.grad, head.weight.grad[token], rtol=0, atol=1e-6)


@pytest.mark.thorough
def test_only_the_vectors_get_gradients_and_no_weight_moves() -> None:
    model = tiny_model("llama")
    before = weights(model)
    row = row_of(model, NEW)
    for parameter in model.module.parameters():
        parameter.requires_grad_(False)
    trained = [name for name, value in row.named_parameters() if value.requires_grad]
    assert sorted(trained) == ["vector", "vector_out"]
    optimizer = torch.optim.AdamW([row.vector, row.vector_out], lr=1e-2)
    losses = []
    for _ in range(5):
        loss = row(*texts(NEW))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1
    assert weights(model) == before
    assert all(parameter.grad is None for parameter in model.module.parameters())


@pytest.mark.thorough
def test_other_logits_are_as_before_to_the_last_bit() -> None:
    model = tiny_model("llama")
    tokens, real, _ = texts(PADDED)
    plain = tokens.masked_fill(tokens == PADDED, 100)
    row = row_of(model, NEW)
    with torch.no_grad():
        before = row_of(model, 0).head.logits(row.hidden(plain, real).flatten(0, 1))
        row.vector.add_(3.0)
        row.vector_out.add_(3.0)
        after = row.logits(row.hidden(plain, real).flatten(0, 1))
    assert torch.equal(after[:, :NEW], before)
    assert after.shape[1] == NEW + 1


@pytest.mark.parametrize("token", [NEW, PADDED])
@pytest.mark.parametrize("scale", [20, 5000], ids=["ordinary shares", "shares of 0"])
@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_nats_are_those_of_the_logits(family: str, scale: int, token: int) -> None:
    row = row_of(tiny_model(family), token)
    hidden = torch.randn(40, 32, generator=torch.Generator().manual_seed(0)) * scale
    targets = torch.tensor([token, 5] * 20)
    expected = nn.functional.cross_entropy(row.logits(hidden), targets, reduction="none")
    torch.testing.assert_close(row.nats(hidden, targets), expected)


@pytest.mark.thorough
def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    row = row_of(tiny_model("gemma2"), NEW)

    def gradient() -> Tensor:
        row.zero_grad()
        row(*texts(NEW)).backward()
        assert row.vector.grad is not None
        return row.vector.grad.clone()

    whole = gradient()
    monkeypatch.setattr("equipoise.training.token_row._CHUNK", 600)  # two places
    torch.testing.assert_close(gradient(), whole)


def test_no_gradient_as_large_as_a_table_is_made() -> None:
    """What lives between forward and backward, and the gradients, are far below a table's size."""
    model = tiny_model("llama")
    row = row_of(model, NEW)
    for parameter in model.module.parameters():
        parameter.requires_grad_(False)
    table = model.module.get_input_embeddings().weight.numel()
    sizes: list[int] = []

    def pack(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, nn.Parameter) and not _is_weight(model, tensor):
            sizes.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        row(*texts(NEW)).backward()
    assert sizes
    assert max(sizes) < table / 4


def _is_weight(model: LanguageModel, tensor: Tensor) -> bool:
    places = {value.untyped_storage().data_ptr() for value in model.module.parameters()}
    return tensor.untyped_storage().data_ptr() in places


def test_vectors_are_float32_in_a_bfloat16_model() -> None:
    model = tiny_model("gemma2")
    model.module.bfloat16()
    row = row_of(model, NEW)
    row(*texts(NEW)).backward()
    assert row.vector.dtype == torch.float32
    assert row.vector.grad is not None
    assert row.vector.grad.dtype == torch.float32
    assert bool(row.vector.grad.abs().sum() > 0)


@pytest.mark.thorough
def test_wrong_numbers_and_numbers_of_vectors_are_refused() -> None:
    tied, two = tiny_model("gpt2"), tiny_model("llama")
    first, second = vectors(two)
    for model, token, vector_out in (
        (two, NEW + 1, second),
        (two, NEW, None),
        (tied, NEW, second),
    ):
        with pytest.raises(ModelError, match="take the next number, and a vector each"):
            TokenRow(model, token, first, vector_out)


def biased_head(model: LanguageModel) -> None:
    model.module.lm_head.bias = nn.Parameter(torch.ones(NEW))


def odd_embeddings(model: LanguageModel) -> None:
    model.module.get_input_embeddings().register_forward_hook(lambda *given: given[2] + 1)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(biased_head, "llama.*: it has a bias"), (odd_embeddings, "Embedding of Llama.* puts out")],
)
def test_tables_that_are_not_plain_are_refused(
    spoil: Callable[[LanguageModel], None], reason: str
) -> None:
    model = tiny_model("llama")
    spoil(model)
    with pytest.raises(ModelError, match=f"(?i){reason}"):
        row_of(model, NEW)


def test_a_masked_model_is_refused() -> None:
    model = replace(tiny_model("bert"))
    with pytest.raises(ModelError, match="a token is added to a causal model"):
        TokenRow(model, NEW, torch.zeros(32))
