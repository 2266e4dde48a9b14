"""`equipoise check`: exit status, sentences, JSON, JUnit XML, and how quick it is."""

import json
import resource
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from equipoise.study.results import results_document, to_json

from .conftest import STEREOSET, Asked, estimate, measurement


@pytest.mark.thorough
def test_exit_status_says_whether_all_hold(result: Path, ask: Asked) -> None:
    good, bad = "genbias.afgb at most 0.2", "stereoset.ss within 45..55"
    assert ask("check", result, "--require", good) == (
        0, "holds: genbias.afgb: 0.100 [0.000, 0.200] % (95 %, n = 100) lies at or below 0.2\n", "",
    )  # fmt: skip
    status, out, err = ask("check", result, "--require", good, "--require", bad)
    assert (status, err) == (1, "")
    assert [line.partition(": ")[0] for line in out.splitlines()] == ["holds", "holds", "FAILS"]


def test_a_file_of_requirements(result: Path, ask: Asked, tmp_path: Path) -> None:
    file = tmp_path / "gate.yaml"
    file.write_text("require:\n  - genbias.afgb at most 0.2\n  - genbias.afg at most 0.2\n")
    status, out, err = ask("check", result, "--require-file", file)
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {file} line 3: the result has no metric 'genbias.afg'; did you")


def test_json_has_the_numbers(result: Path, ask: Asked) -> None:
    status, out, _ = ask(
        "check", result, "--json", "--require", "stereoset#2.ss at most 55",
        "--require", "stereoset.silent at least 0",
    )  # fmt: skip
    document = json.loads(out)
    assert (status, document["passed"]) == (1, False)
    first, second = document["rulings"]
    assert (first["value"], first["low"], first["high"]) == (58.0, 53.0, 63.0)
    assert (first["required"], first["state"]) == (["-inf", 55.0], "not shown")
    assert (second["value"], second["state"]) == (None, "not measured")
    assert second["reason"] == "no texts | at all"


@pytest.mark.thorough
def test_junit_xml_is_a_case_per_number(ask: Asked, tmp_path: Path) -> None:
    result, file = tmp_path / "results.json", tmp_path / "new" / "junit.xml"
    result.write_text(to_json(results_document([measurement("stereoset", *STEREOSET)])))
    assert ask("check", result, "--require", "stereoset.ss at most 55", "--junit", file)[0] == 0
    assert ElementTree.parse(file).getroot().get("failures") == "0"
    required = "no group of stereoset.ss by axis worse than 60"
    assert ask("check", result, "--require", required, "--junit", file)[0] == 1
    root = ElementTree.parse(file).getroot()
    (suite,) = root
    cases = suite.findall("testcase")
    assert (suite.get("tests"), suite.get("failures"), len(cases)) == ("2", "1", 2)
    assert [case.get("classname") for case in cases] == ["stereoset"] * 2
    (failure,) = suite.iter("failure")
    assert failure.get("type") == "not shown"
    assert "stereoset.ss (axis race): 41.0 [39.0, 43.0]" in str(failure.text)
    assert suite.find("properties/property").get("value") == "tiny@0"  # type: ignore[union-attr]


def test_junit_xml_holds_whatever_a_group_is_called(tmp_path: Path, ask: Asked) -> None:
    row = estimate("ss", 1.0, 0.0, 2.0, group={"k": "a\x00<b>&\u202e\ud800"})
    file = tmp_path / "printed.json"
    file.write_text(to_json(results_document([measurement("toy", row)])), errors="surrogatepass")
    document = json.loads(file.read_bytes().decode("utf-8", "surrogatepass"))
    file.write_text(json.dumps(document))
    place = tmp_path / "junit.xml"
    assert ask("check", file, "--require", "no group of toy.ss above 1", "--junit", place)[0] == 1
    (case,) = ElementTree.parse(place).getroot().iter("testcase")
    assert "a␀<b>&⟨U+202E⟩⟨U+D800⟩" in str(case.get("name"))


def test_what_measure_json_printed_is_a_result(tmp_path: Path, ask: Asked) -> None:
    file = tmp_path / "printed.json"
    file.write_text(to_json(results_document([measurement("stereoset", *STEREOSET)])))
    assert ask("check", file, "--require", "stereoset.ss within 45..55")[0] == 0


@pytest.mark.parametrize("schema", [1, 3])
def test_another_schema_is_refused(result: Path, tmp_path: Path, ask: Asked, schema: int) -> None:
    document = json.loads((result / "results.json").read_text())
    document["equipoise"]["schema"] = schema
    file = tmp_path / "results.json"
    file.write_text(json.dumps(document))
    status, out, err = ask("check", file, "--require", "stereoset.ss within 45..55")
    assert (status, out) == (2, "")
    assert f"must have schema 2, got {schema}; it was written by another version" in err


def test_a_study_is_asked_for_one_of_its_measurements(tmp_path: Path, ask: Asked) -> None:
    (tmp_path / "study.json").write_text("{}")
    status, _, err = ask("check", tmp_path, "--require", "a.b at most 5")
    assert status == 2
    assert "name the folder of one of its measurements" in err


@pytest.mark.thorough
def test_bad_use_is_not_a_failed_gate(tmp_path: Path, result: Path, ask: Asked) -> None:
    assert ask("check", result)[0] == 2
    assert ask("check", tmp_path, "--require", "a.b at most 5")[0] == 2
    assert ask("check", result, "--require", "stereoset.ss")[0] == 2
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "junit.xml"
    required = ("--require", "genbias.afgb at most 1")
    status, out, err = ask("check", result, *required, "--junit", place)
    assert (status, out) == (2, "")
    assert "cannot write the JUnit file" in err


@pytest.mark.thorough
def test_it_answers_within_a_second_without_torch(result: Path) -> None:
    code = (
        "import sys; from equipoise.cli import run\n"
        f"assert run(['check', {str(result)!r}, '--require', 'stereoset.ss at most 63']) == 0\n"
        "assert not {'torch', 'transformers', 'scipy', 'pandas'} & set(sys.modules)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 1.5
