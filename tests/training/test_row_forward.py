"""Log-probabilities of learnt tokens equal those of the plain module, text by text."""

import pytest
import torch

from equipoise.rows import TrainingRow
from equipoise.testing import CAUSAL_FAMILIES, tiny_model
from equipoise.training.row_forward import RowForward
from equipoise.training.row_tokens import tokenize_rows

ROWS = [TrainingRow(id=str(i), text="A nurse is kind. " * (1 + i % 3)) for i in range(5)]


@pytest.mark.thorough
@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_it_equals_the_plain_module_row_by_row(family: str) -> None:
    model = tiny_model(family)
    rows = tokenize_rows(model, ROWS, max_tokens=128)
    rows.scored[0][:5] = [False] * 5
    forward = RowForward(model)
    with torch.no_grad():
        together = forward.token_logprobs(rows)
        losses = forward.mean_losses(rows, [4, 0])
    measured = forward.measured(rows)
    for number, ids in enumerate(rows.ids):
        with torch.no_grad():
            logprobs = model.module(torch.tensor([ids])).logits[0].float().log_softmax(-1)
        places = rows.positions(number)
        expected = torch.stack([logprobs[place - 1, ids[place]] for place in places])
        torch.testing.assert_close(together[number], expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(measured[number], expected, rtol=1e-4, atol=1e-5)
        for order, chosen in enumerate((4, 0)):
            if chosen == number:
                assert float(losses[order]) == pytest.approx(-float(expected.mean()), rel=1e-4)
