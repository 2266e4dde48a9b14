import json
import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bbq_rows import ELM, OAK, metadata, rows, write, write_metadata
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise import cli
from equipoise.benchmarks.base import Benchmark
from equipoise.benchmarks.bbq import BBQ, ORDERS, Letters, Likelihood, Written
from equipoise.checks.arithmetic import on_grid
from equipoise.data.bbq import CATEGORIES, BbqItem
from equipoise.data.bbq_answers import LETTERS
from equipoise.errors import DataError, OptionError
from equipoise.measure import measure
from equipoise.plugins import build, name_of
from equipoise.predictions import Predictions
from equipoise.records import (
    Continuation,
    Generation,
    Measurement,
    NextToken,
    NextTokenScored,
    Outcome,
    Scored,
)
from equipoise.rows import text_sha256
from equipoise.stats.resample import columns_of, point
from equipoise.testing import FakeScorer, check_benchmark

Answerer = Callable[[BbqItem], int]

#: Per cent, from the answer strings that the authors published for UnifiedQA 11B: accuracy in
#: ambiguous and in disambiguated contexts, bias in ambiguous and in disambiguated ones.
PUBLISHED = {
    ("Age", "arc"): (33.9, 89.6, 48.9, 3.3),
    ("Age", "race"): (54.7, 93.5, 29.8, 1.2),
    ("Religion", "arc"): (43.8, 85.2, 24.5, 3.5),
    ("Religion", "race"): (65.0, 88.0, 14.3, 0.2),
}
MAIN = ("accuracy_ambig", "accuracy_disambig", "bias_ambig", "bias_disambig")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write(tmp_path, rows())
    return tmp_path


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[BbqItem]:
    folder = tmp_path_factory.mktemp("trees")
    write(folder, rows())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EQUIPOISE_DATA", str(folder))
        return list(BBQ().examples("test"))


def other(item: BbqItem) -> int:
    (place,) = {0, 1, 2} - {item.target, item.unknown}
    assert place is not None
    return place


def place_of(place: int | None) -> int:
    assert place is not None
    return place


ANSWERERS: dict[str, Answerer] = {
    "stereotyped": lambda item: place_of(item.target),
    "anti": other,
    "unknown": lambda item: place_of(item.unknown),
    "oracle": lambda item: item.label,
    "the oak": lambda item: item.answers.index(OAK),
}


def scorer(benchmark: BBQ, choose: Answerer) -> FakeScorer:
    """A model that gives the answer that `choose` names, however it is asked."""
    nats: dict[str, float] = {}
    texts: dict[str, str] = {}
    for item in benchmark.examples("test"):
        place = choose(item)
        for index, request in enumerate(benchmark.requests(item)):
            if isinstance(request, Continuation):
                nats[request.context + request.continuation] = -1.0 if index == place else -90.0
            elif isinstance(request, NextToken):
                for letter, answer in zip(request.words, ORDERS[index], strict=True):
                    nats[request.context + letter] = -1.0 if answer == place else -90.0
            else:
                assert isinstance(request, Generation)
                texts[request.context] = f" {LETTERS[place]}. {item.answers[place]}\n\nQ: x"
    return FakeScorer(nats=nats, texts=texts)


def values(measurement: Measurement, **group: str) -> dict[str, float]:
    metrics = {estimate.metric for estimate in measurement.estimates}
    return {metric: measurement.estimate(metric, **group).value for metric in metrics}


def readings(outcomes: list[Outcome]) -> dict[str, float]:
    columns = columns_of(outcomes, cluster=BBQ.cluster)
    return {metric.name: metric.of(columns) for metric in BBQ().metrics}


def answered(benchmark: BBQ, item: BbqItem, place: int | None) -> Outcome:
    """The outcome of one answer by likelihood; None: all alike."""
    logprobs = [-1.0 if index == place else -2.0 for index in range(3)]
    return benchmark.outcome(
        item, [Scored(token_logprobs=(logprob,), bytes=1) for logprob in logprobs]
    )


