"""kill -9 while a model writes from BOLD's prompts: the same bytes in the end."""

import multiprocessing
import signal
from pathlib import Path

import pytest
from bold_folder import STORMS, write_folder
from stored_results import stored

from equipoise.study.load_study import read_study

from .killing import run_and_die, run_to_the_end

RECIPE = """\
models: [{{name: {model}, as: tiny}}]
benchmarks:
  - {{name: bold, domains: [gender], samples: 2, fewest_entities: 1, max_tokens: 4,
     scorers: ["{scorer}", length]}}
mitigations: [{{name: prompt_prefix, only: 0}}]
data: {data}
draws: 10
"""


@pytest.mark.slow
def test_a_killed_bold_resumes_to_the_same_bytes(tmp_path: Path, tiny_folder: Path) -> None:
    data = write_folder(tmp_path / "data")
    recipe = tmp_path / "study.yaml"
    recipe.write_text(RECIPE.format(model=tiny_folder, scorer=STORMS, data=data))
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["tests.study.killing"])
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process = server.Process(target=run_to_the_end, args=(str(recipe), str(whole)))
    process.start()
    process.join()
    assert process.exitcode == 0
    for moment in (4, 12, 24):
        process = server.Process(target=run_and_die, args=(str(recipe), str(killed), moment))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL, moment
    process = server.Process(target=run_to_the_end, args=(str(recipe), str(killed)))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert stored(killed) == stored(whole)
    (chapter,) = read_study(killed).chapters
    (compared,) = chapter.comparisons
    assert compared.written == len(compared.before.outcomes) > 0
