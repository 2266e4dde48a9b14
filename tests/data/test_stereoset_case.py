"""StereoSet's capitals: put back from the template, word by word, and nothing but case changed."""

from pathlib import Path

import pytest

from equipoise.data.stereoset import StereoSetItem
from equipoise.data.stereoset_case import read_cased, restore_capitals, written


def intra(context: str, *texts: str) -> StereoSetItem:
    return StereoSetItem(
        id=context, task="intrasentence", context=context, sentences=texts,
        sentence_ids=texts, spans=((0, 1),) * len(texts),
    )  # fmt: skip


def inter(context: str, *texts: str) -> StereoSetItem:
    return StereoSetItem(
        id=context, task="intersentence", context=context, sentences=texts,
        sentence_ids=texts, spans=((0, 1),) * len(texts),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("template", "text", "restored"),
    [
        ("My Peru is BLANK.", "My peru is tall.", "My Peru is tall."),
        ("the BLANK left Rome and I", "The cook left rome and i", "The cook left Rome and I"),
        ("It is. BLANK saw Ulm.", "It is. nobody saw ulm.", "It is. Nobody saw Ulm."),
        ("He said (BLANK), from Ulm", "He said (yes), from ulm", "He said (yes), from Ulm"),
        ("An EU-BLANK of Ulm", "An eu-law of ulm", "An EU-law of Ulm"),
        ("BLANK in Bonn and BLANK", "Up in bonn and away", "Up in Bonn and away"),
        ("Peru has BLANK.", "Peru has hills.", "Peru has hills."),
        ("In Peru a BLANK", "In peru a few words more", "In peru a few words more"),
        ("In Peru a BLANK", "In chile a hill", "In chile a hill"),
    ],
)  # fmt: skip
def test_template_gives_its_case(template: str, text: str, restored: str) -> None:
    (item,) = restore_capitals([intra(template, text)])
    assert (item.restored or item.sentences) == (restored,)
    assert (item.groups == {"capitals": "lost"}) == (restored != text)


def test_filler_is_a_name_where_other_texts_have_it_with_a_capital_more_often() -> None:
    others = [
        inter("We met a Basque.", "The Basque sang.", "A Tuesday.", "He saw Basque lace."),
        inter("An old elm and an Elm.", "By the Elm, an elm.", "On Tuesday.", "x"),
        intra("We saw the NASA and the NASA of BLANK", "We saw the nasa and the nasa of tuesday"),
    ]
    item = intra("She is BLANK", "She is basque", "She is elm", "She is nasa", "She is tuesday")
    *_, item = restore_capitals([*others, item])
    # "elm" as often without a capital; "Tuesday" with one, once inside a sentence and once more
    assert item.restored == ("She is Basque", "She is elm", "She is NASA", "She is Tuesday")


def test_following_sentences_stay() -> None:
    item = inter("He is from Peru.", "peru is far.", "He left.", "So.")
    assert restore_capitals([item]) == [item]


def test_written_in_each_case() -> None:
    lost, kept = restore_capitals([intra("Of Ulm BLANK", "Of ulm x"), intra("A BLANK", "A y")])
    assert [item.sentences for item in written(lost, "official")] == [("Of ulm x",)]
    assert [item.sentences for item in written(lost, "restored")] == [("Of Ulm x",)]
    assert [item.sentences for item in written(lost, "both")] == [("Of ulm x",), ("Of Ulm x",)]
    assert written(kept, "restored") == written(kept, "both") == (kept,)


@pytest.mark.thorough
def test_official_files(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_DATA", str(data_folder))
    items = read_cased("dev", "restored")
    texts = [text for i in items if i.task == "intrasentence" for text in i.sentences]
    assert sum(text == text.capitalize() for text in texts) == len(texts) == 6318
    lost = [item for item in items if item.restored]
    axes = [item.groups["axis"] for item in lost]
    counts = {axis: axes.count(axis) for axis in ("race", "profession", "religion", "gender")}
    assert counts == {"race": 646, "profession": 86, "religion": 51, "gender": 22}
    for item in lost:
        pairs = [*zip(item.sentences, item.restored, strict=True)]
        assert all(len(a) == len(b) and a.lower() == b.lower() for a, b in pairs)
    # without names in the blank: the templates' own capitals
    beside = [
        item for item in lost
        if any(
            a[:start] + a[end:] != b[:start] + b[end:]
            for a, b, (start, end) in zip(item.sentences, item.restored, item.spans, strict=True)
        )
    ]  # fmt: skip
    assert len(beside) == 747
