"""Processes that start with everything imported."""

import multiprocessing
import socket
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from typing import Any

import pytest

PRELOADED = ("cli", "api", "testing", "benchmarks.pairs", "locate.block_influence", "report.tables")


@pytest.fixture(scope="session")
def server() -> ForkServerContext:
    """Starts processes that have imported everything and done nothing."""
    context = multiprocessing.get_context("forkserver")
    ours = [f"equipoise.{name}" for name in PRELOADED]
    kinds = [f"transformers.models.{name}" for name in ("llama", "bert")]
    context.set_forkserver_preload([*ours, *kinds])
    return context


@pytest.fixture
def together(server: ForkServerContext) -> Callable[..., list[int | None]]:
    """Run a function in several processes; gives their exit codes."""

    def run(work: Callable[..., None], *before: Any, count: int = 2, after: Any = ()) -> list[Any]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        processes = [
            server.Process(target=work, args=(*before, index, count, port, *after))
            for index in range(count)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(timeout=120)
        return [process.exitcode for process in processes]

    return run
