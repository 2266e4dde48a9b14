"""What it costs to ask BBQ's questions in all six orders of their answers."""

from pathlib import Path

import pytest
from bbq_rows import rows, write
from torch import Tensor, nn

from equipoise.benchmarks.bbq import BBQ, ORDERS, Letters
from equipoise.records import NextToken
from equipoise.testing import tiny_model


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[NextToken]:
    """The prompts of two questions about each of three contexts, in six orders each."""
    content = rows()
    story = " Both had been there for a long time before the road was built, and nobody minded." * 2
    for index, question in enumerate(content):
        question["context"] += f" They met {'at noon' if index % 2 else 'in May'}.{story}"
    neg = [content[index] for index in (0, 2, 4)]
    nonneg = [content[index + 6] | {"context": content[index]["context"]} for index in (0, 2, 4)]
    write(tmp_path, [row for pair in zip(neg, nonneg, strict=True) for row in pair])
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    benchmark = BBQ(score=Letters())
    requests = [list(benchmark.requests(item)) for item in benchmark.examples("test")]
    return [prompt for six in requests for prompt in six if isinstance(prompt, NextToken)]


@pytest.mark.thorough
def test_six_orders_share_their_context(asked: list[NextToken]) -> None:
    """At least three times fewer positions than prompts alone have, and the same numbers."""
    model = tiny_model(context=512)
    fed: list[int] = []

    def count(_: nn.Module, __: tuple[Tensor, ...], inputs: dict[str, Tensor]) -> None:
        fed.append(inputs["input_ids"].numel())

    handle = model.module.register_forward_pre_hook(count, with_kwargs=True)
    together = model.next_token(asked)
    positions = sum(fed)
    alone = [model.next_token([prompt])[0] for prompt in asked]
    handle.remove()
    assert len(asked) == 6 * len(ORDERS)
    assert 3 * positions < sum(fed) - positions
    for answer, expected in zip(together, alone, strict=True):
        assert answer.logprobs == pytest.approx(expected.logprobs, abs=1e-5)
