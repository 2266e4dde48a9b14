"""Facts: ranks by hand, fair distractors, chance, and the real files."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import in_world

from equipoise.benchmarks import facts
from equipoise.benchmarks.base import Benchmark
from equipoise.benchmarks.facts import Cloze, Facts
from equipoise.data.clozes import Fact, known_facts, trex_facts
from equipoise.errors import RecipeError
from equipoise.planted.world import find_world
from equipoise.plugins import build, options_of
from equipoise.records import Scored
from equipoise.stats.resample import columns_of

CLOZE = Cloze(
    id="1",
    prompt="A was born in",
    answer=" B",
    distractors=(" C", " D", " E"),
    groups={"relation": "P19"},
)


@pytest.fixture(scope="module")
def trex(data_folder: Path) -> Sequence[Fact]:
    """All 27,610 of them, read once."""
    assert data_folder
    return trex_facts()


def values(*logprobs: float) -> dict[str, float]:
    """Outcome of the true object's log-probability and the wrong ones', without another subject."""
    answers = [Scored(token_logprobs=(logprob,), bytes=2) for logprob in logprobs]
    outcome = Facts().outcome(CLOZE, answers)
    assert math.isnan(outcome.values["correct_other"])
    assert math.isnan(outcome.values["correct_by_subject"])
    without = ("correct_other", "correct_by_subject")
    return {key: value for key, value in outcome.values.items() if key not in without}


def test_ranks_by_hand() -> None:
    assert values(-1.0, -2.0, -3.0, -4.0) == {
        "correct": 1.0,
        "chance": 0.25,
        "rank": 1.0,
        "logprob": -1.0,
    }
    assert values(-3.0, -2.0, -1.0, -4.0)["rank"] == 3.0
    assert values(-3.0, -2.0, -1.0, -4.0)["correct"] == 0.0
    assert values(-2.0, -2.0, -2.0, -2.0) == pytest.approx(
        {"correct": 0.25, "chance": 0.25, "rank": 2.5, "logprob": -2.0}
    )
    assert values(-2.0, -1.0, -2.0, -3.0)["correct"] == 0.0


def test_what_the_subject_adds_by_hand() -> None:
    cloze = replace(CLOZE, other="F was born in")
    contexts = [request.context for request in Facts().requests(cloze)]
    assert contexts == ["A was born in"] * 4 + ["F was born in"] * 4
    for asked, of_other, added in (
        ((-1.0, -2.0, -3.0, -4.0), (-1.0, -2.0, -3.0, -4.0), 0.0),  # a frequent object, no more
        ((-1.0, -2.0, -3.0, -4.0), (-2.0, -1.0, -3.0, -4.0), 1.0),
        ((-2.0, -1.0, -3.0, -4.0), (-1.0, -2.0, -3.0, -4.0), -1.0),
    ):
        answers = [Scored(token_logprobs=(each,), bytes=2) for each in (*asked, *of_other)]
        outcome = Facts().outcome(cloze, answers)
        assert outcome.values["correct_by_subject"] == added
        assert outcome.values["correct"] == float(asked[0] == max(asked))
        assert outcome.values["logprob"] == asked[0]


def test_no_distractors_no_accuracy() -> None:
    without_distractors = values(-1.5)
    assert without_distractors["logprob"] == -1.5
    assert all(math.isnan(without_distractors[key]) for key in ("correct", "chance", "rank"))
    nothing = Facts().outcome(CLOZE, [Scored(token_logprobs=(), bytes=0)] * 4)
    assert all(math.isnan(value) for value in nothing.values.values())


@settings(max_examples=20)
@given(st.lists(st.floats(-50, 0), min_size=2, max_size=12), st.randoms(use_true_random=False))
def test_distractor_order_does_not_matter(logprobs, random) -> None:
    true, *wrong = logprobs
    other = list(wrong)
    random.shuffle(other)
    assert values(true, *wrong) == values(true, *other)
    assert 1 <= values(true, *wrong)["rank"] <= len(logprobs)


def test_true_object_is_first_request() -> None:
    requests = Facts().requests(CLOZE)
    assert [request.continuation for request in requests] == [" B", " C", " D", " E"]
    assert {request.context for request in requests} == {"A was born in"}


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_distractors_are_wrong_objects_of_the_relation() -> None:
    bench = Facts()
    objects: dict[str, set[str]] = {}
    for fact in known_facts():
        objects.setdefault(fact.relation, set()).add(f" {fact.answer}")
    for example in bench.examples("test"):
        assert example.answer not in example.distractors
        assert len(set(example.distractors)) == len(example.distractors)
        assert set(example.distractors) <= objects[example.groups["relation"]]
        most = len(objects[example.groups["relation"]]) - 1
        assert len(example.distractors) <= min(10, most)
    assert bench.examples("test") == Facts().examples("test")


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_prompts_are_bare_templates_unless_asked_otherwise() -> None:
    """Of 1,209 prompts 478 go on in the file with words that another model wrote."""
    bare = {each.id: each for each in Facts(per_relation=None).examples("test")}
    full = {each.id: each for each in Facts(per_relation=None, prompt="file").examples("test")}
    longer = [id for id, cloze in full.items() if cloze.prompt != bare[id].prompt]
    assert len(longer) == 478
    assert all(full[id].prompt.startswith(bare[id].prompt) for id in longer)
    assert any("349 of 765" in note and "cut off" in note for note in Facts().remarks("test"))
    assert any("were kept" in note for note in Facts(prompt="file").remarks("test"))


@pytest.mark.thorough
def test_prompts_that_hold_their_object(
    trex: Sequence[Fact], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "trex_facts", lambda: trex)
    note = "prompts: 128 of 975 hold their object, so that copying is enough"
    assert note in Facts(source="trex").remarks("test")


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_the_other_subject_is_one_of_which_the_object_is_not_true() -> None:
    # a prompt stands under two relations
    known = {(fact.relation, fact.bare or fact.prompt): fact for fact in known_facts()}
    true_of: dict[tuple[str, str], set[str]] = {}
    for fact in known_facts():
        true_of.setdefault((fact.relation, fact.subject), set()).add(fact.answer.casefold())
    examples = Facts().examples("test")
    others = [example for example in examples if example.other is not None]
    assert len(others) >= 760
    for example in others:
        other = known[example.groups["relation"], str(example.other)]
        assert example.answer.strip().casefold() not in true_of[other.relation, other.subject]
    assert len({example.other for example in others}) > 400  # not always the same


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
@pytest.mark.parametrize(("source", "share"), [("known_1000", 32.6), ("trex", 46.0)])
def test_always_the_most_frequent_object(source: str, share: float) -> None:
    """Right more often than a weak model is, and nothing of it is owed to the subject."""
    benchmark = Facts(source=source)
    examples = benchmark.examples("test")
    _, answers = benchmark.guesses(examples)["most frequent object"]
    rows = [benchmark.outcome(*pair) for pair in zip(examples, answers, strict=True)]
    columns = columns_of(rows, cluster="relation")
    values = {metric.name: metric.of(columns) for metric in Facts.metrics}
    assert round(values["accuracy"], 1) == share
    assert values["accuracy_by_subject"] == 0.0


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_sizes_and_limits() -> None:
    assert len(Facts(per_relation=None).examples("test")) == 1209
    few = Counter(example.groups["relation"] for example in Facts(per_relation=3).examples("test"))
    assert len(few) == 33
    assert max(few.values()) == 3
    two = Facts(distractors=2).examples("test")
    assert max(len(example.distractors) for example in two) == 2


@pytest.mark.thorough
def test_second_true_object_is_no_distractor(
    trex: Sequence[Fact], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "trex_facts", lambda: trex)
    true: dict[str, set[str]] = {}
    for fact in trex:
        if fact.relation == "P47":
            true.setdefault(fact.prompt, set()).add(f" {fact.answer}")
    drawn = Facts(source="trex", distractors=100).examples("test")
    assert len(drawn) == 975
    twins = [fact for fact in drawn if len(true.get(fact.prompt, ())) > 1]
    assert twins
    assert not any(set(twin.distractors) & true[twin.prompt] for twin in twins)


@pytest.mark.usefixtures("data_folder")
def test_verified_files() -> None:
    assert [file.name for file in Facts().files("test")] == ["known_facts/known_1000.json"]
    trex = Facts(source="trex").files("test")
    assert len(trex) == 78
    assert all(file.verified for file in trex)


def test_planted_facts() -> None:
    world = find_world("default")
    bench = Facts(per_relation=None)
    with in_world():
        examples = bench.examples("test")
        (use,) = bench.files("test")
    assert [(example.prompt, example.answer) for example in examples] == [
        (fact.prompt, f" {fact.answer}") for fact in world.facts
    ]
    assert not use.verified
    assert all(example.answer not in example.distractors for example in examples)


def test_perfect_and_guessing_models() -> None:
    bench = Facts()
    with in_world():
        examples = bench.examples("test")
    metrics = []
    for known in (True, False):
        rows = [
            bench.outcome(
                example,
                [
                    Scored(token_logprobs=(-0.1 if known and not index else -5.0,), bytes=1)
                    for index, _ in enumerate(bench.requests(example))
                ],
            )
            for example in examples
        ]
        columns = columns_of(rows, cluster="relation")
        metrics.append({metric.name: metric.of(columns) for metric in Facts.metrics})
    assert (metrics[0]["accuracy"], metrics[0]["rank"]) == (100.0, 1.0)
    assert metrics[1]["accuracy_by_subject"] == pytest.approx(0.0)
    assert metrics[1]["accuracy"] == pytest.approx(metrics[1]["chance"])


@pytest.mark.thorough
def test_options() -> None:
    bench = Facts(source="trex", distractors=4, per_relation=None)
    assert build(Benchmark, "facts", options_of(bench)) == bench
    for options in ({"source": "wiki"}, {"distractors": 0}, {"per_relation": 0}):
        with pytest.raises(RecipeError, match="facts"):
            build(Benchmark, "facts", options)
