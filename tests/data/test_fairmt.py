"""FairMT-Bench's files: the official ones, and small ones of own words that have their oddities."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from equipoise.data.fairmt import groups_of, read_dialogues, sources
from equipoise.data.sources import Source
from equipoise.errors import DataError

Put = Callable[[str, object], Source]
LONG, SHORT = [f"{k}-turn Conv" for k in range(5)], [str(k) for k in range(5)]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))

    def write(path: str, rows: object) -> Source:
        file = tmp_path / "fairmt_bench" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(rows if isinstance(rows, str) else json.dumps(rows))
        return Source(path=f"fairmt_bench/{path}")

    return write


def dialogue(first: str, *, keys: list[str] = LONG, second: str = "Go on.") -> dict[str, str]:
    return dict(zip(keys, (first, second, f"{first} so?", f"{first} and?\n", "End"), strict=True))


@pytest.mark.thorough
def test_the_official_files(data_folder: Path) -> None:
    assert data_folder.is_dir()
    files = sources("10K")
    read = read_dialogues(files)
    assert (len(files), len(read.dialogues)) == (60, 10_120)
    assert (read.moved, read.repeated) == (73, 75)
    (empty,) = read.empty
    assert empty.endswith("Toxicity/Jailbreak_Tips/prompt_religion.json")
    tasks = Counter((row.groups["part"], row.groups["task"]) for row in read.dialogues)
    assert tasks["stereotype", "Fixed_Format"] == 1_500 - 73
    assert tasks["stereotype", "Interference_Misinformation"] == 1_400
    assert {len(row.turns) for row in read.dialogues} == {5}
    assert all(turn == turn.strip() for row in read.dialogues for turn in row.turns)
    small = read_dialogues(sources("1K"))
    assert (len(small.dialogues), small.moved, small.repeated, small.empty) == (990, 0, 0, ())
    large = {tuple(" ".join(turn.split()) for turn in row.turns) for row in read.dialogues}
    assert all(tuple(" ".join(t.split()) for t in row.turns) in large for row in small.dialogues)
    assert all(file.use().verified for file in sources("1K"))


def test_both_forms_of_keys_and_places(put: Put) -> None:
    ours = [
        put("FairMT_10K/Toxicity/Fixed_Format/prompt_disable.json", [dialogue("Owls")]),
        put("FairMT_1K/Fixed_Format.json", [dialogue("Elks", keys=SHORT)]),
    ]
    large, small = read_dialogues(ours).dialogues
    assert large.id == "toxicity/Fixed_Format/disable/1"
    assert large.turns == ("Owls", "Go on.", "Owls so?", "Owls and?", "End")
    assert groups_of(ours[0]) == {
        "part": "toxicity",
        "task": "Fixed_Format",
        "attribute": "disable",
    }
    assert (small.id, groups_of(ours[1])) == ("Fixed_Format/1", {"task": "Fixed_Format"})


def test_copies_misplaced_dialogues_and_empty_files(put: Put) -> None:
    folder = "FairMT_10K/Stereotype"
    first = "Please remember that owls sing"
    files = [
        put(f"{folder}/Fixed_Format/prompt_age.json", [dialogue(first), dialogue("Elks")]),
        put(f"{folder}/Fixed_Format/prompt_race.json", []),
        put(
            f"{folder}/Interference_Misinformation/prompt_age.json",
            [dialogue(f"{first} "), dialogue(first.replace(" ", "  ")), dialogue(f"{first} well")],
        ),
    ]
    read = read_dialogues(files)
    assert (read.moved, read.repeated) == (1, 2)
    assert read.empty == (files[1].path,)
    assert [row.id.partition("/")[2] for row in read.dialogues] == [
        "Fixed_Format/age/2",
        "Interference_Misinformation/age/1",
        "Interference_Misinformation/age/3",
    ]
    (only,) = read_dialogues(files[:1]).dialogues[:1]
    assert only.groups["task"] == "Interference_Misinformation"


def test_clusters_are_dialogues_that_share_a_turn(put: Put) -> None:
    rows = [dialogue(f"Owl {n}", second=f"Then {n // 2}") for n in range(60)]
    (file,) = [put("FairMT_1K/Fixed_Format.json", rows)]
    clusters = [row.groups["cluster"] for row in read_dialogues([file]).dialogues]
    assert len(set(clusters)) == 30  # and not 1, though all share their last turn
    assert clusters[0] == clusters[1] != clusters[2]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("", "must hold data, got an empty file"),
        ("[]", "must hold dialogues, got 0 in 1 files"),
        ("{}", "must be a list of dialogues, got a dict"),
        (["a"], "dialogue 1: must have the turns"),
        ([dict(list(dialogue("quillwort").items())[:4])], r"got none of '4-turn Conv'"),
        ([{**dialogue("quillwort"), "5": "a"}], "got 6 keys"),
        (
            [dialogue("Owls"), {**dialogue("quillwort"), "2-turn Conv": " \n"}],
            r"Fixed_Format\.json, dialogue 2: turn '2-turn Conv' must have words, got a blank",
        ),
        ([{**dialogue("quillwort"), "0-turn Conv": None}], "must have words, got a NoneType"),
    ],
)
def test_invalid_files(put: Put, rows: object, message: str) -> None:
    file = put("FairMT_1K/Fixed_Format.json", rows)
    with pytest.raises(DataError, match=message) as caught:
        read_dialogues([file])
    assert "quillwort" not in str(caught.value)


def test_a_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"FairMT_1K/Anaphora_Ellipsis\.json must be in folder"):
        read_dialogues(sources("1K"))
