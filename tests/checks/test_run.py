"""The checks as a report runs them: what is built in passes, what is wrong or gone is named."""

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from users_files import NEEDED, NOT_AT_HAND, USERS
from worlds import in_world

from equipoise.benchmarks.base import AnyBenchmark, Benchmark, texts_of
from equipoise.benchmarks.genbias import GenBias
from equipoise.benchmarks.stereoset import StereoSet
from equipoise.checks.learnt import learnt_from
from equipoise.checks.run import (
    CHECKS,
    MOST,
    check_comparison,
    check_measurement,
    check_measurements,
    check_overlap,
    check_stored,
)
from equipoise.compare import compare
from equipoise.conclusions import Finding
from equipoise.errors import DataError
from equipoise.inference.scorer import Scorer
from equipoise.measure import choose_examples, measure
from equipoise.plugins import available, build
from equipoise.predictions import Predictions
from equipoise.records import JSON, Measurement
from equipoise.rows import text_sha256
from equipoise.stats.resample import columns_of, point, select
from equipoise.supply.genbias import GenBiasSupply
from equipoise.testing import FakeScorer, tiny_model

#: The harness needs a task, texts a judge; files of the user's own are measured where they are
#: read.
BENCHMARKS = [
    item
    for item in available(Benchmark)
    if item not in ("harness", "ceb_writing", *USERS, *NOT_AT_HAND)
]
#: Parts of the largest that have several groups each.
SMALLER: dict[str, dict[str, JSON]] = {
    "bold": {"domains": ["political_ideology", "religious_ideology"]},
    "fairmt": {"edition": "1K"},
    "scenarios": {"axes": ["age", "wealth"]},
}


def built(name: str) -> AnyBenchmark:
    return build(Benchmark, name, NEEDED.get(name, {}) | SMALLER.get(name, {}))


def drawn(seed: int) -> Callable[[str, str], float]:
    """Log-probabilities without rhyme or reason, the same for the same texts."""

    def nats(context: str, text: str) -> float:
        digest = hashlib.sha256(f"{seed} {context}|{text}".encode()).digest()
        return -1.0 - 8.0 * int.from_bytes(digest[:8], "big") / 2**64

    return nats


@dataclass(frozen=True, slots=True, kw_only=True)
class Family(FakeScorer):
    """Two prompts."""

    def variants(self) -> Sequence[FakeScorer]:
        return [FakeScorer(nats=drawn(seed)) for seed in (1, 2)]


def measured(name: str, scorer: Scorer, *, split: str | None = None, limit: int) -> Measurement:
    """Measured on the files of a planted world, where it has them."""
    with in_world():
        try:
            return measure(
                scorer,
                built(name),
                split=split,
                limit=limit,
                draws=12,
            )
        except DataError:
            if os.environ.get("EQUIPOISE_DATA"):
                raise
            pytest.skip(f"{name} reads files; EQUIPOISE_DATA names no folder of them")


def by_check(findings: Sequence[Finding]) -> dict[str, list[str]]:
    actual: dict[str, list[str]] = {}
    for finding in findings:
        actual.setdefault(finding.check, []).append(finding.level)
    return actual


def errors(findings: Sequence[Finding]) -> list[str]:
    return [finding.text for finding in findings if finding.level != "ok"]


@pytest.fixture(scope="module")
def stereoset() -> Measurement:
    with in_world():
        return measure(FakeScorer(nats=drawn(0)), StereoSet(), draws=20)


def changed(measurement: Measurement, place: int, **change: object) -> Measurement:
    estimates = list(measurement.estimates)
    estimates[place] = replace(estimates[place], **change)  # type: ignore[arg-type]
    return replace(measurement, estimates=tuple(estimates))


