"""Local tasks through our engine, against lm-evaluation-harness itself on the same weights."""

import json
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_tasks import CHOICES, write_tasks

from equipoise.benchmarks.base import Benchmark
from equipoise.benchmarks.harness import (
    Harness,
    _document_results,
    _result_values,
)
from equipoise.checks.run import check_measurement
from equipoise.data.harness_requests import build_generation
from equipoise.data.stop_strings import cut_at_stops
from equipoise.errors import DataError, ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.measure import measure
from equipoise.plugins import build, options_of
from equipoise.records import Continuation, Generation, Outcome, Scored
from equipoise.stats.resample import columns_of
from equipoise.testing import check_benchmark, tiny_model


@pytest.fixture
def folder(tmp_path: Path, harness: ModuleType) -> Path:  # noqa: ARG001 (skips)
    """Local tasks and their documents."""
    write_tasks(tmp_path)
    return tmp_path


def of(folder: Path, task: str, **options: Any) -> Harness:
    return Harness(task=task, tasks_folder=str(folder), **options)


def theirs(model: LanguageModel, folder: Path, task: str, **options: Any) -> dict[str, float]:
    """What lm-evaluation-harness says of the same module."""
    lm_eval = pytest.importorskip("lm_eval")
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(folder), include_defaults=False)
    evaluation = lm_eval.simple_evaluate(
        model=HFLM(pretrained=model.module, tokenizer=model.tokenizer, batch_size=4),
        tasks=[task], task_manager=manager, bootstrap_iters=0, log_samples=False, **options,
    )  # fmt: skip
    return {
        key.replace(",none", "").replace(",", "_").replace("-", "_"): value
        for key, value in evaluation["results"][task].items()
        if isinstance(value, float | int) and "stderr" not in key and key != "sample_len"
    }


def ours(model: LanguageModel, benchmark: Harness) -> dict[str, float]:
    measurement = measure(model, benchmark, draws=0)
    return {estimate.metric: estimate.value for estimate in measurement.estimates}


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore")  # the harness's own
@pytest.mark.parametrize("bos", ["bos", "added"])
@pytest.mark.parametrize("task", ["choose", "say", "own"])
def test_likelihood_tasks_equal_the_harness(folder: Path, task: str, bos: Any) -> None:
    model = tiny_model("llama", bos=bos, context=512)
    expected = theirs(model, folder, task, num_fewshot=2)
    assert ours(model, of(folder, task, shots=2)) == pytest.approx(expected, rel=1e-5)
    assert len(expected) >= 2


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore")
def test_a_rolling_task_equals_the_harness(folder: Path) -> None:
    model = tiny_model("gpt2")
    expected = theirs(model, folder, "read")
    assert ours(model, of(folder, "read")) == pytest.approx(expected, rel=1e-5)
    windowed = ours(model, of(folder, "read", window=16))
    assert windowed["word_perplexity"] != pytest.approx(expected["word_perplexity"], rel=1e-3)
    assert math.isfinite(windowed["word_perplexity"])


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore")
def test_a_generating_task_equals_the_harness(folder: Path) -> None:
    model = tiny_model("llama", bos="added")
    before = measure(model, of(folder, "write"), draws=0)
    texts = [str(outcome.text) for outcome in before.outcomes]
    rows = [json.loads(splitline) for splitline in (folder / "test.json").read_text().splitlines()]
    for index, (row, text) in enumerate(
        zip(rows, texts, strict=True)
    ):  # some right, some in capitals
        cut = cut_at_stops(text, ["7", "z"])
        row["said"] = (cut, cut.lower(), cut + "!")[index % 3]
    (folder / "test.json").write_text("\n".join(map(json.dumps, rows)))
    expected = theirs(model, folder, "write")
    metrics = ours(model, of(folder, "write"))
    assert metrics == pytest.approx(expected)
    assert set(metrics) == {"exact_match_strict_match", "exact_match_loose"}
    assert 0 < metrics["exact_match_strict_match"] < 1


def test_corpus_metric_is_nan_with_reason(folder: Path) -> None:
    measurement = measure(tiny_model(), of(folder, "texts"), draws=0)
    bleu, half = measurement.estimates
    assert math.isnan(bleu.value)
    assert "a value made of all texts at once is not kept" in str(bleu.reason)
    assert (half.metric, half.n) == ("half", 8)
    assert "coverage: 'bleu' is not finite in 8 of 8 outcomes" in measurement.notes
    assert any(
        note.startswith("task 'texts' in version Yaml, 0 shots, lm_eval ")
        for note in measurement.notes
    )


