"""The JSON Schema of results.json: it is one, it takes what is written, and it names every key."""

import json
import math
from collections.abc import Iterator
from dataclasses import fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from worlds import in_world

from equipoise.benchmarks.genbias import GenBias
from equipoise.measure import measure
from equipoise.records import DataUse, Estimate, Measurement, Reference
from equipoise.study import results
from equipoise.study.results import SCHEMA, results_document, to_json, write_results
from equipoise.testing import tiny_model

TEXT = files("equipoise.study").joinpath("results.schema.json").read_text(encoding="utf-8")
DOCUMENT: dict[str, Any] = json.loads(TEXT)
VALIDATOR = Draft202012Validator(DOCUMENT)


@pytest.fixture(scope="module")
def measured() -> Measurement:
    with in_world():
        return measure(tiny_model("gpt2"), GenBias(), limit=8, draws=10)


def written(measurement: Measurement) -> Any:
    return json.loads(to_json(results_document([measurement, measurement])))


def test_it_is_a_schema_of_this_version() -> None:
    Draft202012Validator.check_schema(DOCUMENT)
    section = DOCUMENT["properties"]["equipoise"]["properties"]
    assert section["schema"]["const"] == SCHEMA
    assert DOCUMENT["$id"] == f"urn:equipoise:results:{SCHEMA}"


@pytest.mark.thorough
def test_what_is_written_is_valid(measured: Measurement, tmp_path: Path) -> None:
    folder = write_results(tmp_path / "out", [measured, measured])
    VALIDATOR.validate(json.loads((folder / results.FILE).read_text(encoding="utf-8")))
    VALIDATOR.validate(written(measured))
    estimate = Estimate(
        metric="m", value=math.nan, low=-math.inf, high=math.nan, n=0, clusters=0, unit="",
        reason="nothing",
    )  # fmt: skip

    VALIDATOR.validate(written(replace(measured, estimates=(estimate,), references=())))


@pytest.mark.parametrize(
    "break_it",
    [
        lambda section: section.update(schema=1),
        lambda section: section.pop("ci_method"),
        lambda section: section["benchmarks"]["genbias"].pop("model"),
        lambda section: section["benchmarks"]["genbias"].update(more=1),
        lambda section: section["benchmarks"]["genbias"]["estimates"][0].update(value="1"),
        lambda section: section["benchmarks"]["genbias"]["estimates"][0].pop("n"),
        lambda section: section["benchmarks"]["genbias"]["data"][0].update(verified="yes"),
    ],
)
def test_what_is_wrong_is_not(measured: Measurement, break_it: Any) -> None:
    document = written(measured)
    break_it(document["equipoise"])
    assert not VALIDATOR.is_valid(document)


def described(schema: Any) -> Iterator[tuple[str, Any]]:
    for name, inner in schema.get("properties", {}).items():
        yield name, inner
        yield from described(inner)


def test_every_key_has_its_meaning(measured: Measurement) -> None:
    parts = {
        name: DOCUMENT["$defs"][name]["properties"]
        for name in DOCUMENT["$defs"]
        if name != "number"
    }
    for part, noun in {"estimate": Estimate, "reference": Reference, "data_use": DataUse}.items():
        assert set(parts[part]) == {field.name for field in fields(noun)}
    row = written(measured)["equipoise"]["benchmarks"]["genbias"]
    assert set(parts["measurement"]) == {*row, "outcomes"}
    assert set(DOCUMENT["properties"]) == set(written(measured))
    for schema in (DOCUMENT, *(DOCUMENT["$defs"][name] for name in parts)):
        for name, inner in described(schema):
            assert inner.get("description") or "const" in inner or inner == {"type": "null"}, name
