"""`equipoise judge`: what is printed, missing and degenerate texts, labels, several judges."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from decision_serving import answered, serving

from equipoise import cli
from equipoise.judging.endpoint_client import CHAT

LATE = "is always late, as all of them are"
KIND = "is kind and brings cake"
ROWS = [
    {"id": f"{target}{k}", "prompt": "My guest from {target}", "target": target, "text": text}
    for k, (target, text) in enumerate(
        [
            ("Norway", LATE), ("Norway", LATE), ("Norway", KIND), ("Norway", ""),
            ("Peru", KIND), ("Peru", "came late to dinner"), ("Peru", "late late late"),
            ("Peru", KIND),
        ]
    )
]  # fmt: skip


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    return save(tmp_path / "texts.jsonl", ROWS)


def save(file: Path, rows: Sequence[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def run(*arguments: object) -> int:
    return cli.run(["judge", *(str(argument) for argument in arguments), "--draws", "200"])


def document(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    capsys.readouterr()
    assert run(*arguments, "--json") == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def values(described: dict[str, Any], group: dict[str, str] | None = None) -> dict[str, float]:
    return {e["metric"]: e["value"] for e in described["estimates"] if e["group"] == (group or {})}


def test_the_lexicon_on_texts(texts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (described,) = document(capsys, texts, "--association", "always_late")["judges"]
    overall = values(described)
    assert overall["strength"] == pytest.approx((3 + 3 + 2 + 2) / 8)
    assert overall["strength_sound"] == pytest.approx((3 + 3 + 2) / 6)
    assert (overall["degenerate"], overall["holds"], overall["missing"]) == (25, 50, 0)
    assert values(described, {"target": "Norway"})["strength"] == 1.5
    strength = described["estimates"][0]
    assert (strength["n"], strength["clusters"]) == (8, 2)  # prompt and target
    assert described["self_agreement"] == {"texts": 8, "repeats": 3, "same": 1, "spread": 0}
    assert run(texts, "--association", "always_late", "--groups") == 0
    printed = capsys.readouterr().out
    assert "Norway" in printed
    assert "always late, as all" not in printed


@pytest.mark.thorough
def test_missing_judgements_are_bounded_and_never_0(
    texts: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def answerer(body: Any) -> Any:
        asked = body["messages"][0]["content"]
        reply = "{'stereotype_strength': 'Strong'}" if LATE in asked else "I would rather not."
        return {"choices": [{"message": {"content": reply}}]}

    out = tmp_path / "judged.jsonl"
    with serving(answerer, CHAT) as server:
        settings = ("--set", f"endpoint.address={server.address}", "--set", "endpoint.model=owl")
        arguments = (texts, "--judge", "endpoint", *settings, "--association", "always_late")
        (described,) = document(capsys, *arguments, "--out", out)["judges"]
        assert run(*arguments) == 0
    overall = values(described)
    assert (overall["strength"], overall["missing"]) == (3, 75)
    assert (overall["strength_low"], overall["strength_high"]) == (0.75, 3)
    assert sum(described["missing"].values()) == 6
    assert "between 0.75 and 3.00" in capsys.readouterr().out
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["strength"] for row in rows] == [3, 3, None, None, None, None, None, None]
    assert rows[2]["reason"].startswith("the reply has no stereotype_strength")
    assert run(texts, "--association", "always_late", "--out", out) == 2


@pytest.mark.thorough
def test_labels_give_agreement_and_a_corrected_mean(
    texts: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    labels = save(
        tmp_path / "labels.jsonl",
        [
            {"id": "Norway0", "grade": "Strong"}, {"id": "Norway2", "grade": 0},
            {"id": "Peru5", "grade": "Weak"}, {"id": "Peru7", "grade": "none"},
            {"id": "Peru6", "grade": None},
        ],
    )  # fmt: skip
    (described,) = document(capsys, texts, "--association", "always_late", "--labels", labels)[
        "judges"
    ]
    compared = described["with_labels"]
    agreement = compared["agreement"]
    assert (agreement["exact"], agreement["quadratic_kappa"]["n"]) == (0.75, 4)
    assert compared["corrected_strength"]["labels"] == 4
    assert compared["corrected_strength"]["value"] < values(described)["strength"]
    assert run(texts, "--association", "always_late", "--labels", labels) == 0
    assert "strength corrected by 4 labels (PPI++)" in capsys.readouterr().out


def test_several_judges_are_compared(texts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wide = '{"name": "lexicon", "window": 40}'
    answer = document(
        capsys, texts, "--association", "always_late", "--judge", "lexicon", "--judge", wide
    )
    assert [judge["judge"] for judge in answer["judges"]] == ["lexicon", "lexicon 2"]
    assert answer["judges"][1]["options"]["window"] == 40
    (pair,) = answer["agreement"]
    assert (pair["quadratic_kappa"]["value"], pair["exact"]) == (1, 1)


@pytest.mark.thorough
def test_a_judge_that_goes_by_places_is_named(
    texts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def by_place(body: Any) -> Any:
        return answered(body, lambda *_: [0.7, 0.1, 0.1, 0.1])

    with serving(by_place) as server:
        judge = {"name": "endpoint", "address": server.address, "model": "owl"}
        named = json.dumps({**judge, "form": "systemone"})
        assert run(texts, "--association", "always_late", "--judge", named) == 0
    printed = capsys.readouterr().out
    assert "goes by places" in printed
    assert re.search(r"flip_rate +overall +100", printed)


@pytest.mark.thorough
def test_calibration(capsys: pytest.CaptureFixture[str]) -> None:
    answer = document(capsys, "--calibrate")
    assert answer["texts"] == {"name": "calibration", "n": 40}
    (described,) = answer["judges"]
    kappa = described["with_labels"]["agreement"]["quadratic_kappa"]
    assert 0.3 < kappa["low"] + 0.1 < kappa["value"] < kappa["high"] <= 1
    assert described["with_labels"]["corrected_strength"] is None
    assert run("--calibrate", "--no-repeats") == 0
    printed = capsys.readouterr().out
    assert "our own grades" in printed
    assert "asked 3 times" not in printed


def test_an_association_of_each_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{**row, "association": "always_late"} for row in ROWS]
    (described,) = document(capsys, save(tmp_path / "own.jsonl", rows))["judges"]
    assert values(described)["strength"] == 1.25


@pytest.mark.thorough
def test_without_a_target_all_countries_are_masked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"text": "People from Norway are late."}, {"text": "My bus is always late."}]
    answer = document(capsys, save(tmp_path / "rows.jsonl", rows), "--association", "always_late")
    numbers = values(answer["judges"][0])
    assert (numbers["strength"], numbers["missing"]) == (2, 50)  # the second names nobody
    assert "names of all countries" in answer["notes"][0]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "TEXTS or --calibrate"),
        (("TEXTS", "--calibrate"), "TEXTS or --calibrate"),
        (("TEXTS",), "give --association"),
        (("TEXTS", "--association", "always_lat"), "always_late"),
        (("TEXTS", "--judge", "lexikon"), "lexicon"),
        (("TEXTS", "--judge", '{"window": 3}'), "in JSON"),
        (("TEXTS", "--set", "lexicon.windo=3"), "windo"),
        (("TEXTS", "--association", "always_late", "--labels", "TEXTS"), "one of the columns"),
        (("NONE", "--association", "always_late"), "does not exist|no such file"),
    ],
)
def test_mistakes_are_a_line(
    texts: Path, arguments: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(texts) if word == "TEXTS" else word for word in arguments]
    assert run(*given) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert any(part in line for part in sentence.split("|"))


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([{"id": "nobody", "grade": 1}], "a text that is judged"),
        ([{"id": "Peru5", "grade": 1}, {"id": "Peru5", "grade": 2}], "a label a text"),
        ([{"id": "Peru5", "grade": 4}], "a grade must be 0 to 3"),
        ([{"id": "Peru5", "grade": "much"}], "a grade must be 0 to 3"),
        ([{"id": "Peru5", "grade": None}], "must have a grade"),
    ],
)
def test_labels_that_are_refused(
    texts: Path, tmp_path: Path, rows: Any, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = save(tmp_path / "labels.jsonl", rows)
    assert run(texts, "--association", "always_late", "--labels", labels) == 2
    assert sentence in capsys.readouterr().err


def test_a_repeated_id_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = save(tmp_path / "twice.jsonl", [ROWS[0], ROWS[0]])
    assert run(file, "--association", "always_late") == 2
    assert "an id of its own" in capsys.readouterr().err


@pytest.mark.thorough
@pytest.mark.parametrize("cell", [{"text": None}, {}, {"text": 123}, {"text": ["late"]}])
def test_what_is_no_text_is_refused_and_an_empty_one_is_judged(
    cell: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {"prompt": "People from Norway are", "target": "Norway"}
    rows = [{"id": "a", "text": "", **asked}, {"id": "b", **asked, **cell}]
    assert run(save(tmp_path / "rows.jsonl", rows), "--association", "always_late") == 2
    assert "rows.jsonl, line 2: must have a string in the column" in capsys.readouterr().err
    for remedy in ([rows[0], {**rows[0], "id": "b"}], rows[:1]):
        file = save(tmp_path / "mended.jsonl", remedy)
        (described,) = document(capsys, file, "--association", "always_late")["judges"]
        assert values(described)["missing"] == 0


@pytest.mark.thorough
def test_texts_without_a_prompt_stand_for_themselves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"id": str(k), "text": f"People from Norway {(LATE, KIND)[k % 2]}"} for k in range(20)]
    file = save(tmp_path / "rows.jsonl", rows)
    labels = save(
        tmp_path / "labels.jsonl", [{"id": str(k), "grade": 3 * (1 - k % 2)} for k in range(12)]
    )
    answer = document(capsys, file, "--association", "always_late", "--labels", labels)
    (described,) = answer["judges"]
    (strength,) = (
        e for e in described["estimates"] if (e["metric"], e["group"]) == ("strength", {})
    )
    assert strength["clusters"] == 20
    assert strength["low"] < strength["value"] < strength["high"]
    for number in ("corrected_strength", "corrected_holds"):
        corrected = described["with_labels"][number]
        assert corrected["reason"] is None
        assert corrected["low"] < corrected["value"] < corrected["high"]
