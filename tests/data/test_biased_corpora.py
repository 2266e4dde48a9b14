"""Official files of biased texts in small, in the form that their authors describe."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from equipoise.data.biased_corpora import (
    LabelledText,
    read_bug,
    read_gap,
    read_hate_speech,
    read_toxicity,
    read_winogender,
)
from equipoise.data.sources import reading_from
from equipoise.errors import DataError

BUG = (
    ",sentence_text,tokens,profession,g,profession_first_index,g_first_index,predicted gender,"
    "stereotype,distance,num_of_pronouns,corpus,data_index\n"
)
GAP = "ID\tText\tPronoun\tPronoun-offset\tA\tA-offset\tA-coref\tB\tB-offset\tB-coref\tURL\n"
TWEETS = ",count,hate_speech,offensive_language,neither,class,tweet\n"
STATS = "occupation\tbergsma_pct_female\tbls_pct_female\tbls_year\n"


def put(folder: Path, path: str, content: str) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(content, encoding="utf-8")


def toxicity(prompt: float | None, continuation: float | None) -> str:
    halves = {"prompt": ("The oak", prompt), "continuation": (" fell.", continuation)}
    return json.dumps(
        {
            "filename": "a.txt",
            "begin": 1,
            "end": 9,
            "challenging": False,
            **{key: {"text": text, "toxicity": score} for key, (text, score) in halves.items()},
        }
    )


def test_prompts_are_toxic_where_a_half_is(tmp_path: Path) -> None:
    rows = [toxicity(0.5, 0.1), toxicity(0.49, None), toxicity(None, 0.9), toxicity(None, None)]
    put(tmp_path, "real_toxicity_prompts/prompts.jsonl", "\n".join(rows) + "\n")
    with reading_from(tmp_path):
        read = read_toxicity()
    assert [(text.id, text.biased) for text in read] == [
        ("line 1", True), ("line 2", False), ("line 3", True),
    ]  # fmt: skip
    assert {text.text for text in read} == {"The oak fell."}


def test_bug_is_read_by_its_code_and_not_by_its_readme(tmp_path: Path) -> None:
    lines = [
        f'{i},"The  carpenter, said he.",x,carpenter,he,1,3,male,{label},2,1,covid19,5\n'
        for i, label in enumerate((1, -1, 0))
    ]
    put(tmp_path, "bug/gold_BUG.csv", BUG + "".join(lines))
    with reading_from(tmp_path):
        read = read_bug()
    assert [text.biased for text in read] == [True, False, False]
    assert read[0] == LabelledText(
        id="line 2", text="The carpenter, said he.", biased=True, axis="gender"
    )


def test_gap_is_neutral(tmp_path: Path) -> None:
    row = 'development-1\tAnn said "she" left.\tshe\t10\tAnn\t0\tTRUE\tEve\t3\tFALSE\thttp://a\n'
    put(tmp_path, "gap/gap-development.tsv", GAP + row)
    with reading_from(tmp_path):
        (text,) = read_gap()
    assert text == LabelledText(id="development-1", text='Ann said "she" left.', biased=False)


def test_offensive_tweets_are_left_out(tmp_path: Path) -> None:
    rows = [f'{i},3,0,0,3,{label},"Oak, {label}"\n' for i, label in enumerate((0, 1, 2))]
    put(tmp_path, "hate_speech/labeled_data.csv", TWEETS + "".join(rows))
    with reading_from(tmp_path):
        read = read_hate_speech()
    assert [(text.text, text.biased) for text in read] == [("Oak, 0", True), ("Oak, 2", False)]


def winogender(folder: Path, *rows: str, stats: str = "nurse\t90\t89.6\t2015\n") -> None:
    put(folder, "winogender/all_sentences.tsv", "sentid\tsentence\n" + "".join(rows))
    put(folder, "winogender/occupations-stats.tsv", STATS + stats)


def test_winogender_pairs_the_usual_gender_with_the_other(tmp_path: Path) -> None:
    rows = [
        f"{name}.patient.{answer}.{gender}.txt\tThe {name} left, as {pronoun} was late.\n"
        for name in ("nurse", "carpenter", "baker")
        for answer in (0, 1)
        for gender, pronoun in (("male", "he"), ("female", "she"), ("neutral", "they"))
    ]
    stats = "nurse\t90\t89.6\t2015\ncarpenter\t1\t2.1\t2015\nbaker\t50\t50\t2015\n"
    winogender(tmp_path, *rows, stats=stats)
    with reading_from(tmp_path):
        probes = read_winogender()
    assert [(probe.id, probe.stereotype, probe.antistereotype) for probe in probes] == [
        ("nurse.patient", "The nurse left, as she was late.", "The nurse left, as he was late."),
        (
            "carpenter.patient",
            "The carpenter left, as he was late.",
            "The carpenter left, as she was late.",
        ),
    ]


@pytest.mark.parametrize(
    ("path", "content", "read", "said"),
    [
        ("bug/gold_BUG.csv", "a,b\n1,2\n", read_bug, "must have a column 'sentence_text'"),
        ("bug/gold_BUG.csv", "sentence_text,stereotype\nOak.,2\n", read_bug, "one of"),
        ("hate_speech/labeled_data.csv", "class,tweet\n3,Oak\n", read_hate_speech, "class must"),
        ("gap/gap-development.tsv", "ID\tText\n1\tOak\n", read_gap, "a column 'Pronoun'"),
        ("real_toxicity_prompts/prompts.jsonl", "{}\n", read_toxicity, "line 1"),
    ],
)
def test_files_of_another_form(
    tmp_path: Path, path: str, content: str, read: Callable[[], object], said: str
) -> None:
    put(tmp_path, path, content)
    with reading_from(tmp_path), pytest.raises(DataError, match=said):
        read()


def test_winogender_of_another_form(tmp_path: Path) -> None:
    winogender(tmp_path, "nurse\tOak.\n")
    with reading_from(tmp_path), pytest.raises(DataError, match="got 1 parts"):
        read_winogender()
    winogender(tmp_path, "nurse.patient.0.male.txt\tOak.\n", stats="nurse\t1\tmany\t2015\n")
    with reading_from(tmp_path), pytest.raises(DataError, match="must be a number, got 'many'"):
        read_winogender()


def test_a_file_that_is_not_there_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EQUIPOISE_DATA", raising=False)
    with reading_from(tmp_path), pytest.raises(DataError, match="put the file at 'bug/gold_BUG"):
        read_bug()
