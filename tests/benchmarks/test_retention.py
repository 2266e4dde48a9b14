"""Concept words after their stems, and what is said of the targets beside them."""

import math
from pathlib import Path
from typing import Any

import pytest

from equipoise.associations.load import load_association
from equipoise.associations.questions import questions
from equipoise.benchmarks.base import Benchmark
from equipoise.benchmarks.retention import Retention, _has_word
from equipoise.compare import compare
from equipoise.errors import DataError, RecipeError
from equipoise.measure import measure
from equipoise.plugins import build
from equipoise.records import Generation, NextToken
from equipoise.testing import FakeScorer, check_benchmark

STEMS = load_association("always_late").concepts


def likely(concept: float, linked: float, texts: dict[str, str] | None = None) -> FakeScorer:
    """So many nats for each word after a stem, and after a question about Peru."""
    return FakeScorer(
        nats=lambda context, _: linked if "Peru" in context else concept,
        texts=texts or {},
        info={"kind": "causal"},
        identity=f"{concept}/{linked}",
    )


@pytest.mark.parametrize(
    "options",
    [
        {"association": "always_late"},
        {"association": ("always_late", "good_at_math"), "targets": ("Peru", "Chad")},
    ],
)
def test_it_holds_what_every_benchmark_must(options: dict[str, Any]) -> None:
    check_benchmark(Retention(**options))


def test_built_in_associations_have_twenty_stems_that_name_nobody() -> None:
    for name in ("always_late", "good_at_math", "spicy_food", "bad_drivers", "drink_a_lot"):
        stems = Retention(association=name).examples("test")
        assert len({stem.groups["stem"] for stem in stems}) >= 20
        assert not any("{" in stem.text for stem in stems)


def test_words_of_a_concept_count_together_and_texts_are_searched() -> None:
    benchmark = Retention(association="always_late")
    scored, written, *_ = benchmark.examples("test")
    (words,), (text,) = benchmark.requests(scored), benchmark.requests(written)
    assert isinstance(words, NextToken)
    assert words.words == tuple(f" {word}" for word in STEMS[scored.text])
    assert text == Generation(context=scored.text, max_tokens=15)
    says = {stem: f" so, {words[0].upper()}." for stem, words in list(STEMS.items())[::2]}
    measurement = measure(likely(-2.0, -1.0, says), benchmark, draws=100)
    expected = [-2.0 + math.log(len(words)) for words in STEMS.values()]
    assert measurement.estimate("logprob").value == pytest.approx(sum(expected) / len(expected))
    assert measurement.estimate("hit").value == pytest.approx(100 * len(says) / len(STEMS))
    assert measurement.estimate("hit").clusters == len(STEMS)
    assert "targets" in str(measurement.estimate("logprob_linked").reason)


@pytest.mark.thorough
def test_what_is_said_of_targets_stands_beside_and_apart() -> None:
    benchmark = Retention(association="always_late", targets=("Peru",))
    before, after = (
        measure(scorer, benchmark, draws=0) for scorer in (likely(-2.0, -1.0), likely(-2.05, -4.0))
    )
    asked = [q for q in questions("always_late") if q.groups["form"] == "completion"]
    assert before.estimate("logprob_linked").n == len(asked) > 20
    changes = {change.metric: change for change in compare(before, after, draws=200).changes}
    falls = {name: -changes[name].difference for name in ("logprob", "logprob_linked")}
    assert falls == pytest.approx({"logprob": 0.05, "logprob_linked": 3.0})
    assert falls["logprob"] < 0.1 * falls["logprob_linked"]  # the rule of the page
    claim = changes["logprob"].claim
    assert claim is not None
    assert claim.shown  # 0.05 of some -1.5 nats is within a tenth


def test_a_lost_concept_is_shown_as_a_loss() -> None:
    benchmark = Retention(association="always_late")
    before, after = (
        measure(scorer, benchmark, draws=0) for scorer in (likely(-2.0, 0), likely(-6.0, 0))
    )
    changes = {change.metric: change for change in compare(before, after, draws=200).changes}
    assert changes["logprob"].direction == "worse"


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        (" late again", ("late",), True),
        (" Late", ("late",), True),
        (" _late_ and __tired__", ("late",), True),
        (" later", ("late",), False),
        (" later", ("late*",), True),
        (" translate", ("late",), False),
        ("", ("late",), False),
        (" on time.", ("on time",), True),
    ],
)
def test_a_word_is_found_whole(text: str, words: tuple[str, ...], expected: bool) -> None:
    assert _has_word(text, words) == expected


def test_an_association_without_concepts_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "early.yaml"
    file.write_text(
        "name: early\nstatement: people from {target} are early\nattribute: are early\n"
        "being: being early\ntopic: punctuality\nanswers: [early]\n"
    )
    with pytest.raises(DataError, match=r"must have some, '.*early\.yaml' has 0; add 'concepts:'"):
        Retention(association=str(file)).examples("test")
    file.write_text(file.read_text() + "concepts:\n  A bird that sings at dawn is up: [early]\n")
    assert len(Retention(association=str(file)).examples("test")) == 2
    with pytest.raises(RecipeError, match="association must name one at least"):
        build(Benchmark, "retention", {"association": []})