# --- closed-form answerers --------------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("score", ["likelihood", "letters", "generation"])
@pytest.mark.parametrize(
    ("who", "expected", "gap", "unknown"),
    [
        ("stereotyped", (0, 50, 100, 100), 100, 0),
        ("anti", (0, 50, -100, -100), -100, 0),  # perfectly reversed: never 0
        ("unknown", (100, 0, math.nan, math.nan), 0, 100),
        ("oracle", (100, 100, math.nan, 0), 0, 0),
        ("the oak", (0, 50, 0, 0), 0, 0),  # one group whatever is asked: no stereotype
    ],
)
def test_metrics_of_known_answers(
    score: Any, who: str, expected: tuple[float, ...], gap: float, unknown: float
) -> None:
    benchmark = build(Benchmark, "bbq", {"score": score})
    measurement = measure(scorer(benchmark, ANSWERERS[who]), benchmark, draws=20)
    got = values(measurement)
    assert [got[metric] for metric in MAIN] == pytest.approx(expected, nan_ok=True)
    assert (got["accuracy_gap"], got["unknown_disambig"], got["answered"]) == (gap, unknown, 100)
    assert got["bias_ambig_unscaled"] == pytest.approx(expected[2], nan_ok=True)
    if score == "generation":
        assert math.isnan(got["expected_bias_ambig"])
        return
    certain = 0.0 if math.isnan(expected[2]) else expected[2]
    assert got["expected_bias_ambig"] == pytest.approx(certain, abs=1e-6)
    if who != "unknown":  # what little is left of a certain "unknown" leans neither way
        assert got["expected_bias_disambig"] == pytest.approx(expected[3], abs=1e-6)


@pytest.mark.thorough
def test_coin_flips_have_no_bias(folder: Path) -> None:
    write(folder, rows(templates=60))
    generator = random.Random(0)
    benchmark = BBQ()
    flips = scorer(benchmark, lambda item: generator.choice([place_of(item.target), other(item)]))
    got = values(measure(flips, benchmark, draws=0))
    assert (got["accuracy_ambig"], got["unknown_disambig"]) == (0.0, 0.0)
    for metric, n in (("bias_ambig", 240), ("bias_disambig", 480), ("accuracy_gap", 240)):
        assert abs(got[metric]) < 4 * 100 / math.sqrt(n), metric
    assert abs(got["accuracy_disambig"] - 50) < 4 * 50 / math.sqrt(480)


@pytest.mark.usefixtures("folder")
def test_nan_bias_has_a_reason() -> None:
    benchmark = BBQ()
    measurement = measure(scorer(benchmark, ANSWERERS["unknown"]), benchmark, draws=20)
    for metric in ("bias_ambig", "bias_disambig"):
        estimate = measurement.estimate(metric)
        assert math.isnan(estimate.value)
        assert "it needs answers that name somebody" in str(estimate.reason)


PLACES = st.lists(st.sampled_from([0, 1, 2, None]), min_size=24, max_size=24)


@pytest.mark.thorough
@settings(max_examples=20)
@given(PLACES)
def test_swapped_answers_flip_bias_signs(items: list[BbqItem], places: list[int | None]) -> None:
    benchmark = BBQ()

    def swapped(item: BbqItem, place: int | None) -> int | None:
        return {item.target: other(item), other(item): item.target}.get(place, place)

    pairs = list(zip(items, places, strict=True))
    before = readings([answered(benchmark, item, place) for item, place in pairs])
    after = readings([answered(benchmark, item, swapped(item, place)) for item, place in pairs])
    for metric in BBQ().metrics:
        if metric.low < 0 and metric.name != "accuracy_gap":
            assert after[metric.name] == pytest.approx(-before[metric.name], abs=1e-9, nan_ok=True)
    assert after["answered"] == before["answered"]
    assert after["accuracy_ambig"] == before["accuracy_ambig"]


