"""Processes that start with everything imported."""

import multiprocessing
from multiprocessing.context import ForkServerContext

import pytest

METHODS = ("lftf", "full_finetune", "sft", "dpo", "parity", "bias_unlearn", "npo")


@pytest.fixture(scope="session")
def server() -> ForkServerContext:
    """Starts processes that have imported everything and done nothing."""
    context = multiprocessing.get_context("forkserver")
    methods = [f"equipoise.mitigate.{name}" for name in METHODS]
    context.set_forkserver_preload([*methods, "equipoise.testing", "transformers.models.llama"])
    return context
