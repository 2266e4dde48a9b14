"""Copies of items about others; on the official files what is left out, and why."""

import re
from collections import Counter
from pathlib import Path

import pytest

from equipoise.benchmarks.bbq import BBQ
from equipoise.benchmarks.crows_pairs import CrowsPairs
from equipoise.benchmarks.stereoset import StereoSet
from equipoise.data.bbq import BbqRow, build_items
from equipoise.data.stereoset import StereoSetItem, Task
from equipoise.exchange import bbq, crows_pairs, stereoset
from equipoise.fakes import FakeScorer
from equipoise.measure import measure
from equipoise.metrics.target_parts import (
    DONE,
    GROUP,
    NO_OTHER,
    NOT_LISTED,
    NOT_NAMED,
    PROPER_NAMES,
)
from equipoise.records import Contrast

_AT_HAND = ("Age", "Nationality", "Physical_appearance", "Religion")  # categories of BBQ


def item(
    target: str, axis: str, context: str, *sentences: str, task: Task = "intrasentence"
) -> StereoSetItem:
    within = task == "intrasentence"
    starts = [next((i for i, c in enumerate(text) if c.isdigit()), 0) for text in sentences]
    return StereoSetItem(
        id="a", task=task, context=context, sentences=sentences, sentence_ids=("s", "t", "u"),
        spans=tuple(
            (start, start + 2) if within else (0, len(text))
            for start, text in zip(starts, sentences, strict=True)
        ),
        groups={"axis": axis, "target": target, "task": task},
    )  # fmt: skip


def test_a_filler_stays_where_it_was_in_the_words() -> None:
    texts = ("An engineer has 1x here.", "An engineer has 2x here.", "An engineer has 3x here.")
    (new,) = stereoset.exchange_targets(
        [item("engineer", "profession", "An engineer has BLANK here.", *texts)], 3
    )
    assert new.sentences == texts
    assert new.groups[GROUP] == DONE
    assert len(new.others) == len({copy.context for copy in new.others}) == 3
    for copy in new.others:
        assert len(copy.sentences) == 2
        assert copy.groups["target"] == "engineer"  # so that it stays in its cluster
        for text, (start, end), filler in zip(
            copy.sentences, copy.spans, ("1x", "2x"), strict=True
        ):
            assert text[start:end] == filler
            assert "ngineer" not in text


def test_a_context_names_the_target_and_sentences_may() -> None:
    texts = ("He is poor.", "The nurse is rich.", "It is a lake.")
    (new,) = stereoset.exchange_targets(
        [item("nurse", "profession", "The nurse rests.", *texts, task="intersentence")], 1
    )
    (copy,) = new.others
    assert copy.sentences[0] == texts[0]
    assert "nurse" not in copy.sentences[1] + copy.context
    assert copy.spans[1] == (0, len(copy.sentences[1]))


@pytest.mark.parametrize(
    ("target", "axis", "text", "reason"),
    [
        ("sailor moon", "profession", "The sailor moon is 1x.", NOT_LISTED),
        ("nurse", "profession", "Nursery is 1x.", NOT_NAMED),
        ("tree", "gender", "The tree is 1x.", NOT_LISTED),
        ("mother", "gender", "The lake is 1x.", NOT_NAMED),
        ("mother", "gender", "My mother is 1x.", DONE),
    ],
)
def test_why_an_item_of_stereoset_has_no_copies(
    target: str, axis: str, text: str, reason: str
) -> None:
    (new,) = stereoset.exchange_targets([item(target, axis, "BLANK", text, text, text)], 4)
    assert new.groups[GROUP] == reason
    assert len(new.others) == (1 if reason == DONE else 0)


def pair(more: str, less: str, bias: str = "religion", direction: str = "stereo") -> Contrast:
    groups = {"bias_type": bias, "direction": direction, "type_direction": f"{bias}/{direction}"}
    return Contrast(id="1", context="", stereotype=more, antistereotype=less, groups=groups)


def test_the_named_group_is_exchanged_and_the_other_sentence_stays() -> None:
    pairs = [
        pair("The Hindus met a Sikh.", "The Christians met a Sikh."),
        pair("A Christian sang.", "A Hindu sang.", direction="antistereo"),
    ]
    stereo, anti = crows_pairs.exchange_groups(pairs, 16)
    assert {copy.stereotype for copy in stereo.others} == {
        "The Jews met a Sikh.", "The Muslims met a Sikh.", "The Buddhists met a Sikh."
    }  # fmt: skip
    assert {copy.antistereotype for copy in stereo.others} == {pairs[0].antistereotype}
    assert {copy.stereotype for copy in anti.others} == {pairs[1].stereotype}
    assert "A Hindu sang." not in {copy.antistereotype for copy in anti.others}


@pytest.mark.parametrize(
    ("more", "less", "bias", "reason"),
    [
        ("The old sang.", "The young sang.", "age", NOT_LISTED),
        ("Ann, a Hindu, sang.", "Bob, a Hindu, sang.", "religion", NOT_NAMED),
        ("The women sang.", "The men sang.", "gender", NO_OTHER),
    ],
)
def test_why_a_pair_has_no_copies(more: str, less: str, bias: str, reason: str) -> None:
    (new,) = crows_pairs.exchange_groups([pair(more, less, bias)], 4)
    assert (new.groups[GROUP], new.others) == (reason, ())


