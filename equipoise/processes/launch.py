"""Which of several processes this is, as torchrun and `accelerate launch` say. No torch."""

import os

from equipoise.errors import RecipeError


def process_index() -> int:
    """Number of this process, from 0; the first alone writes files and prints."""
    return int(os.environ.get("RANK", "0"))


def process_count() -> int:
    """How many processes a launcher started together; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main_process() -> bool:
    """Whether this process writes files: False in all but the first of several."""
    return process_index() == 0


def refuse_several_processes(what: str) -> None:
    """Raise `RecipeError` if several processes were started together for `what`."""
    count = process_count()
    if count > 1:
        raise RecipeError(
            f"{what} must run in a single process, got {count}; start it without a launcher"
        )
