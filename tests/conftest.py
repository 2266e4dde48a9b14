"""Shared by every test: where real data is, no network, and what a test process need not repeat."""

import gc
import importlib
import os
import resource
import socket
from collections.abc import Generator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

# Test processes share the cores: two threads each would wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# Time is told by the processor's (`MOST_SECONDS`): the clock of a busy machine says nothing.
settings.register_profile("no clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no clock")

#: Of a default test, which should take a tenth, and of a thorough one. Those that start whole
#: commands take the most, up to 3 on an idle core; a machine half as fast passes, too.
MOST_SECONDS, MOST_THOROUGH = 2.0, 6.0
#: What our modules import. From under the hook that checks shapes they would be compiled anew.
_HEAVY = ("torch", "transformers.modeling_utils", "accelerate", "peft", "scipy.stats")
#: What lm-evaluation-harness imports, of its own and of others.
_HARNESS = (
    "datasets", "lm_eval.evaluator", "lm_eval.loggers", "lm_eval.models.huggingface",
    "lm_eval.tasks", "pytablewriter", "rich", "scipy.io", "scipy.stats", "sklearn.metrics",
    "transformers.models.gpt2.modeling_gpt2", "transformers.models.llama.modeling_llama",
)  # fmt: skip


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


def _processor_seconds() -> float:
    """Of this process and of those that it started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """A test is as quick as its mark says, or is marked otherwise, or made smaller."""
    before = _processor_seconds()
    result = yield
    used = _processor_seconds() - before
    exempt = any(item.get_closest_marker(name) for name in ("slow", "gpu", "browser", "examples"))
    thorough = item.get_closest_marker("thorough") is not None
    most = MOST_THOROUGH if thorough else MOST_SECONDS
    if used > most and not exempt:
        what, mark = ("a thorough test", "slow") if thorough else ("a default test", "thorough")
        pytest.fail(f"{what} may take {most:g} processor seconds, took {used:.1f}; mark it {mark}")
    return result


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
def harness() -> ModuleType:
    """lm-evaluation-harness and all that it imports, before a test's time is taken.

    Skipped when it is not installed. Its first import takes seconds, more so where nothing of it
    was compiled yet, and it imports much only when a task is loaded or a table is made.
    """
    harness = pytest.importorskip("lm_eval")
    for name in _HARNESS:
        importlib.import_module(name)
    return harness


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
