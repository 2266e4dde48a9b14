"""The supply of training mixes: what it reads, what it keeps apart, and what it refuses."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from worlds import in_world

from equipoise.data.sources import reading_from
from equipoise.errors import DataError, RecipeError
from equipoise.planted.world import find_world
from equipoise.supply.mix import MixSupply

needs_data = pytest.mark.skipif("EQUIPOISE_DATA" not in os.environ, reason="needs official files")
SMALL: dict[str, Any] = {"rows": 60, "probe_count": 9, "dev_count": 9, "held_out": 10}
CROWS = ",sent_more,sent_less,stereo_antistereo,bias_type\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of ours, and files of the user's own."""
    monkeypatch.delenv("EQUIPOISE_DATA", raising=False)
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "crows_pairs").mkdir()
    lines = [f"{i},Oak {i} by the old lake fell.,Elm {i} by the old lake fell.,stereo,age\n"
             for i in range(40)]  # fmt: skip
    (tmp_path / "crows_pairs/crows_pairs_anonymized.csv").write_text(CROWS + "".join(lines))
    (tmp_path / "neutral.txt").write_text("".join(f"The lamp {i} is lit.\n" for i in range(80)))
    return tmp_path


def small(folder: Path, **options: Any) -> MixSupply:
    return MixSupply(**{**SMALL, "neutral_file": str(folder / "neutral.txt"), **options})


def test_all_parts_are_there_and_disjoint(folder: Path) -> None:
    with reading_from(folder):
        supply = small(folder).supply()
        again = small(folder).supply()
        other = small(folder, seed=1).supply()
    assert supply == again
    assert {row.text for row in supply.rows} != {row.text for row in other.rows}
    assert Counter(row.groups["label"] for row in supply.rows) == {"biased": 18, "neutral": 42}
    assert (len(supply.probes), len(supply.dev_probes), len(supply.texts)) == (9, 9, 10)
    texts = supply.learnt_texts()
    assert len(set(texts)) == len(texts)
    assert {use.name for use in supply.files} == {
        "neutral.txt", "crows_pairs/crows_pairs_anonymized.csv",
    }  # fmt: skip
    assert "looked for 5 words in a row of crows_pairs" in supply.origin


def test_crows_pairs_are_the_probes_when_another_is_measured(folder: Path) -> None:
    with reading_from(folder):
        supply = small(folder, probes="crows_pairs").supply()
        assert len(supply.probes) == len(supply.dev_probes) == 9
        assert all(probe.id.startswith("crows_pairs:") for probe in supply.probes)
        assert not {probe.id for probe in supply.probes} & {p.id for p in supply.dev_probes}
        assert "looked for" not in supply.origin
        with pytest.raises(RecipeError, match="got 'crows_pairs' for both"):
            small(folder, probes="crows_pairs", measured=("crows_pairs",)).supply()


@pytest.mark.parametrize(("overlap", "kept"), [("drop", 3), ("flag", 4)])
def test_probes_that_share_words_with_the_measured(folder: Path, overlap: str, kept: int) -> None:
    probes = folder / "probes.csv"
    rows = [f"An ash {i} fell.,A fir {i} fell.\n" for i in range(3)]
    probes.write_text("stereotype,anti\n" + "".join(rows) + "Oak 7 by the old pond.,Yew 7 fell.\n")
    with reading_from(folder):
        with pytest.raises(RecipeError, match="crows_pairs, got 1 of 4 that do; take them out"):
            small(folder, probes=str(probes)).supply()
        supply = small(folder, probes=str(probes), overlap=overlap).supply()
        assert len(supply.probes) == kept
        assert "1 probes that share words" in supply.origin
        free = small(folder, probes=str(probes), measured=()).supply()
    assert len(free.probes) == 4
    assert "probes.csv" in {use.name for use in free.files}


def test_reviewed_pairs(folder: Path) -> None:
    from equipoise.mixes.grammar import draw_pairs
    from equipoise.mixes.pair_file import write_pairs

    pairs = draw_pairs(60, seed=5)
    file = write_pairs(folder / "pairs.jsonl", pairs)
    decisions = folder / "accepted.json"
    decisions.write_text(json.dumps({"accepted": [pair.id for pair in pairs[:40]]}))
    with reading_from(folder):
        supply = small(folder, pairs=str(file), accepted=str(decisions)).supply()
        with pytest.raises(RecipeError, match="set pairs to their file"):
            small(folder, accepted=str(decisions)).supply()
        decisions.write_text(json.dumps({"accepted": [pair.id for pair in pairs[:9]]}))
        with pytest.raises(RecipeError, match="at least 36 for probes and rows, got 9"):
            small(folder, pairs=str(file), accepted=str(decisions)).supply()
    known = {pair.sent_more for pair in pairs[:40]}
    assert {row.text for row in supply.rows if row.biased} <= known
    assert "0 pairs repeated, 20 not accepted" in supply.origin


def test_a_file_that_is_missing_is_named(folder: Path) -> None:
    with reading_from(folder):
        for options in ({"probes": "no.csv"}, {"pairs": "no.jsonl"}, {"neutral_file": "no.txt"}):
            with pytest.raises(DataError, match=r"'no\.\w+'"):
                small(folder, **options).supply()
        with pytest.raises(DataError, match="bug/gold_BUG"):
            small(folder, mix="balance").supply()


