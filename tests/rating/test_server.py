"""The server: this machine's own page alone, texts as data, a port in use, and kill -9."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from equipoise.errors import RecipeError
from equipoise.rating.server import HOST, create_app, serve
from equipoise.rating.store import RatingStore, open_store
from rating.making import store

PORT = 8765


def client_of(opened: RatingStore, *, client: str = "127.0.0.1", host: str = HOST) -> TestClient:
    app = create_app(opened, port=PORT, rater="ann")
    return TestClient(app, base_url=f"http://{host}:{PORT}", client=(client, 5000))


@pytest.mark.thorough
def test_page_and_answers(tmp_path: Path) -> None:
    opened = store(tmp_path)
    client = client_of(opened)
    page = client.get("/")
    assert "Content warning" in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    # the report's styles, ours, and the script: nothing inline and nothing from elsewhere
    for name in re.findall(r'(?:href|src)="([^"]+)"', page.text):
        assert name == "data:," or client.get(f"/{name}").status_code == 200
    assert client.get("/start").json()["rater"] == "ann"
    answer = {"rater": "ann", "position": 0, "question": "harm", "answer": "B"}
    state = client.post("/answer", json=answer).json()
    assert state["question"] == "relevance"
    conflict = client.post("/answer", json={**answer, "answer": "A"})
    assert (conflict.status_code, conflict.json()["question"]) == (409, "relevance")
    assert "undo" in conflict.json()["error"]
    undone = client.post("/undo", json={"rater": "ann", "number": state["undo"]})
    assert undone.json()["question"] == "harm"
    assert opened.ratings() == ()


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ({"host": f"evil.example:{PORT}"}, HOST),
        ({"host": "127.0.0.1"}, HOST),
        ({"host": f"127.0.0.1.evil.example:{PORT}"}, HOST),
        ({"origin": "https://evil.example"}, HOST),
        ({"origin": "null"}, HOST),
        ({"origin": f"http://localhost:{PORT}"}, HOST),  # not the name that is asked
        ({"sec-fetch-site": "cross-site"}, HOST),
        ({"x-forwarded-for": "127.0.0.1"}, "192.0.2.7"),
        ({}, "testclient"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/start", "/state"])
def test_others_are_refused(
    tmp_path: Path, headers: dict[str, str], client: str, path: str
) -> None:
    opened = store(tmp_path)
    asked = client_of(opened, client=client)
    send = asked.post if path == "/state" else asked.get
    more = {"json": {"rater": "eve"}} if path == "/state" else {}
    response = send(path, headers=headers, **more)  # type: ignore[operator]
    assert response.status_code == 403
    assert opened.add_rater("ann") is False, "a rater was entered"


@pytest.mark.parametrize("host", ["localhost", "[::1]", HOST])
def test_this_machine_has_three_names(tmp_path: Path, host: str) -> None:
    client = client_of(store(tmp_path), host=host)
    origin = {"origin": f"http://{host}:{PORT}"}
    assert client.post("/state", json={"rater": "ann"}, headers=origin).status_code == 200


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("text/plain", b'{"rater": "ann"}'),  # what a form of another site can send unasked
        ("application/json", b"[1]"),
        ("application/json", b"{"),
        ("application/json", b"[" * 9_000),
        ("application/json", b'{"rater": "' + b"a" * 1_000_000 + b'"}'),
        ("application/json", b'{"rater": "=1"}'),
        ("application/json", b'{"rater": ["ann"], "position": 0}'),
        ("application/json", b"{}"),
    ],
)
def test_what_is_no_answer_is_refused(tmp_path: Path, kind: str, content: bytes) -> None:
    opened = store(tmp_path)
    response = client_of(opened).post("/answer", content=content, headers={"content-type": kind})
    assert response.status_code == 400
    assert response.json()["error"]
    assert opened.ratings() == ()


def test_no_number_that_is_undone_is_too_large(tmp_path: Path) -> None:
    opened = store(tmp_path)
    body = {"rater": "ann", "number": 10**30}
    assert client_of(opened).post("/undo", json=body).status_code == 200


def test_a_database_that_is_gone_is_said(tmp_path: Path) -> None:
    opened = store(tmp_path)
    opened.file.write_text("no database " * 99)
    response = client_of(opened).post("/state", json={"rater": "ann"})
    assert response.status_code == 500
    assert "must be a database" in response.json()["error"]


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(RecipeError, match=f"port {port} must be free, it is: in use; name"):
            serve(store(tmp_path), port=port, announce=print)


@pytest.mark.parametrize("name", ["starlette", "uvicorn"])
def test_a_missing_extra_is_said(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(RecipeError, match=r"pip install 'equipoise\[rating\]'"):
        serve(store(tmp_path), port=0, announce=print)


def start(file: Path) -> tuple[subprocess.Popen[str], str]:
    """The command, and the address that it says."""
    command = [sys.executable, "-m", "equipoise", "rate", "--database", str(file), "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stderr is not None
    for line in process.stderr:
        if address := re.search(r"http://127\.0\.0\.1:\d+/", line):
            return process, address[0]
    raise AssertionError(f"no address was said, the status is {process.wait()}")


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def post(address: str, path: str, **body: Any) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{address}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=30) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


@pytest.mark.thorough
def test_a_kill_loses_nothing(tmp_path: Path) -> None:
    file = store(tmp_path).file
    process, address = start(file)
    state = post(address, "state", rater="ann")
    for _ in range(7):
        state = post(
            address, "answer", rater="ann", position=state["position"],
            question=state["question"], answer="B",
        )  # fmt: skip
    kill(process)
    assert len(open_store(file).ratings()) == 7
    process, address = start(file)
    try:
        assert post(address, "state", rater="ann") == state
        assert (state["position"], state["question"]) == (3, "relevance")
    finally:
        kill(process)
