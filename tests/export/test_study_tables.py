"""Estimates, rankings, curves, findings and what is missing, as rows."""

from report.small_study import HOSTILE, small_study

from equipoise.export.study_tables import (
    calibrations_table,
    estimates_table,
    findings_table,
    missing_table,
    rankings_table,
)
from equipoise.export.table_data import Sheet, exact, rounded

STUDY = small_study()


def rows(sheet: Sheet) -> list[dict[str, str]]:
    table = exact(sheet)
    return [dict(zip(table.header, row, strict=True)) for row in table.rows]


def test_estimates_by_hand() -> None:
    first, second = rows(estimates_table(STUDY.measured))
    assert first == {
        "model": HOSTILE, "mitigation": "", "seed": "", "benchmark": "genbias", "version": "2",
        "split": "test", "options": '{"world": null}', "limit": "30", "metric": "afgb",
        "group": "", "value": "0.25", "low": "0.125", "high": "0.5", "unit": "", "ideal": "0.0",
        "higher_is_better": "", "n": "30", "clusters": "10", "reason": "", "model_identity": "g@1",
        "measured_with_seed": "0", "draws": "100", "examples_sha256": "e" * 64,
        "data": "b/dev.json", "data_sha256": "d" * 64, "data_licence": "CC|BY",
        "data_official": "true",
    }  # fmt: skip
    assert (second["value"], second["reason"]) == ("", "nothing was asked")
    assert second["higher_is_better"] == "true"


def test_estimates_of_groups() -> None:
    [one] = rows(estimates_table(STUDY.measured, groups=True))
    assert (one["group"], one["value"]) == ("profession=nurse", "0.2")


def test_estimates_for_a_reader() -> None:
    table = rounded(estimates_table(STUDY.measured))
    assert table.header == (
        "model", "benchmark", "metric", "value (95 %)", "unit", "ideal", "n", "reason",
    )  # fmt: skip
    assert [row[3] for row in table.rows] == ["0.250 [0.125, 0.500]", "n/a"]


def test_rankings_have_ranks() -> None:
    found = rows(rankings_table(STUDY.located))
    assert [(one["block"], one["rank"], one["score"], one["low"]) for one in found] == [
        ("0", "2", "0.1", "0.05"),
        ("1", "1", "0.4", "0.3"),
    ]
    assert [one["times_first"] for one in found] == ["0", "1"]
    assert {one["reason"] for one in found} == {"one seed"}


def test_the_rest() -> None:
    [curve] = rows(calibrations_table(STUDY.calibrations))
    assert (curve["slope"], curve["slope_low"], curve["spearman"]) == ("0.9", "0.8", "1.0")
    assert (curve["options"], curve["strengths"]) == ('{"a": null, "b": 1}', "0 0.5")
    [finding] = rows(findings_table(STUDY.findings))
    assert finding == {"check": "icat", "level": "error", "where": "s on m", "text": "1 is not 2"}
    [missing] = rows(missing_table(STUDY.missing))
    assert missing["traceback"] == "line 1\nline 2"
    assert rounded(missing_table(STUDY.missing)).header == ("what", "why")