@pytest.mark.parametrize("task", ["choose", "say", "read", "write"])
def test_conformance(folder: Path, task: str) -> None:
    check_benchmark(of(folder, task))
    findings = check_measurement(measure(tiny_model(context=256), of(folder, task), draws=12))
    assert [finding.text for finding in findings if finding.level != "ok"] == []


def test_what_is_asked_and_told(folder: Path) -> None:
    benchmark = of(folder, "say", shots=1)
    first = benchmark.examples("test")[0]
    (request,) = benchmark.requests(first)
    assert isinstance(request, Continuation)
    assert request.context.endswith("\n\nsky is")
    assert (request.continuation, request.prefix, request.greedy) == (" blue", "own", True)
    assert [request.greedy for request in of(folder, "choose").requests(first)] == [True]
    names = [file.name for file in benchmark.files("test")]
    assert names == [folder.name, f"{folder}/train.json", f"{folder}/test.json"]
    assert set(benchmark.texts(first)) >= {"sky", *CHOICES}
    acc = benchmark.metrics[1]
    assert (acc.name, acc.unit, acc.ideal, acc.higher_is_better) == ("acc", "share", 1.0, True)
    assert acc.margin is not None
    assert acc.margin.size == 0.02


def test_shots_depend_on_the_seed(folder: Path) -> None:
    def contexts(seed: int) -> list[str]:
        benchmark = of(folder, "say", shots=3, seed=seed)
        return [benchmark.requests(example)[0].context for example in benchmark.examples("test")]

    assert contexts(1) == contexts(1)
    assert contexts(1) != contexts(2)


def test_changed_task_file_is_reread(folder: Path) -> None:
    benchmark = of(folder, "say")
    before = benchmark.files("test"), benchmark.requests(benchmark.examples("test")[0])
    text = (folder / "say.yaml").read_text()
    (folder / "say.yaml").write_text(text.replace("{{word}} is ", "The {{word}} is "))
    after = benchmark.files("test"), benchmark.requests(benchmark.examples("test")[0])
    assert before[0][0].sha256 != after[0][0].sha256
    assert before[0][1:] == after[0][1:]
    assert before[1][0].context == "sky is"
    assert after[1][0].context == "The sky is"


def test_included_files_are_hashed(folder: Path) -> None:
    (folder / "part").mkdir()
    inner = "include: ../say.yaml\ntask: inner\ndoc_to_text: !function scoring.results\n"
    (folder / "part" / "inner.yaml").write_text(inner)
    before = of(folder, "inner").files("test")[0].sha256
    with (folder / "scoring.py").open("a") as file:
        file.write("# changed\n")
    assert of(folder, "inner").files("test")[0].sha256 != before


def test_global_generators_are_untouched(folder: Path) -> None:
    import random

    random.seed(5)
    expected = random.Random(5).random()
    of(folder, "choose", seed=99).examples("test")
    assert random.random() == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "sya"}, r"no task 'sya'; did you mean 'say'\?"),
        ({"task": "unsafe"}, "'unsafe' must .* run no code, got unsafe_code; .* humaneval"),
        ({"task": "several"}, "'unsafe' must .* run no code, got unsafe_code"),
        ({"task": "none"}, "group 'none' must have tasks, got 0"),
        ({"task": "zero", "shots": 2}, "made for 0 shots, got 2"),
        ({"task": "say", "tasks_folder": "nowhere"}, "must be a folder of task files, got 'now"),
    ],
)
def test_invalid_options(folder: Path, options: Any, message: str, monkeypatch: Any) -> None:
    (folder / "group.yaml").write_text(
        "group: several\ntask: [choose, {group: in, task: [both]}]\n"
    )
    (folder / "none.yaml").write_text("group: none\ntask: []\n")
    say = (folder / "say.yaml").read_text()
    for name, more in (
        ("unsafe", "tag: both\nunsafe_code: true\n"), ("zero", "num_fewshot: 0\n"),
    ):  # fmt: skip
        (folder / f"{name}.yaml").write_text(say.replace("task: say", f"task: {name}") + more)
    from equipoise.data import harness_tasks

    local = harness_tasks._local_tasks(str(folder))
    monkeypatch.setattr(harness_tasks, "_shipped_tasks", lambda: local)  # all of them take seconds
    with pytest.raises(RecipeError, match=message):
        Harness(**{"tasks_folder": str(folder)} | options).examples("test")


