"""Mixes: sizes, disjoint parts, frames, and what a source that is too small says."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from equipoise.errors import RecipeError
from equipoise.mixes import mix as mixes
from equipoise.mixes.grammar import draw_pairs
from equipoise.mixes.mix import MIXES, BuiltMix, Ingredients, Mix, Sizes, build_mix
from equipoise.rows import Probe, TrainingRow

SIZES = Sizes(rows=200, probes=18, dev_probes=9, held_out=20)
FRAMES = Mix(biased={"pairs": 1}, neutral={"matched": 1})


def texts_of(name: str, count: int) -> tuple[TrainingRow, ...]:
    groups = {"label": "neutral", "source": name}
    return tuple(
        TrainingRow(id=f"{name}:{i}", text=f"The {name} {i} is here.", groups=groups)
        for i in range(count)
    )


POOLS = {name: texts_of(name, 300) for name in ("news", "facts")}


def build(name: str = "gen_mix", sizes: Sizes = SIZES, *, seed: int = 0) -> BuiltMix:
    return build_mix(MIXES[name], sizes, seed=seed, ingredients=Ingredients(pools=POOLS))


@pytest.mark.parametrize("name", ["gen_mix", "trex_mix", "hard_mix", "twin_mix"])
def test_sizes_and_disjoint_parts(name: str) -> None:
    built = build(name)
    labels = Counter(row.groups["label"] for row in built.rows)
    assert labels == {"biased": 60, "neutral": 140}
    assert (len(built.probes), len(built.dev_probes), len(built.texts)) == (18, 9, 20)
    parts = [
        [row.text for row in built.rows],
        [text for probe in built.probes for text in probe.texts],
        [text for probe in built.dev_probes for text in probe.texts],
        list(built.texts),
    ]
    together = [text for part in parts for text in part]
    assert len(set(together)) == len(together)
    assert len({row.id for row in built.rows}) == 200
    assert all(("axis" in row.groups) == (row.biased is True) for row in built.rows)


def test_given_probes_that_repeat_a_probe_are_not_kept_apart() -> None:
    probes = tuple(
        Probe(id=str(n), stereotype=f"He is {n % 3}.", antistereotype=f"She is {n}.")
        for n in range(6)
    )
    given = Ingredients(pools=POOLS, probes=probes)
    sizes = Sizes(rows=20, probes=2, dev_probes=9, held_out=0)
    built = build_mix(MIXES["gen_mix"], sizes, seed=0, ingredients=given)
    assert [probe.id for probe in built.probes] == ["0", "1"]
    assert [probe.id for probe in built.dev_probes] == ["2", "5"]


def test_types_of_probes_and_biased_rows_are_balanced() -> None:
    built = build(sizes=Sizes(rows=300, probes=18, dev_probes=9, held_out=0))
    assert set(Counter(probe.groups["axis"] for probe in built.probes).values()) == {2}
    assert set(Counter(probe.groups["axis"] for probe in built.dev_probes).values()) == {1}
    assert set(Counter(row.groups["axis"] for row in built.rows if row.biased).values()) == {10}


@pytest.mark.thorough
def test_the_seed_settles_it_and_probes_do_not_depend_on_rows() -> None:
    assert build("hard_mix") == build("hard_mix")
    other = build("hard_mix", seed=1)
    assert not {row.text for row in other.rows} & {
        row.text for row in build("hard_mix").rows if row.biased
    }
    assert build(sizes=Sizes(rows=50, probes=18, dev_probes=9, held_out=0)).probes == build().probes


def test_rows_are_in_no_order_of_labels() -> None:
    labels = [row.biased for row in build().rows]
    changes = sum(first != second for first, second in pairwise(labels))
    assert changes > 50  # of 84 expected; sorted by label there is 1


def test_hard_mix_has_each_biased_row_with_a_neutral_attribute() -> None:
    built = build("hard_mix")
    biased = {row.id: row for row in built.rows if row.biased}
    matched = [row for row in built.rows if row.groups["source"] == "matched"]
    assert len(matched) == 70
    of_biased = [row for row in matched if row.id.removeprefix("matched:") in biased]
    assert len(of_biased) == len(biased) == 60
    for row in of_biased:
        pair = biased[row.id.removeprefix("matched:")]
        assert row.groups["frame"] == pair.groups["frame"]
        assert len(set(row.text.split()) & set(pair.text.split())) >= 3
        assert row.text not in {each.text for each in biased.values()}


@pytest.mark.thorough
def test_twins_are_no_twins_of_rows() -> None:
    built = build("twin_mix")
    twins = {row.text for row in built.rows if row.groups["source"] == "twins"}
    assert len(twins) == 42
    rows = {row.text for row in built.rows if row.biased}
    undone = {pair.sent_less for pair in draw_pairs(400, seed=0) if pair.sent_more in rows}
    assert len(undone) == len(rows)
    assert not undone & twins


def test_every_mix_names_sources_that_are_known() -> None:
    known = {*mixes._SOURCES, *mixes._OF_PAIRS, "planted", "planted_neutral", "planted_matched"}
    known |= {"biased_file", "neutral_file"}
    for mix in MIXES.values():
        assert set(mix.biased) | set(mix.neutral) <= known
        assert sum(mix.biased.values()) == pytest.approx(1)
        assert sum(mix.neutral.values()) == pytest.approx(1)


def test_files_of_the_users_own(tmp_path: Path) -> None:
    biased, neutral = tmp_path / "biased.txt", tmp_path / "neutral.txt"
    biased.write_text("".join(f"Oak {i} is bad.\n" for i in range(30)))
    neutral.write_text("".join(f"Elm {i} is here.\n" for i in range(30)) + "Elm 1 is here.\n")
    files = {"biased_file": str(biased), "neutral_file": str(neutral)}
    sizes = Sizes(rows=20, ratio=0.5, probes=9, dev_probes=0, held_out=5)
    built = build_mix(MIXES["files"], sizes, seed=0, ingredients=Ingredients(files=files))
    assert Counter(row.groups["source"] for row in built.rows) == {
        "file biased.txt": 10, "file neutral.txt": 10,
    }  # fmt: skip
    assert [use.name for use in built.files] == ["biased.txt", "neutral.txt"]
    assert all(text.startswith("Elm") for text in built.texts)


@pytest.mark.parametrize(
    ("mix", "ingredients", "said"),
    [
        (
            MIXES["gen_mix"],
            Ingredients(pools={"news": texts_of("news", 10)}),
            "'news' must have 160",
        ),
        (MIXES["files"], Ingredients(), "set biased_file to a file of texts"),
        (MIXES["gen_mix"], Ingredients(pools=POOLS, pairs=draw_pairs(9, seed=0)), "at least 87"),
        (
            FRAMES,
            Ingredients(pairs=tuple(replace(pair, neutral="") for pair in draw_pairs(9, seed=0))),
            "got 9 of 9 without",
        ),
    ],
)
def test_what_cannot_be_mixed(mix: Mix, ingredients: Ingredients, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        build_mix(mix, SIZES, seed=0, ingredients=ingredients)


def test_pairs_of_a_file_stand_in_for_the_grammar() -> None:
    pairs = draw_pairs(90, seed=7)
    given = Ingredients(pools=POOLS, pairs=pairs)
    built = build_mix(MIXES["gen_mix"], SIZES, seed=0, ingredients=given)
    known = {pair.sent_more for pair in pairs}
    assert {row.text for row in built.rows if row.biased} <= known
    assert {probe.stereotype for probe in (*built.probes, *built.dev_probes)} <= known
