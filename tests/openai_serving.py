"""An OpenAI-compatible server on this machine over a tiny model, as vLLM answers, with its faults.

It speaks /v1/models, /v1/completions (echo with logprobs, prompt_logprobs) and
/v1/chat/completions. Every number is from a plain forward pass of one text.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

import torch
from plain_scoring import log_softmax

from equipoise.inference.language_model import LanguageModel
from equipoise.remote.options import SCHEME

#: Changes an answer after it was made, or makes another; gets the body and the answer.
Fault = Callable[[dict[str, Any], dict[str, Any]], Any]


class OpenaiServing:
    """A server's address and the name of its model for `measure`; what it was sent, in turn."""

    def __init__(self, model: LanguageModel, *, echo: bool, prompt_logprobs: bool) -> None:
        self.model, self.echo, self.prompt_logprobs = model, echo, prompt_logprobs
        self.adds_start = False  # before a prompt that is a text, as Llama's tokenizer does
        self.fault: Fault = lambda _, answer: answer
        self.status: Callable[[dict[str, Any]], int] = lambda _: 200
        self.address = ""
        self.asked: list[dict[str, Any]] = []
        self.lock = Lock()

    @property
    def name(self) -> str:
        return f"{SCHEME}:{self.address}/v1#owl"

    def answer(self, path: str, body: dict[str, Any]) -> Any:
        with self.lock:
            if path == "/v1/chat/completions":
                prompt = "".join(f"[{m['role']}]{m['content']}" for m in body["messages"])
                text = self._decode(self._write(self._encode(prompt), body))
                message = {"role": "assistant", "content": text}
                answer: dict[str, Any] = {"choices": [{"message": message}]}
            else:
                answer = self._complete(body)
        return self.fault(body, answer)

    def _complete(self, body: dict[str, Any]) -> dict[str, Any]:
        prompt = body["prompt"]
        ids = self._encode(prompt) if isinstance(prompt, str) else prompt
        written = self._write(ids, body)
        tops = self._tops([*ids, *written])
        before = prompt if isinstance(prompt, str) else self._decode(ids)
        echoes = bool(body.get("echo")) and self.echo
        choice: dict[str, Any] = {"text": before * echoes + self._decode(written)}
        if "logprobs" in body:
            first = 0 if echoes else len(ids)
            choice["logprobs"] = self._legacy(tops, first)
        if "prompt_logprobs" in body and self.prompt_logprobs:
            choice["prompt_token_ids"] = ids
            choice["prompt_logprobs"] = [None, *(self._row(top) for top in tops[1 : len(ids)])]
        usage = {"prompt_tokens": len(ids), "completion_tokens": len(written)}
        return {"choices": [choice], "usage": usage}

    def _encode(self, text: str) -> list[int]:
        ids = list(self.model.tokenizer(text, add_special_tokens=False)["input_ids"])
        return [self.model.tokenizer.bos_token_id, *ids] if self.adds_start else ids

    def _decode(self, ids: list[int]) -> str:
        return str(self.model.tokenizer.decode(ids, skip_special_tokens=True))

    def _write(self, ids: list[int], body: dict[str, Any]) -> list[int]:
        generator = torch.Generator().manual_seed(body.get("seed", 0))
        ids = list(ids)
        before = len(ids)
        for _ in range(body["max_tokens"]):
            logprobs = log_softmax(self.model, ids)[-1]
            if body["temperature"]:
                shares = (logprobs / body["temperature"]).softmax(-1)
                ids.append(int(torch.multinomial(shares, 1, generator=generator)))
            else:
                ids.append(int(logprobs.argmax()))
            if ids[-1] == self.model.tokenizer.eos_token_id:
                return ids[before:-1]
        return ids[before:]

    def _tops(self, ids: list[int]) -> list[tuple[int, float, int, float]]:
        """Of each token: it, its log-probability, the likeliest and its; nan for the first."""
        table = log_softmax(self.model, ids)
        return [(ids[0], float("nan"), 0, 0.0)] + [
            (
                ids[k],
                float(table[k - 1, ids[k]]),
                int(table[k - 1].argmax()),
                float(table[k - 1].max()),
            )
            for k in range(1, len(ids))
        ]

    def _row(self, top: tuple[int, float, int, float]) -> dict[str, Any]:
        token, logprob, best, most = top
        return {
            str(best): {"logprob": most, "rank": 1, "decoded_token": self._token(best)},
            str(token): {"logprob": logprob, "decoded_token": self._token(token)},
        }

    def _legacy(self, tops: list[tuple[int, float, int, float]], first: int) -> dict[str, Any]:
        listed = [
            (self._token(token), None if logprob != logprob else logprob, {self._token(best): most})
            for token, logprob, best, most in tops[first:]
        ]
        return {
            "tokens": [token for token, _, _ in listed],
            "token_logprobs": [logprob for _, logprob, _ in listed],
            "top_logprobs": [None if logprob is None else top for _, logprob, top in listed],
        }

    def _token(self, number: int) -> str:
        return str(self.model.tokenizer.decode([number]))


@contextmanager
def serving_model(
    model: LanguageModel, *, echo: bool = True, prompt_logprobs: bool = True
) -> Iterator[OpenaiServing]:
    """Serve the model until the block ends."""
    seen = OpenaiServing(model, echo=echo, prompt_logprobs=prompt_logprobs)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            entry = {"id": "owl", "owned_by": "tests", "max_model_len": 128}
            known = {"/v1/models": {"data": [entry]}, "/version": {"version": "0.0"}}
            self._send(200 if self.path in known else 404, known.get(self.path, {}))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.asked.append(body)
            status = seen.status(body)
            self._send(status, seen.answer(self.path, body) if status == 200 else {"error": "no"})

        def _send(self, status: int, answer: Any) -> None:
            self.send_response(status)
            self.end_headers()
            with suppress(OSError):  # a client that did not wait
                self.wfile.write(json.dumps(answer).encode())

        def log_message(self, format: str, *values: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    seen.address = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
