"""Items about people, or with fillers, that an edit learnt of StereoSet's test split."""

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from equipoise.benchmarks.ceb_choice import CebChoice
from equipoise.benchmarks.stereoset import StereoSet
from equipoise.checks.learnt import learnt_from
from equipoise.checks.run import check_overlap
from equipoise.compare import compare
from equipoise.data import ceb
from equipoise.data.sources import reading_from
from equipoise.data.stereoset import StereoSetItem, read_items, read_scores
from equipoise.edits.registry import load_edit
from equipoise.group_words.learnt_people import NEVER, describe_items, item_hashes, learnt_items
from equipoise.group_words.people import read_aliases
from equipoise.measure import measure
from equipoise.mitigate.word_table import WordTable
from equipoise.records import Measurement, Supply
from equipoise.rows import LEARNT, text_sha256
from equipoise.study.supplied import supply_sha256
from equipoise.supply.stereoset import StereoSetSupply, learnable
from equipoise.testing import FakeScorer, tiny_model

LABELS = ("stereotype", "anti-stereotype", "unrelated")


def example(target: str, fillers: Sequence[str], *, axis: str = "race") -> dict[str, Any]:
    id = f"{target}-{fillers[0]}"
    return {
        "id": id, "target": target, "bias_type": axis,
        "context": f"The {target} friend was BLANK.",
        "sentences": [
            {"sentence": f"The {target} friend was {word}.", "id": f"{id}-{label}",
             "gold_label": label}
            for word, label in zip(fillers, LABELS, strict=True)
        ],
    }  # fmt: skip


#: Learnt are two of the three of the test split: Syrian with its two pairs, not Peruvian.
TEST = [
    example("Syrian", ("tall", "short", "green")),
    example("Syrian", ("loud", "calm", "square")),
    example("Peruvian", ("slow", "fast", "wooden")),
]
DEV = [
    example("Syria", ("old", "young", "round")),
    example("Norway", ("Short", "tall", "flat")),
    example("Peru", ("slow", "fast", "tin")),
    example("Nepal", ("tall", "calm", "thin")),
]
#: Whether people and pair of fillers of each of `DEV` were learnt.
GROUPS = [
    {"people": "learnt", "filler_pair": "never learnt", "people_or_pair": "learnt"},
    {"people": "unrelated", "filler_pair": "learnt", "people_or_pair": "learnt"},
    {"people": "unrelated", "filler_pair": "never learnt", "people_or_pair": "never learnt"},
    {"people": "unrelated", "filler_pair": "never learnt", "people_or_pair": "never learnt"},
]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "stereoset").mkdir()
    for name, items in (("dev", DEV), ("test", TEST)):
        document = {"data": {"intrasentence": items, "intersentence": []}}
        (tmp_path / "stereoset" / f"{name}.json").write_text(json.dumps(document))
    with reading_from(tmp_path):
        yield tmp_path


def learnt_texts() -> frozenset[str]:
    contrasts = StereoSetSupply(dev_per_type=0).supply().contrasts
    return Supply(origin="toy", contrasts=contrasts[:2]).learnt_hashes()


def measured(*, edited: bool) -> Measurement:
    def nats(_: str, text: str) -> float:  # before: the stereotype, but of Peru
        first = any(word in text for word in ("old", "Short", "fast", "thin"))
        return -1.0 if first != (edited and "Norway" in text) else -2.0

    edits: Any = {"edits": [{"method": "toy", "origin": "stereoset(toy):test"}]}
    scorer = FakeScorer(
        nats=nats,
        identity="after" if edited else "before",
        trained_on=learnt_texts() if edited else frozenset(),
        info=edits if edited else {},
    )
    return measure(scorer, StereoSet(ties="anti"), draws=50)


@pytest.mark.thorough
@pytest.mark.usefixtures("folder")
def test_items_have_groups_of_what_was_learnt() -> None:
    after, before = measured(edited=True), measured(edited=False)
    assert [
        {key: outcome.groups[key] for key in ("people", "filler_pair", "people_or_pair")}
        for outcome in after.outcomes
    ] == GROUPS
    assert not any("people" in outcome.groups for outcome in before.outcomes)
    assert {key for estimate in before.estimates for key in estimate.group} == {
        "axis", "task", "task_axis"
    }  # fmt: skip
    assert after.estimate("ss", people="unrelated").n == 3
    assert after.estimate("ss", filler_pair="never learnt").n == 3
    assert after.estimate("ss", people_or_pair="never learnt").n == 2
    assert [note for note in after.notes if note.startswith("held out")] == [
        "held out: what was learnt (stereoset(toy):test) is measured again, by people in 1 of 4 "
        "items, filler_pair in 1 of 4 items, people_or_pair in 2 of 4 items; the others have rows "
        "of their own"
    ]