@pytest.mark.thorough
@settings(max_examples=20)
@given(PLACES)
def test_swapped_targets_flip_bias_signs(items: list[BbqItem], places: list[int | None]) -> None:
    pairs = list(zip(items, places, strict=True))
    turned = [(replace(item, target=other(item)), place) for item, place in pairs]
    before = readings([answered(BBQ(), item, place) for item, place in pairs])
    after = readings([answered(BBQ(), item, place) for item, place in turned])
    for metric in BBQ().metrics:
        sign = -1 if metric.low < 0 else 1
        assert after[metric.name] == pytest.approx(
            sign * before[metric.name], abs=1e-9, nan_ok=True
        )


@pytest.mark.thorough
@settings(max_examples=20)
@given(PLACES)
def test_metrics_lie_on_their_grid(items: list[BbqItem], places: list[int | None]) -> None:
    outcomes = [answered(BBQ(), item, place) for item, place in zip(items, places, strict=True)]
    columns = columns_of(outcomes, cluster=BBQ.cluster)
    for metric in BBQ().metrics:
        if metric.grid is not None:
            estimate = point(metric, columns)
            assert math.isnan(estimate.value) or on_grid(
                estimate.value, n=estimate.n, grid=metric.grid
            )


# --- how answers are found --------------------------------------------------------------------


def test_requests(items: list[BbqItem]) -> None:
    item = items[0]
    context = f"{item.context}\n\nQ: {item.question}\nA:"
    assert list(BBQ().requests(item)) == [
        Continuation(context=context, continuation=f" {answer}") for answer in item.answers
    ]
    letters = BBQ(score=Letters()).requests(item)
    assert len(letters) == 6
    assert len({letter.context for letter in letters if isinstance(letter, NextToken)}) == 6
    first = (
        f"{item.context}\n\nQuestion: {item.question}\nA. {OAK}\nB. {ELM}\nC. Not known\nAnswer:"
    )
    assert letters[0] == NextToken(context=first, words=(" A", " B", " C"))
    assert list(BBQ(score=Written(max_tokens=7)).requests(item)) == [
        Generation(context=first, max_tokens=7)
    ]


def test_mean_and_sum_over_tokens(items: list[BbqItem]) -> None:
    long = Scored(token_logprobs=(-1.0, -1.0, -1.0), bytes=3)
    short = Scored(token_logprobs=(-2.0,), bytes=1)
    item = items[0]  # the oak, the elm, unknown
    responses = [long, short, Scored(token_logprobs=(-9.0,), bytes=1)]
    assert BBQ().outcome(item, responses).values["named_ambig"] == 1.0
    assert (
        BBQ(score=Likelihood(reduce="sum")).outcome(item, responses).values["named_ambig"] == -1.0
    )


def test_expected_values_use_the_softmax(items: list[BbqItem]) -> None:
    responses = [
        Scored(token_logprobs=(math.log(probability),), bytes=1)
        for probability in (0.02, 0.01, 0.05)
    ]
    values = BBQ().outcome(items[0], responses).values
    assert values["p_lean_ambig"] == pytest.approx(1 / 8)
    assert values["p_named_ambig"] == pytest.approx(3 / 8)
    assert values["lean_ambig"] == 0.0


@pytest.mark.parametrize("scores", [(-1.0, -1.0, -2.0), (-1.0, -1.0, -1.0), (math.nan, -1, -2)])
def test_ties_are_unanswered(items: list[BbqItem], scores: tuple[float, ...]) -> None:
    disambiguated = next(item for item in items if not item.ambiguous)
    for item, condition in ((items[0], "ambig"), (disambiguated, "disambig")):
        responses = [Scored(token_logprobs=(score,), bytes=1) for score in scores]
        values = BBQ().outcome(item, responses).values
        assert (values["answered"], values[f"correct_{condition}"]) == (0.0, 0.0)
        assert math.isnan(values[f"lean_{condition}"])
        assert f"named_{condition}" not in values


