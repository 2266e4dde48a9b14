"""The form /v1/decisions is what openai's own client sends and reads (of the extra `serving`)."""

from typing import Any

import pytest
from decision_serving import serving

from equipoise.judging.endpoint_client import CHAT, DECISIONS, EndpointClient
from equipoise.records import Decision

openai = pytest.importorskip("openai")
ASKED = Decision(text="An oak stood by an elm.", question="Which fell?", options=("oak", "elm"))


def decided(body: Any) -> Any:
    values = [choice["value"] for choice in body["questions"][0]["choices"]]
    shares = [{"value": value, "probability": 0.5} for value in values]
    answer = {"type": "choice", "choice": values[0], "confidence": 0, "probabilities": shares}
    return {"model": body["model"], "answers": [{**answer, "name": "question"}], "usage": None}


def test_decisions() -> None:
    with serving(decided, DECISIONS) as server:
        theirs = openai.OpenAI(base_url=f"{server.address}/v1", api_key="none", max_retries=0)
        question = {
            "type": "choice",
            "name": "question",
            "instructions": ASKED.question,
            "choices": [{"value": option} for option in ASKED.options],
        }
        read = theirs.decisions.create(model="owl", input=ASKED.text, questions=[question])
        ours = EndpointClient(address=server.address, model="owl").decide(ASKED, DECISIONS)
    (first, _), (second, _) = server.asked
    assert first == second
    shares = tuple(part.probability for part in read.answers[0].probabilities)
    assert shares == ours.probabilities


def test_chat() -> None:
    answer = {
        "id": "1", "object": "chat.completion", "created": 0, "model": "owl",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "a"}}
        ],
    }  # fmt: skip
    messages = [{"role": "user", "content": "Hello"}]
    with serving(lambda _: answer, CHAT) as server:
        theirs = openai.OpenAI(base_url=f"{server.address}/v1", api_key="none", max_retries=0)
        read = theirs.chat.completions.create(
            model="owl", messages=messages, temperature=0.5, seed=3, max_tokens=4096, stream=False
        )
        ours = EndpointClient(address=server.address, model="owl").chat(messages, 0.5, 3)
    (first, _), (second, _) = server.asked
    assert first == second
    assert read.choices[0].message.content == ours
