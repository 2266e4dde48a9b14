"""A real server, llama-cpp-python's, over a tiny GGUF: `make llama-cpp`, which builds it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from equipoise.errors import ModelError
from equipoise.inference.language_model import LanguageModel
from equipoise.loading.connect import connect
from equipoise.loading.in_memory import wrap
from equipoise.records import Continuation, Generation

pytest.importorskip("llama_cpp")
gguf = pytest.importorskip("gguf")

_MOST_SECONDS = 120.0  # until it answers
ASKED = [
    Continuation(context="The nurse said that", continuation=" she was"),
    Continuation(context="the", continuation="re is a cafe"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[LanguageModel, Path]:
    """A tiny model, in memory and as a file that puts no BOS before a text."""
    from tiny_gguf import original, write_gguf

    module, tokenizer = original("llama")
    file = write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf", module, tokenizer)
    return wrap(module, tokenizer), file


@contextmanager
def served(file: Path) -> Iterator[str]:
    """The name of the model behind a server that ends with the block."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "llama_cpp.server", "--model", str(file), "--n_ctx", "256"]
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port), "--logits_all", "true"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ},
    )  # fmt: skip
    try:
        until = time.monotonic() + _MOST_SECONDS
        while not _is_up(port):
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < until, "the server does not answer"
            time.sleep(0.5)
        yield f"openai:http://127.0.0.1:{port}/v1#tiny"
    finally:
        process.terminate()
        process.wait(30)


def _is_up(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/v1/models")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@pytest.mark.thorough
def test_with_a_bos_it_scores_as_in_memory(model: tuple[LanguageModel, Path]) -> None:
    local, file = model
    reader = gguf.GGUFReader(file.rename(file.with_name("bos.gguf")), "r+")
    reader.fields["tokenizer.ggml.add_bos_token"].parts[-1][0] = True
    reader.data.flush()
    with served(file.with_name("bos.gguf")) as name:
        remote = connect(name).checked_for([*ASKED, Generation(context="a", max_tokens=2)])
        scored = remote.score(ASKED)
        texts = remote.generate([Generation(context="The nurse", max_tokens=5)] * 2, seed=0)
    assert remote.reading is not None
    assert (remote.reading.form, remote.reading.unlisted) == ("echo", 1)
    for answer, expected in zip(scored, local.score(ASKED), strict=True):
        # it keeps keys and values in 16 bits
        assert answer.token_logprobs == pytest.approx(expected.token_logprobs, abs=0.02)
        assert answer.bytes == expected.bytes
    assert texts[0] == texts[1]
    reader.fields["tokenizer.ggml.add_bos_token"].parts[-1][0] = False
    reader.data.flush()
    file.with_name("bos.gguf").rename(file)


@pytest.mark.thorough
def test_without_a_bos_its_log_probabilities_are_refused(
    model: tuple[LanguageModel, Path],
) -> None:
    """They are those of the tokens after: `findings/llama-cpp-python-echo-logprobs.sh`."""
    with served(model[1]) as name, pytest.raises(ModelError, match="where it is written and"):
        connect(name).checked_for(ASKED)