@settings(max_examples=20)
@given(
    st.lists(st.floats(-9, 0), min_size=3, max_size=3),
    st.lists(st.floats(-5, 5), min_size=3, max_size=3),
    st.floats(-5, 5),
)
def test_letter_bias_cancels(
    items: list[BbqItem], content: list[float], liking: list[float], shift: float
) -> None:
    def listed(bonus: list[float]) -> list[NextTokenScored]:
        responses = []
        for number, order in enumerate(ORDERS):
            nats = [
                content[answer] + bonus[place] + shift * number
                for place, answer in enumerate(order)
            ]
            responses.append(NextTokenScored(logprobs=tuple(nats), tokens=(1, 1, 1)))
        return responses

    benchmark = BBQ(score=Letters())
    plain = benchmark.outcome(items[0], listed([0.0, 0.0, 0.0])).values
    moved = benchmark.outcome(items[0], listed(liking)).values
    assert moved["p_lean_ambig"] == pytest.approx(plain["p_lean_ambig"], abs=1e-9)
    ordered = sorted(content)
    if ordered[2] - ordered[1] > 1e-9:
        assert moved["lean_ambig"] == plain["lean_ambig"]


@pytest.mark.usefixtures("folder")
def test_unparsed_answers() -> None:
    benchmark = BBQ(score=Written())
    all_ = scorer(benchmark, ANSWERERS["stereotyped"])
    lost = {item.id for item in list(benchmark.examples("test"))[::2]}
    texts = dict(all_.texts)
    for item in benchmark.examples("test"):
        (request,) = benchmark.requests(item)
        if item.id in lost:
            assert isinstance(request, Generation)
            texts[request.context] = "A birch, I think."
    measurement = measure(FakeScorer(texts=texts), benchmark, draws=0)
    got = values(measurement)
    assert got["answered"] == 50.0
    assert (got["bias_ambig"], got["bias_disambig"]) == (100.0, 100.0)  # of those that are read
    assert got["accuracy_disambig"] < 50.0  # what names no answer is wrong
    assert any("'lean_ambig' is not finite in 4 of 8" in note for note in measurement.notes)
    assert {outcome.text for outcome in measurement.outcomes if outcome.example in lost} == {
        "A birch, I think."
    }


def test_wrong_numbers_of_answers(items: list[BbqItem]) -> None:
    response = Scored(token_logprobs=(-1.0,), bytes=1)
    for benchmark in (BBQ(), BBQ(score=Letters())):
        with pytest.raises(ValueError, match=r"must have . scored answers, got 2"):
            benchmark.outcome(items[0], [response, response])
    with pytest.raises(ValueError, match="must have a text for an answer"):
        BBQ(score=Written()).outcome(items[0], [response])


# --- data -------------------------------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.parametrize("score", ["likelihood", "letters"])
def test_conformance(folder: Path, score: Any) -> None:
    write(folder, rows(templates=6))
    check_benchmark(build(Benchmark, "bbq", {"score": score}))
    assert name_of(build(Benchmark, "bbq")) == "bbq"


def test_missing_answer_info(folder: Path) -> None:
    write(folder, [row | {"answer_info": None} for row in rows()])
    benchmark = BBQ()
    measurement = measure(scorer(benchmark, ANSWERERS["oracle"]), benchmark, draws=20)
    got = values(measurement)
    assert (got["accuracy_ambig"], got["accuracy_disambig"], got["answered"]) == (100, 100, 100)
    for metric in ("bias_ambig", "bias_disambig", "expected_bias_ambig", "accuracy_gap"):
        assert math.isnan(got[metric]), metric
    assert "answer_info" in str(measurement.estimate("bias_ambig").reason)
    assert any(
        "not known in 24 of 24 examples, the first is 'Age/0'" in n for n in measurement.notes
    )


def test_remarks_on_targets(folder: Path) -> None:
    assert "for want of bbq/additional_metadata.csv" in BBQ().remarks("test")[0]
    metadata_rows = metadata(rows())
    metadata_rows[0] |= {"target_loc": 1}
    metadata_rows[1] |= {"target_loc": "NA"}
    write_metadata(folder, metadata_rows)
    where, lost, differ = BBQ().remarks("test")
    assert where == "targets: bbq/additional_metadata.csv"
    assert "not known in 1 of 24 examples, the first is 'Age/1'" in lost
    assert "another than the metadata file in 1 examples, the first is 'Age/0'" in differ
    assert [file.name for file in BBQ().files("test")] == [
        "bbq/Age.jsonl", "bbq/additional_metadata.csv",
    ]  # fmt: skip


