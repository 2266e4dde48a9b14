"""`equipoise export`: every table in every format, to a file or printed; and what is refused."""

import csv
import io
import json
from pathlib import Path

import pytest

from equipoise.export.export import FORMATS, export
from equipoise.export.tables import TABLES
from equipoise.study.load_study import read_study

from .conftest import Asked, Refused


def results(folder: Path) -> Path:
    """What `measure --out` would have written of the first measurement of a study."""
    return next(item / "results" for item in (folder / "steps").iterdir() if "measure" in item.name)


@pytest.mark.thorough
def test_table_is_printed_as_it_is_written(finished: Path, tmp_path: Path, ask: Asked) -> None:
    file = tmp_path / "new" / "table"
    for fmt, begins in {"markdown": "| ", "latex": "\\begin{"}.items():
        status, out, err = ask("export", finished, "--table", "verdicts", f"--{fmt}")
        assert (status, err) == (0, "")
        assert any(line.startswith(begins) for line in out.splitlines())
        written = ask("export", finished, "--table", "verdicts", f"--{fmt}", "--out", file)
        assert written == (0, "", f"the table is in {file}\n")
        assert file.read_bytes() == out.encode()
        assert [entry.name for entry in file.parent.iterdir()] == ["table"]


@pytest.mark.thorough
def test_every_table_in_every_format(finished: Path) -> None:
    """And those of known length have it: a verdict a headline, rankings of two blocks twice."""
    study = read_study(finished)
    lengths = {"verdicts": 3, "rankings": 2 * 2, "calibrations": 0, "missing": 0}
    for table in TABLES:
        header, *rows = csv.reader(io.StringIO(export(study, table, "csv")))
        assert all(len(row) == len(header) for row in rows)
        assert len(rows) == lengths.get(table, len(rows))
        for fmt in set(FORMATS) - {"csv"}:
            assert export(study, table, fmt).endswith("\n")


@pytest.mark.thorough
def test_csv_has_the_study_s_numbers_exactly(finished: Path, ask: Asked) -> None:
    _, out, _ = ask("export", finished, "--csv")
    rows = [part for part in csv.DictReader(io.StringIO(out)) if part["metric"] == "afgb"]
    (afgb,) = rows
    actual = []
    for step in (finished / "steps").glob("compare-*/comparison.json"):
        changes = json.loads(step.read_text())["changes"]
        actual += [
            change for change in changes if change["metric"] == "afgb" and not change["group"]
        ]
    (change,) = actual
    for name, key in {"before": "before", "after": "after", "difference_low": "low"}.items():
        assert float(afgb[name]) == change[key]
    assert afgb["mitigation"] == "parity"


@pytest.mark.thorough
def test_default_table(finished: Path, ask: Asked) -> None:
    usual = ask("export", finished, "--csv")
    assert usual == ask("export", finished, "--table", "changes", "--csv")
    of_results = ask("export", results(finished), "--csv")
    assert of_results == ask("export", results(finished), "--table", "estimates", "--csv")
    assert of_results[0] == 0
    assert len(of_results[1].splitlines()) > 1


@pytest.mark.thorough
def test_misspelt_table_suggests_the_nearest(finished: Path, refused: Refused) -> None:
    said = refused("export", finished, "--table", "verdict", "--csv")
    assert said == "error: table 'verdict' is not known; did you mean 'verdicts'?"


@pytest.mark.parametrize(("flags", "number"), [((), 0), (("--csv", "--latex"), 2)])
def test_exactly_one_format_is_required(
    finished: Path, refused: Refused, flags: tuple[str, ...], number: int
) -> None:
    said = refused("export", finished, *flags)
    assert f"one of --csv, --markdown, --latex and --json must be given, got {number}" in said


@pytest.mark.thorough
def test_folder_without_a_study(tmp_path: Path, refused: Refused) -> None:
    assert "must have a study.json or a results.json" in refused("export", tmp_path, "--csv")
    assert "must have a study.json or a results.json" in refused("export", tmp_path / "no", "--csv")
    (tmp_path / "results.json").write_text('{"equipoise": {"schema": 9}}')
    assert "results.json must have schema 2, got 9" in refused("export", tmp_path, "--csv")


def test_unwritable_file(finished: Path, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "file").write_text("kept")
    place = tmp_path / "file" / "table.csv"
    assert f"--out must be written into a folder, {place.parent} cannot be made" in refused(
        "export", finished, "--csv", "--out", place
    )
