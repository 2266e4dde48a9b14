"""A decision model behind HTTP: the address that was named, and probabilities or an error."""

import json
import math
import time
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest
from decision_serving import answered, serving

from equipoise.errors import ModelError
from equipoise.inference.decision_server import KEY, DecisionServer, is_server
from equipoise.records import Continuation, Decided, Decision

SECRET = "sk-7f3a"
CHOICE = Decision(text="An oak stood by an elm.", question="Which fell?", options=("oak", "elm"))
TRUTH = Decision(text="An oak is a tree.", question="Is this statement true?")


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that were waited before another try, which take none here."""
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    monkeypatch.delenv(KEY, raising=False)
    return waited


def decide(name: str, *requests: Decision, **settings: Any) -> list[Decided]:
    server = DecisionServer.parse(name)
    return DecisionServer(address=server.address, model=server.model, **settings).decide(requests)


def share(_text: str, _question: str, options: list[str]) -> list[float]:
    return [0.25, 0.75] if len(options) == 2 else [0.6]


def test_what_is_sent_and_what_is_read() -> None:
    with serving(lambda body: answered(body, share)) as server:
        choice, truth = decide(server.name, CHOICE, TRUTH)
    assert (choice.probabilities, truth.probabilities) == ((0.25, 0.75), (0.6, 0.4))
    assert math.isnan(choice.label_mass)
    (sent,) = [body for body, _ in server.asked if "criteria" in body["questions"]["question"]]
    assert sent == {
        "model": "owl",
        "state": CHOICE.text,
        "questions": {
            "question": {
                "type": "choice",
                "instructions": "Which fell?",
                "criteria": {"oak": None, "elm": None},
            }
        },
    }
    assert list(sent["questions"]["question"]["criteria"]) == ["oak", "elm"]  # the order is asked


def test_answers_are_in_the_order_asked() -> None:
    requests = [Decision(text=str(number / 40), question="?") for number in range(40)]
    with serving(lambda body: answered(body, lambda text, *_: [float(text)])) as server:
        answers = decide(server.name, *requests)
    assert [answer.probabilities[0] for answer in answers] == [number / 40 for number in range(40)]


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_what_may_pass_is_tried_again(status: int, waits: list[float]) -> None:
    refusals = iter([status, status])

    def answerer(body: Any) -> Any:
        for refusal in refusals:
            return refusal, b"busy"
        return answered(body, share)

    with serving(answerer) as server:
        (answer,) = decide(server.name, TRUTH)
    assert (answer.probabilities, waits) == ((0.6, 0.4), [1, 2])


@pytest.mark.parametrize(("status", "tries"), [(500, 4), (400, 1), (404, 1), (307, 1)])
def test_tries_have_a_bound(status: int, tries: int, waits: list[float]) -> None:
    with (
        serving(lambda _: (status, b"http://127.0.0.2/")) as server,
        pytest.raises(ModelError, match=f"got in {tries} tries: status {status}") as caught,
    ):
        decide(server.name, TRUTH)
    assert (len(server.asked), len(waits)) == (tries, tries - 1)
    assert ("redirect" in str(caught.value)) == (status == 307)


def test_a_silent_server_is_not_waited_for_forever() -> None:
    release = Event()

    def silent(body: Any) -> Any:
        release.wait(10)
        return answered(body, share)

    with serving(silent) as server:
        with pytest.raises(ModelError, match="in 2 tries: TimeoutError"):
            decide(server.name, TRUTH, seconds=0.1, tries=2)
        release.set()


def test_a_server_that_is_not_there() -> None:
    with serving(lambda _: {}) as server:
        pass
    with pytest.raises(ModelError, match=r"in 4 tries: ConnectionRefusedError.*serves 'owl'"):
        decide(server.name, TRUTH)


def broken(change: Callable[[dict[str, Any]], Any]) -> Callable[[Any], Any]:
    """An answerer whose answer was changed."""

    def answerer(body: Any) -> Any:
        answer = answered(body, share)
        change(answer["answers"]["question"])
        return answer

    return answerer


FAULTS: dict[str, Callable[[Any], Any]] = {
    "not json": lambda _: (200, b"<html>"),
    "no answers": lambda _: {"model": "owl"},
    "a list": lambda _: [1],
    "another name": lambda _: {"answers": {"q": {}}},
    "a text": broken(lambda answer: answer["probabilities"].update(oak="0.25")),
    "a boolean": broken(lambda answer: answer["probabilities"].update(oak=True, elm=0)),
    "a nan": broken(lambda answer: answer["probabilities"].update(oak=math.nan)),
    "below 0": broken(lambda answer: answer["probabilities"].update(oak=-0.5, elm=1.5)),
    "a sum of 2": broken(lambda answer: answer["probabilities"].update(oak=1, elm=1)),
    "a missing option": broken(lambda answer: answer["probabilities"].pop("oak")),
    "another option": broken(lambda answer: answer["probabilities"].update(fir=0)),
    "deep": lambda _: (200, b"[" * 100_000),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_probability_is_refused(fault: str, waits: list[float]) -> None:
    with serving(FAULTS[fault]) as server, pytest.raises(ModelError, match="probability in"):
        decide(server.name, CHOICE)
    assert (len(server.asked), waits) == (1, [])  # it would say the same again


@pytest.mark.parametrize("said", [True, 1.5, "0.5", None])
def test_a_truth_that_is_no_probability_is_refused(said: Any) -> None:
    with (
        serving(lambda _: {"answers": {"question": {"noul": said}}}) as server,
        pytest.raises(ModelError, match="probability in"),
    ):
        decide(server.name, TRUTH)


def test_rounded_probabilities_are_divided_by_their_sum() -> None:
    with serving(lambda body: answered(body, lambda *_: [0.333, 0.66])) as server:
        (answer,) = decide(server.name, CHOICE)
    assert answer.probabilities == pytest.approx((0.333 / 0.993, 0.66 / 0.993))


# --- where it goes, and the key -----------------------------------------------------------------


def test_the_key_is_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, SECRET)
    with serving(lambda body: answered(body, share)) as server:
        decide(server.name, TRUTH)
    assert server.asked[0][1]["Authorization"] == f"Bearer {SECRET}"
    parsed = DecisionServer.parse(server.name)
    assert SECRET not in f"{parsed!r} {parsed.identity} {json.dumps(dict(parsed.info))}"
    with (
        serving(lambda _: (401, f"no such key: {SECRET}".encode())) as server,
        pytest.raises(ModelError, match=r"no such key: \*\*\*"),
    ):
        decide(server.name, TRUTH)


def test_without_a_key_none_is_sent() -> None:
    with serving(lambda body: answered(body, share)) as server:
        decide(server.name, TRUTH)
    assert "Authorization" not in server.asked[0][1]


def test_a_key_goes_nowhere_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, SECRET)
    with pytest.raises(ModelError, match="over https or to this machine"):
        decide("decision:http://models.example#owl", TRUTH)
    monkeypatch.setenv(KEY, f"{SECRET}\nX-Other: 1")
    with pytest.raises(ModelError, match="plain letters") as caught:
        decide("decision:https://models.example#owl", TRUTH)
    assert SECRET not in str(caught.value)


def test_proxies_and_redirects_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda body: answered(body, share)) as other:
        address = other.name.removeprefix("decision:").partition("#")[0]
        monkeypatch.setenv("http_proxy", address)
        monkeypatch.setenv("HTTP_PROXY", address)
        with (
            serving(lambda _: (307, f"{address}/v1/systemone".encode())) as server,
            pytest.raises(ModelError, match="redirect"),
        ):
            decide(server.name, TRUTH)
        assert len(server.asked) == 1
    assert other.asked == []


@pytest.mark.parametrize(
    "name",
    [
        "decision:http://127.0.0.1:8000",
        "decision:http://#owl",
        "decision:http://127.0.0.1:many#owl",
        f"decision:http://user:{SECRET}@127.0.0.1#owl",
        f"decision:http://127.0.0.1/?key={SECRET}#owl",
        "decision:ftp://127.0.0.1#owl",
    ],
)
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(ModelError, match=r"named decision:http://HOST:PORT#NAME") as caught:
        DecisionServer.parse(name)
    assert SECRET not in str(caught.value)


def test_names_that_are_read() -> None:
    server = DecisionServer.parse("decision:https://models.example/a/v1/systemone#org/owl")
    assert (server.address, server.model) == ("https://models.example/a", "org/owl")
    assert server.identity == "decision:https://models.example/a#org/owl"
    assert not is_server("decision:some/model")


def test_anything_else_is_refused() -> None:
    with pytest.raises(ModelError, match="typed questions only"):
        DecisionServer.parse("decision:http://127.0.0.1:1#owl").score(
            [Continuation(context="", continuation="a")]
        )
