"""The card of an edit: what the Hub reads of it, what people read, and that it is always there."""

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.edits.adapter import AdapterEdit, read_adapter
from equipoise.edits.base import Edit, write_card
from equipoise.edits.edit import EditInfo
from equipoise.edits.model_card import card, hub_id, measured_changes
from equipoise.edits.prompts import PromptEdit
from equipoise.edits.registry import load_edit
from equipoise.errors import StoreError
from equipoise.mitigate.full_finetune import FullFinetune
from equipoise.records import DataUse
from equipoise.testing import tiny_model, tiny_supply

INFO = EditInfo(
    method="lftf",
    version="1",
    options={"words": [" he", " she"], "objective": "ce_both", "keep_hints": 0.0},
    seed=5,
    base="gpt2@607a30d",
    base_fingerprint="ab12",
    base_name="gpt2@607a30d",
    base_kind="causal",
    trained_on=frozenset({"00", "11"}),
    origin="genbias(split_by=profession):train",
    report={"blocks": [3], "last_loss": 0.7, "ranking": {"scores": [1, 2]}},
)
TABLE = (
    "| metric | before | after |\n| --- | --- | --- |\n| afgb | 0.3 [0.2, 0.4] | 0.1 [0.0, 0.2] |"
)


def front(text: str) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(text.split("\n---\n")[0].removeprefix("---\n"))
    return data


def changed(**change: Any) -> EditInfo:
    return dataclasses.replace(INFO, **change)


def test_front_matter_of_each_kind() -> None:
    tags = ["equipoise", "bias-mitigation", "fairness", "lftf"]
    assert front(card(INFO, "weights")) == {
        "base_model": "gpt2",
        "library_name": "equipoise",
        "pipeline_tag": "text-generation",
        "tags": tags,
    }
    adapter = front(card(INFO, "adapter"))
    assert adapter["library_name"] == "peft"
    assert adapter["base_model_relation"] == "adapter"
    assert "license" not in adapter
    assert "pipeline_tag" not in front(card(changed(base_kind=""), "weights"))
    assert front(card(changed(base_kind="masked"), "prompts"))["pipeline_tag"] == "fill-mask"


@pytest.mark.parametrize(
    ("base", "base_name", "expected"),
    [
        ("gpt2@607a30d", "gpt2@607a30d", "gpt2"),
        ("org/model@1", "org/model", "org/model"),
        ("base@00ff", "/somewhere/base", ""),  # a folder: nobody else has it
        ("planted:default@00ff", "planted:default", ""),
        ("gpt2@1+lftf:00ff", "", ""),  # another edit is under it
        ("org/adapted", "", "org/adapted"),  # an adapter that another program trained
        ("", "", ""),
    ],
)
def test_the_base_is_named_where_the_hub_has_it(base: str, base_name: str, expected: str) -> None:
    info = changed(base=base, base_name=base_name)
    assert hub_id(info) == expected
    assert front(card(info, "weights")).get("base_model", "") == expected
    assert "/somewhere" not in card(info, "weights")


@pytest.mark.thorough
@settings(max_examples=60, deadline=None)
@given(
    st.text(),
    st.text(max_size=30),
    st.dictionaries(st.text(max_size=5), st.text(max_size=9), max_size=2),
)
def test_hostile_names_are_text(name: str, method: str, options: dict[str, str]) -> None:
    info = changed(base=name, base_name=name, method=method, origin=name, options=options)
    text = card(info, "adapter")
    head = front(text)
    assert head["library_name"] == "peft"
    assert head.get("base_model", hub_id(info)) == hub_id(info)
    assert head["tags"][3:] in ([], [method])
    assert text.encode().decode() == text
    assert ModelCard(text).data.to_dict() == {key: value for key, value in head.items() if value}
    lines = text.splitlines()
    assert [line for line in lines if line.startswith("## ")] == [
        "## What it learnt from",
        "## How to use it",
        "## What changed",
        "## Limits",
    ]
    assert all(line.count("|") == 3 for line in lines if line.startswith("| "))


