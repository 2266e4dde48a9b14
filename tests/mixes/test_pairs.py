"""What a pair is, and pairs of files with what a person decided about them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.errors import DataError
from equipoise.mixes.grammar import draw_pairs
from equipoise.mixes.pair_file import read_pair_file, write_pairs
from equipoise.mixes.pairs import DistinctPairs, Pair, fault_of_pair
from equipoise.mixes.review import write_review

PAIR = Pair(
    id="1",
    sent_more="The old oak in the park is brittle.",
    sent_less="The young oak in the park is brittle.",
    direction="stereo",
    bias_type="age",
    generator="own",
    prompt_sha256="",
)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, None),
        ({"sent_less": PAIR.sent_more}, "has the same sentence twice"),
        ({"sent_less": "The young oak in the park is tough."}, "differs in more than one place"),
        ({"sent_less": "Every elm and every ash is brittle."}, "has sentences that share too"),
        ({"sent_less": "An oak."}, "has not 4 to 60 words in each sentence"),
        ({"direction": "both"}, "has no direction of"),
        ({"bias_type": "trees"}, "has no bias type of the nine"),
        ({"sent_less": "The oak in the park is brittle."}, None),  # a word left out
    ],
)
def test_what_is_a_pair(changes: dict[str, str], fault: str | None) -> None:
    said = fault_of_pair(replace(PAIR, **changes))  # type: ignore[arg-type]
    assert (said or "").startswith(fault) if fault else said is None


words = st.lists(st.sampled_from(["oak", "elm", "ash", "fir", "yew"]), min_size=1, max_size=3)


@pytest.mark.thorough
@given(words, words, words, words)
def test_a_replaced_stretch_is_one_span(
    before: list[str], first: list[str], second: list[str], after: list[str]
) -> None:
    ends = (["Here", "and", "there", *before], ["after", "all", "the", *after])
    pair = replace(
        PAIR,
        sent_more=" ".join([*ends[0], "<", *first, ">", *ends[1]]),
        sent_less=" ".join([*ends[0], "[", *second, "]", *ends[1]]),
    )
    fault = fault_of_pair(pair)
    # words that both stretches share part them, which is said
    assert fault is None or (set(first) & set(second) and fault == "differs in more than one place")


def test_repeats_exact_and_near() -> None:
    distinct = DistinctPairs()
    assert distinct.repeats(PAIR) is None
    assert distinct.repeats(replace(PAIR, id="2")) == "is there already"
    swapped = replace(PAIR, sent_more=PAIR.sent_less, sent_less=PAIR.sent_more)
    assert distinct.repeats(swapped) == "is there already"


def test_a_file_of_pairs_is_read_as_it_was_written(tmp_path: Path) -> None:
    pairs = draw_pairs(27, seed=3)
    read = read_pair_file(str(write_pairs(tmp_path / "pairs.jsonl", pairs)))
    assert (read.pairs, read.repeated, read.rejected) == (pairs, 0, 0)


def test_the_columns_of_the_paper(tmp_path: Path) -> None:
    line = f'7,"{PAIR.sent_more}","{PAIR.sent_less}",antistereo,age\n'
    head = "index,sent_more,sent_less,stereo_antistereo,bias_type\n"
    (tmp_path / "pairs.csv").write_text(head + line + line.replace("7", "8"))
    read = read_pair_file(str(tmp_path / "pairs.csv"))
    assert read.pairs == (replace(PAIR, id="7", direction="antistereo"),)
    assert read.repeated == 1


def test_decisions_of_the_page_choose_pairs(tmp_path: Path) -> None:
    pairs = draw_pairs(9, seed=0)
    file = str(write_pairs(tmp_path / "pairs.jsonl", pairs))
    accepted = tmp_path / "accepted.json"
    ids = [pair.id for pair in pairs[2:5]]
    accepted.write_text(json.dumps({"pairs": "x", "accepted": ids, "rejected": [pairs[0].id]}))
    read = read_pair_file(file, str(accepted))
    assert (read.pairs, read.rejected) == (pairs[2:5], 6)
    accepted.write_text(json.dumps({"accepted": ["another"], "rejected": []}))
    with pytest.raises(DataError, match="got 1 ids that are not in it"):
        read_pair_file(file, str(accepted))
    accepted.write_text(json.dumps({"accepted": [], "rejected": ids}))
    with pytest.raises(DataError, match="accepted"):
        read_pair_file(file, str(accepted))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id,sent_more,sent_less,bias_type\n", "must have rows, got none"),
        ("id,sent_more,sent_less,bias_type\n1,a,b,age\n", "must have a column 'direction'"),
        ("sent_more,sent_less,direction\na,b,stereo\n", "must have a column 'bias_type'"),
        (
            "id,sent_more,sent_less,direction,bias_type\n1,An oak.,An elm.,stereo,age\n",
            "line 2: the pair has not 4 to 60 words",
        ),
        (
            f"id,sent_more,sent_less,direction,bias_type\n"
            f"1,{PAIR.sent_more},{PAIR.sent_less},stereo,age\n"
            f"1,{PAIR.sent_less},{PAIR.sent_more},stereo,age\n",
            "line 3: id '1' must be there once",
        ),
    ],
)
def test_what_is_no_file_of_pairs(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "pairs.csv").write_text(content)
    with pytest.raises(DataError, match=said):
        read_pair_file(str(tmp_path / "pairs.csv"))


def test_the_page_holds_the_pairs_and_no_text_ends_its_script(tmp_path: Path) -> None:
    evil = replace(PAIR, id="</script>", sent_more="The {{key}} <b>oak</b> is here.")
    page = write_review(tmp_path / "page.html", [PAIR, evil]).read_text("utf-8")
    start = page.index('id="pairs">') + len('id="pairs">')
    held = json.loads(page[start : page.index("</script>", start)])
    assert [row["sent_more"] for row in held] == [PAIR.sent_more, evil.sent_more]
    assert page.count("</script>") == 2
    assert "Content warning" in page
    assert "http" not in page.replace("http-equiv", "")
    body = page[: page.index('<script type="application/json"')]
    assert PAIR.sent_more not in body  # behind the warning
