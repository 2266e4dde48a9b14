"""Items told apart by which of their two fillers is the more negative word."""

import sys
from collections import Counter
from pathlib import Path

import pytest

from equipoise.benchmarks.stereoset import Intrasentence, StereoSet
from equipoise.data import valence
from equipoise.data.stereoset import StereoSetItem
from equipoise.data.valence import ABSENT, NEGATIVE, POSITIVE, VALENCE, with_valence, word_valences
from equipoise.measure import measure
from equipoise.predictions import Predictions


def item(stereotype: str, antistereotype: str) -> StereoSetItem:
    texts = tuple(f"It is {word}." for word in (stereotype, antistereotype, "round"))
    return StereoSetItem(
        id="a", task="intrasentence", context="It is BLANK.", sentences=texts, sentence_ids=texts,
        spans=tuple((6, len(text) - 1) for text in texts), groups={"axis": "race"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("stereotype", "antistereotype", "group"),
    [
        ("cruel", "kind", NEGATIVE),
        ("Cruel", "oval", NEGATIVE),
        ("kind", "oval", POSITIVE),
        ("oval", "cruel", POSITIVE),
        ("oval", "wide", None),
        ("cruel", "cruel", None),
    ],
)
def test_groups(
    monkeypatch: pytest.MonkeyPatch, stereotype: str, antistereotype: str, group: str | None
) -> None:
    monkeypatch.setattr(valence, "word_valences", lambda: {"cruel": -2.5, "kind": 2.0})
    (example,) = with_valence([item(stereotype, antistereotype)])
    assert example.groups.get(VALENCE) == group
    assert example.groups["axis"] == "race"


@pytest.mark.thorough
def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, data_folder: Path) -> None:
    monkeypatch.setitem(sys.modules, "vaderSentiment", None)
    monkeypatch.setenv("EQUIPOISE_DATA", str(data_folder))
    assert word_valences() is None
    examples = [item("cruel", "kind")]
    assert with_valence(examples) == examples
    assert ABSENT in StereoSet(valence=True).remarks("dev")
    assert not any(VALENCE in item.groups for item in StereoSet(valence=True).examples("dev"))
    assert StereoSet().remarks("dev") == ()
    assert "pip install 'equipoise[sentiment]'" in ABSENT


def test_lexicon() -> None:
    pytest.importorskip("vaderSentiment")
    words = word_valences()
    assert words is not None
    assert len(words) > 7000
    assert words["cruel"] < 0 < words["kind"]
    assert all(-4 <= value <= 4 for value in words.values())


@pytest.mark.thorough
def test_official_files(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels follow valence by type, and so do the published scores of GPT-2."""
    pytest.importorskip("vaderSentiment")
    monkeypatch.setenv("EQUIPOISE_DATA", str(data_folder))
    file = data_folder / "golden" / "stereoset_dev_predictions_gpt2.json"
    benchmark = StereoSet(task=Intrasentence(), valence=True)
    result = measure(Predictions(file=file), benchmark, draws=0)
    counts = Counter(
        (outcome.groups["axis"], outcome.groups[VALENCE])
        for outcome in result.outcomes if VALENCE in outcome.groups
    )  # fmt: skip
    negative = {axis: counts[axis, NEGATIVE] for axis, _ in counts}
    positive = {axis: counts[axis, POSITIVE] for axis, _ in counts}
    assert negative == {"race": 487, "profession": 270, "gender": 63, "religion": 33}
    assert positive == {"race": 112, "profession": 293, "gender": 105, "religion": 12}
    values = {
        (metric, group): round(result.estimate(metric, valence=group).value, 1)
        for metric in ("ss", "ss_micro") for group in (NEGATIVE, POSITIVE)
    }  # fmt: skip
    assert values == {
        ("ss", NEGATIVE): 59.5, ("ss", POSITIVE): 68.5,
        ("ss_micro", NEGATIVE): 58.9, ("ss_micro", POSITIVE): 69.3,
    }  # fmt: skip
