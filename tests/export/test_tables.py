"""A study as DataFrames: every number where its column says, by hand."""

import dataclasses
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from report.attributed import study as attributed_study
from report.small_study import HOSTILE, comparison, measurement, small_study

from equipoise.export import tables
from equipoise.stats.verdict import verdict_of
from equipoise.study.study import Chapter, Missing, Study

STUDY = dataclasses.replace(
    small_study(),
    attributed=attributed_study().attributed,
    validated=attributed_study().validated,
)


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Its rows, with None for what is missing."""
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in plain.to_dict("records")]


def test_an_overall_change_by_hand() -> None:
    changes = tables.changes(STUDY)
    assert len(changes) == 2
    assert rows(changes)[0] == {
        "model": HOSTILE, "mitigation": "lftf", "against": None, "seeds": "0 7",
        "setting": "genbias",
        "benchmark": "genbias", "version": "2", "split": "test", "options": '{"world": null}',
        "limit": 30, "metric": "afgb", "group": "",
        "before": 0.5, "before_low": 0.375, "before_high": 0.625,
        "after": 0.02, "after_low": -0.105, "after_high": 0.145,
        "difference": -0.48, "difference_low": -0.605, "difference_high": -0.355,
        "nearer": 0.48, "nearer_low": 0.355, "nearer_high": 0.605, "effect": -1.5,
        "unit": "", "ideal": 0.0, "higher_is_better": None, "n": 30, "clusters": 10, "p": 0.0005,
        "p_holm": 0.001, "direction": "reduced", "claim": "within 0 ± 0.05: shown",
        "claim_kind": "within", "claim_margin": 0.05, "claim_margin_relative": False,
        "claim_value": 0.02, "claim_value_low": -0.01, "claim_value_high": 0.04, "claim_p": 0.01,
        "claim_shown": True, "seeds_averaged": 2, "seed_spread": 0.01, "reason": None,
        "differences": "",
        "before_identity": "gpt2@1", "after_identities": "gpt2@1+lftf:0 gpt2@1+lftf:7",
        "compared_with_seed": 3, "draws": 200, "examples_sha256": "e" * 64, "data": "b/dev.json",
        "data_sha256": "d" * 64, "data_licence": "CC|BY", "data_official": "true",
    }  # fmt: skip
    assert rows(changes)[1]["claim"] == "loss under 2 %: not shown"


def test_groups_and_seeds_have_tables_of_their_own() -> None:
    assert list(tables.groups(STUDY)["group"]) == ["profession=nurse"]
    columns = ["seeds", "after", "after_identities"]
    assert tables.seeds(STUDY)[columns].to_numpy().tolist() == [
        ["0", 0.01, "gpt2@1+lftf:0"],
        ["7", 0.03, "gpt2@1+lftf:7"],
    ]


def test_a_verdict_has_a_row_per_headline_and_one_without_any() -> None:
    verdicts = rows(tables.verdicts(STUDY))
    columns = ("verdict", "kept", "over_corrected", "role", "metric", "benchmark")
    assert [tuple(row[name] for name in columns) for row in verdicts] == [
        ("reduced", None, False, "bias", "afgb", "genbias"),
        ("reduced", None, False, "ability", "ppl", "perplexity"),
        ("unknown", None, False, None, None, None),
    ]
    assert verdicts[2]["before"] is None


def test_headline_is_matched_to_its_setting() -> None:
    original = comparison()
    moved = tuple(dataclasses.replace(change, after=math.nan) for change in original.changes)
    other = dataclasses.replace(
        original, changes=moved, before=measurement("genbias", "gpt2@1", split="dev")
    )
    both = (other, original)
    chapter = Chapter(
        model="m", mitigation="x", comparisons=both, verdict=verdict_of(both), edits=()
    )
    verdicts = rows(tables.verdicts(Study(title="", recipe={}, chapters=(chapter,))))
    assert [(row["split"], row["after"]) for row in verdicts] == [("dev", None), ("test", 0.02)]
    assert [row["setting"] for row in verdicts] == ["genbias (split dev)", "genbias (split test)"]


def test_the_seed_of_a_method_is_that_of_the_last_edit() -> None:
    assert tables.method_seed(measurement("b", "m")) is None
    assert tables.method_seed(measurement("b", "m", seed_of_method=4)) == 4


def test_estimates_by_hand() -> None:
    first, second = rows(tables.estimates(STUDY))
    assert first == {
        "model": HOSTILE, "mitigation": None, "seed": None, "setting": "genbias",
        "benchmark": "genbias", "version": "2", "split": "test", "options": '{"world": null}',
        "limit": 30, "metric": "afgb", "group": "", "value": 0.25, "low": 0.125, "high": 0.5,
        "unit": "", "ideal": 0.0, "higher_is_better": None, "n": 30, "clusters": 10,
        "reason": None, "model_identity": "g@1", "measured_with_seed": 0, "draws": 100,
        "examples_sha256": "e" * 64, "data": "b/dev.json", "data_sha256": "d" * 64,
        "data_licence": "CC|BY", "data_official": "true",
    }  # fmt: skip
    assert (second["value"], second["reason"]) == (None, "nothing was asked")
    assert second["higher_is_better"] is True
    [group] = rows(tables.group_estimates(STUDY))
    assert (group["group"], group["value"]) == ("profession=nurse", 0.2)


def test_references_by_hand() -> None:
    table = tables.references(STUDY)
    assert len(table) == 6
    first = rows(table)[0]
    columns = ("model", "setting", "kind", "name", "says", "items", "metric", "group", "value")
    assert [first[name] for name in columns] == [
        HOSTILE, "genbias", "null", "longer", "the longer text", 30, "afgb", "", 0.125,
    ]  # fmt: skip
    assert (first["low"], first["high"], first["n"]) == (0.0625, 0.1875, 30)
    assert list(table["group"])[:3] == ["", "profession=nurse", ""]
    assert list(table["metric"])[2:] == ["afgb", "afgb_change"] * 2
    assert rows(table)[5]["reason"] == "too few clusters"


def test_rankings_have_ranks() -> None:
    rankings = tables.rankings(STUDY)
    assert rankings[["block", "rank", "score", "low", "times_first"]].to_numpy().tolist() == [
        [0, 2, 0.1, 0.05, 0],
        [1, 1, 0.4, 0.3, 1],
    ]
    assert set(rankings["reason"]) == {"one seed"}
    assert rankings["variance"].isna().all()  # of a single ranking


def test_the_other_tables() -> None:
    [curve] = rows(tables.calibrations(STUDY))
    assert (curve["slope"], curve["slope_low"], curve["spearman"]) == (0.9, 0.8, 1.0)
    assert (curve["options"], curve["strengths"]) == ('{"a": null, "b": 1}', "0 0.5")
    [finding] = rows(tables.findings(STUDY))
    assert finding == {"check": "icat", "level": "error", "where": "s on m", "text": "1 is not 2"}
    [step] = rows(tables.missing(STUDY))
    assert step["traceback"] == "line 1\nline 2"


def test_half_a_surrogate_pair_in_a_name_is_shown() -> None:
    study = Study(title="", recipe={}, missing=(Missing(what="a\ud800", why="é"),))
    assert list(tables.missing(study).iloc[0])[:2] == ["a\\ud800", "é"]


@pytest.mark.parametrize("name", tables.TABLES)
def test_the_columns_and_the_kinds_of_numbers_depend_on_no_study(name: str) -> None:
    full, empty = tables.TABLES[name](STUDY), tables.TABLES[name](Study(title="", recipe={}))
    # there is a single method on a model, and its edits have no record
    assert len(full) > 0 or name in ("method_pairs", "curves", "costs")
    assert list(full.columns) == list(empty.columns)
    assert full.columns.is_unique
    for column in ("value", "before", "difference_low", "p", "slope", "score"):
        assert column not in full or full[column].dtype == np.float64
