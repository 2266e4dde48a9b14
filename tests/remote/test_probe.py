"""What a server does in place of what it was asked: found before anything is measured."""

from typing import Any

import pytest
from openai_serving import OpenaiServing, serving_model

from equipoise.errors import ModelError
from equipoise.loading.connect import connect
from equipoise.records import Continuation, Generation, Request
from equipoise.remote.remote_model import RemoteModel
from equipoise.testing import tiny_model

MODEL = tiny_model("llama", context=512)
ASKED = [Continuation(context="A cat", continuation=" ran")]
WRITTEN = [Generation(context="A cat", max_tokens=3)]


def check(server: OpenaiServing, requests: list[Request]) -> RemoteModel:
    return connect(server.name, tries=1).checked_for(requests)


def without(*names: str) -> Any:
    """Without a word, as `transformers serve` 5.24 drops `logprobs`."""

    def drop(_: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        for name in names:
            answer["choices"][0].pop(name, None)
        return answer

    return drop


def changed(name: str, change: Any) -> Any:
    """Another list of what stands under a name of echoed log-probabilities."""

    def fault(_: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        listed = answer["choices"][0]["logprobs"]
        listed[name] = change(listed[name])
        return answer

    return fault


def truncated(_: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """The last part of the prompt alone, as of a server with a short context."""
    listed = answer["choices"][0]["logprobs"]
    for name in listed:
        listed[name] = listed[name][20:]
    return answer


FAULTS: dict[str, tuple[Any, str]] = {
    "drops": (without("logprobs", "prompt_logprobs"), "drops logprobs without a word, got None"),
    "truncates": (truncated, "counts 46 tokens in a prompt of which it lists 26"),
    "positive": (changed("token_logprobs", lambda v: [0.5] * len(v)), "gives 0.5 for the log"),
    "text": (changed("token_logprobs", lambda v: ["-1"] * len(v)), "gives '-1' for the log"),
    "floor": (changed("token_logprobs", lambda v: [-9999.0] * len(v)), "gives -9999.0 for the"),
    "the same": (changed("token_logprobs", lambda v: [-1.0] * len(v)), "every token the same"),
    "no value": (changed("token_logprobs", lambda v: [None] * len(v)), "gives no log-prob"),
    "too few": (changed("token_logprobs", lambda v: v[:-1]), "46 log-probabilities for 47"),
    "other": (changed("tokens", lambda v: ["x"] * len(v)), "other tokens than those"),
    "counts more": (
        lambda _, answer: {**answer, "usage": {"prompt_tokens": 60}},
        "counts 60 tokens in a prompt of which it lists 4",
    ),
    "no choices": (lambda *_: {"choices": []}, "in no such form"),
    "a list": (lambda *_: [1], "in no such form"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_refused_by_what_it_does(fault: str) -> None:
    change, what = FAULTS[fault]
    with serving_model(MODEL, prompt_logprobs=False) as server:
        server.fault = change
        with pytest.raises(ModelError, match=what) as caught:
            check(server, list(ASKED))
    assert "must give the log-probabilities of a prompt" in str(caught.value)
    assert "with prompt_logprobs it " in str(caught.value)


def test_log_probabilities_of_what_it_writes() -> None:
    """`echo` is not known, and `logprobs` are those of the sampled tokens."""
    with (
        serving_model(MODEL, echo=False, prompt_logprobs=False) as server,
        pytest.raises(ModelError, match="of the tokens that it writes in place of the prompt's"),
    ):
        check(server, list(ASKED))


def test_prompt_logprobs_without_ids() -> None:
    with serving_model(MODEL) as server:
        server.fault = without("prompt_token_ids")
        model = check(server, list(ASKED))
    assert model.reading is not None
    assert model.reading.form == "echo"


def shifted(_: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """Each token has the log-probability of the token before; what is written has its own."""
    choice = answer["choices"][0]
    values = choice["logprobs"]["token_logprobs"]
    choice["logprobs"]["token_logprobs"] = [None, -3.0, *values[1:-2], -0.25]
    choice["logprobs"]["tokens"][-1] = "z"
    return answer


def test_log_probabilities_of_other_places() -> None:
    with serving_model(MODEL, prompt_logprobs=False) as server:
        server.fault = shifted
        with pytest.raises(ModelError, match=r"-0\.25 nats where it is written and .* shifted"):
            check(server, list(ASKED))


def test_a_token_is_as_probable_where_it_is_written() -> None:
    def visible(body: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        """A letter in place of what it wrote, with the letter's own log-probability."""
        listed = answer["choices"][0]["logprobs"]
        if body["prompt"].endswith("z"):
            letters.append(listed["token_logprobs"][-2])
        listed["tokens"][-1] = "z"
        listed["token_logprobs"][-1] = letters[-1]
        return answer

    letters = [-1.0]
    with serving_model(MODEL, prompt_logprobs=False) as server:
        server.fault = visible
        with pytest.raises(ModelError, match="shifted or changed"):
            check(server, list(ASKED))
        assert check(server, list(ASKED)).info["reads"] == {
            "form": "echo", "starts": 0, "unlisted": 0, "consistent": True,
        }  # fmt: skip


def test_writing_that_repeats_is_said() -> None:
    with serving_model(MODEL) as server:
        writes = check(server, list(WRITTEN)).info["writes"]
    assert writes == {"extras": True, "greedy_repeats": True, "seed_repeats": True}


def test_writing_that_does_not_repeat_is_said() -> None:
    def counted(_: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        answer["choices"][0]["text"] += str(len(server.asked))
        return answer

    with serving_model(MODEL) as server:
        server.fault = counted
        writes = check(server, list(WRITTEN)).info["writes"]
    assert writes == {"extras": True, "greedy_repeats": False, "seed_repeats": False}


@pytest.mark.parametrize("status", [400, 422])
def test_settings_that_a_server_refuses_are_left_out(status: int) -> None:
    with serving_model(MODEL) as server:
        server.status = lambda body: status if "top_k" in body else 200
        model = check(server, list(WRITTEN))
        assert model.generate(WRITTEN, seed=0)
        with pytest.raises(ModelError, match=r"repetition_penalty \(5, 0, 1.0\), which .* refuses"):
            model.generate([Generation(context="A", max_tokens=2, top_k=5)], seed=0)
    assert model.writing is not None
    assert not model.writing.extras


def test_a_server_that_writes_nothing() -> None:
    with serving_model(MODEL) as server:
        server.status = lambda _: 404
        with pytest.raises(
            ModelError,
            match=r"must write texts for .* but a request for a few words must",
        ):
            check(server, list(WRITTEN))
        with pytest.raises(ModelError, match=r"status 404.*take a server of docs/remote-models"):
            check(server, list(ASKED))


def test_a_server_that_is_not_there() -> None:
    with serving_model(MODEL) as server:
        pass
    with pytest.raises(ModelError, match=r"must answer at http://127.* in 1 tries: Connection"):
        check(server, list(ASKED))
