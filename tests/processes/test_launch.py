"""What a launcher says to a process."""

import pytest

from equipoise.errors import RecipeError
from equipoise.processes.launch import (
    is_main_process,
    process_count,
    process_index,
    refuse_several_processes,
)


def test_a_process_without_a_launcher_is_alone() -> None:
    assert (process_index(), process_count(), is_main_process()) == (0, 1, True)
    refuse_several_processes("a study")


def test_several_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert not is_main_process()
    with pytest.raises(RecipeError, match="a study must run in a single process, got 2"):
        refuse_several_processes("a study")