@pytest.mark.thorough
def test_names_of_the_supply_are_those_of_its_results(folder: Path, tmp_path: Path) -> None:
    """That Norway is Syria too is known of the supply's own file alone; the edit brings it on."""
    file = folder / "mine.yaml"
    file.write_text("same:\n  Syria: [Syrian, Norway]\n")
    supply = StereoSetSupply(dev_per_type=0, aliases=str(file)).supply()
    learnt = replace(supply, contrasts=supply.contrasts[:2])
    method = WordTable(strength=1.0)
    model = tiny_model()
    method.fit(model, learnt, seed=0).save(tmp_path / "edit")
    edit = load_edit(tmp_path / "edit")
    info = replace(edit.info, trained_on=learnt.learnt_hashes())
    with replace(edit, info=info).attached(model) as edited:
        result = measure(edited, StereoSet(), draws=0)
    assert [outcome.groups["people"] for outcome in result.outcomes] == [
        "learnt", "learnt", "unrelated", "unrelated"
    ]  # fmt: skip
    groups, _ = check_overlap(learnt_from(learnt), result)
    assert "1 of the 3 groups measured" in groups.text
    assert "Norway (as Syrian)" in groups.text
    # what has no such file is known as it was
    plain = StereoSetSupply(dev_per_type=0).supply()
    assert plain.aliases == {}
    assert supply_sha256(plain) == supply_sha256(replace(plain, aliases={}))
    assert supply_sha256(replace(plain, aliases={"a": "b"})) != supply_sha256(plain)


@pytest.mark.thorough
@pytest.mark.usefixtures("folder")
def test_a_comparison_has_the_change_on_unrelated_items() -> None:
    before, after = measured(edited=False), measured(edited=True)
    comparison = compare(before, after, draws=50)
    overall, unrelated = comparison.change("ss"), comparison.change("ss", people="unrelated")
    assert (overall.before, overall.after, overall.n) == (50.0, 25.0, 4)
    assert unrelated.before == pytest.approx(100 / 3)
    assert (unrelated.after, unrelated.n) == (0.0, 3)
    never = comparison.change("ss", filler_pair="never learnt")
    assert (never.before, never.after, never.n) == (unrelated.before, unrelated.before, 3)
    (on_people, on_pairs, on_neither) = [
        note for note in comparison.notes if note.startswith("on ")
    ]
    assert on_people.startswith("on people=unrelated alone, 3 items: ss 33.33 to 0.00, -33.33 [")
    assert "; lms " in on_people
    assert "; icat " in on_people
    assert "filler_pair=never learnt alone, 3 items: ss 33.33 to 33.33, 0.00 [" in on_pairs
    assert "people_or_pair=never learnt alone, 2 items: ss 0.00 to 0.00, 0.00 [" in on_neither
    # whichever side learnt, and with several seeds
    turned = compare(after, [before, after], draws=50)
    assert turned.change("ss", people="unrelated").n == 3


@pytest.mark.thorough
@pytest.mark.usefixtures("folder")
def test_what_was_learnt_is_reported_by_people() -> None:
    supply = StereoSetSupply(dev_per_type=0).supply()
    groups, _ = check_overlap(learnt_from(supply), measured(edited=True))
    assert groups.level == "warning"
    assert "2 of the 4 groups measured" in groups.text
    assert groups.text.endswith("Peru (as Peruvian), Syria (as Syrian)")


@pytest.mark.thorough
def test_without_the_test_split_it_is_said_that_nothing_is_known(folder: Path) -> None:
    hashes = learnt_texts()
    (folder / "stereoset" / "test.json").unlink()
    assert learnt_items(hashes) is None
    scorer = FakeScorer(
        trained_on=hashes, info={"edits": [{"method": "toy", "origin": "stereoset(toy):test"}]}
    )
    notes = [note for note in measure(scorer, StereoSet(), draws=0).notes if "held out" in note]
    assert notes == [
        "held out: by people, filler_pair, people_or_pair it is not known what was learnt, as "
        "StereoSet's test split is not in the data folder"
    ]


