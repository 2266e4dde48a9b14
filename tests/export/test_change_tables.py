"""Changes, seeds and verdicts as rows: every number where its header says."""

import dataclasses
import math

from report.small_study import HOSTILE, comparison, measurement, small_study

from equipoise.export.change_tables import (
    changes_table,
    method_seed,
    seeds_table,
    verdicts_table,
)
from equipoise.export.table_data import exact, rounded
from equipoise.stats.verdict import verdict_of
from equipoise.study.study import Chapter

CHAPTERS = small_study().chapters


def test_an_overall_change_by_hand() -> None:
    table = exact(changes_table(CHAPTERS))
    assert [len(row) for row in table.rows] == [len(table.header)] * 2
    found = dict(zip(table.header, table.rows[0], strict=True))
    assert found == {
        "model": HOSTILE, "mitigation": "lftf", "seeds": "0 7",
        "benchmark": "genbias", "version": "2", "split": "test", "options": '{"world": null}',
        "limit": "30", "metric": "afgb", "group": "",
        "before": "0.5", "before_low": "0.375", "before_high": "0.625",
        "after": "0.02", "after_low": "-0.105", "after_high": "0.145",
        "difference": "-0.48", "difference_low": "-0.605", "difference_high": "-0.355",
        "nearer": "0.48", "nearer_low": "0.355", "nearer_high": "0.605", "effect": "-1.5",
        "unit": "",
        "ideal": "0.0", "higher_is_better": "", "n": "30", "clusters": "10", "p": "0.0005",
        "p_holm": "0.001", "direction": "reduced", "claim_kind": "within", "claim_margin": "0.05",
        "claim_margin_relative": "false", "claim_value": "0.02", "claim_value_low": "-0.01",
        "claim_value_high": "0.04", "claim_p": "0.01", "claim_shown": "true",
        "seeds_averaged": "2", "seed_spread": "0.01", "reason": "", "before_identity": "gpt2@1",
        "after_identities": "gpt2@1+lftf:0 gpt2@1+lftf:7", "compared_with_seed": "3",
        "draws": "200", "examples_sha256": "e" * 64, "data": "b/dev.json",
        "data_sha256": "d" * 64, "data_licence": "CC|BY", "data_official": "true",
    }  # fmt: skip


def test_a_reader_gets_intervals_in_one_cell_and_claims_in_words() -> None:
    table = rounded(changes_table(CHAPTERS))
    assert table.header == (
        "model", "mitigation", "seeds", "benchmark", "metric", "before (95 %)", "after (95 %)",
        "difference (95 %)", "unit", "ideal", "n", "p (Holm)", "direction", "claim", "reason",
    )  # fmt: skip
    assert table.rows[0][5:8] == (
        "0.500 [0.375, 0.625]", "0.020 [-0.105, 0.145]", "-0.480 [-0.605, -0.355]",
    )  # fmt: skip
    assert [row[-2] for row in table.rows] == [
        "within 0 ± 0.05: shown",
        "loss under 2 %: not shown",
    ]
    assert table.rows[1][-1] == "too few clusters for p"


def test_groups_have_their_own_table() -> None:
    table = exact(changes_table(CHAPTERS, groups=True))
    place = table.header.index("group")
    assert [row[place] for row in table.rows] == ["profession=nurse"]


def test_a_row_a_seed() -> None:
    table = exact(seeds_table(CHAPTERS))
    found = [dict(zip(table.header, row, strict=True)) for row in table.rows]
    assert [(row["seeds"], row["after"], row["after_identities"]) for row in found] == [
        ("0", "0.01", "gpt2@1+lftf:0"),
        ("7", "0.03", "gpt2@1+lftf:7"),
    ]


def test_a_verdict_has_a_row_a_headline_and_one_without_any() -> None:
    table = exact(verdicts_table(CHAPTERS))
    found = [dict(zip(table.header, row, strict=True)) for row in table.rows]
    told = [
        (row["verdict"], row["kept"], row["over_corrected"], row["role"], row["metric"])
        for row in found
    ]
    assert told == [
        ("reduced", "", "false", "bias", "afgb"),
        ("reduced", "", "false", "ability", "ppl"),
        ("unknown", "", "false", "", ""),
    ]
    assert found[1]["benchmark"] == "perplexity"
    assert found[2]["before"] == ""
    assert rounded(verdicts_table(CHAPTERS)).rows[0][4] == "not shown"


def test_a_headline_is_put_with_its_own_setting() -> None:
    one = comparison()
    moved = tuple(dataclasses.replace(two, after=math.nan) for two in one.changes)
    other = dataclasses.replace(
        one, changes=moved, before=measurement("genbias", "gpt2@1", split="dev")
    )
    both = (other, one)
    chapter = Chapter(
        model="m", mitigation="x", comparisons=both, verdict=verdict_of(both), edits=()
    )
    table = exact(verdicts_table([chapter]))
    split, after = table.header.index("split"), table.header.index("after")
    assert [(row[split], row[after]) for row in table.rows] == [("dev", ""), ("test", "0.02")]
    names = [row[rounded(verdicts_table([chapter])).header.index("benchmark")]
             for row in rounded(verdicts_table([chapter])).rows]  # fmt: skip
    assert names == ["genbias (split dev)", "genbias (split test)"]


def test_the_seed_of_a_method_is_that_of_the_last_edit() -> None:
    assert method_seed(measurement("b", "m")) is None
    assert method_seed(measurement("b", "m", seed_of_method=4)) == 4
