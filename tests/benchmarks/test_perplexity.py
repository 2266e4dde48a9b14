"""Perplexity: a uniform model by hand, windows that score each byte once, options, real text."""

import math
from pathlib import Path

import numpy as np
import pytest
from worlds import in_world

from equipoise.benchmarks.base import Benchmark
from equipoise.benchmarks.perplexity import Perplexity
from equipoise.errors import DataError, RecipeError
from equipoise.measure import measure
from equipoise.planted.world import find_world
from equipoise.plugins import build, options_of
from equipoise.records import Continuation, Outcome, Scored
from equipoise.rows import text_sha256
from equipoise.stats.resample import columns_of
from equipoise.testing import FakeScorer


def uniform(request: Continuation, *, nats: float = math.log(256)) -> Scored:
    """A model of bytes that knows nothing: one token a byte."""
    size = len(request.continuation.encode())
    return Scored(token_logprobs=(-nats,) * size, bytes=size)


def outcomes(bench: Perplexity, *, nats: float = math.log(256)) -> list[Outcome]:
    return [
        bench.outcome(example, [uniform(request, nats=nats) for request in bench.requests(example)])
        for example in bench.examples("test")
    ]


def metrics(rows: list[Outcome]) -> dict[str, float]:
    columns = columns_of(rows, cluster=None)
    return {metric.name: metric.of(columns) for metric in Perplexity.metrics}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "text.txt"
    file.write_text("\n".join(f"line {index} " + "word " * index for index in range(30)))
    return file


def test_uniform_byte_model(file: Path) -> None:
    values = metrics(outcomes(Perplexity(file=str(file), window=64, stride=16)))
    total = sum(len(line.strip().encode()) for line in file.read_text().split("\n"))
    assert values["tokens"] == total
    assert values["perplexity"] == pytest.approx(256)
    assert values["byte_perplexity"] == pytest.approx(256)
    assert values["bits_per_byte"] == pytest.approx(8)
    assert values["nats_per_token"] == pytest.approx(math.log(256))


def test_documents_are_weighted_by_length(file: Path) -> None:
    bench = Perplexity(file=str(file))
    first, last = bench.examples("test")[0], bench.examples("test")[-1]
    rows = [
        bench.outcome(first, [Scored(token_logprobs=(-1.0,), bytes=4)]),
        bench.outcome(last, [Scored(token_logprobs=(-2.0,) * 3, bytes=12)]),
    ]
    assert metrics(rows)["nats_per_token"] == pytest.approx(7 / 4)
    assert metrics(rows)["bits_per_byte"] == pytest.approx(7 / 16 / math.log(2))


@pytest.mark.parametrize(("window", "stride"), [(16, 16), (32, 8), (4096, 512)])
def test_every_window_size_scores_the_whole_text(file, window, stride) -> None:
    bench = Perplexity(file=str(file), window=window, stride=stride)
    for example in bench.examples("test"):
        requests = bench.requests(example)
        assert "".join(request.continuation for request in requests) == example.text
        assert requests[0].context == ""
        for request in requests:
            assert len((request.context + request.continuation).encode()) <= window
            assert request.context == request.context.strip()


def test_items_are_a_fixed_subset_in_file_order(file: Path) -> None:
    every = [example.id for example in Perplexity(file=str(file), items=None).examples("test")]
    few = [example.id for example in Perplexity(file=str(file), items=7).examples("test")]
    more = [example.id for example in Perplexity(file=str(file), items=9).examples("test")]
    assert len(every) == 30
    assert (len(few), len(more)) == (7, 9)
    assert set(few) < set(more)
    assert few == [example_id for example_id in every if example_id in few] != every[:7]


def test_unscored_text_is_nan(file: Path) -> None:
    bench = Perplexity(file=str(file))
    (example, *_) = bench.examples("test")
    row = bench.outcome(example, [Scored(token_logprobs=(), bytes=0)])
    assert all(math.isnan(value) for value in row.values.values())
    assert all(math.isnan(value) for value in metrics([row]).values())
    partly = [Scored(token_logprobs=(), bytes=0), Scored(token_logprobs=(-3.0,), bytes=2)]
    assert bench.outcome(example, partly).values == {"logprob": -3.0, "tokens": 1.0, "bytes": 2.0}


def test_planted_sentences_are_not_in_the_corpus() -> None:
    world = find_world("default")
    bench = Perplexity(items=None)
    with in_world():
        texts = {example.text for example in bench.examples("test")}
        few = Perplexity(items=5).examples("test")
        (use,) = bench.files("test")
    assert len(texts) == 180
    assert not texts & set(world.neutral_sentences(500, seed=1))
    assert len(few) == 5
    assert not use.verified
    assert "AG News" not in use.licence
    with pytest.raises(ValueError, match="180"):
        world.neutral_sentences(181, seed=0, held_out=True)


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_default_is_ag_news() -> None:
    bench = Perplexity()
    assert len(bench.examples("test")) == 500
    (use,) = bench.files("test")
    assert (use.name, use.verified) == ("neutral_text/ag_news/test.tsv", True)
    values = metrics(outcomes(bench))
    assert values["bits_per_byte"] == pytest.approx(8)
    assert 80_000 < values["tokens"] < 160_000


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_wikitext() -> None:
    bench = Perplexity(file="neutral_text/wikitext-2-raw/wiki.test.raw", items=40)
    assert len(bench.examples("test")) == 40
    (use,) = bench.files("test")
    assert use.verified
    assert "CC BY-SA" in use.licence
    assert np.isfinite(metrics(outcomes(bench))["perplexity"])


def test_options(tmp_path: Path) -> None:
    bench = Perplexity(file="x.txt", items=3, window=100, stride=50)
    assert build(Benchmark, "perplexity", options_of(bench)) == bench
    for options in (
        {"window": 100, "stride": 101},
        {"items": 0},
        {"stride": 0},
    ):
        with pytest.raises(RecipeError, match="perplexity"):
            build(Benchmark, "perplexity", options)
    with pytest.raises(DataError, match="does not exist"):
        Perplexity(file=str(tmp_path / "no.txt")).examples("test")


def test_training_on_a_long_document_is_refused(file: Path) -> None:
    bench = Perplexity(file=str(file), window=64, stride=16)
    document = bench.examples("test")[-1]
    assert len(bench.requests(document)) > 1  # no request holds the whole document
    assert bench.texts(document) == (document.text,)
    scorer = FakeScorer(trained_on=frozenset({text_sha256(document.text)}))
    with pytest.raises(DataError, match=rf"trained on 1 of the 30 examples.*'{document.id}'"):
        measure(scorer, bench)
