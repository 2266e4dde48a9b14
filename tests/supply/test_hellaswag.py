"""HellaSwag to learn from: readings, sources, terms, and what is refused afterwards."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from equipoise.benchmarks.hellaswag import HellaSwag
from equipoise.errors import DataError, RecipeError
from equipoise.measure import learnt_examples, measure
from equipoise.mitigate.base import Mitigation
from equipoise.plugins import build
from equipoise.rows import text_sha256
from equipoise.supply.hellaswag import HellaSwagSupply
from equipoise.testing import check_supplier, tiny_model


def row(number: int, **change: Any) -> dict[str, Any]:
    """Two of three rows are of WikiHow; every fourth has a word for a group."""
    whose = "A woman" if number % 4 == 0 else "A cook"
    return {
        "ind": number,
        "activity_label": "Making tea",
        "ctx_a": f"[header] Tea {number} [title] {whose} takes a pot.",
        "ctx_b": "then",
        "endings": [f"[step] {verb} {number} times." for verb in ("pours", "sings", "runs", "is")],
        "label": str(number % 4),
        "split": "val",
        "source_id": f"wikihow~{number}" if number % 3 else f"activitynet~{number}",
    } | change


ROWS = [row(number) for number in range(24)]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes rows as the official file."""
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    (tmp_path / "hellaswag").mkdir()

    def write(*rows: object) -> None:
        lines = "".join(json.dumps(line) + "\n" for line in rows)
        (tmp_path / "hellaswag" / "hellaswag_val.jsonl").write_text(lines)

    write(*ROWS)
    return write


def supplier(**options: Any) -> HellaSwagSupply:
    return HellaSwagSupply(**{"held_out": 4, **options})


@pytest.mark.usefixtures("put")
def test_correct_is_the_beginning_with_the_real_ending() -> None:
    supply = supplier(held_out=0).supply()
    assert len(supply.rows) == 24
    first = supply.rows[1]
    assert first.text == "Tea 1. A cook takes a pot. Then sings 1 times."
    assert first.context == "Tea 1. A cook takes a pot. Then"
    assert first.groups == {"source": "wikihow", "item": "line 2"}
    assert first.document == ""
    check_supplier(supplier())


@pytest.mark.usefixtures("put")
def test_all_four_are_four_rows_an_item() -> None:
    rows = supplier(endings="all4").supply().rows
    assert len(rows) == 4 * 20
    of_item = [each for each in rows if each.groups["item"] == rows[0].groups["item"]]
    assert len({each.text for each in of_item}) == 4
    assert Counter(each.groups["ending"] for each in of_item) == {"real": 1, "machine": 3}
    assert len({each.id for each in rows}) == 80


@pytest.mark.usefixtures("put")
def test_items_are_held_out_and_drawn_by_seed() -> None:
    supplies = [supplier(seed=seed).supply() for seed in (0, 0, 1)]
    assert supplies[0] == supplies[1]
    assert supplies[0].texts != supplies[2].texts
    assert (len(supplies[0].rows), len(supplies[0].texts)) == (20, 4)
    assert not {each.text for each in supplies[0].rows} & set(supplies[0].texts)
    fewer = supplier(items=5).supply()
    assert {each.id for each in fewer.rows} < {each.id for each in supplies[0].rows}
    assert fewer.texts == supplier(endings="all4", items=7).supply().texts == supplies[0].texts


@pytest.mark.usefixtures("put")
def test_sources_can_be_told_apart() -> None:
    counts = {
        source: len(supplier(source=source, held_out=0).supply().rows)
        for source in ("both", "activitynet", "wikihow")
    }
    assert counts == {"both": 24, "activitynet": 8, "wikihow": 16}


def test_a_file_without_sources_is_told_by_its_activities(put: Any) -> None:
    changed = [
        {key: value for key, value in each.items() if key != "source_id"}
        | ({"activity_label": "Family Life"} if number < 10 else {})
        for number, each in enumerate(ROWS)
    ]
    put(*changed)
    supply = supplier(source="wikihow", held_out=0).supply()
    assert len(supply.rows) == 10
    assert "source told by the activity's label" in supply.origin


