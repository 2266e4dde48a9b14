"""kill -9 while rows are scored and models retrained: the same bytes in the end."""

import multiprocessing
import signal
from pathlib import Path

import pytest
from stored_results import stored

from .killing import run_and_die, run_to_the_end
from .test_attribution_study import TEXT, write_rows

#: Which write to the disk is the last one: checkpoints, scores, results of retrainings, seals.
MOMENTS = (2, 8, 15, 23)


@pytest.mark.slow
def test_a_killed_attribution_resumes_to_the_same_bytes(tmp_path: Path, tiny_folder: Path) -> None:
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["tests.study.killing"])
    recipe = tmp_path / "study.yaml"
    recipe.write_text(write_rows(TEXT, tmp_path).format(model=tiny_folder))

    def finish(out: Path) -> int | None:
        process = server.Process(target=run_to_the_end, args=(str(recipe), str(out)))
        process.start()
        process.join()
        return process.exitcode

    assert finish(tmp_path / "whole") == 0
    for moment in MOMENTS:
        arguments = (str(recipe), str(tmp_path / "killed"), moment)
        process = server.Process(target=run_and_die, args=arguments)
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL, moment
    assert finish(tmp_path / "killed") == 0
    whole, killed = stored(tmp_path / "whole"), stored(tmp_path / "killed")
    assert whole.keys() == killed.keys()
    assert [name for name in whole if whole[name] != killed[name]] == []