# --- what is right passes ---------------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "scorer"),
    [
        *((name, Family()) for name in BENCHMARKS),
        # indifferent: every answer is a tie, which the benchmarks of bias count each in its way
        *((name, FakeScorer()) for name in ("bbq", "crows_pairs", "genbias", "stereoset")),
    ],
    ids=lambda case: case if isinstance(case, str) else type(case).__name__,
)
def test_every_built_in_benchmark_passes(name: str, scorer: FakeScorer) -> None:
    benchmark = built(name)
    for split in GenBias.splits if name == "genbias" else (None,):
        result = measured(name, scorer, split=split, limit=30)
        assert errors([*check_measurement(result), *check_stored(result)]) == []
        columns = columns_of(result.outcomes, cluster=result.cluster)
        metrics = {metric.name: metric for metric in benchmark.metrics}
        for estimate in result.estimates:  # every value follows from the outcomes
            if estimate.metric in metrics:
                rows = [estimate.group.items() <= row.groups.items() for row in result.outcomes]
                again = point(metrics[estimate.metric], select(columns, np.array(rows)))
                assert estimate.value == pytest.approx(again.value, nan_ok=True)
                assert estimate.n == again.n


@pytest.mark.slow
@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_built_in_benchmark_passes_on_a_model(name: str) -> None:
    findings = check_measurement(measured(name, tiny_model(context=4096), limit=8))
    assert errors(findings) == []


@pytest.mark.thorough
def test_published_predictions_pass(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_DATA", str(data_folder))
    file = data_folder / "golden" / "stereoset_dev_predictions_gpt2.json"
    findings = check_measurement(measure(Predictions(file=file), StereoSet(), draws=0))
    assert errors(findings) == []
    assert "45 values checked" in [finding.text for finding in findings if finding.check == "icat"]


@pytest.mark.thorough
def test_each_check_gives_one_ok_with_its_count(stereoset: Measurement) -> None:
    findings = check_measurement(stereoset)
    assert [(finding.check, finding.level) for finding in findings] == [
        (name, "ok") for name in ("benchmark", "icat", "grid")
    ]
    assert {finding.where for finding in findings} == {"stereoset (dev), fake"}
    rows = 1 + 1 + 4 + 4  # overall, one task, four axes, both
    assert [finding.text for finding in check_stored(stereoset)] == [f"{13 * rows} values checked"]
    assert [finding.text for finding in findings] == [
        "stereoset is here in version 2",
        f"{3 * rows} values checked",
        f"{3 * rows} values checked",
    ]


@pytest.mark.thorough
@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 1000),
    ties=st.sampled_from(["anti", "half"]),
    limit=st.sampled_from([3, 40]),
    coarse=st.booleans(),
)
def test_any_measurement_passes_in_any_order(
    seed: int, ties: str, limit: int | None, coarse: bool
) -> None:
    nats = drawn(seed)
    scorer = FakeScorer(nats=lambda c, t: float(round(nats(c, t))) if coarse else nats(c, t))
    benchmark = StereoSet(reduce="sum", ties=ties)  # type: ignore[arg-type]
    with in_world():
        measurement = measure(scorer, benchmark, limit=limit, seed=seed, draws=0)
    findings = check_measurement(measurement)
    assert errors(findings) == []
    order = np.random.default_rng(seed).permutation(len(measurement.outcomes))
    turned = replace(measurement, outcomes=tuple(measurement.outcomes[place] for place in order))
    assert check_measurement(turned) == findings


@pytest.mark.thorough
def test_a_comparison_and_an_overlap_pass() -> None:
    benchmark = GenBias(split_by="both")
    with in_world():
        before, after = (
            measure(FakeScorer(nats=drawn(seed), identity=f"m@{seed}"), benchmark, draws=20)
            for seed in (0, 1)
        )
        supply = GenBiasSupply(split_by="both").supply()
        examples, requests = choose_examples(benchmark)
    compared = compare(before, [after, before], draws=20)
    findings = check_comparison(replace(compared, afters=(after,)))
    assert by_check(findings) == {"alike": ["ok"]}
    assert by_check(check_stored(compared)) == {"stored": ["ok"]}
    parts = [part for seed in compared.by_seed for part in seed]
    for change in compared.changes[: len(compared.by_seed[0])]:  # overall: the mean over seeds
        afters = [part.after for part in parts if part.metric == change.metric]
        assert change.after == pytest.approx(sum(afters) / 2)
    assert {finding.where for finding in findings} == {"genbias (test), m@0 to m@1"}
    texts = [
        text
        for example, section in zip(examples, requests, strict=True)
        for text in texts_of(benchmark, example, section)
    ]
    findings = check_overlap(learnt_from(supply), before, texts)
    assert by_check(findings) == {"texts": ["ok"], "groups": ["ok"], "item_info": ["ok"]}
    different = {text_sha256(text) for text in texts}  # " he" and " He" are one
    assert findings[0].text == f"{len(different)} texts checked"
    assert by_check(check_measurements([before, after])) == {"identical": ["ok"]}