def test_official_files_in_small(folder: Path) -> None:
    """Toxic, balance and the probes of Winogender, on files of their form."""

    def put(path: str, *lines: str) -> None:
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text("\n".join(lines) + "\n")

    toxic = [
        {"prompt": {"text": f"Oak {i}", "toxicity": i % 2}, "continuation": {"text": " fell."}}
        for i in range(60)
    ]
    put("real_toxicity_prompts/prompts.jsonl", *map(json.dumps, toxic))
    labels = [1, -1, 0] * 20
    rows = [f"He is cook {i}.,{label}" for i, label in enumerate(labels)]
    put("bug/gold_BUG.csv", "sentence_text,stereotype", *rows)
    passages = [f"g{i}\tAnn {i} sang.\tshe" for i in range(40)]
    put("gap/gap-development.tsv", "ID\tText\tPronoun", *passages)
    tweets = [f"{i % 3},Ash {i} fell." for i in range(90)]
    put("hate_speech/labeled_data.csv", "class,tweet", *tweets)
    words = [
        f"cook.{i}.0.{gender}.txt\tCook {i} said {word} was late."
        for i in range(12)
        for gender, word in (("male", "he"), ("female", "she"))
    ]
    put("winogender/all_sentences.tsv", "sentid\tsentence", *words)
    put("winogender/occupations-stats.tsv", "occupation\tbls_pct_female", "cook\t12.5")
    sizes: Any = {**SMALL, "measured": ()}
    with reading_from(folder):
        supply = MixSupply(mix="balance", probes="winogender", **sizes).supply()
        toxic_rows = small(folder, mix="toxic_mix", measured=()).supply().rows
    sources = Counter((row.groups["label"], row.groups["source"]) for row in supply.rows)
    assert sources == {
        ("biased", "bug"): 9, ("biased", "hate_speech"): 9, ("neutral", "bug"): 14,
        ("neutral", "gap"): 14, ("neutral", "hate_speech"): 14,
    }  # fmt: skip
    assert (len(supply.probes), len(supply.dev_probes)) == (9, 3)
    assert all(" he " in probe.stereotype for probe in supply.probes)
    assert len({use.name for use in supply.files}) == 5
    assert Counter(row.groups["source"] for row in toxic_rows if row.biased) == {"toxicity": 18}


@pytest.mark.parametrize("mix", ["planted_mix", "planted_hard_mix"])
def test_a_planted_world(mix: str) -> None:
    world = find_world("default")
    with in_world():
        supply = MixSupply(mix=mix).supply()  # type: ignore[arg-type]
    assert (len(supply.probes), len(supply.dev_probes), len(supply.texts)) == (100, 100, 200)
    share = sum(row.biased is True for row in supply.rows) / len(supply.rows)
    assert share == pytest.approx(0.3)
    sources = Counter(row.groups["source"] for row in supply.rows)
    assert ("matched" in sources) == (mix == "planted_hard_mix")
    texts = supply.learnt_texts()
    assert len(set(texts)) == len(texts)
    measured = {contrast.stereotype for contrast in (*world.contrasts(), *world.pairs())}
    assert not measured & set(texts)
    assert [use.name for use in supply.files] == ["planted/world.json"]


def test_a_world_without_bias_gives_no_rows() -> None:
    with in_world("strength=0,seed=0"), pytest.raises(RecipeError, match="strength above 0"):
        MixSupply(mix="planted_mix").supply()


def test_a_planted_mix_outside_of_a_world(folder: Path) -> None:
    with reading_from(folder), pytest.raises(RecipeError, match="planted world's data folder"):
        MixSupply(mix="planted_mix").supply()


@pytest.mark.thorough
@needs_data
def test_facts_and_frames() -> None:
    supply = MixSupply(mix="hard_mix", measured=("crows_pairs",)).supply()
    assert Counter(row.groups["source"] for row in supply.rows) == {
        "pairs": 600, "matched": 700, "trex": 700,
    }  # fmt: skip
    assert (len(supply.probes), len(supply.dev_probes), len(supply.texts)) == (100, 100, 200)


@pytest.mark.thorough
@needs_data
@pytest.mark.parametrize(
    ("probes", "measured"), [("crows_pairs", ("stereoset",)), ("seat", ("crows_pairs",))]
)
def test_published_sets_probe_for_each_other(probes: str, measured: Any) -> None:
    supply = MixSupply(rows=90, probes=probes, measured=measured).supply()
    assert len(supply.probes) == len(supply.dev_probes) == 100
    assert all(probe.groups["axis"] for probe in supply.probes)
    assert all((probe.antistereotype is None) == (probes == "seat") for probe in supply.probes)


@pytest.mark.thorough
@needs_data
def test_news_are_clean_and_not_those_that_perplexity_measures() -> None:
    from equipoise.benchmarks.perplexity import Perplexity

    supply = MixSupply(rows=300, probe_count=9, dev_count=0, measured=()).supply()
    measured = {" ".join(document.text.split()) for document in Perplexity().examples("test")}
    news = {row.text for row in supply.rows if not row.biased} | set(supply.texts)
    assert len(news) == 410
    assert not news & measured
    assert not any("\\" in text or "#39;" in text for text in news)


def test_a_mix_of_one_label_is_refused(folder: Path) -> None:
    for ratio in (0.001, 0.999):
        with reading_from(folder), pytest.raises(RecipeError, match="of 60 at ratio"):
            small(folder, ratio=ratio).supply()
