"""`equipoise measure` with another start token, and inside the turns of a chat template."""

import json
from pathlib import Path

import pytest
from chat_forms import chat_model

from .conftest import Asked, Refused


@pytest.fixture(scope="module")
def chat_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with a chat template."""
    folder, model = tmp_path_factory.mktemp("chat") / "tiny", chat_model("smollm")
    model.module.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


QUICK = ("--data", "planted:default", "--limit", 3, "--draws", 0)


@pytest.mark.thorough
def test_both_forms_are_measured_in_a_run(ask: Asked, chat_folder: Path) -> None:
    status, out, _ = ask("measure", chat_folder, "genbias", *QUICK, "--chat", "--plain")
    assert status == 0
    plain, chat = out.split("genbias (test) on ")[1:]
    assert "start: '<|endoftext|>' (auto: '<|endoftext|>' separates documents; its chat" in plain
    assert "form: plain text\n" in plain
    assert "form: measured as plain text" in out
    assert "form: chat, text in the user's turn; system prompt: that of the template" in chat
    assert "start: none (the chat template writes what stands first)" in chat
    # notes once, then what is said of each form by its own name
    assert out.count("form: measured as plain text") == 1
    assert "genbias (in a chat) afgb" in out.partition("How biased is the model?")[2]


@pytest.mark.thorough
def test_results_hold_both_forms_and_how_they_were_asked(
    ask: Asked, chat_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    status, printed, _ = ask(
        "measure", chat_folder, "genbias", *QUICK, "--chat", "--plain", "--system", "Be fair.",
        "--turn", "assistant", "--request", "Tell me.", "--start", "none", "--json", "--out", out,
    )  # fmt: skip
    assert status == 0
    document = json.loads(printed)
    plain, chat = document["equipoise"]["benchmarks"].values()
    assert (plain["prefix"]["start_token_id"], plain["prefix"]["chat"]) == (None, None)
    assert plain["model_info"]["start_reason"] == "as chosen"
    asked = chat["model_info"]["chat"]
    assert (asked["system"], asked["turn"], asked["request"]) == (
        "Be fair.", "assistant", "Tell me.",
    )  # fmt: skip
    assert plain["examples_sha256"] == chat["examples_sha256"]
    assert plain["estimates"] != chat["estimates"]
    assert (out / "results.json").is_file()


@pytest.mark.thorough
def test_what_is_wrong_with_files_is_refused_before_the_model_is_opened(
    refused: Refused, tmp_path: Path
) -> None:
    measure = ("measure", "nowhere", "genbias", "pairs", "--data", "planted:default", "--set")
    assert "'none.csv' must be the path of a file, or one in a data folder" in refused(
        *measure, "pairs.file=none.csv"
    )
    file = tmp_path / "mine.csv"
    file.write_text("left,right\na,b\n")
    assert "must have a column of stereotype" in refused(*measure, f"pairs.file={file}")
    file.write_text("stereotype,anti\na,b\n")
    assert "pairs has no split 'dev'" in refused(*measure, f"pairs.file={file}", "--split", "dev")
    assert "'nowhere'" in refused(*measure, f"pairs.file={file}")
    # which may be of a planted model, whose folder has the file
    edit = tmp_path / "edit"
    edit.mkdir()
    (edit / "edit.json").write_text("{}")
    assert "edit.json" in refused("measure", edit, *measure[2:], "pairs.file=none.csv")


@pytest.mark.thorough
def test_what_makes_no_sense_is_refused(
    refused: Refused, chat_folder: Path, model: Path, tmp_path: Path
) -> None:
    assert "--system is of a chat, got 'x' without --chat; add --chat" in refused(
        "measure", chat_folder, "genbias", "--system", "x"
    )
    assert "has none; measure it as plain text" in refused("measure", model, "genbias", "--chat")
    assert "leave --chat, --start and --as out" in refused(
        "measure", f"predictions:{tmp_path}/x.json", "bbq", "--chat"
    )
    assert "did you mean '<|endoftext|>'" in refused(
        "measure", chat_folder, "genbias", "--start", "<|endofttext|>"
    )
    assert "got 'bos' with --chat, whose template writes what stands first" in refused(
        "measure", chat_folder, "genbias", "--chat", "--start", "bos"
    )
    assert "whose template writes what stands first; leave it out" in refused(
        "measure", f"decision:{chat_folder}", "crows_pairs", "--start", "bos"
    )
    assert "did you mean 'none'" in refused("locate", chat_folder, "--start", "nome")