def row(number: int, people: tuple[str, str], groups: tuple[str, str], **changed: object) -> BbqRow:
    first, second = people
    given = {
        "example_id": str(number), "question_index": "1", "question_polarity": "neg",
        "context_condition": "ambig", "category": "Religion",
        "answer_info": {"ans0": [first, groups[0]], "ans1": [second, groups[1]],
                        "ans2": ["Unknown", "unknown"]},
        "additional_metadata": {"stereotyped_groups": [groups[0]]},
        "context": f"A {first} person met a {second} person.", "question": "Who left?",
        "ans0": f"The {first} one", "ans1": f"The {second} one", "ans2": "Unknown", "label": 2,
    }  # fmt: skip
    return BbqRow.model_validate(given | changed)


def test_a_question_is_asked_about_groups_of_its_template() -> None:
    rows = [
        row(0, ("Sikh", "Jain"), ("Sikh", "Jain")),
        row(1, ("Sikh", "Jain"), ("Sikh", "Jain"), question_polarity="nonneg"),
        row(2, ("Hindu", "Atheist"), ("Hindu", "Atheist")),
    ]
    first, other_question, _ = bbq.exchange_groups(build_items(rows), 16)
    assert {copy.context for copy in first.others} == {
        "A Hindu person met a Jain person.", "An Atheist person met a Jain person."
    }  # fmt: skip
    # the target of the question that is not negative is the other person, who stays
    assert {copy.answers[1] for copy in other_question.others} == {"The Jain one"}
    assert {copy.target for copy in other_question.others} == {1}
    assert {copy.answers[0] for copy in first.others} == {"The Hindu one", "The Atheist one"}


def test_why_a_question_has_no_copies() -> None:
    two = [
        row(0, ("elder", "youth"), ("old", "young")),
        row(1, ("senior", "teen"), ("old", "young")),
    ]
    assert {new.groups[GROUP] for new in bbq.exchange_groups(build_items(two), 4)} == {NO_OTHER}
    names = [row(0, ("Ann", "Bob"), ("Sikh", "Jain"), question_index="26")]
    assert [new.groups[GROUP] for new in bbq.exchange_groups(build_items(names), 4)] == [
        PROPER_NAMES
    ]


@pytest.fixture
def official(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_DATA", str(data_folder))


@pytest.mark.thorough
@pytest.mark.usefixtures("official")
def test_official_stereoset() -> None:
    items = StereoSet(exchange=1).examples("dev")
    left_out = Counter(each.groups["axis"] for each in items if not each.others)
    assert (len(items), left_out) == (4229, Counter(race=10, gender=2))
    assert {each.groups[GROUP] for each in items} == {DONE, NOT_NAMED}
    within = [each for each in items if each.task == "intrasentence"]
    for each in within:  # the filler is where it was in the words
        for copy in each.others:
            fillers = [
                [
                    text[slice(*span)]
                    for text, span in zip(side.sentences[:2], side.spans, strict=False)
                ]
                for side in (each, copy)
            ]
            assert fillers[0] == fillers[1]


@pytest.mark.thorough
@pytest.mark.usefixtures("official")
def test_official_crows_pairs() -> None:
    pairs = CrowsPairs(exchange=1).examples("test")
    done = Counter(each.groups["bias_type"] for each in pairs if each.groups[GROUP] == DONE)
    assert done == {"race-color": 281, "nationality": 111, "religion": 71, "gender": 1}


@pytest.mark.thorough
@pytest.mark.usefixtures("official")
def test_official_bbq() -> None:
    questions = BBQ(exchange=1, categories=_AT_HAND).examples("test")
    counted = Counter((each.category, each.groups[GROUP]) for each in questions)
    assert counted == {
        ("Age", NO_OTHER): 3680,
        ("Nationality", DONE): 3080,
        ("Physical_appearance", NO_OTHER): 1576,
        ("Religion", DONE): 1200,
    }


@pytest.mark.thorough
@pytest.mark.usefixtures("official")
def test_counts_of_official_bbq_add_up_by_category() -> None:
    """What notes say is left out, and what was exchanged, are all rows of each category."""
    categories = ("Physical_appearance", "Religion")
    benchmark = BBQ(exchange=1, categories=categories)
    result = measure(FakeScorer(), benchmark, draws=0, limit=80)
    rows = Counter(outcome.groups["category"] for outcome in result.outcomes)
    assert sum(rows.values()) == 80
    assert set(rows) == set(categories)
    counted = Counter(
        outcome.groups["category"] for outcome in result.outcomes if outcome.groups[GROUP] == DONE
    )
    assert result.estimate("bias_ambig_target").n <= sum(counted.values())
    for note in result.notes:
        if left_out := re.match(r"exchange: (\d+) of 80 items are left out, .* \((.*)\)$", note):
            by_category = Counter(
                {name: int(n) for name, n in re.findall(r"category (\w+) (\d+)", left_out[2])}
            )
            assert sum(by_category.values()) == int(left_out[1])
            counted += by_category
    assert counted == rows