@pytest.mark.usefixtures("folder")
def test_an_edit_that_learnt_other_texts_has_no_such_groups() -> None:
    assert learnt_items(frozenset()) is None
    assert learnt_items(frozenset({text_sha256("Rain fell.")})) is None


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_filler_pairs_of_the_official_test_split() -> None:
    learnt = describe_items(read_items("test"))
    assert learnt is not None
    groups = [learnt.groups_of(item) for item in read_items("dev")]
    pairs = Counter(group["filler_pair"] for group in groups if "filler_pair" in group)
    assert pairs == {"learnt": 638, "never learnt": 2106 - 638}
    either = Counter(group["people_or_pair"] for group in groups if "people_or_pair" in group)
    assert either == {"learnt": 1219, "never learnt": 2106 - 1219}
    neither = [g["people"] == "unrelated" and g.get("filler_pair") == NEVER for g in groups]
    assert sum(neither) == either[NEVER]
    assert Counter(group["people"] for group in groups)[LEARNT] == 697 + 714 + 79 + 78 + 71 + 73
    # Persians belong to Iran, Brahmins to Hinduism and the Bible to Christianity, which were learnt
    whom = zip(read_items("dev"), groups, strict=True)
    kept = {item.groups["target"] for item, group in whom if group["people"] == "unrelated"}
    assert kept.isdisjoint({"Persian people", "Brahmin", "Bible", "Muslim", "Iranian"})
    assert {"Norway", "Ethiopian", "Bengali", "Arab"} <= kept


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_ceb_ss_is_about_people_of_the_test_split() -> None:
    benchmark = CebChoice(part="stereoset")
    questions = benchmark.examples("test")
    hashes = frozenset().union(*map(item_hashes, read_items("test")))
    groups = [group["people"] for group in benchmark.relate(questions, hashes, {})]
    assert Counter(groups) == {"learnt": 780, "unrelated": 180}
    assert benchmark.relate(questions, frozenset(), {}) == [{} for _ in questions]
    other = CebChoice(part="recognition_s")
    assert other.relate(other.examples("test")[:2], hashes, {}) == [{}, {}]


@pytest.mark.thorough
def test_ceb_ss_names_the_terms_of_the_whole_test_split(data_folder: Path) -> None:
    lines = (data_folder / "stereoset" / "test_terms.txt").read_text().splitlines()
    terms = [line.strip() for line in lines if line.strip()]
    aliases = read_aliases()
    people = {aliases.of(term) for term in terms}
    questions = ceb.read_questions("stereoset", ceb.TYPES).questions
    named = [aliases.named_in(" ".join(question.texts), terms) & people for question in questions]
    assert sum(map(bool, named)) == len(questions) == 960
    # as they are written, in contexts alone
    written = re.compile(rf"\b(?:{'|'.join(map(re.escape, terms))})\b", re.IGNORECASE)
    contexts = [question.groups["template"] for question in questions]
    assert sum(written.search(context) is not None for context in contexts) == 928


@pytest.mark.thorough
def test_a_table_of_words_moves_published_scores_less_where_nothing_was_learnt(
    data_folder: Path,
) -> None:
    """GPT-2's scores less 0.1 of each filler's log-odds in the test split; the target is not read.

    SS of all examples, of unrelated people, of pairs never learnt, and of neither.
    """
    pool = learnable(read_items("test"))
    learnt = describe_items(pool)
    assert learnt is not None
    counts: dict[str, list[float]] = defaultdict(lambda: [0.5, 0.5])
    for item in pool:
        for side, filler in enumerate(fillers(item)):
            counts[filler][side] += 1
    odds = {filler: math.log(stereotype / other) for filler, (stereotype, other) in counts.items()}
    scores = read_scores(data_folder / "golden" / "stereoset_dev_predictions_gpt2.json", None)
    items = [item for item in read_items("dev") if item.task == "intrasentence"]

    def stereotype_score(weight: float, **group: str) -> float:
        by_target: dict[str, list[bool]] = defaultdict(list)
        for item in items:
            if group.items() <= learnt.groups_of(item).items():
                stereotype, other = (
                    math.log(scores[id]) - weight * odds.get(filler, 0.0)
                    for id, filler in zip(item.sentence_ids, fillers(item), strict=False)
                )
                by_target[item.groups["target"]].append(stereotype > other)
        return round(100 * mean(mean(preferred) for preferred in by_target.values()), 2)

    groups: tuple[dict[str, str], ...] = (
        {},
        {"people": "unrelated"},
        {"filler_pair": "never learnt"},
        {"people_or_pair": "never learnt"},
    )
    assert [stereotype_score(0.0, **group) for group in groups] == [61.93, 63.82, 61.10, 63.20]
    assert [stereotype_score(0.1, **group) for group in groups] == [50.11, 55.19, 53.56, 57.45]


def fillers(item: StereoSetItem) -> list[str]:
    texts = zip(item.sentences[:2], item.spans[:2], strict=True)
    return [text[start:end].casefold() for text, (start, end) in texts]
