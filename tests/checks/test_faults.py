"""From faults to findings: one ok, or one a fault, five at most and a count."""

import pytest

from equipoise.checks.faults import Fault, row_of
from equipoise.checks.run import MOST, conclude


def test_no_fault_gives_one_ok_or_nothing() -> None:
    (finding,) = conclude("grid", "toy", [], sound="9 values")
    assert (finding.check, finding.level, finding.where, finding.text) == (
        "grid",
        "ok",
        "toy",
        "9 values",
    )
    assert conclude("grid", "toy", [], sound=None) == []


@pytest.mark.parametrize("number", [1, MOST])
def test_few_faults_are_one_finding_each(number: int) -> None:
    faults = [Fault(text=str(k)) for k in range(number)]
    assert [finding.text for finding in conclude("grid", "toy", faults, sound="9")] == [
        str(k) for k in range(number)
    ]


@pytest.mark.parametrize(("last", "level"), [("warning", "warning"), ("error", "error")])
def test_many_faults_are_counted_at_their_worst_level(last: str, level: str) -> None:
    faults = [Fault(text=str(k), level="warning") for k in range(MOST + 1)]
    faults.append(Fault(text="last", level=last))  # type: ignore[arg-type]
    findings = conclude("grid", "toy", faults, sound=None)
    assert len(findings) == MOST + 1
    assert (findings[-1].level, findings[-1].text) == (level, "… and 2 more")


def test_rows_in_words() -> None:
    assert row_of("ss", {}) == "ss"
    assert row_of("ss", {"b": "2", "a": "1"}) == "ss (a=1, b=2)"
