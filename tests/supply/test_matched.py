"""Neutral passages as long as the rows of another supply."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.errors import DataError, RecipeError
from equipoise.plugins import build, options_of
from equipoise.rows import text_sha256
from equipoise.supply.base import Supplier
from equipoise.supply.hellaswag import HellaSwagSupply
from equipoise.supply.matched import MatchedSupply
from equipoise.supply.rows import RowsSupply
from equipoise.testing import check_supplier


def words(count: int, name: str) -> str:
    return " ".join([name.capitalize(), *["lies"] * (count - 2), "here."])


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Rows of 5, 9 and 12 words, twice each, and documents of sentences of 3 to 6 words."""
    rows = tmp_path / "rows.jsonl"
    lines = [{"text": words(count, "it")} for count in (5, 9, 12) * 2]
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines))
    documents = tmp_path / "plain.txt"
    sizes = [(5, 4, 3, 6), (5, 4, 3, 5), (3, 6, 3, 5), (9, 3)]
    documents.write_text(
        "\n".join(
            " ".join(words(size, f"d{number}s{place}") for place, size in enumerate(sizes_of))
            for number, sizes_of in enumerate(sizes)
        )
    )
    return {"rows": str(rows), "documents": str(documents)}


def supplier(files: dict[str, str], **options: Any) -> MatchedSupply:
    like = RowsSupply(path=files["rows"])
    return MatchedSupply(**{"like": like, "documents": (files["documents"],), **options})


def test_each_row_has_a_passage_of_about_its_length(files: dict[str, str]) -> None:
    supply = supplier(files).supply()
    sizes = [len(row.text.split()) for row in supply.rows]
    assert np.abs(np.array(sizes) - (5, 9, 12, 5, 9, 12)).max() <= 2
    assert sizes[2] == sizes[5] == 12
    assert supply.origin.startswith(f"matched({sum(sizes)} words in 6 rows, seed=0, as 52 of rows(")
    check_supplier(supplier(files))


def test_passages_are_whole_sentences_of_a_document_and_none_is_twice(
    files: dict[str, str],
) -> None:
    documents = Path(files["documents"]).read_text().splitlines()
    supply = supplier(files).supply()
    sources = {text_sha256(document): document for document in documents}
    for row in supply.rows:
        assert row.text in sources[row.document]
        assert row.text.endswith("here.")
    names = [word for row in supply.rows for word in row.text.split() if word.startswith("D")]
    assert len(names) == len(set(names))
    assert supply.learnt_hashes() >= {row.document for row in supply.rows}


def test_a_seed_takes_other_passages(files: dict[str, str]) -> None:
    texts = [[row.text for row in supplier(files, seed=seed).supply().rows] for seed in range(4)]
    assert texts[0] == [row.text for row in supplier(files).supply().rows]
    assert any(other != texts[0] for other in texts[1:])


def test_documents_with_too_few_passages_are_refused(files: dict[str, str]) -> None:
    Path(files["documents"]).write_text(words(5, "a") + "\n" + words(9, "b") + "\n")
    with pytest.raises(RecipeError, match=r"a passage for each of 6 rows .* \(of 12 words none"):
        supplier(files).supply()
    Path(files["documents"]).write_text("")
    with pytest.raises(DataError):
        supplier(files).supply()


def test_like_must_have_rows(tmp_path: Path, files: dict[str, str]) -> None:
    (tmp_path / "texts.txt").write_text("The door is open.\n")
    method = build(
        Supplier,
        "matched",
        {"like": {"name": "texts", "path": str(tmp_path / "texts.txt")}},
    )
    with pytest.raises(RecipeError, match="like must be a supply with training rows, got 0"):
        method.supply()
    assert options_of(supplier(files))["like"]["name"] == "rows"  # type: ignore[call-overload,index]


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_hellaswag_is_matched_by_the_files_at_hand() -> None:
    like = HellaSwagSupply(items=3000)
    sizes, wanted = (
        np.array([len(row.text.split()) for row in supply.rows])
        for supply in (MatchedSupply(like=like).supply(), like.supply())
    )
    assert len(sizes) == 3000
    assert sizes.sum() == pytest.approx(wanted.sum(), rel=0.005)
    assert np.abs(sizes - wanted).max() <= 2