def test_missing_documents(folder: Path) -> None:
    (folder / "test.json").unlink()
    with pytest.raises(DataError, match="documents of task 'say' must be readable, got"):
        of(folder, "say").examples("test")


def test_scorer_without_greedy(folder: Path) -> None:
    benchmark = of(folder, "say")
    example = benchmark.examples("test")[0]
    with pytest.raises(ModelError, match=r"whether a text is the greedy text .* got None"):
        benchmark.outcome(example, [Scored(token_logprobs=(-1.0,), bytes=1)])
    outcome = benchmark.outcome(example, [Scored(token_logprobs=(-1.0,), bytes=1, greedy=True)])
    assert outcome.values == {"perplexity": -1.0, "acc": 1.0}


# --- without lm-evaluation-harness -------------------------------------------------------------


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    from equipoise.data import harness_tasks

    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named '{name}'", name="lm_eval")

    monkeypatch.setattr(harness_tasks.importlib, "import_module", missing)
    harness_tasks._shipped_tasks.cache_clear()
    for ask in (lambda benchmark: benchmark.metrics, lambda benchmark: benchmark.examples("test")):
        with pytest.raises(RecipeError, match=r"pip install 'equipoise\[ability\]'"):
            ask(Harness(task="lambada_openai"))


def test_discovery_and_missing_task() -> None:
    benchmark = build(Benchmark, "harness")
    assert options_of(benchmark)["bos"] == "own"
    with pytest.raises(RecipeError, match=r"must name a task .* got None"):
        _ = benchmark.metrics


def generation(settings: dict[str, Any], repeats: int = 1) -> Generation:
    return build_generation("a", settings, repeats=repeats)


def test_generation_settings() -> None:
    greedy = Generation(context="a", max_tokens=256)
    assert generation({"until": ["b"]}) == greedy
    assert generation({"do_sample": False, "temperature": 0.7, "top_k": 5}, repeats=3) == greedy
    assert generation({"max_new_tokens": 3, "num_beams": 1}).max_tokens == 3
    assert generation({"max_gen_toks": 4, "max_tokens": 3}).max_tokens == 4
    assert generation({"temperature": 0.5, "top_p": 0.9}) == Generation(
        context="a", max_tokens=256, temperature=0.5, top_p=0.9
    )
    assert generation({"do_sample": True}).temperature == 1.0
    for settings, repeats in (
        ({"num_beams": 4}, 1), ({"do_sample": True, "top_k": 5}, 1), ({"temperature": 0.5}, 2),
    ):  # fmt: skip
        with pytest.raises(RecipeError, match="must be ours as well, got"):
            generation(settings, repeats)


def test_stop_strings() -> None:
    assert cut_at_stops("one two one", ["two", "one"]) == ""
    assert cut_at_stops("one two", " ") == "one"
    assert cut_at_stops("one", ["", "x"]) == "one"
    assert cut_at_stops("one", None) == "one"


def columns(name: str, results: list[object]) -> Any:
    outcomes = [
        Outcome(example=str(index), values=_result_values(name, result))
        for index, result in enumerate(results)
    ]
    return columns_of(outcomes, cluster=None)


@pytest.mark.thorough
@given(
    st.lists(
        st.tuples(
            st.integers(0, 9),
            st.floats(-9, 9),
            st.lists(st.floats(-9, 9), min_size=12, max_size=12),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_tuple_results_round_trip(rows: list[Any]) -> None:
    results = list(_document_results(columns("x", rows), "x"))
    assert [(first, second) for first, second, _ in results] == [
        (first, second) for first, second, _ in rows
    ]
    assert all(isinstance(first, int) for first, _, _ in results)
    assert np.array_equal([third for *_, third in results], [third for *_, third in rows])


def test_results_that_are_not_numbers() -> None:
    assert list(_document_results(columns("x", [1.0, math.nan, True]), "x")) == [1.0, 1.0]
    assert _result_values("x", True) == {"x": 1.0}
    for result in ("a", None, {"a": 1}, ("a", "b"), (1, "b"), [], (math.nan, 1.0)):
        (value,) = _result_values("x", result).values()
        assert math.isnan(value), result
    mixed = columns("x", [(1, 0.5), "a"]) | columns("xy", [2.0, 3.0])
    assert list(_document_results(mixed, "x")) == [(1, 0.5)]
    assert list(_document_results(mixed, "z")) == []
