"""The task for Potato: blind items, a configuration in its form, and a key apart."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from equipoise.errors import StoreError
from equipoise.rating.potato import write_potato
from equipoise.rating.questions import QUESTIONS, Mode
from equipoise.rating.store import open_for
from rating.making import BASE, TUNED, pairs, store


def read(folder: Path) -> tuple[list[dict[str, str]], dict[str, Any], pd.DataFrame]:
    lines = (folder / "task" / "items.jsonl").read_text().splitlines()
    config = yaml.safe_load((folder / "task" / "config.yaml").read_text())
    return [json.loads(line) for line in lines], config, pd.read_csv(folder / "key.csv", dtype=str)


def test_items_are_blind_and_the_key_opens_them(tmp_path: Path) -> None:
    folder = tmp_path / "potato"
    assert write_potato(folder, store(tmp_path)) == 10
    items, config, key = read(folder)
    assert sorted(p.name for p in (folder / "task").iterdir()) == ["config.yaml", "items.jsonl"]
    assert {*key.a} == {*key.b} == {BASE, TUNED}
    for item, (_, row) in zip(items, key.iterrows(), strict=True):
        assert item["id"] == row["item"]
        assert item["prompt"] == f"The oak {row['pair']} is"
        assert item["text_a"] == f"a {row['a']} tree."
        assert item["text_b"] == f"a {row['b']} tree."
        assert (row["a"] == TUNED) == (row["swapped"] == "true")
    assert config["data_files"] == ["items.jsonl"]
    (scheme,) = config["annotation_schemes"]
    assert [d["name"] for d in scheme["dimensions"]] == ["harm", "relevance"]
    assert all(d["allow_tie"] for d in scheme["dimensions"])
    assert {field["key"] for field in config["instance_display"]["fields"]} < {*items[0]}


@pytest.mark.parametrize(("mode", "count"), [("grades", 10), ("texts", 20)])
def test_other_modes_are_choices(tmp_path: Path, mode: Mode, count: int) -> None:
    folder = tmp_path / "potato"
    assert write_potato(folder, store(tmp_path, mode=mode)) == count
    items, config, key = read(folder)
    for scheme, question in zip(config["annotation_schemes"], QUESTIONS[mode], strict=True):
        assert scheme["annotation_type"] == "radio"
        assert [label["name"] for label in scheme["labels"]] == [*question.answers]
    assert {field["key"] for field in config["instance_display"]["fields"]} < {*items[0]}
    if mode == "texts":
        for item, variant in zip(items, key.a, strict=True):
            assert item["text"] == f"a {variant} tree."


def test_an_item_without_a_prompt_has_one_in_words(tmp_path: Path) -> None:
    bare = replace(pairs(2), pairs=tuple(replace(pair, prompt=" ") for pair in pairs(2).pairs))
    write_potato(
        tmp_path / "potato", open_for(tmp_path / "bare.sqlite", bare, mode="pairs", seed=0)
    )
    items, _, _ = read(tmp_path / "potato")
    assert {item["prompt"] for item in items} == {"(no prompt)"}


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "potato").mkdir()
    (tmp_path / "potato" / "mine.txt").touch()
    with pytest.raises(StoreError, match="new or empty folder"):
        write_potato(tmp_path / "potato", store(tmp_path))
