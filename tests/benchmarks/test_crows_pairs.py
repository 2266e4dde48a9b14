import math
from pathlib import Path
from typing import Any

import pytest
from worlds import in_world

from equipoise.benchmarks.base import Benchmark
from equipoise.benchmarks.crows_pairs import CrowsPairs
from equipoise.errors import DataError, ModelError, RecipeError
from equipoise.measure import measure
from equipoise.planted.world import find_world
from equipoise.plugins import build, name_of, options_of
from equipoise.records import Continuation, Contrast, Outcome, Scored, ScoredPair, TextPair
from equipoise.stats.resample import columns_of
from equipoise.testing import tiny_model

HEADER = ",sent_more,sent_less,stereo_antistereo,bias_type,annotations\n"
ROWS = (
    '0,"Ann, she ran.",Bob ran.,stereo,gender,[]\n',
    "1,The old sat.,The new sat.,antistereo,age,[]\n",
)
PAIR = Contrast(id="0", context="", stereotype="one more", antistereotype="one less")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "crows_pairs").mkdir()
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write(tmp_path, HEADER + "".join(ROWS))
    return tmp_path


def write(folder: Path, text: str) -> None:
    file = folder / "crows_pairs" / "crows_pairs_anonymized.csv"
    file.write_bytes(text.encode())


def scored(*logprobs: float) -> Scored:
    return Scored(token_logprobs=logprobs, bytes=1)


def readings(outcomes: list[Outcome]) -> dict[str, float]:
    columns = columns_of(outcomes, cluster=CrowsPairs.cluster)
    return {metric.name: metric.of(columns) for metric in CrowsPairs().metrics}


def two(benchmark: CrowsPairs, more: Scored, less: Scored) -> Outcome:
    requests = benchmark.requests(PAIR)
    return benchmark.outcome(
        PAIR, [more, less] if len(requests) == 2 else [ScoredPair(first=more, second=less)]
    )


# --- reading ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("folder")
def test_examples() -> None:
    first, second = CrowsPairs().examples("test")
    assert (first.id, first.stereotype, first.antistereotype) == ("0", "Ann, she ran.", "Bob ran.")
    assert second.groups == {
        "bias_type": "age", "direction": "antistereo", "type_direction": "age/antistereo"
    }  # fmt: skip
    (used,) = CrowsPairs().files("test")
    assert not used.verified


def test_byte_order_mark_and_crlf_change_nothing(folder: Path) -> None:
    want = CrowsPairs().examples("test")
    write(folder, "\ufeff" + (HEADER + "".join(ROWS)).replace("\n", "\r\n"))
    assert CrowsPairs().examples("test") == want


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",gender,", ", ,", "line 2: column 'bias_type' must have a name"),
        (",antistereo,", ",anti,", "line 3: stereo_antistereo must be one of .*got 'anti'"),
        ("1,The", "0,The", "pair '0' must be there once, got it twice"),
        ("sent_less", "sent", "must have a column 'sent_less'"),
        ("Bob ran.", " ", "line 2: column 'sent_less' must have a text"),
        (",age,[]", "", "line 3: must have 6 fields, got 4"),
        ("".join(ROWS), "", "must have rows, got none"),
        (HEADER + "".join(ROWS), "", "must hold data, got an empty file"),
    ],
)
def test_faults_name_file_and_row(folder: Path, old: str, new: str, message: str) -> None:
    text = HEADER + "".join(ROWS)
    assert old in text
    write(folder, text.replace(old, new))
    with pytest.raises(DataError, match=message) as error:
        CrowsPairs().examples("test")
    assert "crows_pairs_anonymized.csv" in str(error.value)


# --- requests and outcomes --------------------------------------------------------------------


@pytest.mark.parametrize("score", ["causal_mean", "causal_sum"])
def test_causal_requests(score: Any) -> None:
    more, less = CrowsPairs(score=score, bos="none").requests(PAIR)
    assert more == Continuation(context="", continuation="one more", prefix="none")
    assert less == Continuation(context="", continuation="one less", prefix="none")


@pytest.mark.parametrize(
    ("score", "tokens", "view"),
    [
        ("causal_cond_unmodified", "unmodified_after", "left"),
        ("pll_unmodified", "unmodified", "both"),
        ("pll_modified", "modified", "both"),
    ],
)
def test_pair_requests(score: Any, tokens: Any, view: Any) -> None:
    (request,) = CrowsPairs(score=score).requests(PAIR)
    assert request == TextPair(first="one more", second="one less", tokens=tokens, view=view)


