"""The user's own texts: every kind is read, and a fault names file and line."""

import gzip
import json
from pathlib import Path

import pytest

from equipoise.errors import DataError
from equipoise.records import Contrast, Prompt
from equipoise.rows import text_sha256
from equipoise.supply.texts import TextsSupply

CONTRAST = {"stereotype": " she was late", "antistereotype": " he was late"}


def write(folder: Path, *lines: object, name: str = "mine.jsonl") -> str:
    file = folder / name
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return str(file)


def test_kinds_of_lines(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {**CONTRAST, "context": "The nurse said", "unrelated": " blue", "axis": "gender",
         "target": "nurse"},
        {"text": "The door is open."},
        {"prompt": "The cook slept because", "profession": "cook"},
        {"prompt": "The cook lost her bag because", "hint": "female"},
        {"prompt": "The maid slept because", "part": "dev"},
        {**CONTRAST, "target": "cook", "part": "dev"},
    )  # fmt: skip
    supply = TextsSupply(path=path).supply()
    assert supply.contrasts == (
        Contrast(
            id="line 1", context="The nurse said", stereotype=" she was late",
            antistereotype=" he was late", unrelated=" blue",
            groups={"axis": "gender", "target": "nurse"},
        ),
    )  # fmt: skip
    assert supply.texts == ("The door is open.",)
    cook = {"profession": "cook"}
    assert supply.prompts == (Prompt(id="line 3", text="The cook slept because", groups=cook),)
    assert [prompt.groups for prompt in supply.hinted] == [{"hint": "female"}]
    assert [prompt.id for prompt in supply.dev] == ["line 5"]
    assert [contrast.groups for contrast in supply.dev_contrasts] == [{"target": "cook"}]
    assert text_sha256("The nurse said she was late") in supply.learnt_hashes()
    (use,) = supply.files
    assert (use.name, use.verified, (use,)) == ("mine.jsonl", None, TextsSupply(path=path).files())


def test_plain_text_and_packed_lines(tmp_path: Path) -> None:
    (tmp_path / "plain.txt").write_text("One tree.\n\nTwo trees\nand more.\n")
    supply = TextsSupply(path=str(tmp_path / "plain.txt")).supply()
    assert supply.texts == ("One tree.", "Two trees\nand more.")
    packed = tmp_path / "mine.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps(CONTRAST).encode()))
    assert len(TextsSupply(path=str(packed)).supply().contrasts) == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["a"], "must be an object, got"),
        ({"texts": "a"}, r"must have a key of .*got \['texts'\]"),
        ({"stereotype": " a"}, "antistereotype"),
        ({**CONTRAST, "antistereotype": " "}, "antistereotype must be .*got a blank text"),
        ({**CONTRAST, "contex": "a"}, "'contex' is not known here; did you mean 'context'"),
        ({"prompt": "a", "hint": "his"}, "hint must be .*got 'his'"),
        ({"prompt": "a", "part": "test"}, "part must be .*got 'test'"),
        ({"text": 3}, "text must be a text, got 3"),
    ],
)
def test_faults_name_file_and_line(tmp_path: Path, line: object, message: str) -> None:
    path = write(tmp_path, {"text": "The door is open."}, line)
    with pytest.raises(DataError, match=rf"mine\.jsonl, line 2.*{message}"):
        TextsSupply(path=path).supply()


def test_target_in_train_and_dev_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, *({**CONTRAST, "target": "Cook", "part": p} for p in ("train", "dev")))
    with pytest.raises(DataError, match=r"mine\.jsonl: targets of part 'dev' .*'cook'"):
        TextsSupply(path=path).supply()


def test_missing_file(tmp_path: Path) -> None:
    for read in (TextsSupply(path=str(tmp_path / "no.jsonl")).supply, TextsSupply(path="no").files):
        with pytest.raises(DataError, match="no"):
            read()
