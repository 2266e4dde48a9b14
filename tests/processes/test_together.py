"""Two processes answer what one answers, to the bit; and none waits for one that has ended."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_folder import save_tiny

from equipoise.processes.together import gather, merge, on_main, own_share, share_out, sharing
from equipoise.processes.torch_group import join

from .work import answer_all, measure, run_study, wait_in_vain

Together = Callable[..., list[int | None]]
SAME_BATCHES = (
    "score", "infill", "generate", "embed", "locate", "sentences", "classify", "attributed heads",
    "patched heads",
)  # fmt: skip
PAIRS = (
    "stereotype,antistereotype,axis\nThe old cook.,The young cook.,age\nOld men.,Young men.,age\n"
)


def said(folder: Path, count: int) -> list[dict[str, Any]]:
    return [json.loads((folder / f"{count}-{index}.json").read_text()) for index in range(count)]


def test_alone_nothing_is_shared() -> None:
    join()
    assert sharing() is None
    assert own_share([3, 1, 2]) == [0, 1, 2]
    assert gather("x") == ["x"]
    assert merge({1: "b", 0: "a"}) == {0: "a", 1: "b"}
    assert on_main(lambda: 3) == 3
    assert share_out([lambda: 3, lambda: 4]) == [3, 4]


@pytest.mark.thorough
def test_several_processes_answer_as_one(together: Together, tmp_path: Path) -> None:
    assert together(answer_all, str(tmp_path), count=1) == [0]
    assert together(answer_all, str(tmp_path), count=2) == [0, 0]
    (alone,), both = said(tmp_path, 1), said(tmp_path, 2)
    for results in both:
        for name in SAME_BATCHES:
            assert results[name] == alone[name]  # to the bit
        for name in ("ruled", "unigram"):
            assert results[name] == pytest.approx(alone[name], rel=1e-6)
        assert results["on main"] == [0, False]
        assert results["shared out"] == [[0, True], [1, True], [0, True]]
        assert results["rows"][:2] == [0, 1]
        assert results["raised"] == [
            ["ModelError", "no model"],
            [results["raised"][1][0], "request 3 (counted from 0) is bad"],
            ["ModelError", "no task"],
        ]
        assert results["same"] == results["all fail"] == []
        assert results["other"] == [
            "ProcessError",
            "all 2 processes must have the same file, process 0 has '0' and process 1 '1'; copy it",
        ]
    passes = [results["passes"] for results in both]
    assert sum(passes) == alone["passes"]
    assert max(passes) <= 0.7 * alone["passes"]


@pytest.mark.thorough
def test_two_processes_print_what_one_prints(together: Together, tmp_path: Path) -> None:
    save_tiny(tmp_path / "tiny")
    (tmp_path / "pairs.csv").write_text(PAIRS)
    command = "measure tiny pairs --set pairs.file=pairs.csv --draws 20 --json"
    for count in (1, 2):
        codes = together(
            measure, str(tmp_path), "not at all", count=count, after=(command.split(),)
        )
        assert codes == [0] * count
    (alone,), (main, other) = said(tmp_path, 1), said(tmp_path, 2)
    assert main["out"] == alone["out"]
    assert "model's unigram" in main["out"]
    assert not other["out"]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("how", "statuses", "sentence"),
    [
        ("alone", (2, 2), "process 1: error: the weights must be there"),
        ("killed", (2, None), "error: all processes must go on together, another has ended"),
        ("other file", (2, 2), "must have the same file pairs.csv, process 0 has"),
        ("not at all", (0, 0), ""),
    ],
)
def test_a_failure_of_one_ends_all_with_a_sentence(
    together: Together,
    tmp_path: Path,
    how: str,
    statuses: tuple[int | None, ...],
    sentence: str,
) -> None:
    save_tiny(tmp_path / "tiny")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "tiny").symlink_to(tmp_path / "tiny")
    (tmp_path / "pairs.csv").write_text(PAIRS)
    (tmp_path / "other" / "pairs.csv").write_text(PAIRS.replace("cook", "clerk"))
    command = "measure tiny pairs --set pairs.file=pairs.csv --draws 0 --no-nulls --out new"
    codes = together(measure, str(tmp_path), how, after=(command.split(),))
    assert codes == [0, -9] if how == "killed" else codes == [0, 0]
    files = [tmp_path / f"2-{index}.json" for index in range(2)]
    results = [json.loads(file.read_text()) if file.exists() else {} for file in files]
    assert tuple(result.get("status") for result in results) == statuses
    errors = [result["err"] for result in results if "error:" in result.get("err", "")]
    assert len(errors) == (1 if sentence else 0)
    assert sentence in "".join(errors)
    assert (tmp_path / "new").exists() == (how == "not at all")
    assert bool(results[0]["out"]) == (how == "not at all")
    assert not results[1].get("out")


@pytest.mark.thorough
def test_one_that_hangs_is_not_waited_for_for_ever(together: Together, tmp_path: Path) -> None:
    assert together(wait_in_vain, str(tmp_path)) == [0, 0]
    assert "another has ended or hangs" in (tmp_path / "said").read_text()


RECIPE = """\
models: [{name: tiny, as: tiny}]
benchmarks: [{name: pairs, file: pairs.csv}, {name: genbias, split_by: both}]
mitigations: [{name: lftf, objective: parity, epochs: 1, learning_rate: 0.001}]
locators: [block_influence]
supply: {name: genbias, split_by: both}
data: planted:default
seeds: [0]
draws: 20
limit: 20
rankings: 2
sample: 10
"""


@pytest.mark.slow
def test_a_study_is_done_together(together: Together, tmp_path: Path) -> None:
    save_tiny(tmp_path / "tiny")
    (tmp_path / "pairs.csv").write_text(PAIRS)
    (tmp_path / "study.yaml").write_text(RECIPE)
    for count in (1, 2):
        assert together(run_study, str(tmp_path), count=count) == [0] * count
        assert [result["status"] for result in said(tmp_path, count)] == [0] * count
    assert not said(tmp_path, 2)[1]["out"]
    alone, joined = (tmp_path / name / "steps" for name in ("1", "2"))
    keys = sorted(step.name for step in alone.iterdir())
    assert keys == sorted(step.name for step in joined.iterdir())
    assert len(keys) > 5
    for key in keys:
        content = json.loads((alone / key / "step.json").read_text())
        if "tiny with" not in content["title"] and "fit" not in content["title"]:
            # what rests on no training has the bytes of a single process
            assert (alone / key / "done.json").read_text() == (
                joined / key / "done.json"
            ).read_text()