@pytest.mark.parametrize("name", ["yes", "1e3", "2020-01-01", "null", "a: b", "# x", "---"])
def test_words_that_yaml_takes_for_something_else_stay_words(name: str) -> None:
    tags = front(card(changed(method=name), "weights"))["tags"]
    assert all(isinstance(tag, str) for tag in tags)
    assert name in tags or not name.replace("-", "").isalnum()


def test_the_hub_reads_it() -> None:
    text = card(INFO, "adapter", changes=TABLE)
    data = ModelCard(text).data
    assert data.base_model == "gpt2"
    assert data.library_name == "peft"
    assert data.pipeline_tag == "text-generation"
    assert data.eval_results is None
    assert ModelCard(text).text.strip().startswith("# lftf edit of gpt2@607a30d")


def test_text_of_the_card() -> None:
    text = card(INFO, "weights")
    assert "2 texts of genbias(split_by=profession):train" in text
    assert "| option keep_hints | 0.0 |" in text
    assert "| report last_loss | 0.7 |" in text
    assert "ranking" not in text
    assert 'the words " he", " she" alone' in text
    assert "Only these blocks were trained, counted from 0: 3." in text
    assert "equipoise measure gpt2@607a30d BENCHMARK... --out before" in text
    assert "It has not been measured" in text
    measured = card(INFO, "weights", changes=TABLE)
    assert TABLE in measured
    assert "has not been measured" not in measured


def test_the_lines_for_peft_name_base_and_revision() -> None:
    text = card(INFO, "adapter")
    assert "AutoModelForCausalLM.from_pretrained('gpt2', revision='607a30d')" in text
    assert 'AutoPeftModelForCausalLM.from_pretrained("FOLDER")` finds the base' in text
    assert "AutoPeft" not in card(changed(base_name="/somewhere/base", base="base@0"), "adapter")
    assert "peft" not in card(INFO, "weights").partition("## How to use it")[2]


def test_it_says_how_other_programs_load_it() -> None:
    weights = card(INFO, "weights").partition("## How to use it")[2]
    assert "equipoise merge FOLDER --out MERGED" in weights
    assert 'AutoModelForCausalLM.from_pretrained("MERGED")' in weights
    assert "no other program applies it" in card(INFO, "prompts")
    stacked = card(changed(base="gpt2@1+sft:0123abcd", base_name=""), "adapter")
    assert "on top of sft:0123abcd: it is put on the base that has this edit" in stacked
    assert "for a base into which that is merged" in stacked


def test_paths_of_this_machine_are_left_out() -> None:
    info = changed(
        options={"rows": "/home/me/rows.jsonl", "url": "https://a.org/b/c", "words": ["he/she"]},
        report={"file": "~/data/x y.csv"},
        origin="rows(path=/home/me/rows.jsonl, n=3)",
        files=(DataUse(name="/home/me/rows.jsonl", sha256="0", licence="own", verified=None),),
    )
    text = card(info, "weights")
    assert "/home/me" not in text
    assert "~/data" not in text
    for part in ('"rows.jsonl"', "https://a.org/b/c", "he/she", "path=rows.jsonl, n=3"):
        assert part in text


def test_what_was_measured_is_read_back() -> None:
    assert measured_changes(card(INFO, "weights")) is None
    assert measured_changes(card(INFO, "weights", changes=TABLE)) == TABLE
    assert measured_changes("") is None


def test_code_of_the_base_is_trusted_in_every_line_that_opens_it() -> None:
    text = card(changed(base_code=True), "adapter")
    opening = [
        line
        for line in text.splitlines()
        if line.startswith(("equipoise measure", "model = eq.load", "base = AutoModel"))
    ]
    assert len(opening) == 5
    assert all(
        "trust_remote_code=True" in line or "--trust-remote-code" in line for line in opening
    )
    assert "read that code before you trust it" in text
    assert "trust" not in card(INFO, "adapter")


