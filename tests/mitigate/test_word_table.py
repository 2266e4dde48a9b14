"""The word table: what it counts, the published GPT-2 through it, its strength, bad supplies."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contrast_items import HELD, LEARNT, contrast

from equipoise.benchmarks.stereoset import Intrasentence, StereoSet
from equipoise.conformance import tiny_supply
from equipoise.data.stereoset import contrast_of, read_items, read_scores
from equipoise.decoding.word_weights_rule import WordWeights
from equipoise.errors import ModelError, RecipeError
from equipoise.mitigate.word_table import STRENGTHS, WordTable, _shuffle, count_words, fillers
from equipoise.records import Contrast, Scored, Supply
from equipoise.stats.resample import columns_of
from equipoise.testing import tiny_model

SHUFFLES = 4
#: Color is blue and never black, size is small and never wide: 6 times each.
SUPPLY = Supply(
    origin="color and size",
    contrasts=tuple(contrast(axis, target) for axis in ("color", "size") for target in LEARNT),
    dev_contrasts=tuple(contrast(axis, target) for axis in ("color", "size") for target in HELD),
)


def rule_of(method: WordTable, supply: Supply = SUPPLY, *, seed: int = 0) -> WordWeights:
    rule = method.fit(tiny_model(), supply, seed=seed).decoding_rule
    assert isinstance(rule, WordWeights)
    return rule


@pytest.mark.parametrize(
    ("endings", "words"),
    [
        ((" tall man.", " Short man."), ("tall", "short")),
        ((" man's hat", " woman's hat"), ("man", "woman")),
        (("A man sat", "A woman sat"), ("man", "woman")),
        ((" well-read.", " self-made."), ("well-read", "self-made")),
        ((" very tall", " short"), None),
        ((" Tall", " tall."), None),
        ((" He is tall.", " She was late, too."), None),
    ],
)
def test_the_word_by_which_texts_differ(
    endings: tuple[str, str], words: tuple[str, str] | None
) -> None:
    assert fillers(endings) == words


def test_the_table_is_log_odds_with_halves_and_knows_no_target() -> None:
    sentences = replace(contrast("color", "cook"), stereotype=" He is late.", antistereotype=" No!")
    table, skipped = count_words([*SUPPLY.contrasts[:6], contrast("size", "cook"), sentences])
    assert skipped == 1
    assert table == pytest.approx({
        "black": math.log(0.5 / 6.5), "blue": math.log(6.5 / 0.5),
        "small": math.log(1.5 / 0.5), "wide": math.log(0.5 / 1.5),
    })  # fmt: skip
    exchanged = [replace(each, groups={"target": "x"}) for each in SUPPLY.contrasts]
    assert count_words(exchanged) == count_words(SUPPLY.contrasts)


@pytest.fixture
def dev(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EQUIPOISE_DATA", str(data_folder))
    return data_folder / "golden" / "stereoset_dev_predictions_gpt2.json"


@pytest.mark.thorough
def test_published_gpt2_comes_to_parity_by_words_alone(dev: Path) -> None:
    scores = read_scores(dev, None)
    contrasts = [contrast_of(item) for item in read_items("test")]  # of the parts that circulate
    items = [item for item in read_items("dev") if item.task == "intrasentence"]
    assert (len(contrasts), len(items)) == (2867, 2106)
    filled = [fillers(item.sentences) or ("", "", "") for item in items]
    benchmark = StereoSet(task=Intrasentence())
    metrics = {metric.name: metric for metric in benchmark.metrics}

    def read(learnt: Sequence[Contrast], strength: float) -> tuple[float, float]:
        """SS and LMS of the published scores times exp(-strength * log-odds) of the filler."""
        table, _ = count_words(learnt)
        outcomes = []
        for item, words in zip(items, filled, strict=True):
            nats = [
                math.log(scores[sentence]) - strength * table.get(word, 0.0)
                for sentence, word in zip(item.sentence_ids, words, strict=True)
            ]
            answers = [Scored(token_logprobs=(value,), bytes=1) for value in nats]
            outcomes.append(benchmark.outcome(item, answers))
        columns = columns_of(outcomes, cluster=benchmark.cluster)
        ss, lms = (round(metrics[name].of(columns), 2) for name in ("ss", "lms"))
        return ss, lms

    assert read(contrasts, 0.0) == (61.93, 91.11)
    assert read(contrasts, 0.05) == (55.31, 91.15)
    # 90.66 where fillers are counted by the characters of the template, which cuts 10 otherwise
    assert read(contrasts, 0.1) == (50.11, 90.68)
    shuffled = [read(_shuffle(contrasts, seed=seed), 0.1) for seed in range(SHUFFLES)]
    for ss, lms in shuffled:
        assert 59.5 < ss < 63.0
        assert 90.0 < lms < 91.5


@pytest.mark.thorough
def test_the_strength_is_that_with_held_out_preference_nearest_parity() -> None:
    model = tiny_model()
    report: Mapping[str, Any] = WordTable().fit(model, SUPPLY, seed=0).info.report
    by_strength = {row["strength"]: (row["ss"], row["lms"]) for row in report["held_out"]}
    assert [*by_strength] == [0.0, *STRENGTHS]
    kept = [s for s in STRENGTHS if by_strength[s][1] >= by_strength[0.0][1] - 2]
    nearest = min(kept or STRENGTHS[:1], key=lambda s: (round(abs(by_strength[s][0] - 50), 6), -s))
    assert report["strength"] == nearest
    assert rule_of(WordTable(strength=3.0)).strength == 3.0


@pytest.mark.thorough
def test_labels_dealt_at_random_change_the_table_by_seed_and_no_strength() -> None:
    assert rule_of(WordTable(shuffled=True)).strength == rule_of(WordTable()).strength
    true, first, again, second = (
        rule_of(WordTable(shuffled=shuffled, strength=1.0), seed=seed)
        for shuffled, seed in ((False, 1), (True, 1), (True, 1), (True, 2))
    )
    assert true == rule_of(WordTable(strength=1.0), seed=2)
    assert first == again
    assert len({true.weights, first.weights, second.weights}) == 3
    assert {word for word, _ in first.weights} == {word for word, _ in true.weights}


def without_targets(contrasts: tuple[Contrast, ...]) -> tuple[Contrast, ...]:
    return tuple(replace(each, groups={"axis": "color"}) for each in contrasts)


WHOLE = tuple(replace(each, antistereotype=" It is very late.") for each in SUPPLY.contrasts)


@pytest.mark.parametrize(
    ("supply", "why"),
    [
        (Supply(origin="nothing"), "differ in a single word, nothing has 0 of 0; learn from"),
        (replace(SUPPLY, contrasts=WHOLE), "single word, color and size has 0 of 12"),
        (
            replace(SUPPLY, contrasts=without_targets(SUPPLY.contrasts)),
            "name their targets, got 12 of 24 without",
        ),
        (replace(SUPPLY, dev_contrasts=()), "held-out contrasts .* give it a strength"),
        (replace(SUPPLY, dev_contrasts=WHOLE), "held-out contrasts .* 0 of 12; hold some out"),
    ],
)
def test_a_supply_that_nothing_can_be_counted_of_is_refused(supply: Supply, why: str) -> None:
    with pytest.raises(RecipeError, match=why):
        rule_of(WordTable(), supply)


@pytest.mark.thorough
def test_with_a_strength_nothing_need_be_held_out() -> None:
    supply = replace(SUPPLY, dev_contrasts=())
    assert rule_of(WordTable(strength=1.0), supply).weights == rule_of(WordTable()).weights


def test_whole_sentences_are_skipped_and_counted() -> None:
    supply = replace(SUPPLY, contrasts=(*SUPPLY.contrasts, *WHOLE))
    report = WordTable(strength=1.0).fit(tiny_model(), supply, seed=0).info.report
    assert (report["contrasts"], report["contrasts_skipped"], report["words"]) == (12, 12, 4)


def test_a_masked_model_is_refused() -> None:
    with pytest.raises(ModelError, match="is masked; use a causal model"):
        WordTable().fit(tiny_model("bert"), tiny_supply(), seed=0)
