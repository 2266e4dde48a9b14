"""Every built-in plug-in through the checks that third parties use."""

import os

import pytest

from equipoise.benchmarks.base import AnyBenchmark, Benchmark, UsesFiles
from equipoise.locate.base import Locator
from equipoise.mitigate.base import Mitigation
from equipoise.plugins import available, build, options_of
from equipoise.testing import check_benchmark, check_locator, check_mitigation

BENCHMARKS = available(Benchmark)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_benchmark_on_its_official_files(name: str) -> None:
    benchmark: AnyBenchmark = build(Benchmark, name)
    if isinstance(benchmark, UsesFiles) and not os.environ.get("EQUIPOISE_DATA"):
        pytest.skip("EQUIPOISE_DATA does not name a folder of benchmark files")
    check_benchmark(benchmark)


@pytest.mark.parametrize(
    "name", [one for one in BENCHMARKS if "world" in options_of(build(Benchmark, one))]
)
def test_benchmark_on_a_planted_world(name: str) -> None:
    check_benchmark(build(Benchmark, name, {"world": "default"}))


@pytest.mark.parametrize("name", available(Locator))
def test_locator(name: str) -> None:
    check_locator(build(Locator, name))


@pytest.mark.parametrize("name", available(Mitigation))
def test_mitigation(name: str) -> None:
    check_mitigation(build(Mitigation, name))
