"""Benchmarks put to decision models: closed-form answerers behind HTTP, and their known scores."""

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bbq_rows import ELM, OAK, UNKNOWN, rows, write
from decision_folder import save_deciding
from decision_serving import Serving, answered, serving

from equipoise import cli
from equipoise.benchmarks.base import AnyBenchmark, Benchmark
from equipoise.benchmarks.bbq import BBQ, Chosen
from equipoise.inference.decision_server import DecisionServer
from equipoise.measure import measure
from equipoise.metrics.decisions import averaged, cyclic_orders, order_values
from equipoise.plugins import build
from equipoise.records import Decided, Measurement
from equipoise.study.results import read_results
from equipoise.testing import FakeScorer, check_benchmark

Probabilities = Callable[[str, str, list[str]], list[float]]
MAIN = ("accuracy_ambig", "accuracy_disambig", "bias_ambig", "bias_disambig", "answered")
EXPECTED = ("expected_bias_ambig", "expected_bias_disambig", "flip_rate", "first_option")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Data of our own in the official forms: questions, pairs and triples about trees."""
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))
    write(tmp_path, rows())
    pairs = ["Oaks,Elms,age"] * 8 + ["Firs,Yews,gender"] * 4
    lines = [
        f"{number},{more} fall {number}.,{less} fall {number}.,stereo,{kind}"
        for number, (more, less, kind) in enumerate(pair.split(",") for pair in pairs)
    ]
    (tmp_path / "crows_pairs").mkdir()
    (tmp_path / "crows_pairs" / "crows_pairs_anonymized.csv").write_text(
        "\n".join([",sent_more,sent_less,stereo_antistereo,bias_type", *lines]) + "\n"
    )
    (tmp_path / "stereoset").mkdir()
    (tmp_path / "stereoset" / "dev.json").write_text(json.dumps({"data": stereoset()}))
    return tmp_path


def stereoset() -> dict[str, Any]:
    """Six examples of each task, two terms; the stereotype is the oak."""
    words = {"stereotype": "oak", "anti-stereotype": "elm", "unrelated": "sea"}

    def example(task: str, number: int) -> dict[str, Any]:
        intra = task == "intrasentence"
        context = f"Tree {number} is a BLANK." if intra else f"Tree {number} fell."
        return {
            "id": f"{task}{number}",
            "target": f"tree{number % 2}",
            "bias_type": "gender",
            "context": context,
            "sentences": [
                {
                    "id": f"{task}{number}{label}",
                    "gold_label": label,
                    "sentence": context.replace("BLANK", word) if intra else f"The {word} was old.",
                }
                for label, word in words.items()
            ],
        }

    return {
        task: [example(task, number) for number in range(6)]
        for task in ("intrasentence", "intersentence")
    }


def on(option: str) -> Callable[[list[str]], list[float]]:
    return lambda options: [float(each == option) for each in options]


def stereotyped(_text: str, question: str, options: list[str]) -> list[float]:
    return on(OAK if "fell" in question else ELM)(options)


def evidence(text: str, _question: str, options: list[str]) -> list[float]:
    """What the context says, and that it does not say it."""
    named = [tree for tree in (OAK, ELM) if text.endswith(f"was {tree}")]
    return on(named[0] if named else UNKNOWN)(options)


def leaning(_text: str, question: str, options: list[str]) -> list[float]:
    """A coin: 0.2 for "unknown", and of the rest 0.75 for the tree that shows the bias."""
    shown = OAK if "fell" in question else ELM
    return [0.2 if each == UNKNOWN else 0.6 if each == shown else 0.2 for each in options]


BBQ_ANSWERERS: dict[str, tuple[Probabilities, tuple[float, ...], tuple[float, ...]]] = {
    "stereotyped": (stereotyped, (0, 50, 100, 100, 100), (100, 100, 0, 100 / 3)),
    "unknown": (
        lambda _text, _question, options: on(UNKNOWN)(options),
        (100, 0, math.nan, math.nan, 100),
        (0, math.nan, 0, 100 / 3),
    ),
    "oracle": (evidence, (100, 100, math.nan, 0, 100), (0, 0, 0, 100 / 3)),
    # each answer once in each place: equal shares, so that none is the answer
    "first": (
        lambda _text, _question, options: on(options[0])(options),
        (0, 0, math.nan, math.nan, 0),
        (0, 0, 100, 100),
    ),
    "last": (
        lambda _text, _question, options: on(options[-1])(options),
        (0, 0, math.nan, math.nan, 0),
        (0, 0, 100, 0),
    ),
    # s_DIS of its probabilities: (0.6 - 0.2) / (0.6 + 0.2); s_AMB: 0.6 - 0.2
    "leaning": (leaning, (0, 50, 100, 100, 100), (40, 50, 0, 100 / 3)),
}


@contextmanager
def measuring(
    name: str, options: dict[str, Any], probabilities: Probabilities
) -> Iterator[tuple[AnyBenchmark, Serving]]:
    with serving(lambda body: answered(body, probabilities)) as server:
        yield build(Benchmark, name, options), server


def values(measurement: Measurement, *names: str) -> list[float]:
    return [measurement.estimate(name).value for name in names]


@pytest.mark.thorough
@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("who", BBQ_ANSWERERS)
def test_bbq_of_known_answers(who: str) -> None:
    probabilities, main, expected = BBQ_ANSWERERS[who]
    with measuring("bbq", {"score": "choice"}, probabilities) as (benchmark, server):
        measurement = measure(DecisionServer.parse(server.name), benchmark, draws=50)
    assert values(measurement, *MAIN) == pytest.approx(main, nan_ok=True, abs=1e-9)
    assert values(measurement, *EXPECTED) == pytest.approx(expected, nan_ok=True, abs=1e-9)
    asked = [list(body["questions"]["question"]["criteria"]) for body, _ in server.asked]
    for place in range(3):  # each answer once in each place
        assert [options[place] for options in asked].count(OAK) == len(rows())
    mass = measurement.estimate("label_mass")
    assert (math.isnan(mass.value), "server" in str(mass.reason)) == (True, True)
    notes = [note for note in measurement.notes if note.startswith("order:")]
    assert [f"stands {who}" in note for note in notes] == [True] * (who in ("first", "last"))


@pytest.mark.thorough
@pytest.mark.usefixtures("folder")
def test_probabilities_that_hang_on_the_place_cancel() -> None:
    """Three parts of what the place adds, one of what the option says."""

    def mixed(text: str, question: str, options: list[str]) -> list[float]:
        place = [0.8, 0.1, 0.1]
        pairs = zip(place, leaning(text, question, options), strict=True)
        return [0.75 * by_place + 0.25 * by_option for by_place, by_option in pairs]

    with measuring("bbq", {"score": "choice"}, mixed) as (benchmark, server):
        measurement = measure(DecisionServer.parse(server.name), benchmark, draws=0)
    # averaged over orders: 0.25 + 0.25 * leaning, whatever the order of the file
    assert values(measurement, "flip_rate", "first_option") == pytest.approx([100, 100])
    assert values(measurement, "expected_bias_ambig") == pytest.approx([100 * 0.25 * 0.4])
    assert values(measurement, "answered") == [100]


def test_orders_and_flips_by_hand() -> None:
    assert cyclic_orders(3) == ((0, 1, 2), (1, 2, 0), (2, 0, 1))
    answers = [
        Decided(probabilities=shares, label_mass=mass)
        for shares, mass in (
            ((0.7, 0.2, 0.1), 0.5),  # of 0, 1, 2
            ((0.3, 0.1, 0.6), 0.25),  # of 1, 2, 0
            ((0.2, 0.5, 0.3), 0.75),  # of 2, 0, 1
        )
    ]
    assert averaged(answers) == pytest.approx([1.8 / 3, 0.8 / 3, 0.4 / 3])
    assert order_values(answers) == pytest.approx(
        {"flip": 0, "first": 1 / 3, "last": 1 / 3, "label_mass": 0.5}
    )
    turned = [*answers[:2], Decided(probabilities=(0.5, 0.2, 0.3), label_mass=0.75)]
    assert order_values(turned)["flip"] == 1
    tie = [*answers[:2], Decided(probabilities=(0.4, 0.4, 0.2), label_mass=0.75)]
    assert math.isnan(order_values(tie)["flip"])


#: What a sentence about oaks, firs and the sea is thought true of, and preference, ties, margin.
TRUTHS: dict[str, tuple[Callable[[str], float], tuple[float, ...]]] = {
    "stereotyped": (lambda text: 0.9 if "Oaks" in text or "Firs" in text else 0.2, (100, 0, 0.7)),
    "reversed": (lambda text: 0.1 if "Oaks" in text or "Firs" in text else 0.9, (0, 0, -0.8)),
    "about age alone": (lambda text: 0.8 if "Oaks" in text else 0.5, (250 / 3, 100 / 3, 0.2)),
    "yes": (lambda _: 1.0, (50, 100, 0)),
}


@pytest.mark.thorough
@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("who", TRUTHS)
def test_crows_pairs_of_known_answers(who: str) -> None:
    truth, expected = TRUTHS[who]
    options = {"score": "noul"}
    with measuring("crows_pairs", options, lambda text, *_: [truth(text)]) as (benchmark, server):
        measurement = measure(DecisionServer.parse(server.name), benchmark, draws=50)
    names = ("stereotype_preference", "ties", "margin_mean")
    assert values(measurement, *names) == pytest.approx(expected)
    assert measurement.estimate("margin_mean").unit == "probability"
    assert math.isnan(measurement.estimate("label_mass").value)
    says = {"stereotyped": 55, "reversed": 50, "about age alone": 60, "yes": 100}
    assert values(measurement, "says_true") == pytest.approx([says[who]])


@pytest.mark.thorough
@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("truth", "expected"),
    [
        (lambda text: 0.9 if "oak" in text else 0.1 if "sea" in text else 0.5, (100, 100, 0.4)),
        (lambda text: 0.1 if "oak" in text else 0.2 if "sea" in text else 0.5, (0, 50, -0.4)),
        (lambda _: 0.5, (50, 50, 0)),
    ],
)
@pytest.mark.parametrize("of", ["both", "intersentence"])
def test_stereoset_of_known_answers(
    of: str, truth: Callable[[str], float], expected: tuple[float, ...]
) -> None:
    options = {"task": {"name": "noul", "of": of}}
    with measuring("stereoset", options, lambda text, *_: [truth(text)]) as (benchmark, server):
        measurement = measure(DecisionServer.parse(server.name), benchmark, draws=0)
    assert values(measurement, "ss", "lms", "margin_mean") == pytest.approx(expected)
    texts = [body["state"] for body, _ in server.asked]
    assert len(texts) == (36 if of == "both" else 18)
    assert "Tree 0 fell. The oak was old." in texts


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("bbq", {"score": "choice"}),
        ("crows_pairs", {"score": "noul"}),
        ("stereoset", {"task": "noul"}),
    ],
)
def test_conformance(name: str, options: dict[str, Any]) -> None:
    check_benchmark(build(Benchmark, name, options))


@pytest.mark.usefixtures("folder")
def test_an_answer_too_few_is_refused() -> None:
    benchmark = BBQ(score=Chosen())
    item = benchmark.examples("test")[0]
    answers = FakeScorer().decide(benchmark.requests(item))[:2]  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="3 decisions, got 2"):
        benchmark.outcome(item, answers)


# --- on the command line ------------------------------------------------------------------------


@pytest.mark.thorough
def test_from_a_folder_to_a_table(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_deciding(tmp_path / "asked")
    words = ["measure", f"decision:{model}", "bbq", "--set", "bbq.score=choice", "--draws", "20"]
    words += ["--all", "--data", str(folder), "--out", str(tmp_path / "out")]
    assert cli.run(words) == 0
    table = capsys.readouterr().out
    assert "bbq (test) on decision:asked@" in table
    assert "flip_rate" in table
    (stored,) = read_results(tmp_path / "out")
    mass = stored.estimate("label_mass")
    assert 0 <= mass.low <= mass.value <= mass.high <= 100
    assert stored.model_info["kind"] == "decision"


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("benchmark", "remedy"),
    [
        ("bbq", "bbq.score=choice"),
        ("crows_pairs", "crows_pairs.score=noul"),
        ("stereoset", "stereoset.task=noul"),
    ],
)
def test_a_decision_model_asked_something_else_names_the_option(
    benchmark: str, remedy: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(lambda body: answered(body, lambda *_: [0.5])) as server:
        assert cli.run(["measure", server.name, benchmark, "--data", str(folder)]) == 2
        assert f"take --set {remedy}" in capsys.readouterr().err
        assert server.asked == []
        if benchmark != "bbq":
            words = ["measure", server.name, benchmark, "--set", remedy, "--draws", "0"]
            assert cli.run([*words, "--data", str(folder)]) == 0  # the remedy does it


def test_a_benchmark_without_typed_questions(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["measure", "decision:http://127.0.0.1:1#owl", "genbias", "--data", "planted:default"]
    assert cli.run(words) == 2
    assert "genbias asks for a" in capsys.readouterr().err
