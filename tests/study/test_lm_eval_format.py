"""What readers of lm-evaluation-harness find in results.json: with its real readers where it is
installed (`pip install 'equipoise[ability]'`), and in any case every key that they touch."""

import copy
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.json
import pytest

from equipoise.records import Estimate, Measurement, Outcome
from equipoise.study.lm_eval_format import keys_of
from equipoise.study.results import read_results, results_document, write_results

NAN = math.nan


def estimate(metric: str, value: float, low: float, high: float, **more: Any) -> Estimate:
    return Estimate(
        metric=metric, value=value, low=low, high=high, n=2, clusters=2, unit="%", **more
    )


ESTIMATES = (
    estimate("ss", 60.0, 55.0, 65.0, ideal=50.0),
    estimate("lms", 80.0, 75.0, 85.0, ideal=100.0, higher_is_better=True),
    estimate("silent", NAN, NAN, NAN, reason="nothing measured"),
    estimate("alone", 3.0, NAN, NAN, reason="one cluster"),
    estimate("a,b/c", 1.0, 0.5, 1.5, higher_is_better=False),
    estimate("ss", NAN, NAN, NAN, group={"axis": "age"}, reason="nothing measured"),
)


def measurement(benchmark: str, **change: Any) -> Measurement:
    item: dict[str, Any] = {
        "model": "gpt2@607a30d", "benchmark": benchmark, "version": "3", "split": "dev",
        "options": {"words": [" he", " she"], "limit": None}, "seed": 1, "draws": 100,
        "limit": None, "examples_sha256": f"hash of {benchmark}", "data": (),
        "model_info": {"kind": "causal", "name": "org/gpt2", "revision": "607a30d",
                       "dtype": "float32", "parameters": 124, "edits": [{"options": {"a": 1.5}}]},
        "environment": {"numpy": "2"}, "cluster": None, "estimates": ESTIMATES,
        "outcomes": (Outcome(example="a", values={"x": 1.0}), Outcome(example="b", values={})),
    }  # fmt: skip
    return Measurement(**{**item, **change})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Several benchmarks, one twice, one by its path, and numbers that are nan."""
    all_of_them = [
        measurement("toy"),
        measurement("toy", seed=2),
        measurement("plugins/nurses.py:Nurses"),
        measurement("short", limit=2),
    ]
    return write_results(tmp_path / "run", all_of_them)


@pytest.fixture
def document(folder: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return result


KEYS = ["toy", "toy#2", "nurses.py:Nurses", "short"]


def test_every_section_has_every_key(document: dict[str, Any]) -> None:
    for section in (
        "results",
        "configs",
        "versions",
        "n-shot",
        "higher_is_better",
        "n-samples",
        "task_hashes",
    ):
        assert list(document[section]) == KEYS, section
    assert list(document["equipoise"]["benchmarks"]) == KEYS
    assert "groups" not in document  # the harness has it only where tasks are aggregated
    assert document["group_subtasks"] == {}


def test_a_row_has_only_what_the_tables_can_format(document: dict[str, Any]) -> None:
    row = document["results"]["toy"]
    assert row == {
        "alias": "toy",
        "ss,none": 60.0,
        "ss_stderr,none": pytest.approx(10 / 3.919928),
        "lms,none": 80.0,
        "lms_stderr,none": pytest.approx(10 / 3.919928),
        "silent,none": None,
        "silent_stderr,none": "N/A",
        "alone,none": 3.0,
        "alone_stderr,none": "N/A",
        "a;b|c,none": 1.0,
        "a;b|c_stderr,none": pytest.approx(1 / 3.919928),
    }
    for row in document["results"].values():
        for key, value in row.items():
            assert "/" not in key
            if "_stderr" in key:
                assert value == "N/A" or f"{value:.4f}"


def test_an_infinite_interval_has_no_standard_error(tmp_path: Path) -> None:
    endless = estimate("nats", math.inf, 1.0, math.inf)
    write_results(tmp_path / "run", [measurement("toy", estimates=(endless,))])
    row = json.loads((tmp_path / "run" / "results.json").read_text())["results"]["toy"]
    assert (row["nats,none"], row["nats_stderr,none"]) == ("inf", "N/A")


def test_names_are_whole_where_they_are_shown_and_plain_where_they_are_keys(
    document: dict[str, Any],
) -> None:
    assert [row["alias"] for row in document["results"].values()] == [
        "toy",
        "toy#2",
        "plugins/nurses.py:Nurses",
        "short",
    ]
    two_places = [measurement("a/n.py:N"), measurement("b/n.py:N"), measurement("odd/")]
    assert keys_of(two_places) == ["n.py:N", "n.py:N#2", "odd/"]


def test_configs_of_tasks(document: dict[str, Any]) -> None:
    assert document["configs"]["toy"]["metric_list"][:2] == [
        {"metric": "ss", "higher_is_better": None},
        {"metric": "lms", "higher_is_better": True},
    ]
    assert document["configs"]["nurses.py:Nurses"]["task"] == "nurses.py:Nurses"
    assert document["higher_is_better"]["toy"] == {
        "ss": None,
        "lms": True,
        "silent": None,
        "alone": None,
        "a;b|c": False,
    }
    assert document["n-samples"]["toy"] == {"original": 2, "effective": 2}
    assert document["n-samples"]["short"] == {"original": None, "effective": 2}
    assert set(document["n-shot"].values()) == {0}
    shown = results_document([replace(measurement("toy"), options={"shots": 5})])
    assert shown["n-shot"] == {"toy": 5}
    assert shown["configs"]["toy"]["num_fewshot"] == 5
    assert document["task_hashes"]["short"] == "hash of short"


def test_prompts_of_a_family_are_no_samples(tmp_path: Path) -> None:
    family = measurement(
        "toy",
        model_info={"variants": 2},
        outcomes=tuple(
            Outcome(example=f"a#{k}", values={}, groups={"prefix": str(k), "item": "a"})
            for k in range(2)
        ),
    )
    write_results(tmp_path / "run", [family])
    actual = json.loads((tmp_path / "run" / "results.json").read_text())["n-samples"]
    assert actual == {"toy": {"original": 1, "effective": 1}}


def test_model_info(document: dict[str, Any]) -> None:
    config = document["config"]
    assert config["model"] == "gpt2@607a30d"
    assert config["model_args"]["pretrained"] == "org/gpt2"
    assert (config["model_dtype"], config["model_num_parameters"]) == ("float32", 124)
    assert ",".join(map(str, config["batch_sizes"])) == ""
    assert (config["random_seed"], config["bootstrap_iters"]) == (1, 100)
    assert document["model_name"] == "org/gpt2"
    assert document["model_name_sanitized"] == "org__gpt2"


def test_arrow_reads_samples_as_the_hub_does(folder: Path, tmp_path: Path) -> None:
    line = json.dumps(json.loads((folder / "results.json").read_text()))
    (tmp_path / "line.json").write_text(line)
    table = pyarrow.json.read_json(tmp_path / "line.json")
    table.validate(full=True)
    assert table["results"][0].as_py()["toy#2"]["ss,none"] == 60.0
    assert len(read_results(folder)) == 4


@pytest.mark.usefixtures("harness")
@pytest.mark.filterwarnings("ignore")
def test_the_harness_makes_its_table(document: dict[str, Any]) -> None:
    utils = pytest.importorskip("lm_eval.utils")
    before = copy.deepcopy(document)
    for sorted_too in (False, True):
        text = utils.make_table(document, "results", sorted_too)
        lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
        assert [line[0] for line in lines[2:] if line[0]] == sorted(
            ["plugins/nurses.py:Nurses", "toy", "toy#2", "short"],
            key=lambda name: name.removeprefix("plugins/"),
        )
        rows = {line[4]: line for line in lines}
        assert rows["ss"][1:] == ["", "none", "0", "ss", "", "60", "±", "2.5511"]
        assert rows["lms"][5] == "↑"
        assert rows["silent"][6:] == ["", "±", "N/A"]
    assert document == before
    assert json.loads(json.dumps(document, default=utils.handle_non_serializable)) == document


@pytest.mark.usefixtures("harness")
@pytest.mark.filterwarnings("ignore")
def test_harness_tracker_finds_the_results(document: dict[str, Any], tmp_path: Path) -> None:
    loggers = pytest.importorskip("lm_eval.loggers")
    utils = pytest.importorskip("lm_eval.utils")
    tracker = loggers.EvaluationTracker(output_path=str(tmp_path / "kept"))
    tracker.general_config_tracker.log_experiment_args(
        document["model_source"], document["config"]["model_args"], None, None, False
    )
    tracker.save_results_aggregated(copy.deepcopy(document))
    files = [str(file) for file in (tmp_path / "kept" / "org__gpt2").iterdir()]
    latest = utils.get_latest_filename(utils.get_results_filenames(files))
    document = json.loads(Path(latest).read_text())
    assert document["model_name"] == "org/gpt2"
    for section in ("results", "configs", "n-samples", "equipoise"):
        assert document[section] == document[section]
