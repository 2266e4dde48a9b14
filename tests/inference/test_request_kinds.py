"""A verb of a model given a text, or anything else but requests, says what it takes; that works."""

from itertools import product
from typing import Any

import pytest
from chat_forms import chat_model

from equipoise.errors import RecipeError
from equipoise.inference.decision_server import DecisionServer
from equipoise.records import Continuation, Embedding
from equipoise.testing import tiny_model

CAUSAL = ("score", "score_pairs", "next_token", "generate", "embed")
CHAT = (*CAUSAL, "converse")


def remedy(model: Any, verb: str, given: object) -> str:
    """What the refusal says to write, once it has named what was given."""
    with pytest.raises(RecipeError) as refused:
        getattr(model, verb)(given)
    said, wrong = str(refused.value), given[0] if isinstance(given, list) else given
    assert said.startswith(f"{verb} must get a list of "), said
    assert f"got {wrong!r:.60}; " in said, said
    return said.partition("; write ")[2]


@pytest.mark.parametrize(
    ("form", "verb"),
    [*product(["llama"], CAUSAL), *product(["chat"], CHAT), ("bert", "infill")],
)
def test_a_text_is_refused_with_what_can_be_run(form: str, verb: str) -> None:
    model: Any = chat_model("qwen").in_chat() if form == "chat" else tiny_model(form)
    for given in ("The nurse", ["The nurse"], None, 3):
        code, _, statement = remedy(model, verb, given).partition(", after ")
        names: dict[str, Any] = {"model": model}
        exec(statement.strip("`"), names)
        assert len(eval(code, names)) == 1


def test_requests_of_another_kind_and_single_requests_are_refused() -> None:
    model = tiny_model("llama")
    request = Continuation(context="a", continuation=" b")
    assert "model.score([Continuation(" in remedy(model, "score", request)
    assert "model.score([Continuation(" in remedy(model, "score", [Embedding(text="a"), request])
    assert model.score([request]) == model.score((request,))
    assert model.score([]) == []


def test_a_server_of_decisions_takes_decisions_alone() -> None:
    server = DecisionServer(address="http://localhost:1", model="m")
    assert "model.decide([Decision(" in remedy(server, "decide", "Is it true?")