# --- what is wrong does not -------------------------------------------------------------------


def test_icat_off_by_a_tenth_is_an_error(stereoset: Measurement) -> None:
    for place, estimate in enumerate(stereoset.estimates):
        if not estimate.metric.startswith("icat") or dict(estimate.group) not in (
            {},
            {"axis": "race"},
        ):
            continue
        wrong = changed(stereoset, place, value=estimate.value + 0.1, high=100.0)
        levels = by_check(check_measurement(wrong))
        assert (levels["icat"], levels["grid"]) == (["error"], ["ok"])


def test_many_faults_are_truncated_with_a_count(stereoset: Measurement) -> None:
    wrong = replace(
        stereoset,
        estimates=tuple(replace(estimate, low=-1.0, high=-2.0) for estimate in stereoset.estimates),
    )
    findings = check_stored(wrong)
    assert [finding.level for finding in findings] == ["error"] * (MOST + 1)
    assert findings[-1].text == f"… and {len(stereoset.estimates) - MOST} more"


def test_measurement_without_outcomes_is_checked_in_part(stereoset: Measurement) -> None:
    levels = by_check(check_measurement(replace(stereoset, outcomes=())))
    assert set(levels) == {"benchmark", "icat", "grid"}
    assert by_check(check_measurements([stereoset])) == {}


# --- what cannot be checked says so -----------------------------------------------------------


def test_another_version_is_a_warning(stereoset: Measurement) -> None:
    findings = check_measurement(replace(stereoset, version="0"))
    assert by_check(findings) == {"benchmark": ["warning"], "icat": ["ok"]}
    assert "measured in version 0 and is here in 2" in findings[0].text


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (None, "plug-in file '.*' does not exist"),
        ("raise RuntimeError('no')", "RuntimeError: no"),
        ("class Other: pass", "has no class 'Mine'"),
    ],
)
def test_missing_plug_in_is_a_warning(
    stereoset: Measurement, tmp_path: Path, code: str | None, message: str
) -> None:
    file = tmp_path / "mine.py"
    if code is not None:
        file.write_text(code)
    findings = check_measurement(replace(stereoset, benchmark=f"{file}:Mine"))
    assert findings[0].level == "warning"
    assert re.search(f"could not be checked.*{message}", findings[0].text)


def test_removed_options_are_a_warning(stereoset: Measurement) -> None:
    findings = check_measurement(replace(stereoset, options={"gone": 1}))
    assert findings[0].level == "warning"
    assert "has no option 'gone'" in findings[0].text


# --- what is said of them ---------------------------------------------------------------------


def test_every_check_is_documented(stereoset: Measurement) -> None:
    page = (Path(__file__).parents[2] / "docs" / "checks.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", page, re.MULTILINE))
    assert rows == dict(CHECKS)
    assert {finding.check for finding in check_measurement(stereoset)} <= CHECKS.keys()


@pytest.mark.thorough
def test_the_example_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "checks.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert 'eq.load("planted:default")' in code  # a model that needs training: a fake stands in
    code = code.replace('eq.load("planted:default")', "scorer")
    scorer = FakeScorer(nats=drawn(0), identity="planted:default@0")
    exec(compile(code, "checks.md", "exec"), {"scorer": scorer})
    assert "ok icat 30 values checked\n" in capsys.readouterr().out
