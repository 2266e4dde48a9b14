"""A training set of the user's own, with probes that are split and neutral texts."""

import json
from pathlib import Path
from typing import Any

import pytest

from equipoise.errors import DataError
from equipoise.own_data.row_file import RowFile
from equipoise.rows import text_sha256
from equipoise.supply.rows import RowsSupply
from equipoise.testing import check_supplier


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    lines = [{"text": f"The nurse {number} is kind."} for number in range(4)]
    rows = tmp_path / "mine.jsonl"
    rows.write_text("".join(json.dumps(line) + "\n" for line in [*lines, {"text": ""}]))
    probes = tmp_path / "pairs.csv"
    pairs = [f"The nurse {n} is weak.,The boss {n} is weak.,gender" for n in range(5)]
    probes.write_text("\n".join(["stereotype,antistereotype,axis", *pairs]))
    texts = tmp_path / "plain.txt"
    texts.write_text("The door is open.\nIt rains.\n")
    return {"path": str(rows), "probes": str(probes), "texts": str(texts)}


def supplier(files: dict[str, str], **options: Any) -> RowsSupply:
    return RowsSupply(**{**files, **options})


def test_it_supplies_rows_probes_and_texts(files: dict[str, str]) -> None:
    supply = supplier(files).supply()
    assert isinstance(supply.rows, RowFile)
    assert len(supply.rows) == 4
    assert supply.origin == "rows(mine.jsonl, 1 without words left out)"
    assert (len(supply.probes), len(supply.dev_probes)) == (4, 1)
    assert not {probe.id for probe in supply.probes} & {probe.id for probe in supply.dev_probes}
    assert supply.texts == ("The door is open.", "It rains.")
    assert [use.name for use in supply.files] == ["mine.jsonl", "pairs.csv", "plain.txt"]
    assert text_sha256("The nurse 2 is kind.") in supply.learnt_hashes()
    check_supplier(supplier(files))


def test_probes_are_kept_apart_by_a_seed_of_their_own(files: dict[str, str]) -> None:
    drawn = [
        [probe.id for probe in supplier(files, dev_share=0.4, supply_seed=seed).supply().dev_probes]
        for seed in (0, 0, 1, 2)
    ]
    assert [len(ids) for ids in drawn] == [2] * 4
    assert drawn[0] == drawn[1]
    assert len({tuple(ids) for ids in drawn}) > 1
    assert supplier(files, dev_share=0.0).supply().dev_probes == ()
    assert len(supplier(files, dev_share=0.99).supply().probes) == 1


def test_no_sentence_both_selects_and_judges(files: dict[str, str]) -> None:
    pairs = [f"The nurse {n % 3} is weak.,The boss {n} is weak." for n in range(9)]
    pairs += ["the NURSE 0 is  weak.,The cook is weak.", "Only this.,Only that."]
    Path(files["probes"]).write_text("\n".join(["stereotype,antistereotype", *pairs]))
    for seed in range(9):
        supply = supplier(files, dev_share=0.5, supply_seed=seed).supply()
        selecting, judging = (
            {text_sha256(text) for probe in probes for text in probe.texts}
            for probes in (supply.probes, supply.dev_probes)
        )
        assert len(supply.probes) == 5
        assert not selecting & judging
        assert "repeat others" in supply.origin


def test_rows_alone_are_enough(files: dict[str, str]) -> None:
    supply = RowsSupply(path=files["path"]).supply()
    assert (supply.probes, supply.dev_probes, supply.texts) == ((), (), ())
    assert len(supply.files) == 1


def test_strict_names_the_row(files: dict[str, str]) -> None:
    with pytest.raises(DataError, match=r"mine\.jsonl, line 5: a row must have words"):
        supplier(files, strict=True).supply()
