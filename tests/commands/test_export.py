"""`equipoise export`: every table in every format, to a file or printed; and what is refused."""

import csv
import errno
import io
import json
from pathlib import Path

import pytest

from equipoise.export.export import FORMATS
from equipoise.export.tables import TABLES

from .conftest import Asked, Refused


def results(folder: Path) -> Path:
    """What `measure --out` would have written of the first measurement of a study."""
    return next(item / "results" for item in (folder / "steps").iterdir() if "measure" in item.name)


@pytest.mark.parametrize("fmt", sorted(FORMATS))
@pytest.mark.parametrize("table", sorted(TABLES))
def test_every_table_is_printed_and_written_alike(
    finished: Path, tmp_path: Path, ask: Asked, table: str, fmt: str
) -> None:
    status, out, err = ask("export", finished, "--table", table, f"--{fmt}")
    assert (status, err) == (0, "")
    begins = {"csv": "", "markdown": "| ", "latex": "\\begin{"}[fmt]
    lines = out.splitlines()
    assert out.endswith("\n")
    assert any(line.startswith(begins) for line in lines)
    file = tmp_path / "new" / "table"
    status, out_again, err = ask("export", finished, "--table", table, f"--{fmt}", "--out", file)
    assert (status, out_again, err) == (0, "", f"the table is in {file}\n")
    assert file.read_bytes() == out.encode()
    assert [entry.name for entry in file.parent.iterdir()] == ["table"]


@pytest.mark.parametrize(
    ("table", "rows"),
    [("verdicts", 3), ("rankings", 2 * 2), ("calibrations", 0), ("missing", 0)],
)
def test_how_many_rows_a_table_has(finished: Path, ask: Asked, table: str, rows: int) -> None:
    _, out, _ = ask("export", finished, "--table", table, "--csv")
    header, *result = csv.reader(io.StringIO(out))
    assert len(result) == rows
    assert all(len(row) == len(header) for row in result)


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


def test_without_a_name_the_table_is_the_usual_one(finished: Path, ask: Asked) -> None:
    usual = ask("export", finished, "--csv")
    assert usual == ask("export", finished, "--table", "changes", "--csv")
    of_results = ask("export", results(finished), "--csv")
    assert of_results == ask("export", results(finished), "--table", "estimates", "--csv")
    assert of_results[0] == 0
    assert len(of_results[1].splitlines()) > 1


def test_a_misspelt_table_is_told_the_nearest(finished: Path, refused: Refused) -> None:
    said = refused("export", finished, "--table", "verdict", "--csv")
    assert said == "error: table 'verdict' is not known; did you mean 'verdicts'?"
    assert "known: calibrations, changes, " in refused(
        "export", finished, "--table", "x", "--latex"
    )


@pytest.mark.parametrize(("flags", "number"), [((), 0), (("--csv", "--latex"), 2)])
def test_one_format_is_chosen(
    finished: Path, refused: Refused, flags: tuple[str, ...], number: int
) -> None:
    said = refused("export", finished, *flags)
    assert f"one of --csv, --markdown and --latex must be given, got {number}" in said


def test_a_folder_that_is_no_study(tmp_path: Path, refused: Refused) -> None:
    assert "a study must have a study.json" in refused("export", tmp_path, "--csv")
    assert "a study must have a study.json" in refused("export", tmp_path / "no", "--csv")
    (tmp_path / "results.json").write_text('{"equipoise": {"schema": 9}}')
    assert "results.json must have schema 2, got 9" in refused("export", tmp_path, "--csv")


def test_a_file_that_cannot_be_written(finished: Path, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "file").write_text("kept")
    for place in (tmp_path / "file" / "table.csv", tmp_path):
        said = refused("export", finished, "--csv", "--out", place)
        assert "cannot write " in said
        assert f" {place}: " in said


def test_a_full_disk_leaves_the_file_that_was_there(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    file = tmp_path / "table.csv"
    file.write_text("of last week")
    write = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        write(self, data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    said = refused("export", finished, "--csv", "--out", file)
    assert "No space left on device; choose another place" in said
    assert file.read_text() == "of last week"
