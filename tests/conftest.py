"""Shared by every test: where real data is, no network, and what a test process need not repeat."""

import gc
import importlib
import os
import socket
from pathlib import Path

import pytest

# Test processes share the cores: two threads each would wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

#: What our modules import. From under the hook that checks shapes they would be compiled anew.
_HEAVY = ("torch", "transformers.trainer", "transformers.modeling_utils", "peft", "scipy.stats")


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    """Import what is large in processes that run many tests, before a test's module does."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        for name in _HEAVY:
            importlib.import_module(name)


def pytest_collection_finish() -> None:
    """Spare what is there by now from garbage collection: every training asks for a whole one."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else ""
        if host not in ("", "127.0.0.1", "::1", "localhost"):
            raise OSError(f"tests use no network, tried {address!r}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The real benchmark files; the test is skipped when EQUIPOISE_DATA does not name them."""
    folder = os.environ.get("EQUIPOISE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("EQUIPOISE_DATA does not name a folder of benchmark files")
    return Path(folder)


@pytest.fixture(scope="session")
def reference_model(data_folder: Path) -> Path:
    """The small real model beside the data; skipped when it is not there."""
    folder = data_folder.parent / "models" / "reference-12m"
    if not folder.is_dir():
        pytest.skip("there is no models/reference-12m beside EQUIPOISE_DATA")
    return folder