@pytest.mark.usefixtures("put")
def test_items_that_mention_a_group_are_replaced_and_counted() -> None:
    usual = supplier(items=8).supply()
    without = supplier(items=8, without_terms=True).supply()
    assert any("woman" in each.text for each in usual.rows)
    assert not any("woman" in each.text for each in without.rows)
    assert len(without.rows) == 8
    assert "that mention a group left out" in without.origin
    assert without.texts == usual.texts
    assert [use.name for use in without.files] == [
        "hellaswag/hellaswag_val.jsonl",
        "word_lists.json",
    ]
    with pytest.raises(RecipeError, match=r"must have 18 items .* that mention a group; lower"):
        supplier(items=18, without_terms=True).supply()


def test_a_wrong_ending_with_a_term_counts_where_it_is_learnt(put: Any) -> None:
    texts = ["She pours.", "sings.", "runs.", "is."]
    put(*(row(number, endings=texts, label="1") for number in (1, 2, 3)))
    assert len(supplier(held_out=0, without_terms=True).supply().rows) == 3
    with pytest.raises(RecipeError, match="got 0 beside 0 held out, 3 that mention a group"):
        supplier(held_out=0, without_terms=True, endings="all4").supply()


@pytest.mark.usefixtures("put")
def test_marks_may_be_kept_and_the_text_is_still_known_as_learnt() -> None:
    kept = supplier(marks="keep", held_out=0).supply()
    plain = supplier(held_out=0).supply()
    assert kept.rows[0].text.startswith("[header] Tea 0 [title]")
    assert {each.document for each in kept.rows} == {text_sha256(each.text) for each in plain.rows}
    benchmark = HellaSwag()
    examples = benchmark.examples("val")
    asked = [benchmark.requests(example) for example in examples]
    assert len(learnt_examples(kept.learnt_hashes(), benchmark, examples, asked)) == 24


@pytest.mark.thorough
@pytest.mark.parametrize("options", [{}, {"endings": "all4"}, {"marks": "keep"}])
@pytest.mark.usefixtures("put")
def test_a_model_that_learnt_from_the_file_is_refused_on_it(options: dict[str, Any]) -> None:
    training: dict[str, Any] = {"rank": 2, "epochs": 1, "batch_size": 40}
    method = build(Mitigation, "finetune", {"training": training})
    model, supply = tiny_model(), supplier(**options).supply()
    edit = method.fit(model, supply, seed=0)
    assert not edit.info.trained_on & set(map(text_sha256, supply.texts))
    with (
        edit.attached(model) as edited,
        pytest.raises(DataError, match="trained on 20 of the 24 examples"),
    ):
        measure(edited, HellaSwag(), draws=0)


def test_held_out_texts_are_none_that_are_learnt(put: Any) -> None:
    put(*ROWS[:4], *[ROWS[0] | {"ind": 30 + number} for number in range(4)])
    supply = supplier(held_out=3).supply()
    assert not set(supply.texts) & {each.text for each in supply.rows}
    assert "share a text with these" in supply.origin


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "test"}, r"line 2: split must be 'train' or 'val', got 'test'"),
        ({"source_id": "elsewhere~1"}, r"line 2: source_id must begin with one of"),
        ({"endings": ["a", "b", "[step] ", "d"]}, r"line 2, endings\[2\] must be .* not blank"),
    ],
)
def test_rows_that_are_not_right(put: Any, change: dict[str, Any], message: str) -> None:
    put(row(0), row(1, **change))
    with pytest.raises(DataError, match=message):
        supplier(held_out=0).supply()


@pytest.mark.usefixtures("put")
def test_too_few_items_are_refused() -> None:
    with pytest.raises(RecipeError, match="must have 30 items to learn from both, got 20"):
        supplier(items=30).supply()
    with pytest.raises(RecipeError, match=r"must have 1 items .* got 0 beside 24 held out"):
        supplier(held_out=1042).supply()
    assert len(supplier(items=20).supply().rows) == 20


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_official_validation_file() -> None:
    supply = HellaSwagSupply().supply()
    assert (len(supply.rows), len(supply.texts)) == (9000, 1039)
    assert "without 3 that share a text" in supply.origin
    assert Counter(each.groups["source"] for each in supply.rows) == {
        "wikihow": 6083,
        "activitynet": 2917,
    }
