"""SEAT: a world whose effect size is known, what is asked, and a real encoder's numbers."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.benchmarks.base import Benchmark
from equipoise.benchmarks.seat import Seat
from equipoise.compare import compare
from equipoise.errors import DataError, ModelError, RecipeError
from equipoise.inference.scorer import answer
from equipoise.measure import measure
from equipoise.plugins import build, options_of
from equipoise.records import Embedding
from equipoise.testing import FakeScorer, tiny_model

#: Cosine with the first axis of each word's two texts. Their association is 2 cosines, as the
#: attributes' vectors are this axis and its opposite.
FIRST = {"oak": (0.5, 0.3), "ash": (0.4, 0.2), "fir": (0.3, 0.1)}
SECOND = {"elm": (-0.1, 0.1), "yew": (-0.3, -0.1), "box": (0.0, 0.0)}


def texts(words: Mapping[str, Sequence[float]]) -> dict[str, float]:
    forms = ("This is {}.", "That is {}.")
    return {
        form.format(word): cosine
        for word, cosines in words.items()
        for form, cosine in zip(forms, cosines, strict=True)
    }


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[float]]:
    """A test in the data folder, and the vector of each of its texts."""
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    lists = {
        "targ1": [*texts(FIRST)],
        "targ2": [*texts(SECOND)],
        "attr1": ["It is tall.", "It is high."],
        "attr2": ["It is low."],
    }
    content = {key: {"category": key, "examples": value} for key, value in lists.items()}
    (tmp_path / "seat").mkdir()
    (tmp_path / "seat" / "trees.jsonl").write_text(json.dumps(content))
    vectors = {
        text: [3 * cosine, 3 * math.sqrt(1 - cosine**2)]
        for text, cosine in (texts(FIRST) | texts(SECOND)).items()
    }
    return vectors | {"It is tall.": [2.0, 0.0], "It is high.": [0.5, 0.0], "It is low.": [-1, 0.0]}


def plain_d(first: Sequence[float], second: Sequence[float]) -> float:
    return float((np.mean(first) - np.mean(second)) / np.std([*first, *second], ddof=1))


def test_d_of_a_world_in_which_it_is_known(world: dict[str, list[float]]) -> None:
    result = measure(FakeScorer(vectors=world), Seat(tests="trees"), draws=200)
    associations = [outcome.values["association"] for outcome in result.outcomes]
    first, second = ([2 * c for c in texts(side).values()] for side in (FIRST, SECOND))
    assert associations == pytest.approx([*first, *second], abs=1e-6)
    d = result.estimate("d")
    assert d.value == pytest.approx(plain_d(first, second), abs=1e-5)
    assert d.low < d.value < d.high
    assert (d.n, d.clusters, d.ideal) == (12, 6, 0.0)
    words = [[2 * float(np.mean(c)) for c in side.values()] for side in (FIRST, SECOND)]
    assert result.estimate("d_words").value == pytest.approx(plain_d(*words), abs=1e-5)
    # 20 ways to deal 6 words, of which this is the largest; its mirror is as large
    assert result.estimate("p").value == pytest.approx(1 / 20)
    assert result.estimate("p_two_sided").value == pytest.approx(2 / 20)
    assert result.estimate("p_by_sentence").value < 0.01
    assert 0 < result.estimate("d_abs_null").value < d.value
    by_test = result.estimate("d", test="trees")
    assert by_test.value == d.value
    assert {group for outcome in result.outcomes for group in outcome.groups} == {
        "axis", "test", "word"
    }  # fmt: skip


def test_d_does_not_depend_on_the_length_of_vectors(world: dict[str, list[float]]) -> None:
    longer = {text: [7 * each for each in vector] for text, vector in world.items()}
    sizes = [
        measure(FakeScorer(vectors=vectors), Seat(tests="trees"), draws=0).estimate("d").value
        for vectors in (world, longer)
    ]
    assert sizes[0] == pytest.approx(sizes[1], abs=1e-6)


def test_centred_takes_the_mean_of_all_texts_away(world: dict[str, list[float]]) -> None:
    shifted = {text: [x + 50, y + 80] for text, (x, y) in world.items()}
    raw, centred = (
        measure(FakeScorer(vectors=shifted), Seat(tests="trees", centred=option), draws=0)
        for option in (False, True)
    )
    unshifted = measure(FakeScorer(vectors=world), Seat(tests="trees", centred=True), draws=0)
    assert centred.estimate("d").value == pytest.approx(unshifted.estimate("d").value, abs=1e-4)
    mean = np.mean([*world.values()], axis=0)
    left = {text: np.array(vector) - mean for text, vector in world.items()}

    def cosine(a: Any, b: Any) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    text = left["This is oak."]
    tall, high, low = (cosine(text, left[f"It is {word}."]) for word in ("tall", "high", "low"))
    assert unshifted.outcomes[0].values["association"] == pytest.approx(
        (tall + high) / 2 - low, abs=1e-6
    )
    spread = [abs(outcome.values["association"]) for outcome in raw.outcomes]
    assert max(spread) < 0.05  # all cosines are nearly 1


def test_a_vector_of_nothing_is_left_out_and_counted(world: dict[str, list[float]]) -> None:
    world["This is oak."] = [0.0, 0.0]
    result = measure(FakeScorer(vectors=world), Seat(tests="trees"), draws=0)
    assert math.isnan(result.outcomes[0].values["association"])
    assert result.estimate("d").n == 11
    assert any("'association' is not finite in 1 of 12" in note for note in result.notes)


def test_each_text_is_embedded_once(world: dict[str, list[float]]) -> None:
    class Counting(FakeScorer):
        asked: list[str] = []  # noqa: RUF012

        def embed(self, requests: Sequence[Embedding]) -> Any:
            Counting.asked += [request.text for request in requests]
            return super().embed(requests)

    measure(Counting(vectors=world), Seat(tests="trees"), draws=0)
    assert sorted(Counting.asked) == sorted(world)


def test_a_failing_text_is_named_where_it_was_asked_first() -> None:
    model = tiny_model("llama", context=16)
    asked = [
        Embedding(text="a"),
        Embedding(text="b"),
        Embedding(text="a"),
        Embedding(text="c" * 40),
    ]
    with pytest.raises(ModelError, match="must fit the context") as error:
        answer(model, asked, seed=0)
    assert vars(error.value)["number"] == 3
    vectors = answer(model, asked[:3], seed=0)
    np.testing.assert_array_equal(vectors[0], vectors[2])


def test_pooling_is_asked_for(world: dict[str, list[float]]) -> None:
    for pooling in ("mean", "last", "first"):
        benchmark = build(Benchmark, "seat", {"tests": "trees", "pooling": pooling})
        asked = [r for e in benchmark.examples("test") for r in benchmark.requests(e)]
        assert {request.pooling for request in asked} == {pooling}
        assert {request.text for request in asked} == set(world)


def test_options() -> None:
    bench = Seat(tests=("sent-weat6", "weat6"), pooling="last", centred=True, deals=5_000)
    assert build(Benchmark, "seat", options_of(bench)) == bench
    wrong: list[dict[str, Any]] = [
        {"tests": []}, {"tests": ""}, {"tests": ["weat6", "weat6"]}, {"pooling": "max"},
        {"deals": 10}, {"test": "gender"},
    ]  # fmt: skip
    for options in wrong:
        with pytest.raises(RecipeError, match="seat"):
            build(Benchmark, "seat", options)


@pytest.mark.usefixtures("data_folder")
def test_a_misspelt_test_is_answered_with_its_name() -> None:
    with pytest.raises(DataError, match="did you mean 'gender'"):
        measure(FakeScorer(), Seat(tests="gendr"), draws=0)


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_notes_name_tests_and_their_faults() -> None:
    gender, religion = (
        " ".join(Seat(tests=name).remarks("test")) for name in ("gender", "religion")
    )
    assert "sent-weat6, sent-weat6b, sent-weat7" in gender
    assert "16 words" in gender
    assert "154, counted religions" in religion
    nine = " ".join(Seat(tests=("sent-weat9", "sent-weat6")).remarks("test"))
    assert "sent-weat9 6 and 5" in nine
    assert all(use.verified for use in Seat(tests="gender").files("test"))


def test_changes_of_d_are_compared_and_those_of_p_are_not(world: dict[str, list[float]]) -> None:
    # after: the first target's words are where the second's are
    moved = dict(world)
    for text, other in zip(texts(FIRST), texts(SECOND), strict=True):
        moved[text] = world[other]
    before, after = (
        measure(FakeScorer(vectors=vectors, identity=name), Seat(tests="trees"), draws=50)
        for name, vectors in (("before", world), ("after", moved))
    )
    changes = compare(before, after, draws=50).changes
    assert {change.metric for change in changes} == {"d", "d_abs", "d_words"}
    assert changes[0].after == pytest.approx(0.0, abs=1e-6)


@pytest.mark.thorough
@pytest.mark.usefixtures("world")
def test_causal_and_masked_models_are_measured() -> None:
    for family in ("llama", "bert"):
        d = measure(tiny_model(family), Seat(tests="trees"), draws=50).estimate("d")
        assert math.isfinite(d.value)
        assert d.low < d.high
