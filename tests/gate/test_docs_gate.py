"""What docs/gate.md shows: its requirements, its file and its workflow."""

import re
import shlex
from pathlib import Path

import yaml

from equipoise.gate.gate import judge_results
from equipoise.gate.requirement import parse_requirement, read_requirements

from .conftest import STEREOSET, measurement

PAGE = (Path(__file__).parents[2] / "docs" / "gate.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_its_gate_can_be_read_and_asked(tmp_path: Path) -> None:
    file = tmp_path / "gate.yaml"
    file.write_text(BLOCKS[0])
    requirements = read_requirements(file)
    rulings = judge_results([measurement("stereoset", *STEREOSET)], requirements)
    assert [ruling.state for ruling in rulings] == ["holds", "holds", "holds", "not shown"]
    for sentence in re.findall(r"--require '(.*?)'", PAGE):
        assert parse_requirement(sentence).text in file.read_text()


def test_its_forms_can_be_read() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith(("| `NAME", "| `no group"))]
    assert len(rows) == 6
    for row in rows:
        first = re.findall(r"`([^`]+)`", row)[0].replace("…", "above B")
        parse_requirement(
            re.sub(r"\b[AB]\b", lambda match: "45" if match[0] == "A" else "55", first)
        )


def test_its_workflow_gates_what_it_measured() -> None:
    workflow = yaml.safe_load(BLOCKS[1])
    runs = [step["run"] for step in workflow["jobs"]["gate"]["steps"] if "run" in step]
    measured, checked = (shlex.split(run) for run in runs[-2:])
    assert measured[measured.index("--out") + 1] == checked[2] == "result"
    upload = workflow["jobs"]["gate"]["steps"][-1]["with"]["path"]
    assert checked[checked.index("--junit") + 1] in upload
