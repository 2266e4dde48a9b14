"""Results on disk: there and back, what readers of the harness find, and what is refused."""

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.errors import StoreError
from equipoise.records import DataUse, Estimate, Measurement, Outcome, Reference
from equipoise.study.results import read_results, results_document, to_json, write_results

NAMES = st.text(min_size=1, max_size=8)
NUMBERS = st.floats(width=64)
PLAIN = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-1e9, 1e9) | NAMES
GROUPS = st.dictionaries(NAMES, NAMES, max_size=2)
OUTCOMES = st.builds(
    Outcome,
    example=NAMES,
    values=st.dictionaries(NAMES, NUMBERS, max_size=3),
    groups=GROUPS,
    text=st.none() | st.text(max_size=8),
)
ESTIMATES = st.builds(
    Estimate,
    metric=NAMES, value=NUMBERS, low=NUMBERS, high=NUMBERS, n=st.integers(0, 9),
    clusters=st.integers(0, 9), unit=NAMES, ideal=st.none() | st.floats(-9, 9),
    higher_is_better=st.none() | st.booleans(), group=GROUPS, reason=st.none() | NAMES,
)  # fmt: skip
USES = st.builds(
    DataUse, name=NAMES, sha256=NAMES, licence=NAMES, verified=st.booleans(), revision=NAMES
)
REFERENCES = st.builds(
    Reference, kind=st.sampled_from(["null", "without"]), name=NAMES, says=NAMES,
    items=st.integers(0, 9), estimates=st.lists(ESTIMATES, max_size=2).map(tuple),
)  # fmt: skip
MEASUREMENTS = st.builds(
    Measurement,
    model=NAMES, benchmark=NAMES, version=NAMES, options=st.dictionaries(NAMES, PLAIN, max_size=2),
    split=NAMES, seed=st.integers(0, 9), draws=st.integers(0, 9), limit=st.none() | st.just(3),
    examples_sha256=NAMES, data=st.lists(USES, max_size=1).map(tuple),
    model_info=st.dictionaries(NAMES, PLAIN, max_size=2),
    environment=st.dictionaries(NAMES, NAMES, max_size=2), cluster=st.none() | NAMES,
    estimates=st.lists(ESTIMATES, max_size=3).map(tuple),
    outcomes=st.lists(OUTCOMES, max_size=3).map(tuple),
    notes=st.lists(NAMES, max_size=2).map(tuple),
    references=st.lists(REFERENCES, max_size=2).map(tuple),
)  # fmt: skip


def measurement(**change: Any) -> Measurement:
    item = {
        "model": "gpt2@1", "benchmark": "toy", "version": "3", "options": {"bos": "none"},
        "split": "dev", "seed": 1, "draws": 100, "limit": None, "examples_sha256": "ab",
        "data": (DataUse(name="toy.json", sha256="cd", licence="MIT", verified=True),),
        "model_info": {"kind": "causal", "prefix": "bos", "start_token_id": 1},
        "environment": {"numpy": "2"}, "cluster": "term",
        "estimates": (
            Estimate(metric="ss", value=60.0, low=55.0, high=65.0, n=9, clusters=4, unit="%",
                     ideal=50.0),
            Estimate(metric="ss", value=math.nan, low=math.nan, high=math.nan, n=0, clusters=0,
                     unit="%", ideal=50.0, group={"axis": "age"}, reason="nothing measured"),
        ),
        "outcomes": (
            Outcome(example="a", values={"x": 1.5, "y": math.nan}, groups={"axis": "age"}),
            Outcome(example="b", values={"x": math.inf}, text="a text"),
        ),
        "notes": ("a note",),
    }  # fmt: skip
    return Measurement(**{**item, **change})


def test_results_of_before_there_were_references_are_read(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "run", [measurement()])
    file = folder / "results.json"
    document = json.loads(file.read_text())
    assert document["equipoise"]["benchmarks"]["toy"].pop("references") == []
    file.write_text(json.dumps(document))
    (result,) = read_results(folder)
    assert result.references == ()


