"""What is fed and what is read, by hand."""

import pytest

from equipoise.inference import queries
from equipoise.inference.queries import Query
from equipoise.models.tokenization import Tokens

START = 9


@pytest.mark.parametrize(
    ("prefix", "start", "plan", "scored"),
    [
        ("bos", START, (Query((9, 5, 6), ((0, 5), (1, 6), (2, 7))),), (0, 1, 2)),
        ("ref_gpt2", START, (Query((9,), ((0, 5),)), Query((5, 6), ((0, 6), (1, 7)))), (0, 1, 2)),
        ("none", START, (Query((5, 6), ((0, 6), (1, 7))),), (1, 2)),
        ("bos", None, (Query((5, 6), ((0, 6), (1, 7))),), (1, 2)),
        ("ref_gpt2", None, (Query((5, 6), ((0, 6), (1, 7))),), (1, 2)),
    ],
)
def test_the_prefix_policies(prefix, start, plan, scored) -> None:
    assert queries.causal((5, 6, 7), (0, 1, 2), prefix, start) == plan
    assert queries.scored((0, 1, 2), prefix, start) == scored


def test_a_continuation_reads_its_own_tokens_alone() -> None:
    assert queries.causal((5, 6, 7, 8), (2,), "bos", START) == (Query((9, 5, 6), ((2, 7),)),)
    assert queries.causal((5, 6, 7, 8), (2,), "ref_gpt2", START) == (Query((5, 6), ((1, 7),)),)
    assert queries.causal((5,), (0,), "none", START) == ()
    assert queries.causal((5,), (), "bos", START) == ()


def test_each_masked_copy_hides_one_token() -> None:
    assert queries.masked((5, 6, 7), (0, 2), 4) == (
        Query((4, 6, 7), ((0, 5),)),
        Query((5, 6, 4), ((2, 7),)),
    )


def test_a_span_is_revealed_from_left_to_right() -> None:
    assert queries.revealed((1, 5, 6, 2), (1, 2), 4) == (
        Query((1, 4, 2), ((1, 5),)),
        Query((1, 5, 4, 2), ((2, 6),)),
    )
    assert queries.revealed((1, 2), (), 4) == ()


def test_a_start_token_of_the_tokenizer_is_removed() -> None:
    tokens = Tokens("ab", (9, 5, 6), ((0, 0), (0, 1), (1, 2)), (1, 2))
    assert queries.without_start(tokens, 9).ids == (5, 6)
    assert queries.without_start(tokens, 9).marked == (0, 1)
    assert queries.without_start(tokens, None) is tokens
