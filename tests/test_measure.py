"""Measuring, against fakes: what is asked, what is refused, what is recorded."""

import hashlib
import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from pydantic.dataclasses import dataclass as options_dataclass

from equipoise.benchmarks.base import Benchmark, ReadsPredictions
from equipoise.errors import DataError, ModelError, RecipeError
from equipoise.inference.request_hash import describe_request
from equipoise.measure import (
    Predictions,
    answer,
    choose_examples,
    learnt_examples,
    measure,
)
from equipoise.records import (
    OPTIONS,
    Columns,
    Continuation,
    Contrast,
    DataUse,
    Generation,
    Metric,
    NextToken,
    Outcome,
    Scored,
    Supply,
    TextPair,
)
from equipoise.rows import text_sha256
from equipoise.testing import FakeScorer, tiny_model

TERMS = ("nurse", "guard", "clerk", "judge", "baker", "pilot")


def mean_margin(columns: Columns) -> float:
    finite = columns["margin"][np.isfinite(columns["margin"])]
    return float(np.mean(finite)) if len(finite) else math.nan


@options_dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Toy(Benchmark[Contrast, Scored], ReadsPredictions):
    """Two sentences a term; the share in which " she" is the likelier ending."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "none"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="share",
            of=lambda c: float(100 * np.mean(c["margin"] > 0)),
            unit="%",
            ideal=50.0,
            source="test",
            low=0.0,
            high=100.0,
        ),
        Metric(name="margin", of=mean_margin, unit="nats", source="t"),
    )
    cluster: ClassVar[str | None] = "term"
    by: ClassVar[tuple[str, ...]] = ("kind",)
    splits: ClassVar[tuple[str, ...]] = ("test", "dev")
    faults: ClassVar[tuple[str, ...]] = ("a toy",)

    copies: int = 2  # sentences a term
    repeat: bool = False  # give one id twice

    def examples(self, split: str) -> Sequence[Contrast]:
        if split == "dev":
            return []
        contrasts = [
            Contrast(
                id=f"{term}{copy}",
                context=f"The {term} of house {copy} said that",
                stereotype=" she",
                antistereotype=" he",
                groups={"term": term, "kind": "even" if copy % 2 == 0 else "odd"},
            )
            for term in TERMS
            for copy in range(self.copies)
        ]
        return [*contrasts, contrasts[0]] if self.repeat else contrasts

    def requests(self, example: Contrast) -> Sequence[Continuation]:
        return [
            Continuation(context=example.context, continuation=ending)
            for ending in (example.stereotype, example.antistereotype)
        ]

    def outcome(self, example: Contrast, responses: Sequence[Scored]) -> Outcome:
        she, he = responses
        return Outcome(example=example.id, values={"margin": she.logprob - he.logprob})

    def files(self, split: str) -> tuple[DataUse, ...]:
        return (DataUse(name=f"toy/{split}.json", sha256="0" * 64, licence="own", verified=True),)

    def predicted(self, split: str, file: Path, column: str | None) -> Sequence[Outcome]:  # noqa: ARG002
        rows = json.loads(file.read_text())
        return [Outcome(example=id, values={"margin": value}) for id, value in rows.items()]


def by_term(context: str, text: str) -> float:
    """Likes " she" after every term but two."""
    she = not any(term in context for term in ("guard", "pilot"))
    return -1.0 if (text == " she") == she else -3.0


SCORER = FakeScorer(nats=by_term)


@pytest.mark.thorough
def test_every_number_has_value_interval_n_clusters_and_ideal() -> None:
    measurement = measure(SCORER, Toy(), draws=200)
    share = measurement.estimate("share")
    assert share.value == pytest.approx(100 * 4 / 6)
    assert share.low < share.value < share.high
    assert (share.n, share.clusters, share.ideal, share.unit) == (12, 6, 50.0, "%")
    odd = measurement.estimate("share", kind="odd")
    assert (odd.n, odd.clusters) == (6, 6)
    assert measurement.estimate("margin").value == pytest.approx((4 * 2 - 2 * 2) / 6)
    assert {tuple(estimate.group.items()) for estimate in measurement.estimates} == {
        (),
        (("kind", "even"),),
        (("kind", "odd"),),
    }


def test_record_has_what_is_needed_to_repeat_it() -> None:
    measurement = measure(SCORER, Toy(copies=3), seed=4, draws=10)
    assert measurement.benchmark.endswith("test_measure:Toy")
    assert measurement.options == {"copies": 3, "repeat": False}
    assert (measurement.split, measurement.seed, measurement.draws, measurement.limit) == (
        "test",
        4,
        10,
        None,
    )
    assert (measurement.version, measurement.cluster, measurement.model) == ("1", "term", "fake")
    assert measurement.data[0].name == "toy/test.json"
    assert measurement.notes[0] == "a toy"
    assert [note.partition(":")[0] for note in measurement.notes[1:]] == ["nulls"]
    assert measurement.environment["numpy"] == np.__version__
    assert len(measurement.outcomes) == 18
    assert measurement.outcomes[0].groups == {"term": "nurse", "kind": "even"}  # the example's own


def test_measuring_twice_gives_the_same() -> None:
    assert measure(SCORER, Toy(), draws=20) == measure(SCORER, Toy(), draws=20)


def test_examples_sha256_changes_with_any_request() -> None:
    sha256 = measure(SCORER, Toy(), draws=0).examples_sha256
    assert sha256 == measure(FakeScorer(), Toy(), draws=0).examples_sha256  # not with the model
    assert sha256 != measure(SCORER, Toy(copies=3), draws=0).examples_sha256

    class Other(Toy):
        def requests(self, example: Contrast) -> Sequence[Continuation]:
            return [replace(request, prefix="none") for request in super().requests(example)]

    assert sha256 != measure(SCORER, Other(), draws=0).examples_sha256


def test_examples_sha256_changes_with_other_requests() -> None:
    class Greedy(Toy):
        def requests(self, example: Contrast) -> Sequence[Continuation]:
            return [replace(request, greedy=True) for request in super().requests(example)]

    class Plain(Greedy):
        def requests(self, example: Contrast) -> Sequence[Continuation]:
            return [replace(request, greedy=False) for request in super().requests(example)]

    sha256 = measure(SCORER, Toy(), draws=0).examples_sha256
    assert sha256 == measure(SCORER, Plain(), draws=0).examples_sha256
    assert sha256 != measure(SCORER, Greedy(), draws=0).examples_sha256


def test_settings_at_their_defaults_are_no_part_of_a_request_s_hash() -> None:
    asked = Generation(context="a", max_tokens=3)
    assert json.loads(describe_request(asked)) == {
        "kind": "Generation",
        "context": "a",
        "max_tokens": 3,
        "temperature": 0.0,
        "top_p": 1.0,
    }
    for change in ({"sample": 1}, {"min_tokens": 1}, {"top_k": 5}, {"repetition_penalty": 1.1}):
        assert json.loads(describe_request(replace(asked, **change))).items() >= change.items()


def test_unknown_split_suggests_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"has no split 'tst'; did you mean 'test'\?"):
        measure(SCORER, Toy(), split="tst")


def test_an_empty_split_is_refused() -> None:
    with pytest.raises(DataError, match="split 'dev' must hold examples, got 0"):
        measure(SCORER, Toy(), split="dev")


def test_a_repeated_id_is_refused() -> None:
    with pytest.raises(DataError, match="ids must be unique, got 'nurse0' 2 times"):
        measure(SCORER, Toy(repeat=True))


def test_an_edit_is_not_measured_on_what_it_learnt() -> None:
    learnt = frozenset(
        text_sha256(f"The {term} of house 1 said that {word}")
        for term in ("guard", "clerk")
        for word in ("she", "he")
    )
    with pytest.raises(
        DataError, match=r"trained on 2 of the 12 examples it is to be measured on.*'guard1'"
    ):
        measure(FakeScorer(nats=by_term, trained_on=learnt), Toy())
    elsewhere = FakeScorer(nats=by_term, trained_on=frozenset({text_sha256("Rain fell.")}))
    assert measure(elsewhere, Toy(), draws=0).estimate("share").n == 12


@pytest.mark.parametrize(
    "learnt",
    [
        "the CLERK of house 0  said\u00a0that she\n",  # a copy but for case and white space
        "The clerk of house 0 said that",  # the beginning that the request goes on from
    ],
)
def test_copies_and_beginnings_of_an_example_count_as_learnt(learnt: str) -> None:
    scorer = FakeScorer(nats=by_term, trained_on=frozenset({text_sha256(learnt)}))
    with pytest.raises(DataError, match=r"trained on 1 of the 12 examples.*'clerk0'"):
        measure(scorer, Toy())


def test_a_word_that_was_learnt_after_a_prompt_counts_as_the_prompt() -> None:
    contrast = Contrast(id="0", context="The x ran", stereotype=" he", antistereotype=" she")
    learnt = Supply(origin="test", contrasts=(contrast,)).learnt_texts()
    requests = [[NextToken(context="The x ran", words=(" he", " she"))]]
    for text in learnt:
        trained_on = frozenset({text_sha256(text)})
        assert learnt_examples(trained_on, Toy(), [contrast], requests) == ["0"]
    trained_on = frozenset({text_sha256("The x ran it")})
    assert learnt_examples(trained_on, Toy(), [contrast], requests) == []


def test_whole_texts_are_checked_against_learnt_texts() -> None:
    class Named(Toy):
        def texts(self, example: Contrast) -> Sequence[str]:
            return (f"{example.context} she would stay.",)

    learnt = frozenset({text_sha256("The clerk of house 0 said that she would stay. ")})
    with pytest.raises(DataError, match=r"trained on 1 of the 12 examples.*'clerk0'"):
        measure(FakeScorer(nats=by_term, trained_on=learnt), Named())
    part = frozenset({text_sha256("The clerk of house 0 said that she")})  # of a request
    with pytest.raises(DataError, match="'clerk0'"):
        measure(FakeScorer(nats=by_term, trained_on=part), Named())
    scorer = FakeScorer(nats=by_term, trained_on=learnt)
    assert measure(scorer, Toy(), draws=0).estimate("share").n == 12  # Toy names no such text


@pytest.mark.parametrize("limit", [None, 5])
def test_chosen_examples_are_those_measured(limit: int | None) -> None:
    examples, requests = choose_examples(Toy(), split="test", limit=limit, seed=3)
    measurement = measure(SCORER, Toy(), limit=limit, seed=3, draws=0)
    assert [example.id for example in examples] == [
        outcome.example for outcome in measurement.outcomes
    ]
    assert [len(request) for request in requests] == [2] * len(examples)
    with pytest.raises(RecipeError, match="has no split 'tst'"):
        choose_examples(Toy(), split="tst")


def test_learnt_examples_are_known_before_anything_runs() -> None:
    learnt = frozenset(
        {text_sha256("The clerk of house 1 said that he"), text_sha256("Rain fell.")}
    )
    assert learnt_examples(learnt, Toy(), *choose_examples(Toy())) == ["clerk1"]
    assert (
        learnt_examples(frozenset({text_sha256("Rain fell.")}), Toy(), *choose_examples(Toy()))
        == []
    )
    assert learnt_examples(frozenset(), Toy(), *choose_examples(Toy())) == []


def test_a_file_that_is_not_the_official_one_is_noted() -> None:
    class Mended(Toy):
        def files(self, split: str) -> tuple[DataUse, ...]:
            own_file = DataUse(name="toy/own.json", sha256="ab" * 32, licence="own", verified=False)
            return (*super().files(split), own_file)

    notes = measure(SCORER, Mended(), draws=0).notes
    assert notes == (
        "a toy",
        "data: toy/own.json is not a known official file (sha256 abababababab…)",
    )


def test_limit_is_a_seeded_sample_of_the_whole_file() -> None:
    measurement = measure(SCORER, Toy(), limit=5, draws=0, seed=1)
    ids = [outcome.example for outcome in measurement.outcomes]
    all_ids = [example.id for example in Toy().examples("test")]
    assert len(ids) == 5
    assert ids != all_ids[:5]
    assert ids == sorted(ids, key=all_ids.index)
    assert ids == [
        o.example for o in measure(FakeScorer(), Toy(), limit=5, draws=0, seed=1).outcomes
    ]
    assert measurement.limit == 5
    wrong: Any = "5"
    with pytest.raises(RecipeError, match="limit must be at least 1, got 0"):
        measure(SCORER, Toy(), limit=0)
    with pytest.raises(RecipeError, match="limit must be at least 1, got '5'"):
        measure(SCORER, Toy(), limit=wrong)
    for draws in (-1, wrong):
        with pytest.raises(RecipeError, match="draws must be a number from 0, got"):
            measure(SCORER, Toy(), draws=draws)


def test_unmeasurable_outcomes_are_nan_and_counted() -> None:
    def silent(context: str, text: str) -> float:
        return math.nan if "clerk" in context else by_term(context, text)

    measurement = measure(FakeScorer(nats=silent), Toy(), draws=20)
    assert measurement.estimate("margin").n == 10
    assert "coverage: 'margin' is not finite in 2 of 12 outcomes" in measurement.notes
    none = measure(FakeScorer(nats=lambda *_: -math.inf), Toy(), draws=20)
    assert none.estimate("share").n == 0


def test_answers_are_in_the_order_of_requests() -> None:
    scorer = FakeScorer(nats=lambda _, text: -float(len(text)), texts={"go": "on"})
    requests = [
        NextToken(context="a", words=(" he",)),
        Continuation(context="", continuation="abc"),
        Generation(context="go", max_tokens=2),
        TextPair(first="x", second="yy", tokens="unmodified", view="left"),
        Continuation(context="", continuation="abcd"),
    ]
    next_token, three, text, pair, four = answer(scorer, requests, seed=0)
    assert next_token.logprobs == (-3.0,)  # type: ignore[union-attr]
    assert (three.logprob, four.logprob) == (-3.0, -4.0)  # type: ignore[union-attr]
    assert text == "on"
    assert pair.second.logprob == -2.0  # type: ignore[union-attr]


@pytest.mark.thorough
def test_a_text_that_is_too_long_is_named_by_its_example() -> None:
    needs = len("The nurse of house 10 said that she")  # a start token, and no last one is read
    measure(tiny_model(context=needs), Toy(copies=11), limit=1, draws=0)
    with pytest.raises(ModelError, match=rf"example 'nurse10' must fit .* got {needs}; shorten"):
        measure(tiny_model(context=needs - 1), Toy(copies=11), draws=0)


def test_a_scorer_that_drops_an_answer_is_named() -> None:
    class Short(FakeScorer):
        def score(self, requests: Sequence[Continuation]) -> list[Scored]:
            return super().score(requests)[:-1]

    with pytest.raises(ModelError, match="must answer 24 Continuation requests, got 23"):
        measure(Short(), Toy())


@dataclass(frozen=True)
class Family(FakeScorer):
    """Three prompts; prompt k adds k nats to " she"."""

    info: Mapping[str, object] = field(default_factory=lambda: {"kind": "causal"})  # type: ignore[assignment]

    def variants(self) -> Sequence[FakeScorer]:
        def shifted(k: int) -> FakeScorer:
            return FakeScorer(nats=lambda c, t: by_term(c, t) + (k if t == " she" else 0.0))

        return [shifted(k) for k in range(3)]


@pytest.mark.thorough
def test_a_family_of_prompts_is_pooled_with_its_spread() -> None:
    measurement = measure(Family(), Toy(), draws=100)
    plain = measure(SCORER, Toy(), draws=0).estimate("margin").value
    assert measurement.estimate("margin").value == pytest.approx(plain + 1.0)
    assert measurement.estimate("margin").clusters == 6
    assert [measurement.estimate("margin", prefix=str(k)).value for k in range(3)] == pytest.approx(
        [plain, plain + 1, plain + 2]
    )
    spread = measurement.estimate("margin_spread")
    assert spread.value == pytest.approx(1.0)
    assert spread.low <= 1.0 <= spread.high
    assert measurement.outcomes[0].example == "nurse0#0"
    assert measurement.outcomes[-1].example == "pilot1#2"
    assert measurement.model_info["variants"] == 3


def test_predictions_are_measured_like_a_model(tmp_path: Path) -> None:
    file = tmp_path / "published.json"
    file.write_text(json.dumps({"nurse0": 1.0, "guard0": -1.0, "clerk1": 2.0}))
    measurement = measure(Predictions.parse(f"predictions:{file}#mean"), Toy(), draws=20)
    assert measurement.model == "predictions:published.json#mean"
    assert measurement.estimate("share").value == pytest.approx(200 / 3)
    assert measurement.outcomes[0].groups["term"] == "nurse"
    assert "coverage: 3 of 12 examples have an outcome" in measurement.notes
    assert measurement.model_info["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert measurement.examples_sha256 == measure(SCORER, Toy(), draws=0).examples_sha256


def test_predictions_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"predictions:FILE\[#COLUMN\], got 'predictions:'"):
        Predictions.parse("predictions:")
    with pytest.raises(DataError, match="does not exist"):
        measure(Predictions(file=tmp_path / "absent.json"), Toy())
    empty = tmp_path / "other.json"
    empty.write_text("{}")
    with pytest.raises(DataError, match="got none of its examples"):
        measure(Predictions(file=empty), Toy())


@pytest.mark.thorough
def test_measuring_needs_no_torch() -> None:
    code = "import equipoise.measure, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_results_are_tables() -> None:
    measured = measure(SCORER, Toy(), draws=20)
    frame = measured.to_frame()
    assert len(frame) == len(measured.estimates)
    for row, estimate in zip(frame.to_dict("records"), measured.estimates, strict=True):
        assert (row["metric"], row["n"], row["unit"]) == (
            estimate.metric,
            estimate.n,
            estimate.unit,
        )
        assert row["value"] == pytest.approx(estimate.value, nan_ok=True)
        groups = {f"@{key}": group for key, group in estimate.group.items()}
        assert {key: row[key] for key in groups} == groups
    examples = measured.outcomes_frame()
    assert examples["example"].tolist() == [outcome.example for outcome in measured.outcomes]
    for name in measured.outcomes[0].values:
        values = [outcome.values[name] for outcome in measured.outcomes]
        assert examples[name].tolist() == pytest.approx(values, nan_ok=True)
    assert examples["@term"].tolist() == [row.groups["term"] for row in measured.outcomes]


def test_a_notebook_shows_a_table_in_which_names_are_escaped() -> None:
    measured = measure(SCORER, Toy(), draws=20)
    hostile = "<script>alert(1)</script>"
    estimate = replace(measured.estimates[0], group={"term": hostile}, value=math.nan)
    page = replace(measured, model=hostile, estimates=(estimate,))._repr_html_()
    assert hostile not in page
    assert page.count("&lt;script&gt;") == 2
    assert "nan" not in page.lower()