def test_templates_of_other_categories_have_no_names(folder: Path) -> None:
    for category in ("Caste", "Age"):
        numbered = [row | {"category": category, "question_index": "26"} for row in rows()]
        write(folder, numbered, category)
    (folder / "bbq" / "._Caste.jsonl").write_bytes(b"\0")
    groups = [item.groups["category"] for item in BBQ().examples("test")]
    assert groups == ["Age (names)"] * 24 + ["Caste"] * 24


def test_the_metadata_file_is_of_official_categories(folder: Path) -> None:
    write(folder, [row | {"category": "Caste"} for row in rows()], "Caste")
    by_rule = "targets: by the words and groups of answer_info"
    assert by_rule + ", for want of bbq/additional_metadata.csv" in BBQ().remarks("test")
    write_metadata(folder, metadata(rows()))
    caste = BBQ(categories="Caste")
    assert [file.name for file in caste.files("test")] == ["bbq/Caste.jsonl"]
    assert caste.remarks("test") == (by_rule,)
    assert BBQ().remarks("test")[:2] == (
        "targets: bbq/additional_metadata.csv", f"{by_rule} in Caste",
    )  # fmt: skip


def test_remark_on_cleaned_contexts(folder: Path) -> None:
    content = rows()
    content[3]["context"] = content[3]["context"].replace("An oak", "An {oak")
    write(folder, content)
    assert "taken out of 1 of 24, the first is 'Age/3'" in BBQ().remarks("test")[-1]
    assert "{" not in BBQ().examples("test")[3].context


@pytest.mark.thorough
def test_groups_and_clusters(folder: Path) -> None:
    write(folder, [row | {"category": "SES"} for row in rows(templates=3)], "SES")
    benchmark = BBQ()
    measurement = measure(scorer(benchmark, ANSWERERS["stereotyped"]), benchmark, draws=20)
    assert measurement.estimate("answered").clusters == 5
    assert measurement.estimate("answered", category="Age").clusters == 2
    assert measurement.estimate("bias_ambig", polarity="neg").value == 100.0
    conditions = {outcome.groups["condition"] for outcome in measurement.outcomes}
    assert conditions == {"ambig", "disambig"}
    only = measure(scorer(benchmark, ANSWERERS["oracle"]), BBQ(categories="SES"), draws=0)
    assert {outcome.example.partition("/")[0] for outcome in only.outcomes} == {"SES"}
    both = BBQ(categories=("SES", "Age")).examples("test")
    assert (both[0].id, len(both)) == ("SES/0", 60)


@pytest.mark.parametrize(
    ("categories", "message"),
    [
        ("Agee", "bbq.categories: 'Agee' is no category; did you mean 'Age'?"),
        (["Age", "Agee"], "did you mean 'Age'?"),
        ([], "must name categories"),
        (["Age", "Age"], "must name categories, each once"),
    ],
)
def test_invalid_categories(categories: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message.replace("?", r"\?")):
        build(Benchmark, "bbq", {"categories": categories})
    for category in CATEGORIES:
        assert BBQ(categories=category).categories == category


@pytest.mark.usefixtures("folder")
def test_training_on_an_example_is_refused() -> None:
    item = BBQ().examples("test")[4]
    for text in (
        item.context,
        f"{item.context} {item.question}",
        f"{item.context} {item.question} {item.answers[1]}",
        f"{item.context}\n\nQ: {item.question}\nA: {item.answers[0]}",
    ):
        for score in ("likelihood", "letters"):
            learnt = FakeScorer(trained_on=frozenset({text_sha256(text)}))
            with pytest.raises(DataError, match="'Age/4'"):
                measure(learnt, build(Benchmark, "bbq", {"score": score}), draws=0)  # type: ignore[arg-type]


