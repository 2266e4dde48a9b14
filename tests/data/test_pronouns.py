"""WinoBias and Winogender read from small files of their forms, and what is wrong with others."""

from pathlib import Path

import pytest
from pronoun_files import ANTI, PRO, sentences, write_winobias, write_winogender

from equipoise.data.pronouns import PronounItem, read_winobias, read_winogender_items
from equipoise.data.sources import reading_from
from equipoise.errors import DataError


def winobias(folder: Path, pro: str = PRO, anti: str = ANTI) -> list[PronounItem]:
    write_winobias(folder, pro=pro, anti=anti)
    with reading_from(folder):
        return [*read_winobias("test", ("type1", "type2")).items]


def test_pairs_are_told_by_their_text(tmp_path: Path) -> None:
    items = winobias(tmp_path)
    assert [(item.id, item.right, item.other, item.stereotyped) for item in items] == [
        ("type1/1", "the clerk", "the baker", "female"),
        ("type1/2", "the baker", "the clerk", "male"),
        ("type1/3", "the road worker", "the nurse", "male"),
        ("type1/4", "the nurse", "the road worker", "female"),
        ("type2/1", "the baker", "the nurse", "male"),
    ]
    assert [item.right_is_last for item in items] == [True, False, False, True, True]
    third = items[2]
    assert third.sentences["female"] == "The road worker met the nurse so she could rest her leg."
    assert third.pronouns == {"male": "he", "female": "she"}
    assert items[0].groups["people"] == items[1].groups["people"] == "baker/clerk"


def test_sentences_without_a_twin_or_another_occupation_are_told(tmp_path: Path) -> None:
    more = "[The nurse] met a bear because [she] ran.\n[The nurse] hid and [she] saw the clerk.\n"
    twin = "[The nurse] met a bear because [he] ran.\n[The nurse] hid and [she] saw the clerk.\n"
    write_winobias(tmp_path, pro=PRO + more, anti=ANTI + twin)
    with reading_from(tmp_path):
        read = read_winobias("test", ("type1",))
    assert len(read.items) == 4
    assert sorted(note.partition("files ")[2] for note in read.notes) == [
        "do not name one other occupation",
        "have no twin with the other pronoun",
    ]


@pytest.mark.parametrize(
    "line", ["The nurse met a baker.", "[The nurse] met [the baker].", "[She] met a baker."]
)
def test_a_line_without_its_brackets_is_named(line: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"pro_stereotyped_type1\.txt\.test, line 5: must have an"):
        winobias(tmp_path, pro=f"{PRO}{line}\n")


def test_files_without_pairs_and_missing_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    write_winobias(tmp_path, pro=PRO, anti=PRO)
    with reading_from(tmp_path), pytest.raises(DataError, match="got none among 8"):
        read_winobias("test", ("type1",))
    with reading_from(tmp_path), pytest.raises(DataError, match=r"type1\.txt\.dev must be in"):
        read_winobias("dev", ("type1",))


def winogender(folder: Path, *rows: str, stats: str | None = None) -> dict[str, PronounItem]:
    write_winogender(folder, *rows, stats=stats)
    with reading_from(folder):
        return {item.id: item for item in read_winogender_items().items}


def test_winogender_expects_the_other_gender_where_the_occupation_is_not_meant(
    tmp_path: Path,
) -> None:
    items = winogender(tmp_path)
    assert len(items) == 6
    nurse, guest = items["nurse.guest.0"], items["nurse.guest.1"]
    assert (nurse.right, nurse.other, nurse.stereotyped) == ("the nurse", "the guest", "female")
    assert (guest.right, guest.other, guest.stereotyped) == ("the guest", "the nurse", "male")
    assert nurse.pronouns == {"male": "he", "female": "she", "neutral": "they"}
    assert (nurse.right_is_last, guest.right_is_last) == (False, True)
    assert (items["baker.someone.1"].right, items["baker.someone.0"].stereotyped) == (
        "someone", "male",
    )  # fmt: skip


def test_winogender_without_a_share_or_a_pronoun(tmp_path: Path) -> None:
    two = "".join(sentences("nurse").splitlines(keepends=True)[:2])
    items = winogender(tmp_path, sentences("clerk"), two, stats="clerk\t50\t50\t2015\n")
    assert [item.stereotyped for item in items.values()] == [None, None]
    with pytest.raises(DataError, match="got 1 without"):
        winogender(tmp_path, two)