def test_the_files_that_were_learnt_from_are_named() -> None:
    use = DataUse(name="a/b.json", sha256="c" * 64, licence="CC <b>BY</b>", verified=True)
    text = card(changed(files=(use,)), "weights")
    assert f"Read from:\n\n- a/b.json, sha256 `{'c' * 12}…`, CC " in text
    assert "<b>" not in text
    assert "Read from" not in card(INFO, "weights")


def test_unknown_facts_are_stated() -> None:
    foreign = changed(trained_on=frozenset(), origin="", base="", base_name="", base_fingerprint="")
    text = card(foreign, "adapter")
    assert "Not known: it does not say" in text
    assert "an unnamed base" in text
    assert "names and shapes alone are checked" in text
    assert "No text, by its own account" in card(changed(trained_on=frozenset()), "prompts")
    bare = changed(method="transfer", options={}, report={})
    assert "It was learnt on a model that it does not name and put on" in card(bare, "adapter")


def test_names_cannot_inject_a_command() -> None:
    info = changed(base="gpt2@$(touch x)", base_name="gpt2@$(touch x)")
    assert "equipoise measure 'gpt2@$(touch x)' BENCHMARK" in card(info, "weights")


# --- on disk ----------------------------------------------------------------------------------


def edits(tmp_path: Path) -> list[Edit]:
    model = tiny_model("llama")
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    with torch.random.fork_rng(devices=[]):
        peft.get_peft_model(copy.deepcopy(model.module), config).save_pretrained(tmp_path / "peft")
    return [
        FullFinetune(epochs=1, learning_rate=1e-3).fit(model, tiny_supply(), seed=0),
        PromptEdit(info=INFO, prompts=("é ",)),
        read_adapter(tmp_path / "peft"),
    ]


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # by PEFT
def test_every_kind_is_saved_with_a_deterministic_card(tmp_path: Path) -> None:
    again = edits(tmp_path / "again")  # learnt with the same seed
    for index, edit in enumerate(edits(tmp_path)):
        first, second = tmp_path / f"{index}a", tmp_path / f"{index}b"
        edit.save(first)
        again[index].save(second)
        names = sorted(file.name for file in first.iterdir())
        assert "README.md" in names
        assert names == sorted(file.name for file in second.iterdir())
        assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)
        record = json.loads((first / "edit.json").read_text())
        assert "README.md" not in record["files"]
        assert "seconds" not in record["info"]["report"]
        adapter = isinstance(edit, AdapterEdit)
        head = front((first / "README.md").read_text())
        assert head["library_name"] == ("peft" if adapter else "equipoise")
        assert head["pipeline_tag"] == "text-generation"


def test_card_is_rewritten_and_the_edit_unchanged(tmp_path: Path) -> None:
    edit = PromptEdit(info=INFO, prompts=("é ",))
    edit.save(tmp_path / "fair")
    before = {file.name: file.read_bytes() for file in (tmp_path / "fair").iterdir()}
    assert write_card(tmp_path / "fair", TABLE) == tmp_path / "fair" / "README.md"
    after = {file.name: file.read_bytes() for file in (tmp_path / "fair").iterdir()}
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] != after[name]} == {"README.md"}
    assert TABLE in after["README.md"].decode()
    again = load_edit(tmp_path / "fair")
    assert (again, again.content) == (edit, edit.content)
    write_card(tmp_path / "fair", None)
    assert (tmp_path / "fair" / "README.md").read_bytes() == before["README.md"]
    (tmp_path / "fair" / "README.md").unlink()
    assert load_edit(tmp_path / "fair") == edit  # a card is for people


def test_card_needs_an_edit(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"edit\.json' must be there"):
        write_card(tmp_path, TABLE)
    assert list(tmp_path.iterdir()) == []
    PromptEdit(info=INFO, prompts=("a ",)).save(tmp_path / "fair")
    before = (tmp_path / "fair" / "README.md").read_bytes()
    with pytest.raises(StoreError, match="cannot write the card"):
        write_card(tmp_path / "fair", "half a pair: \ud800")
    assert (tmp_path / "fair" / "README.md").read_bytes() == before
    assert len(list((tmp_path / "fair").iterdir())) == 3