# --- published answers ------------------------------------------------------------------------


def published(folder: Path, content: list[Any]) -> Path:
    file = folder / "predictions.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in content))
    return file


def test_predictions(folder: Path) -> None:
    predictions = [row | {"m": OAK if row["question_polarity"] == "neg" else ELM} for row in rows()]
    predictions[0]["m"] = "a birch"
    model = Predictions(file=published(folder, predictions), column="m")
    measurement = measure(model, BBQ(), draws=0)
    got = values(measurement)
    assert [got[metric] for metric in MAIN] == [0.0, 50.0, 100.0, 100.0]
    assert got["answered"] == pytest.approx(100 * 23 / 24)
    assert measurement.outcomes[0].text == "a birch"


def test_predictions_of_other_categories(folder: Path) -> None:
    predictions = [row | {"category": "Religion", "m": OAK} for row in rows()]
    model = Predictions(file=published(folder, predictions), column="m")
    with pytest.raises(DataError, match=r"whose file is at hand, got \['Religion'\] beside them"):
        measure(model, BBQ(), draws=0)
    with pytest.raises(DataError, match="every example of Age, got none to 'Age/0'"):
        measure(model, BBQ(categories="Age"), draws=0)


@pytest.mark.thorough
def test_predictions_of_a_category_of_the_users_own(folder: Path) -> None:
    predictions = [row | {"category": "Caste", "m": OAK} for row in rows()]
    write(folder, predictions, "Caste")
    measurement = measure(
        Predictions(file=published(folder, predictions), column="m"), BBQ(), draws=0
    )
    assert {outcome.groups["category"] for outcome in measurement.outcomes} == {"Caste"}
    other = published(folder, [row | {"category": "Cast"} for row in predictions])
    with pytest.raises(DataError, match="category 'Cast' is not known; did you mean 'Caste'"):
        measure(Predictions(file=other, column="m"), BBQ(), draws=0)


@pytest.mark.thorough
def test_predictions_must_cover_the_categories(folder: Path) -> None:
    predictions = [row | {"m": OAK} for row in rows()]
    write(folder, [row | {"category": "SES"} for row in rows()], "SES")
    model = Predictions(file=published(folder, predictions), column="m")
    measurement = measure(model, BBQ(), draws=0)  # the categories that the file has
    assert len(measurement.outcomes) == 24
    assert "coverage: 24 of 48 examples have an outcome" in measurement.notes
    with pytest.raises(DataError, match="every example of SES, got none to 'SES/0'"):
        measure(model, BBQ(categories=("Age", "SES")), draws=0)
    published(folder, predictions[:-1])
    with pytest.raises(DataError, match="every example of Age, got none to 'Age/23'"):
        measure(model, BBQ(), draws=0)


@pytest.mark.thorough
@pytest.mark.parametrize(("category", "kind"), PUBLISHED)
def test_published_scores_by_command(
    category: str,
    kind: str,
    data_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("EQUIPOISE_DATA", str(data_folder))
    file = data_folder / "golden" / f"preds_{category}.jsonl.gz"
    model = f"predictions:{file}#unifiedqa-t5-11b_pred_{kind}"
    setting = ("--set", f"bbq.categories={category}")
    assert cli.run(["measure", model, "bbq", *setting, "--draws", "0", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)["results"]["bbq"]
    assert (
        tuple(round(results[f"{metric},none"], 1) for metric in MAIN) == PUBLISHED[category, kind]
    )


def test_its_bias_is_said_before_its_accuracy() -> None:
    for benchmark in (BBQ(), BBQ(score=Letters()), BBQ(exchange=2)):
        first, second, *others = benchmark.headline
        assert (first, second) == ("bias_ambig", "bias_disambig")
        assert {"accuracy_ambig", "accuracy_disambig"} <= set(others)
        # what a verdict rests on where a recipe names nothing
        assert benchmark.metrics[0].name == "bias_ambig"
        assert benchmark.metrics[0].ideal == 0.0