@pytest.mark.thorough
@settings(max_examples=20, deadline=None)
@given(st.lists(MEASUREMENTS, min_size=1, max_size=3))
def test_measurements_round_trip(measurements: list[Measurement]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_results(Path(folder) / "run", measurements)
        result = read_results(Path(folder) / "run")
    assert [repr(_sorted(entry)) for entry in result] == [
        repr(_sorted(entry)) for entry in measurements
    ]


def _sorted(measurement: Measurement) -> list[Any]:
    """Every field, mappings as sorted items; its repr tells nan from a number and from nothing."""
    outcomes = [
        (o.example, sorted(o.values.items()), sorted(o.groups.items()), o.text)
        for o in measurement.outcomes
    ]
    fields = [getattr(measurement, name) for name in Measurement.__slots__ if name != "outcomes"]
    plain = [sorted(field.items()) if isinstance(field, dict) else field for field in fields]
    return [*plain, outcomes]


def test_readers_of_the_harness_find_their_keys(tmp_path: Path) -> None:
    write_results(tmp_path / "run", [measurement()])
    document = json.loads((tmp_path / "run" / "results.json").read_text(), parse_constant=_refuse)
    assert document["results"]["toy"]["ss,none"] == 60.0
    assert document["results"]["toy"]["ss_stderr,none"] == pytest.approx(10 / 3.919928)
    assert document["versions"] == {"toy": "3"}
    assert document["n-samples"] == {"toy": {"original": 2, "effective": 2}}
    assert document["higher_is_better"] == {"toy": {"ss": None}}
    assert document["config"]["model"] == "gpt2@1"
    section = document["equipoise"]["benchmarks"]["toy"]
    assert document["equipoise"]["schema"] == 2
    assert (section["ideal"], section["ci95"]) == ({"ss": 50.0}, {"ss": [55.0, 65.0]})
    assert section["invalid"] == {"x": 1, "y": 2}
    assert section["coverage"] == {"x": 0.5, "y": 0.0}
    assert section["estimates"][1]["value"] is None
    assert section["estimates"][1]["reason"] == "nothing measured"
    assert (section["prefix"]["prefix"], section["prefix"]["start_token_id"]) == ("bos", 1)
    assert section["data"][0]["sha256"] == "cd"


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def test_equal_and_odd_names_make_distinct_valid_files(tmp_path: Path) -> None:
    both = [measurement(), measurement(seed=2), measurement(benchmark="a/b.py:Toy")]
    write_results(tmp_path / "run", both)
    assert [read_result.seed for read_result in read_results(tmp_path / "run")] == [1, 2, 1]
    assert list(results_document(both)["results"]) == ["toy", "toy#2", "b.py:Toy"]
    assert all(part.parent == tmp_path / "run" for part in (tmp_path / "run").rglob("*"))


def test_a_full_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(StoreError, match="new or empty folder"):
        write_results(tmp_path, [measurement()])
    assert [file.name for file in tmp_path.iterdir()] == ["kept.txt"]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert read_results(write_results(empty, [measurement()]))[0].model == "gpt2@1"


def test_unserializable_value_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot write results"):
        write_results(tmp_path / "run", [measurement(options={"x": object()})])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", ["results.json", "outcomes-toy.parquet"])
def test_truncated_file_is_named(tmp_path: Path, cut: str) -> None:
    file = write_results(tmp_path / "run", [measurement()]) / cut
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(StoreError, match=rf"{cut} must .*cut short"):
        read_results(tmp_path / "run")


def test_missing_files_and_other_schemas_are_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"absent' must be there"):
        read_results(tmp_path / "absent")
    folder = write_results(tmp_path / "run", [measurement()])
    (folder / "outcomes-toy.parquet").unlink()
    with pytest.raises(StoreError, match=r"outcomes-toy\.parquet must be there"):
        read_results(folder)
    document = json.loads((folder / "results.json").read_text())
    document["equipoise"]["schema"] = 1
    (folder / "results.json").write_text(json.dumps(document))
    with pytest.raises(StoreError, match="must have schema 2, got 1"):
        read_results(folder / "results.json")
    (folder / "results.json").write_text('{"results": {}}')
    with pytest.raises(StoreError, match="must have an 'equipoise' object"):
        read_results(folder)


def test_a_measurement_that_lacks_a_field_is_named(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "run", [measurement()])
    document = json.loads((folder / "results.json").read_text())
    del document["equipoise"]["benchmarks"]["toy"]["split"]
    (folder / "results.json").write_text(json.dumps(document))
    with pytest.raises(StoreError, match="whole measurements, got one without 'split'"):
        read_results(folder)


def test_json_is_strict() -> None:
    text = to_json({"a": math.nan, "b": [math.inf, -math.inf], "c": (1, None)})
    assert json.loads(text, parse_constant=_refuse) == {
        "a": None,
        "b": ["inf", "-inf"],
        "c": [1, None],
    }
