"""Edit requests: from prompts, contrasts and files, and what is refused of them."""

import json
from pathlib import Path

import pytest

from equipoise.errors import DataError, RecipeError
from equipoise.model_editing.edit_rows import edit_row
from equipoise.model_editing.requests import (
    contradictions,
    find_subject,
    read_requests,
    requests_of_contrasts,
    requests_of_prompts,
)
from equipoise.records import Contrast, Prompt
from equipoise.testing import tiny_model, tiny_supply

ENTRY = {"prompt": "The nurse said", "subject": "nurse", "target_new": "he"}


def write(folder: Path, *entries: object, name: str = "edits.json") -> str:
    lines = name.endswith(".jsonl")
    text = "\n".join(map(json.dumps, entries)) if lines else json.dumps(list(entries))
    (folder / name).write_text(text)
    return str(folder / name)


def test_the_subject_is_a_whole_word_of_any_case() -> None:
    assert find_subject("The nurses and the Nurse said", "nurse") == 19
    assert find_subject("The nurses said", "nurse") is None
    assert find_subject("The police officer said", "police officer") == 4


def test_prompts_have_their_profession_as_subject() -> None:
    first = requests_of_prompts(tiny_supply().prompts, (" he", " she"))[0]
    assert first.prompt[first.start : first.end] == first.subject == "nurse"
    assert first.targets == (" he", " she")
    lost = Prompt(id="lost", text="The door opened because", groups={"profession": "nurse"})
    for prompt in (lost, Prompt(id="lost", text="The nurse said")):
        with pytest.raises(RecipeError, match="'lost' must hold its subject"):
            requests_of_prompts([prompt], (" he",))


def test_contrasts_without_their_target_in_the_context_are_counted() -> None:
    lost = Contrast(id="x", context="It was", stereotype=" a", antistereotype=" b")
    requests, left_out = requests_of_contrasts([*tiny_supply().contrasts, lost])
    assert (len(requests), left_out) == (6, 1)
    assert requests[0].targets == (" she was late", " he was late")


@pytest.mark.parametrize("name", ["edits.json", "edits.jsonl"])
def test_a_file_in_the_format_of_easyedit(tmp_path: Path, name: str) -> None:
    filled = {"prompt": "{} said", "subject": "Ada", "target_new": " yes", "portability": {}}
    requests, use, unread = read_requests(write(tmp_path, ENTRY, filled, name=name))
    assert [request.prompt for request in requests] == ["The nurse said", "Ada said"]
    assert [request.targets for request in requests] == [(" he",), (" yes",)]
    assert (use.name, unread) == (name, ("portability",))
    pair = ENTRY | {"target_new": ["he", "she"]}
    assert read_requests(write(tmp_path, pair))[0][0].targets == (" he", " she")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"subject": "doctor"}, r"entry 1: the subject must occur in the prompt .* got 'doctor'"),
        ({"subject": None}, "subject"),
        ({"target_new": ["he", "he"]}, "two different ones, got 2"),
        ({"target_new": ["he", "she", "it"]}, "two different ones, got 3"),
    ],
)
def test_an_entry_at_fault_is_named(tmp_path: Path, entry: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_requests(write(tmp_path, ENTRY | entry))


def test_files_that_are_no_list_or_mix_forms_are_refused(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps(ENTRY))
    with pytest.raises(DataError, match="must hold a list of requests, got dict"):
        read_requests(str(tmp_path / "one.json"))
    pair = ENTRY | {"target_new": ["he", "she"]}
    with pytest.raises(DataError, match="put them into two files"):
        read_requests(write(tmp_path, ENTRY, pair))


def test_contradictions_are_said(tmp_path: Path) -> None:
    requests, _, _ = read_requests(write(tmp_path, ENTRY, ENTRY | {"target_new": "she"}, ENTRY))
    assert contradictions(requests) == [{"prompt": "The nurse said", "targets": [" he", " she"]}]
    assert contradictions(requests[:1]) == []


def test_a_row_ends_before_the_last_token_of_its_target() -> None:
    model = tiny_model(context=64)
    row, answer = edit_row(model, "The nurse sat", 4, 9, " he")
    assert len(row.ids) == 1 + 13 + 2
    assert (row.subject, row.reads, len(answer)) == (9, (13, 14, 15), 3)
    row, answer = edit_row(model, "The nurse", 4, 9)
    assert (len(row.ids), row.subject, row.reads, answer) == (10, 9, (9,), ())
    with pytest.raises(RecipeError, match="subject '' must have a token"):
        edit_row(model, "The nurse", 4, 4)
