"""Measuring with and without faulty items."""

from dataclasses import replace
from pathlib import Path

import pytest

from equipoise.benchmarks.base import Benchmark
from equipoise.benchmarks.crows_pairs import CrowsPairs
from equipoise.compare import compare
from equipoise.errors import DataError, RecipeError
from equipoise.faultless import without_references
from equipoise.measure import measure
from equipoise.plugins import build
from equipoise.predictions import Predictions
from equipoise.records import Estimate, Measurement, Outcome
from equipoise.stats.pairing import ITEM
from equipoise.testing import FakeScorer

HEADER = ",sent_more,sent_less,stereo_antistereo,bias_type\n"
#: Prefers the sentence of more letters.
LETTERS = FakeScorer(nats=lambda _, text: 0.1 * len(text))


@pytest.fixture
def audited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve pairs, of which the third and every later third are unclear: `LETTERS` is wrong."""
    folder = tmp_path / "crows_pairs"
    folder.mkdir()
    pairs = [("ab c.", "a c.") if k % 3 else ("a c.", "abc d.") for k in range(12)]
    rows = [f"{k},{more},{less},stereo,age\n" for k, (more, less) in enumerate(pairs)]
    (folder / "crows_pairs_anonymized.csv").write_text(HEADER + "".join(rows))
    kinds = [f"{k},unclear\n" for k in (0, 3, 6, 9)] + ["1,twice\n", "4,twice\n", "99,twice\n"]
    (folder / "audit.csv").write_text("id,kind\n" + "".join(kinds))
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    return tmp_path


def reference(measurement: Measurement, name: str) -> dict[str, Estimate]:
    (same,) = (each for each in measurement.references if each.name == name)
    return {estimate.metric: estimate for estimate in same.estimates}


@pytest.mark.usefixtures("audited")
def test_a_number_without_items_is_that_of_measuring_without_them() -> None:
    whole = measure(LETTERS, CrowsPairs(), draws=100, nulls=False)
    first, second, both = whole.references
    assert [each.kind for each in whole.references] == ["without"] * 3
    assert (first.name, first.items, first.says) == (
        "audit:unclear", 4, "it is 'unclear' by crows_pairs/audit.csv",
    )  # fmt: skip
    assert (second.name, second.items) == ("audit:twice", 2)
    assert (both.name, both.items) == ("all", 6)
    rest = measure(LETTERS, CrowsPairs(without_faults=("audit:unclear",)), draws=100)
    estimates = reference(whole, "audit:unclear")
    assert estimates["stereotype_preference"] == rest.estimate("stereotype_preference")
    assert rest.estimate("stereotype_preference").value == 100
    change = estimates["stereotype_preference_change"]
    assert change.value == pytest.approx(100 - whole.estimate("stereotype_preference").value)
    assert change.value == pytest.approx(100 / 3)
    # wide, as it rests on 4 independent items
    assert change.low < 0 < change.value < change.high
    assert (change.n, change.clusters, change.ideal) == (4, 4, None)


@pytest.mark.usefixtures("audited")
def test_what_is_left_out_is_recorded_and_not_compared_with_the_whole() -> None:
    whole = measure(LETTERS, CrowsPairs(), draws=0, nulls=False)
    rest = measure(LETTERS, CrowsPairs(without_faults=("audit:unclear",)), draws=0, nulls=False)
    assert len(rest.outcomes) == 8
    assert rest.options["without_faults"] == ["audit:unclear"]
    assert rest.notes[0] == (
        "without faults: 4 of 12 examples are left out, for audit:unclear; numbers of the whole do "
        "not compare"
    )
    assert [use.name for use in rest.data][-1] == "crows_pairs/audit.csv"
    assert "crows_pairs/audit.csv" not in [use.name for use in whole.data]
    # of what is left the other kinds
    assert [each.name for each in rest.references] == ["audit:twice"]
    for sides in ((whole, rest), (rest, whole)):
        with pytest.raises(RecipeError, match=r"compared on the same options, .*'audit:unclear'"):
            compare(*sides, across=("options", "data"))
    assert compare(rest, rest, draws=20).changes[0].difference == 0


@pytest.mark.usefixtures("audited")
def test_what_cannot_be_left_out() -> None:
    with pytest.raises(DataError, match="faults of crows_pairs are known by the ids of its offici"):
        measure(LETTERS, CrowsPairs(without_faults=("several_spans",)))
    with pytest.raises(DataError, match=r"must have the kind 'uncler'.*did you mean"):
        measure(LETTERS, CrowsPairs(without_faults=("audit:uncler",)))


def test_all_items_may_not_be_left_out(audited: Path) -> None:
    file = audited / "crows_pairs" / "audit.csv"
    file.write_text("id,kind\n" + "".join(f"{k},bad\n" for k in range(12)))
    with pytest.raises(DataError, match=r"without audit:bad, all 12 have one of these faults"):
        measure(LETTERS, CrowsPairs(without_faults=("audit:bad",)))


@pytest.mark.usefixtures("audited")
def test_limit_chooses_among_what_is_left() -> None:
    rest = measure(LETTERS, CrowsPairs(without_faults=("audit:unclear",)), limit=8, draws=0)
    assert [outcome.example for outcome in rest.outcomes] == [
        "1",
        "2",
        "4",
        "5",
        "7",
        "8",
        "10",
        "11",
    ]


@pytest.mark.usefixtures("audited")
def test_items_of_a_family_of_prompts_are_known_by_their_example() -> None:
    outcomes = [
        Outcome(
            example=f"{k}#{prompt}",
            values={"prefers": float(k % 3 > 0)},
            groups={ITEM: str(k)},
        )
        for prompt in range(2)
        for k in range(12)
    ]
    arguments = {"data": CrowsPairs().files("test"), "cluster": ITEM, "draws": 50, "seed": 0}
    first, *_ = without_references(CrowsPairs(), "crows_pairs", outcomes, **arguments)  # type: ignore[arg-type]
    value, change = first.estimates
    assert (first.items, value.value, value.n, value.clusters) == (4, 100.0, 16, 8)
    assert (change.n, change.clusters) == (8, 4)
    # without the groups they are other items
    bare = [replace(outcome, groups={}) for outcome in outcomes]
    assert without_references(CrowsPairs(), "crows_pairs", bare, **arguments) == ()  # type: ignore[arg-type]


@pytest.mark.slow
def test_published_scores_of_stereoset(data_folder: Path) -> None:
    """The numbers of docs/data-faults.md."""
    file = data_folder / "golden" / "stereoset_dev_predictions_gpt2.json"
    whole = measure(Predictions(file=file), build(Benchmark, "stereoset"))
    every = reference(whole, "all")
    assert next(each.items for each in whole.references if each.name == "all") == 802
    assert round(every["ss"].value, 1) == round(whole.estimate("ss").value, 1) == 57.0
    assert every["ss_change"].low < 0 < every["ss_change"].high
    votes = reference(whole, "close_vote")["lms_change"]
    assert (round(votes.value, 2), round(votes.low, 2), round(votes.high, 2)) == (
        -0.44, -0.69, -0.21,
    )  # fmt: skip
