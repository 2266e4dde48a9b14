"""Teaching: the same bits by the same seed, and a small model learns."""

import math

import pytest
import torch

from equipoise.errors import ModelError
from equipoise.planted import teaching
from equipoise.planted.batches import batches, train_tokenizer
from equipoise.planted.corpus import Sentence
from equipoise.planted.teaching import Budget, _loss, teach, untaught
from equipoise.planted.world import find_world

SMALL = Budget(width=16, blocks=1, heads=2, sentences=320, batch=32, rate=1e-2)
TEXTS = ["The cat sat."] * 3 + ["The cat ran."]


@pytest.fixture(autouse=True)
def _short_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    sentences = [Sentence(id=text, text=text, kind="fact", biased=False) for text in TEXTS] * 40
    monkeypatch.setattr(teaching, "draw_corpus", lambda *_, **__: sentences)


@pytest.mark.thorough
def test_teaching_is_reproducible_and_leaves_the_global_generator() -> None:
    state = torch.get_rng_state()
    world = find_world("default")
    first, tokenizer = teach(world, SMALL, seed=0)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)  # bits do not depend on it, and it is left as it was
    second, _ = teach(world, SMALL, seed=0)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)
    other = untaught(tokenizer, SMALL, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert not first.training
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, second.state_dict()[name])
    assert any(
        not torch.equal(weight, other.state_dict()[name])
        for name, weight in first.state_dict().items()
    )


@pytest.mark.thorough
def test_teaching_lowers_the_loss_to_the_entropy() -> None:
    tokenizer = train_tokenizer(TEXTS)
    (batch,) = batches(tokenizer, TEXTS, sentences=4, size=4, seed=0)
    module = untaught(tokenizer, SMALL, seed=0)
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-2)
    for _ in range(60):
        loss = _loss(module, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # one of five positions is open, and weighs four times as much as another
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25)) * 4 / (4 + 4)
    assert loss.item() == pytest.approx(entropy, abs=0.01)
    assert loss.item() >= entropy - 1e-6


def test_a_loss_that_is_not_finite_names_its_step() -> None:
    wild = Budget(width=16, blocks=1, heads=2, sentences=96, batch=32, rate=math.inf)
    with pytest.raises(ModelError, match="finite loss, got nan at step 1"):
        teach(find_world("default"), wild, seed=0)
