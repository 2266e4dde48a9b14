"""Lists of known faults: counted again on the official files, and a user's own list."""

import csv
import runpy
from collections import Counter
from pathlib import Path

import pytest
from fault_rules import FAULTS, RULES

from equipoise.benchmarks.base import Benchmark, KnowsFaults
from equipoise.data.known_faults import (
    FaultList,
    audit_used,
    audited_kinds,
    check_kinds,
    fault_list,
    faulty_ids,
    known_names,
)
from equipoise.errors import DataError, RecipeError
from equipoise.plugins import available, build, find
from equipoise.records import DataUse

DOCS = Path(__file__).parents[2] / "docs"


def listed(name: str) -> FaultList:
    known = fault_list(name)
    assert known is not None
    return known


@pytest.mark.thorough
@pytest.mark.parametrize("name", RULES)
def test_ids_are_those_that_the_rules_find(data_folder: Path, name: str) -> None:
    counted = {kind: frozenset(ids) for kind, ids in RULES[name](data_folder).items()}
    assert {kind.name: kind.ids for kind in listed(name).kinds} == counted


def test_counts_of_the_official_files() -> None:
    """Those that were counted before, by others' scripts."""
    sizes = {(name, kind.name): len(kind.ids) for name in RULES for kind in listed(name).kinds}
    expected = {
        ("stereoset", "opposite_label"): 133,
        ("stereoset", "exchanged_labels"): 8,
        ("stereoset", "one_end_mark"): 61,
        ("crows_pairs", "several_spans"): 236,
        ("crows_pairs", "few_annotators"): 162,
        ("bbq", "brace"): 100,
        ("bbq", "asked_twice"): 16,
        ("facts", "answer_in_prompt"): 3650,
    }
    assert expected.items() <= sizes.items()


def test_where_pairs_differ_in_several_places(data_folder: Path) -> None:
    """The shares by type that docs/data-faults.md gives."""
    file = data_folder / "crows_pairs" / "crows_pairs_anonymized.csv"
    with file.open(newline="", encoding="utf-8") as stream:
        types = {pair[""]: pair["bias_type"] for pair in csv.DictReader(stream)}
    ids = {kind.name: kind.ids for kind in listed("crows_pairs").kinds}["several_spans"]
    counts, totals = Counter(types[id] for id in ids), Counter(types.values())
    assert (counts["gender"], totals["gender"]) == (116, 262)
    assert (counts["race-color"], totals["race-color"]) == (70, 516)
    assert counts["socioeconomic"] == 16


@pytest.mark.thorough
def test_every_list_is_a_benchmark_s_and_names_its_metrics() -> None:
    assert sorted(file.stem for file in FAULTS.glob("*.yaml")) == sorted(RULES)
    having = {
        name for name in available(Benchmark) if issubclass(find(Benchmark, name), KnowsFaults)
    }
    assert having == RULES.keys()
    for name in RULES:
        known, metrics = fault_list(name), build(Benchmark, name).metrics
        assert known is not None
        assert {*known.metrics} <= {metric.name for metric in metrics}
        assert known.metrics[0] == metrics[0].name


def test_the_page_has_the_lists_as_they_are() -> None:
    """`python docs/fault_tables.py` writes them."""
    with_tables = runpy.run_path(str(DOCS / "fault_tables.py"))["with_tables"]
    page = (DOCS / "data-faults.md").read_text()
    assert with_tables(page) == page
    assert all(f"<!-- faults: {name} -->" in page for name in RULES)


def use(verified: bool | None, sha256: str = "ab") -> DataUse:
    return DataUse(name="x/y.csv", sha256=sha256, licence="", verified=verified)


def test_numbers_as_ids_hold_for_the_official_file_alone() -> None:
    crows, stereoset, hellaswag = map(listed, ("crows_pairs", "stereoset", "hellaswag"))
    assert crows.holds_for([use(True), use(None)])
    assert not crows.holds_for([use(True), use(False)])
    assert hellaswag.counted_on is not None
    assert hellaswag.holds_for([use(False, hellaswag.counted_on[0])])
    assert stereoset.holds_for([use(False)])
    with pytest.raises(
        DataError, match=r"crows_pairs are known by .* got another \(x/y\.csv\); list"
    ):
        faulty_ids("crows_pairs", ["line_feed"], [use(False)])
    assert faulty_ids("crows_pairs", ["line_feed"], [use(True)]) == {"1293"}


def test_a_misspelt_kind_has_a_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"'line_fed' is no kind of fault; did you mean 'line_f"):
        check_kinds("crows_pairs", ["several_spans", "line_fed"])
    with pytest.raises(RecipeError, match=r"stereoset\.without_faults: 'two_blank' is no kind"):
        build(Benchmark, "stereoset", {"without_faults": ["two_blank"]})
    check_kinds("crows_pairs", ["all", "audit:mine"])
    assert known_names("mmlu") == ()


def test_a_list_of_the_user_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    assert audited_kinds("crows_pairs") == ()
    file = tmp_path / "crows_pairs" / "audit.csv"
    file.parent.mkdir()
    file.write_text("id,kind,by\n3,unclear,a\n3,two groups,a\n5,unclear,b\n3,unclear,b\n")
    first, second = audited_kinds("crows_pairs")
    assert (first.name, sorted(first.ids)) == ("audit:unclear", ["3", "5"])
    assert (second.name, sorted(second.ids)) == ("audit:two groups", ["3"])
    # of whatever file is measured: it is the user's own
    assert faulty_ids("crows_pairs", ["audit:unclear"], []) == {"3", "5"}
    assert {"3", "5", "1293"} < faulty_ids("crows_pairs", ["all"], [use(True)])
    assert [each.name for each in audit_used("crows_pairs", ["all"])] == ["crows_pairs/audit.csv"]
    assert audit_used("crows_pairs", ["line_feed"]) == ()
    with pytest.raises(
        DataError, match=r"audit\.csv must have the kind 'unclera'.*'audit:unclear'"
    ):
        faulty_ids("crows_pairs", ["audit:unclera"], [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,sort\n3,x\n", r"crows_pairs/audit\.csv must have a column 'kind'"),
        ("id,kind\n3,\n", r"audit\.csv, line 2: column 'kind' must have a text"),
        ("id,kind\n", r"audit\.csv must have rows, got none"),
    ],
)
def test_a_list_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    (tmp_path / "crows_pairs").mkdir()
    (tmp_path / "crows_pairs" / "audit.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        audited_kinds("crows_pairs")
