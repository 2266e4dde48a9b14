"""HumanEval and MBPP: prompts, what is cut out of answers, how they are scored, and the refusal."""

import json
from pathlib import Path

import pytest
from ability_files import SOLUTIONS, write_humaneval, write_mbpp

from equipoise.benchmarks.base import AnyBenchmark, Benchmark
from equipoise.benchmarks.humaneval import HumanEval
from equipoise.benchmarks.mbpp import Mbpp
from equipoise.data.sources import reading_from
from equipoise.errors import DataError, OptionError
from equipoise.measure import measure
from equipoise.plugins import build
from equipoise.testing import FakeScorer


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    write_humaneval(tmp_path)
    write_mbpp(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["humaneval", "mbpp"])
def test_without_leave_nothing_is_run(name: str) -> None:
    with pytest.raises(OptionError, match=r"allow_code must be true, got False.*--allow-code"):
        build(Benchmark, name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": [1, 2]}, r"k must be different numbers up to samples \(1\), got \[1, 2\]"),
        ({"samples": 2, "temperature": 0}, "2 samples at temperature 0 are all alike"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        build(Benchmark, "humaneval", {"allow_code": True, **options})  # type: ignore[dict-item]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("    return a + b\n", "pass_at_1"),
        ("    return a + b\n\n\ndef other(:\n", "pass_at_1"),  # what follows the function is cut
        ("Sure:\n```python\n    return a + b\n```\nDone.", "pass_at_1"),
        ("```python\ndef join0(a, b):\n    return math.fsum((a, b))\n```", "pass_at_1"),
        # a block after the function, or its end, is none of it
        ("    return a + b\n\n```python\njoin0 = None\n```\n", "pass_at_1"),
        ("\n    return a + b\n```", "pass_at_1"),
        (" Sure:\n  ```python\n    return a + b\n  ```", "pass_at_1"),
        ("    return a - b\n", "assertion"),
        ("    return a +\n", "syntax"),
        ("    return other(a)\n", "error"),
    ],
)
def test_answers_to_humaneval(written: str, kind: str) -> None:
    benchmark = HumanEval(allow_code=True)
    example = benchmark.examples("test")[0]
    outcome = benchmark.outcome(example, [written])
    assert {name for name, value in outcome.values.items() if value} == {kind}
    assert outcome.text is not None
    assert outcome.text.startswith("import math\n\n\ndef join0(")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "written",
    [
        "def check(a, b):\n    return a + b\n[DONE]\n\n```python\ncheck = None\n```",
        "```python\ndef check(a, b):\n    return a + b\n[DONE]\n```",
        "```\ndef check(a, b):\n    return a + b\n```\n[DONE]",
    ],
)
def test_answers_to_mbpp(written: str) -> None:
    benchmark = Mbpp(allow_code=True)
    outcome = benchmark.outcome(benchmark.examples("test")[0], [written])
    assert {name for name, value in outcome.values.items() if value} == {"pass_at_1"}


@pytest.mark.parametrize(
    ("options", "how"),
    [
        ({}, "greedily"),
        ({"temperature": 0}, "greedily"),
        ({"temperature": 0.2}, "by sampling"),
        ({"samples": 2}, "by sampling"),
    ],
)
def test_how_programs_were_written_is_said(options: dict[str, float], how: str) -> None:
    (remark,) = HumanEval(allow_code=True, **options).remarks("test")  # type: ignore[arg-type]
    assert f"written {how}, each" in remark


@pytest.mark.usefixtures("folder")
def test_pass_at_k_of_samples() -> None:
    benchmark = HumanEval(allow_code=True, samples=4, k=(1, 2))
    example = benchmark.examples("test")[0]
    requests = benchmark.requests(example)
    assert [request.sample for request in requests] == [0, 1, 2, 3]
    assert {request.temperature for request in requests} == {0.8}
    outcome = benchmark.outcome(example, [SOLUTIONS[0], SOLUTIONS[1], SOLUTIONS[1], SOLUTIONS[1]])
    assert (outcome.values["pass_at_1"], outcome.values["pass_at_2"]) == (0.25, 0.5)
    assert outcome.values["assertion"] == 0.75


@pytest.mark.thorough
@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", ["humaneval", "mbpp"])
def test_two_of_three_pass(name: str) -> None:
    benchmark: AnyBenchmark = build(Benchmark, name, {"allow_code": True})
    texts = {}
    for example, solution in zip(benchmark.examples("test"), SOLUTIONS[:2], strict=False):
        (request,) = benchmark.requests(example)
        head = "" if name == "humaneval" else "def check(a, b):\n"
        texts[request.context] = f"{head}{solution}\n[DONE]\n" if head else solution
    result = measure(FakeScorer(texts=texts), benchmark, draws=20)
    estimate = result.estimate("pass_at_1")
    assert (estimate.value, estimate.n, estimate.ideal) == (pytest.approx(200 / 3), 3, 100.0)
    assert sum(result.estimate(kind).value for kind in ("error", "assertion")) == pytest.approx(
        100 / 3
    )
    assert any("written greedily" in note for note in result.notes)
    assert [file.verified for file in result.data] == [False]


@pytest.mark.usefixtures("folder")
def test_prompt_of_mbpp() -> None:
    benchmark = Mbpp(allow_code=True, shots=1, max_tokens=9)
    example = benchmark.examples("test")[0]
    (request,) = benchmark.requests(example)
    shown, asked = request.context.split("[DONE]\n\n")
    assert shown.endswith("[BEGIN]\ndef check(a, b):\n    return a + b\n")
    assert asked == (
        "You are an expert Python programmer, and here is your task: Join two numbers in way 11. "
        "Your code should pass these tests:\n\nassert check(2, 3) == 5\nassert check(0, 0) == 0\n"
        "[BEGIN]\n"
    )
    assert (request.max_tokens, request.temperature) == (9, 0.0)
    assert [example.id for example in benchmark.examples("test")] == ["11", "12", "13"]
    assert benchmark.examples("train") == []


def test_shots_that_are_missing(folder: Path) -> None:
    file = folder / "mbpp" / "mbpp.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[1:]))
    benchmark = Mbpp(allow_code=True)
    with pytest.raises(DataError, match="must have task 2 to show, got 5 others"):
        benchmark.requests(benchmark.examples("test")[0])
    assert Mbpp(allow_code=True, shots=0).requests(benchmark.examples("test")[0])


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("mbpp", {"test_list": []}, "line 1: test_list must have a test, got 0"),
        ("humaneval", {"entry_point": "join 0"}, "line 1: entry_point must be the name"),
    ],
)
def test_tests_that_test_nothing_are_refused(
    folder: Path, name: str, change: dict[str, object], message: str
) -> None:
    file = next((folder / name).iterdir())
    first, *others = file.read_text().splitlines(keepends=True)
    file.write_text("".join([json.dumps({**json.loads(first), **change}) + "\n", *others]))
    benchmark: AnyBenchmark = build(Benchmark, name, {"allow_code": True})
    with pytest.raises(DataError, match=message):
        benchmark.examples("test")


def test_the_packed_file(tmp_path: Path) -> None:
    write_humaneval(tmp_path, packed=True)
    with reading_from(tmp_path):
        benchmark = HumanEval(allow_code=True)
        assert benchmark.examples("test")[0].id == "HumanEval/0"
        assert [file.name for file in benchmark.files("test")] == ["humaneval/HumanEval.jsonl.gz"]
