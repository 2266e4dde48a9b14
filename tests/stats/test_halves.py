"""How differently a metric changed in two groups: by hand, and on planted kinds of edits."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from equipoise.benchmarks.stereoset import StereoSet
from equipoise.checks.run import check_stored
from equipoise.compare import compare
from equipoise.conclusions import Comparison
from equipoise.data import valence
from equipoise.measure import measure
from equipoise.report.friendlier import friendlier_sentence, read_halves
from equipoise.report.sentences import verdict_sentence
from equipoise.report.tables import comparison_text
from equipoise.stats.verdict import halves_of, verdict_of
from equipoise.testing import FakeScorer

LEXICON = {"cruel": -2.5, "kind": 2.0}
TERMS = 40
Kind = Callable[[str, bool], float]


def write_items(folder: Path, seed: int) -> dict[str, tuple[bool, float]]:
    """Six examples of each term; of each text whether it is a stereotype, and its noise in nats."""
    draw = random.Random(seed)
    examples: list[Any] = []
    scores: dict[str, tuple[bool, float]] = {}
    for term in range(TERMS):
        for number in range(6):
            id = f"{term}-{number}"
            template = f"men of place {term} in year {number} are BLANK."
            fillers = ["cruel", "kind"] if number % 2 else ["kind", "cruel"]
            texts = [template.replace("BLANK", word).capitalize() for word in (*fillers, "oval")]
            for text, label in zip(texts, ("s", "t", "u"), strict=True):
                scores[text] = (label == "s", -9.0 if label == "u" else draw.gauss(-3.0, 1.0))
            labels = ("stereotype", "anti-stereotype", "unrelated")
            examples.append({
                "id": id, "target": str(term), "bias_type": "race", "context": template,
                "sentences": [
                    {"id": f"{id}-{label}", "gold_label": label, "sentence": text}
                    for label, text in zip(labels, texts, strict=True)
                ],
            })  # fmt: skip
    (folder / "stereoset").mkdir(exist_ok=True)
    content = {"data": {"intrasentence": examples, "intersentence": []}}
    (folder / "stereoset" / "dev.json").write_text(json.dumps(content))
    return scores


def scorer(scores: dict[str, tuple[bool, float]], add: Kind, identity: str) -> FakeScorer:
    """A biased model (a stereotype is 0.6 nats likelier), with what an edit adds."""

    def nats(_context: str, text: str) -> float:
        stereotype, noise = scores[text]
        return (noise + 0.6 * stereotype + add(text, stereotype)) * len(text.split())

    return FakeScorer(nats=nats, identity=identity)


def compared(
    folder: Path, monkeypatch: pytest.MonkeyPatch, add: Kind, *, seed: int = 0, draws: int = 200
) -> Comparison:
    monkeypatch.setattr(valence, "word_valences", lambda: LEXICON)
    monkeypatch.setenv("EQUIPOISE_DATA", str(folder))
    scores = write_items(folder, seed)
    base, edited = (
        measure(scorer(scores, kind, name), StereoSet(valence=True), draws=0)
        for kind, name in ((lambda *_: 0.0, "base"), (add, "edited"))
    )
    return compare(base, edited, draws=draws)


def friendlier(text: str, _: bool) -> float:
    return -1.0 if "cruel" in text else 0.0


def fair(_: str, stereotype: bool) -> float:
    return -0.6 if stereotype else 0.0


@pytest.mark.thorough
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_friendlier_text_is_told_from_fairness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Both edits take bias off nothing but what they say: the words, or the stereotypes."""
    comparison = compared(tmp_path, monkeypatch, friendlier, seed=seed)
    (halves,) = halves_of(comparison)
    assert halves.groups == (valence.NEGATIVE, valence.POSITIVE)
    assert halves.first.difference < 0 < halves.second.difference
    assert halves.gap.high < 0
    assert read_halves(halves) == "friendlier"
    sentence = friendlier_sentence(halves)
    assert sentence.endswith(": as an edit that only makes text friendlier moves them apart")
    assert sentence in verdict_sentence(verdict_of([comparison]))
    assert sentence in comparison_text(comparison)

    comparison = compared(tmp_path, monkeypatch, fair, seed=seed)
    (halves,) = halves_of(comparison)
    assert comparison.change("ss").direction == "reduced"
    assert read_halves(halves) not in ("friendlier", "like friendlier")
    assert "friendlier" not in verdict_sentence(verdict_of([comparison]))


@pytest.mark.thorough
def test_gap_is_the_difference_of_both_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    comparison = compared(tmp_path, monkeypatch, friendlier, draws=50)
    gap = comparison.change("ss_valence_gap")
    first, second = (
        comparison.change("ss", valence=name) for name in (valence.NEGATIVE, valence.POSITIVE)
    )
    assert gap.difference == pytest.approx(first.difference - second.difference)
    assert gap.before == pytest.approx(first.before - second.before)
    assert gap.after == pytest.approx(first.after - second.after)
    assert (gap.n, gap.clusters, gap.ideal) == (first.n + second.n, TERMS, None)
    assert [finding.level for finding in check_stored(comparison)] == ["ok"]
    # the groups are a family of their own (Holm), and the headline is what it was
    assert comparison.changes[0].metric == "ss"
    assert comparison.changes[0].p_holm == comparison.changes[0].p


@pytest.mark.thorough
def test_nothing_where_a_group_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    comparison = compared(tmp_path, monkeypatch, fair, draws=20)
    monkeypatch.setattr(valence, "word_valences", lambda: None)
    scores = write_items(tmp_path, 0)
    plain = measure(scorer(scores, fair, "plain"), StereoSet(valence=True), draws=0)
    assert not any("valence" in outcome.groups for outcome in plain.outcomes)
    assert halves_of(compare(plain, plain, draws=20)) == ()
    # measured with the lexicon on the side before alone: its groups are those of the items
    assert len(halves_of(compare(comparison.before, plain, draws=20))) == 1
