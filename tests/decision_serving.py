"""A decision server on this machine whose answers are a function: known before they are asked."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

#: What is sent to what is answered: a body, or a status and raw bytes, or one and who writes them.
Answerer = Callable[[Any], Any]


class Serving:
    """Its address, its name for `measure`, and what it was sent: bodies with headers, in turn."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.name = f"decision:{self.address}#owl"
        self.asked: list[tuple[Any, dict[str, str]]] = []


@contextmanager
def serving(
    answerer: Answerer,
    path: str = "/v1/systemone",
    headers: Callable[[], dict[str, str]] = dict,
) -> Iterator[Serving]:
    """Serve at this path until the block ends, with these headers beside each answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.asked.append((body, dict(self.headers.items())))
            answer = answerer(body) if self.path == path else (404, b"no such path")
            status, content = (
                answer if isinstance(answer, tuple) else (200, json.dumps(answer).encode())
            )
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", content.decode())
            for name, value in headers().items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(OSError):  # a client that did not wait
                if callable(content):
                    content(self.wfile.write)
                else:
                    self.wfile.write(content)

        def log_message(self, format: str, *values: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    seen = Serving(server.server_port)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answered(body: Any, probabilities: Callable[[str, str, list[str]], list[float]]) -> Any:
    """A System One answer; `probabilities` of text, question and options ("true" alone)."""
    ((name, question),) = body["questions"].items()
    options = list(question.get("criteria") or ["true"])
    shares = probabilities(body["state"], question["instructions"], options)
    if question["type"] == "noul":
        answer: dict[str, Any] = {"type": "noul", "noul": shares[0]}
    else:
        by_option = dict(zip(options, shares, strict=True))
        answer = {"type": "choice", "choice": max(by_option), "probabilities": by_option}
    return {"model": body["model"], "answers": {name: answer}, "usage": {}}