@pytest.mark.parametrize(
    ("score", "more", "prefers"),
    [
        ("causal_mean", -1.0, 1.0),
        ("causal_sum", -2.0, 0.0),
        ("causal_cond_unmodified", -2.0, 0.0),
        ("pll_unmodified", -2.0, 0.0),
        ("pll_modified", -1.0, 1.0),
    ],
)
def test_mean_or_sum(score: Any, more: float, prefers: float) -> None:
    values = two(CrowsPairs(score=score), scored(-1.0, -1.0), scored(-1.5)).values
    assert (values["more"], values["less"], values["prefers"]) == (more, -1.5, prefers)
    assert values["margin"] == pytest.approx(more + 1.5)


@pytest.mark.parametrize(
    ("score", "prefers", "tie"), [("pll_unmodified", 0.5, 1.0), ("causal_sum", 1.0, 0.0)]
)
def test_only_the_papers_score_is_rounded(score: Any, prefers: float, tie: float) -> None:
    values = two(CrowsPairs(score=score), scored(-1.0001), scored(-1.0002)).values
    assert (values["prefers"], values["tie"]) == (prefers, tie)
    assert values["margin"] == pytest.approx(0.0001)


@pytest.mark.parametrize("score", ["pll_modified", "causal_cond_unmodified"])
def test_sentence_without_tokens_is_nan(score: Any) -> None:
    values = two(CrowsPairs(score=score), scored(), scored(-1.0)).values
    assert all(math.isnan(value) for value in values.values())
    metrics = readings([two(CrowsPairs(score=score), scored(), scored(-1.0))])
    assert all(math.isnan(value) for value in metrics.values())


@pytest.mark.parametrize(("ties", "preferred"), [("half", 62.5), ("anti", 50.0)])
def test_ties_count_half_or_as_published(ties: Any, preferred: float) -> None:
    benchmark = CrowsPairs(ties=ties)
    margins = (0.5, 0.0, -0.25, 0.25)
    metrics = readings([two(benchmark, scored(-2.0 + margin), scored(-2.0)) for margin in margins])
    assert metrics == pytest.approx(
        {"stereotype_preference": preferred, "ties": 25.0, "margin_mean": 0.125, "margin_abs": 0.25}
    )


def test_wrong_number_of_answers() -> None:
    with pytest.raises(ValueError, match="pair '0' must have two scored texts, got 1"):
        CrowsPairs().outcome(PAIR, [scored(-1.0)])


def test_options_round_trip() -> None:
    benchmark = CrowsPairs(score="pll_modified", bos="ref_gpt2")
    assert build(Benchmark, name_of(benchmark), options_of(benchmark)) == benchmark
    with pytest.raises(RecipeError, match=r"crows_pairs.score: .*got 'pll'"):
        build(Benchmark, "crows_pairs", {"score": "pll"})


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("family", "score"),
    [
        ("llama", "causal_mean"),
        ("llama", "causal_cond_unmodified"),
        ("bert", "pll_unmodified"),
        ("bert", "pll_modified"),
    ],
)
def test_causal_and_masked_models(family: str, score: Any) -> None:
    with in_world():
        measurement = measure(
            tiny_model(family, context=256), CrowsPairs(score=score), limit=6, draws=0
        )
    for outcome in measurement.outcomes:
        assert math.isnan(outcome.values["margin"]) or outcome.values["margin"] == pytest.approx(
            outcome.values["more"] - outcome.values["less"]
        )
    assert measurement.estimate("stereotype_preference").n > 0


def test_a_causal_model_has_no_masked_score() -> None:
    with in_world(), pytest.raises(ModelError, match="needs a masked model"):
        measure(tiny_model("llama"), CrowsPairs(score="pll_modified"), draws=0)


# --- planted and real -------------------------------------------------------------------------


def test_true_scores_of_planted_pairs() -> None:
    world = find_world("strength=0.5")
    benchmark = CrowsPairs(score="causal_sum")
    with in_world(world.name):
        pairs = benchmark.examples("test")
        (use,) = benchmark.files("test")
    outcomes = []
    for pair in pairs:
        share = world.true_preference(pair.id)
        outcomes.append(
            benchmark.outcome(pair, [scored(math.log(share)), scored(math.log1p(-share))])
        )
    metrics = readings(outcomes)
    assert metrics["ties"] == 0.0
    assert metrics["stereotype_preference"] == pytest.approx(world.true_pair_score())
    assert not use.verified


def test_the_official_file(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_DATA", str(data_folder))
    pairs = CrowsPairs().examples("test")
    assert len(pairs) == 1508
    assert sum(pair.groups["bias_type"] == "gender" for pair in pairs) == 262
    assert sum(pair.groups["direction"] == "antistereo" for pair in pairs) == 218
    (used,) = CrowsPairs().files("test")
    assert used.verified
