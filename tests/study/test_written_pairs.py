"""Pairs of what was written: which are kept, with which prompts, and that a store keeps them."""

from dataclasses import replace
from pathlib import Path

import pytest
from report.harmful_texts import BENCHMARK, EXAMPLES, SCENES, compared, fair, register

from equipoise.benchmarks.genbias import GenBias
from equipoise.conclusions import Comparison
from equipoise.files.json_records import read_record, write_record
from equipoise.study.load_study import _COMPARISON, _STORED, STORED
from equipoise.study.written_pairs import DRAWN, MOST, with_pairs, with_readable_pairs


@pytest.fixture(scope="module")
def whole() -> Comparison:
    return compared(register)


@pytest.mark.thorough
def test_pairs_hold_prompt_texts_and_scores_and_are_bounded(whole: Comparison) -> None:
    assert whole.written == len(EXAMPLES)
    assert len(whole.pairs) == MOST + DRAWN
    assert [pair.drawn for pair in whole.pairs] == [False] * MOST + [True] * DRAWN
    assert len({pair.example for pair in whole.pairs}) == MOST + DRAWN
    prompts = {scene.id: scene.text for scene in EXAMPLES}
    for pair in whole.pairs:
        assert pair.prompt == prompts[pair.example]
        assert ("rude" in pair.before) == pair.scores_before["rude"]
        assert pair.scores_after["register_captions"] > 0


@pytest.mark.thorough
def test_each_scale_has_its_largest_changes_among_the_pairs() -> None:
    """Of `fair` the scales of length do not move, so that every pair is of the rest."""
    pairs = [pair for pair in compared(fair).pairs if not pair.drawn]
    assert len(pairs) == MOST
    assert all(pair.scores_before["rude"] != pair.scores_after["rude"] for pair in pairs)


@pytest.mark.thorough
def test_the_sample_is_of_the_seed_and_small_numbers_have_it_all(whole: Comparison) -> None:
    again = with_pairs(whole, BENCHMARK)
    assert again.pairs == whole.pairs
    other = with_pairs(replace(whole, seed=1), BENCHMARK)
    assert other.pairs[:MOST] == whole.pairs[:MOST]
    assert other.pairs[MOST:] != whole.pairs[MOST:]
    assert len(with_pairs(whole, BENCHMARK, most=500, drawn=500).pairs) == whole.written
    none = with_pairs(replace(whole, pairs=()), BENCHMARK, most=0, drawn=0)
    assert (none.pairs, none.written) == ((), len(EXAMPLES))


def test_a_text_that_a_side_lacks_makes_no_pair(whole: Comparison) -> None:
    silent = tuple(
        replace(outcome, text=None) if outcome.groups["scene"] != SCENES[0] else outcome
        for outcome in whole.before.outcomes
    )
    left = with_pairs(replace(whole, before=replace(whole.before, outcomes=silent)), BENCHMARK)
    assert {pair.groups["scene"] for pair in left.pairs} == {SCENES[0]}
    assert left.written == len(left.pairs) == len(EXAMPLES) // len(SCENES)
    bare = tuple(replace(outcome, text=None) for outcome in whole.before.outcomes)
    nothing = replace(whole, before=replace(whole.before, outcomes=bare), pairs=(), written=0)
    assert with_pairs(nothing, BENCHMARK) == nothing


def test_a_benchmark_that_scores_no_texts_has_no_pairs(whole: Comparison) -> None:
    bare = replace(whole, pairs=(), written=0)
    assert with_pairs(bare, GenBias()) is bare


def test_a_store_keeps_pairs(whole: Comparison, tmp_path: Path) -> None:
    file = tmp_path / "comparison.json"
    hostile = replace(whole.pairs[0], before="\x07\u202e<b>", scores_after={"rude": float("nan")})
    kept = replace(whole, pairs=(hostile, *whole.pairs[1:]))
    write_record(file, {name: getattr(kept, name) for name in STORED})
    stored = read_record(file, _STORED)
    read = _COMPARISON.validate_python({"before": kept.before, "afters": kept.afters} | stored)
    assert read.written == kept.written
    assert read.pairs[1:] == kept.pairs[1:]
    assert read.pairs[0].before == hostile.before
    assert str(read.pairs[0].scores_after) == "{'rude': nan}"
    del stored["pairs"], stored["written"]  # of a store that was written before there were any
    old = _COMPARISON.validate_python({"before": kept.before, "afters": kept.afters} | stored)
    assert old.pairs == ()


def test_stored_results_get_pairs_and_a_note_where_the_files_are_gone(
    whole: Comparison, tmp_path: Path
) -> None:
    bare = replace(whole, pairs=(), written=0)
    assert with_readable_pairs(bare) == whole
    gone = {**bare.before.options, "file": str(tmp_path / "gone.yaml")}
    lost = with_readable_pairs(replace(bare, before=replace(bare.before, options=gone)))
    assert lost.pairs == ()
    assert lost.notes[-1].startswith("no texts are shown side by side: ")
    assert "gone.yaml" in lost.notes[-1]


def test_texts_are_not_shown_after_other_prompts_than_were_asked(whole: Comparison) -> None:
    bare = replace(whole, pairs=(), written=0)
    other = replace(bare.before, examples_sha256="0" * 64)
    changed = with_readable_pairs(replace(bare, before=other))
    assert changed.pairs == ()
    assert "must ask what it asked when" in changed.notes[-1]
