"""What of StereoSet is learnt, what is left out, and the terms that are held out to stop on."""

import copy
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import in_world

from equipoise.benchmarks.perplexity import Perplexity
from equipoise.data.sources import reading_from
from equipoise.data.stereoset import AXES, StereoSetItem, contrast_of, read_items
from equipoise.errors import DataError, RecipeError
from equipoise.group_words.people import read_aliases, target_people
from equipoise.measure import learnt_examples
from equipoise.plugins import build, options_of
from equipoise.rows import text_sha256
from equipoise.supply.base import Supplier
from equipoise.supply.corpus import Passages
from equipoise.supply.stereoset import StereoSetSupply, learnable, refuse_shared, split_dev

LABELS = ("unrelated", "stereotype", "anti-stereotype")  # files have no fixed order


def example(id: str, target: str, axis: str, context: str, texts: tuple[str, ...]) -> Any:
    sentences = [
        {"sentence": text, "id": f"{id}-{label}", "gold_label": label}
        for text, label in zip(texts, LABELS, strict=True)
    ]
    return {
        "id": id, "target": target, "bias_type": axis, "context": context, "sentences": sentences
    }  # fmt: skip


THE_TREE = ("The tree is u.", "The tree is s.", "The tree is t.")
INTRA = example("a", "tree", "gender", "The tree is BLANK.", THE_TREE)
INTER = example("b", "lake", "race", "A lake.", ("It is u.", "It is so.", "It is not."))
EMPTY: Any = {"data": {"intrasentence": [], "intersentence": []}}
TOY: Any = {"data": {"intrasentence": [INTRA], "intersentence": [INTER]}}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "stereoset").mkdir()
    write(tmp_path, TOY)
    with reading_from(tmp_path):
        yield tmp_path


def write(folder: Path, document: Any, name: str = "dev.json") -> None:
    (folder / "stereoset" / name).write_text(json.dumps(document))


def item(
    id: str, target: str, axis: str = "gender", *, context: str = "A BLANK thing."
) -> StereoSetItem:
    sentences = tuple(f"A {target} {id} {word}." for word in "sau")
    return StereoSetItem(
        id=id,
        task="intrasentence",
        context=context,
        sentences=sentences,
        sentence_ids=tuple(f"{id}{k}" for k in range(3)),
        spans=tuple((len(sentence) - 2, len(sentence) - 1) for sentence in sentences),
        groups={"axis": axis, "target": target},
    )


def pool(terms: int, each: int) -> list[StereoSetItem]:
    return [
        item(f"{axis}-{t}-{k}", f"{axis}{t}", axis)
        for axis in AXES
        for t in range(terms)
        for k in range(each)
    ]


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 8), st.integers(1, 6), st.integers(0, 20), st.data())
def test_held_out_terms_are_not_learnt(
    terms: int, each: int, seed: int, data: st.DataObject
) -> None:
    items = pool(terms, each)
    wanted = data.draw(st.integers((each + 2) // 2, max((each + 2) // 2, terms * each // 2)))
    learnt, kept = split_dev(items, wanted, seed=seed)
    assert sorted(item.id for item in (*learnt, *kept)) == sorted(item.id for item in items)
    assert not {item.groups["target"] for item in learnt} & {item.groups["target"] for item in kept}
    for axis in AXES:
        n = sum(item.groups["axis"] == axis for item in kept)
        assert abs(n - wanted) <= each / 2  # no whole term would bring it nearer
        assert 0 < n < terms * each
    assert split_dev(items[::-1], wanted, seed=seed)[1] == kept[::-1]  # whatever the order


def test_no_held_out_terms_by_default() -> None:
    few = [item("a", "oak")]
    assert split_dev(few, 0, seed=0) == (few, [])


def test_at_least_one_term_is_held_out() -> None:
    items = [*pool(3, 9), item("one more", "gender9", "gender")]
    learnt, kept = split_dev(items, 1, seed=0)
    sizes = Counter(item.groups["axis"] for item in kept)
    assert sizes == {axis: 1 if axis == "gender" else 9 for axis in AXES}
    assert {item.groups["axis"] for item in learnt} == set(AXES)


def test_seed() -> None:
    first, second = (split_dev(pool(8, 3), 6, seed=seed)[1] for seed in (0, 1))
    assert first != second


def test_terms_of_two_types_are_not_held_out() -> None:
    both = [item(f"{axis}-both", "Both", axis) for axis in AXES]
    for seed in range(5):
        _, kept = split_dev([*both, *pool(3, 1)], 1, seed=seed)
        assert len(kept) == 4
        assert "Both" not in {item.groups["target"] for item in kept}


def test_terms_ignore_case() -> None:
    items = [
        item(f"{axis}{k}", name, axis)
        for axis in AXES
        for k, name in enumerate((f"{axis} Nut", f"{axis} nut", f"{axis} pie", f"{axis} Pie"))
    ]
    learnt, kept = split_dev(items, 2, seed=0)
    assert len(learnt) == len(kept) == 8
    assert not {item.groups["target"].casefold() for item in learnt} & {
        item.groups["target"].casefold() for item in kept
    }


@pytest.mark.parametrize(
    ("items", "got"),
    [
        (
            [item for item in pool(3, 2) if item.id not in ("race-0-0", "race-1-0")],
            "got 4 about 3",
        ),
        (
            [item for item in pool(3, 2) if item.groups["axis"] != "race"]
            + [item(f"r{k}", "one", "race") for k in range(6)],
            "got 6 about 1",
        ),
    ],
)
def test_too_few_examples_of_a_type(items: list[StereoSetItem], got: str) -> None:
    with pytest.raises(DataError, match=f"type 'race' must have 6 .* {got}; set dev_per_type"):
        split_dev(items, 3, seed=0)


def test_type_without_examples() -> None:
    items = [item for item in pool(3, 2) if item.groups["axis"] != "race"]
    with pytest.raises(DataError, match="type 'race' must have examples to learn from, got none"):
        split_dev(items, 3, seed=0)
    assert split_dev(items, 0, seed=0) == (items, [])


def test_learnable_items() -> None:
    items = [
        item("a", "oak"),
        item("b", "elm", context="A BLANK and a BLANK."),
        item("c", "ash", context="It fell.BLANK grew."),
        item("d", "fir", context="A `BLANK thing."),
        item("a", "Oak"),  # the same texts but for case
        item("e", "yew"),
    ]
    assert [item.groups["target"] for item in learnable(items)] == ["oak", "yew"]


def test_shared_terms_and_texts_are_refused() -> None:
    refuse_shared([item("a", "oak")], [item("b", "elm")])
    with pytest.raises(DataError, match=r"target terms of test .* got \['oak'\]"):
        refuse_shared([item("a", "Oak")], [item("b", "oak")])
    other = item("a", "oak")
    same = StereoSetItem(
        id="z", task=other.task, context=other.context, sentences=other.sentences,
        sentence_ids=other.sentence_ids, spans=other.spans,
        groups={"axis": "race", "target": "elm"},
    )  # fmt: skip
    with pytest.raises(DataError, match=r"texts of examples .* got \['a'\]"):
        refuse_shared([other], [same])
    many = [item(f"i{k}", f"t{k}") for k in range(10)]
    with pytest.raises(DataError, match="and 2 more; replace"):
        refuse_shared(many, many)


def test_a_people_is_never_on_both_sides() -> None:
    forms = ("Syria", "Syrians", "Peru", "Peruvian", "Norway", "Norweigan", "Niger", "Nigeria")
    items = [
        *(item for item in pool(4, 2) if item.groups["axis"] != "race"),
        *(item(f"race-{term}", term, "race") for term in forms),
    ]
    for seed in range(6):
        learnt, kept = split_dev(items, 3, seed=seed)
        assert not target_people(learnt) & target_people(kept)
        assert target_people(kept)


def test_a_user_s_names_decide_who_is_held_out_together(tmp_path: Path) -> None:
    (tmp_path / "names.yaml").write_text("same:\n  oak: [elm]\n  ash: [fir]\n")
    items = [item(f"{axis}-{tree}", tree if axis == "race" else f"{axis} {tree}", axis)
             for axis in AXES for tree in ("oak", "elm", "ash", "fir")]  # fmt: skip
    aliases = read_aliases(str(tmp_path / "names.yaml"))
    _, kept = split_dev(items, 2, seed=0, aliases=aliases)
    held_out = {item.groups["target"] for item in kept if item.groups["axis"] == "race"}
    assert held_out in ({"oak", "elm"}, {"ash", "fir"})


def test_a_contrast_begins_at_the_filler() -> None:
    contrast = contrast_of(item("a", "oak"))
    assert (contrast.context, contrast.stereotype, contrast.unrelated) == ("A oak a", " s.", " u.")


# --- the plug-in ------------------------------------------------------------------------------


def test_terms_of_dev_are_refused(folder: Path) -> None:
    write(folder, TOY, "test.json")
    with pytest.raises(DataError, match=r"must not be in dev, got \['lake', 'tree'\]"):
        StereoSetSupply().supply()


def test_texts_of_dev_are_refused(folder: Path) -> None:
    document = copy.deepcopy(TOY)
    for task in ("intrasentence", "intersentence"):
        document["data"][task][0]["target"] += " two"
    write(folder, document, "test.json")
    with pytest.raises(DataError, match=r"texts of examples .* got \['a', 'b'\]"):
        StereoSetSupply().supply()


def test_supply_joins_context_and_sentence(folder: Path) -> None:
    document = copy.deepcopy(TOY)
    for task in ("intrasentence", "intersentence"):
        document["data"][task][0]["target"] += " two"
    write(folder, document, "test.json")
    write(folder, EMPTY)
    intra, inter = StereoSetSupply(dev_per_type=0).supply().contrasts
    assert (intra.context, intra.stereotype) == ("The tree is", " s.")
    assert (inter.context, inter.unrelated) == ("A lake.", " It is u.")
    assert intra.groups["axis"] == "gender"


@pytest.mark.parametrize(
    ("context", "texts", "shared"),
    [
        ("A BLANK tree.", ("A u tree.", "A s tree.", "A t tree."), "A"),
        ("BLANK trees grow.", ("U trees grow.", "S trees grow.", "T trees grow."), ""),
        ("A BLANK tree.", ("A u tree.", "The s tree.", "A t tree."), ""),
        ("A (BLANK) tree.", ("A (u) tree.", "A (s) tree.", "A (t) tree."), "A ("),
        ("A  BLANK tree.", ("A  u tree.", "A  s tree.", "A  t tree."), "A"),
    ],
)
def test_supply_splits_texts_at_the_filler(
    folder: Path, context: str, texts: tuple[str, ...], shared: str
) -> None:
    entry = example("c", "tree", "gender", context, texts)
    items: Any = {"data": {"intrasentence": [entry], "intersentence": []}}
    write(folder, items, "test.json")
    write(folder, {"data": {"intrasentence": [], "intersentence": [INTER]}})
    supply = StereoSetSupply(dev_per_type=0).supply()
    (cut,) = supply.contrasts
    assert cut.context == shared
    assert set(supply.learnt_texts()) == set(texts)


def test_corpus_texts(folder: Path) -> None:
    write(folder, TOY, "test.json")
    write(folder, EMPTY)
    texts = [f"The river number {index} is long." for index in range(9)]
    (folder / "texts.txt").write_text("\n\n".join([*texts, texts[0]]))
    few = StereoSetSupply(dev_per_type=0, corpus=Passages(path="texts.txt", texts=4, characters=40))
    supply = few.supply()
    assert supply.texts == tuple(text for text in texts if text in supply.texts)
    assert len(supply.texts) == 4
    assert supply == few.supply()
    assert supply.texts != replace(few, supply_seed=1).supply().texts
    assert set(replace(few, corpus=Passages(path="texts.txt", texts=99)).supply().texts) == set(
        texts
    )
    assert [file.name for file in supply.files] == ["stereoset/test.json", "texts.txt"]
    assert supply.documents == tuple(map(text_sha256, supply.texts))
    assert "texts.txt, 4 of 40" in supply.origin
    assert StereoSetSupply(dev_per_type=0).supply().texts == ()


def test_passages_count_as_learnt_from_their_document(folder: Path) -> None:
    write(folder, TOY, "test.json")
    write(folder, EMPTY)
    (folder / "texts.txt").write_text("The tree is tall. It grew here.\n\nA lake is deep.")
    supply = StereoSetSupply(
        dev_per_type=0, corpus=Passages(path="texts.txt", characters=18)
    ).supply()
    assert len(supply.texts) == 3
    held = Perplexity(file="texts.txt")
    documents = held.examples("test")
    requests = [list(held.requests(document)) for document in documents]
    trained_on = frozenset(map(text_sha256, supply.texts)).union(supply.documents)
    assert len(learnt_examples(trained_on, held, documents, requests)) == 2


def test_missing_corpus(folder: Path) -> None:
    write(folder, TOY, "test.json")
    write(folder, EMPTY)
    with pytest.raises(DataError, match=r"none\.txt"):
        StereoSetSupply(dev_per_type=0, corpus=Passages(path="none.txt")).supply()


@pytest.mark.thorough
def test_planted_supply() -> None:
    with in_world("targets=40"):
        supply = StereoSetSupply().supply()
    assert len(supply.contrasts) + len(supply.dev_contrasts) == 4 * 24 * 10
    held_out = Counter(contrast.groups["axis"] for contrast in supply.dev_contrasts)
    assert held_out == dict.fromkeys(AXES, 50)
    with in_world(), pytest.raises(DataError, match="targets=40"):
        StereoSetSupply().supply()


def peoples(folder: Path) -> None:
    """Dev is about Syria, test about a Syrian and of an oak."""
    intra = example("c", "Syrian", "race", "A Syrian BLANK.", ("A Syrian u.", "A Syrian s.",
                                                               "A Syrian t."))  # fmt: skip
    oak = example("d", "oak", "race", "An oak BLANK.", ("An oak u.", "An oak s.", "An oak t."))
    syria = example("e", "Syria", "race", "Syria BLANK.", ("Syria u.", "Syria s.", "Syria t."))
    for name, items in (("test.json", [intra, oak]), ("dev.json", [syria])):
        write(folder, {"data": {"intrasentence": items, "intersentence": []}}, name)


def test_people_of_dev_are_counted_and_left_out_on_request(folder: Path) -> None:
    peoples(folder)
    both = StereoSetSupply(dev_per_type=0).supply()
    assert "people=all, 1 of 2 examples about people of dev" in both.origin
    assert [contrast.id for contrast in both.contrasts] == ["c", "d"]
    unrelated = StereoSetSupply(dev_per_type=0, people="unrelated").supply()
    assert "people=unrelated, 1 examples about people of dev left out" in unrelated.origin
    assert [contrast.id for contrast in unrelated.contrasts] == ["d"]


def test_aliases_of_a_user_are_a_file_of_the_supply(folder: Path) -> None:
    peoples(folder)
    file = folder / "names.yaml"
    file.write_text("same:\n  oak: [Syria]\n")
    supplier = StereoSetSupply(dev_per_type=0, people="unrelated", aliases=str(file))
    supply = supplier.supply()
    assert [contrast.id for contrast in supply.contrasts] == ["c"]  # which the built-in names leave
    assert supply.files == supplier.files()
    assert [used.name for used in supply.files] == ["stereoset/test.json", "names.yaml"]
    file.write_text("same:\n  oak: [Syria]\n  elm: [Syria]\n")
    with pytest.raises(DataError, match="of a single people, got 'syria' for 'oak' and 'elm'"):
        supplier.supply()


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_official_people_of_dev() -> None:
    supply = StereoSetSupply().supply()
    assert "736 of 2858 examples about people of dev" in supply.origin
    assert not target_people(supply.contrasts) & target_people(supply.dev_contrasts)
    unrelated = StereoSetSupply(people="unrelated").supply()
    assert len(unrelated.contrasts) + len(unrelated.dev_contrasts) == 2858 - 736
    learnt = target_people(unrelated.contrasts + unrelated.dev_contrasts)
    assert not learnt & target_people(read_items("dev"))
    # its religions are those of dev, whose Bible is the Christians' and whose Brahmins are Hindus
    assert "736 examples about people of dev left out, all of religion)" in unrelated.origin
    assert {axis for axis, _ in learnt} == {"gender", "profession", "race"}


def test_options() -> None:
    supplier = StereoSetSupply(
        task="intersentence", dev_per_type=7, corpus=Passages(path="x.txt", texts=3)
    )
    assert build(Supplier, "stereoset", options_of(supplier)) == supplier
    with pytest.raises(RecipeError, match="path"):
        build(Supplier, "stereoset", {"corpus": {"name": "passages", "texts": 3}})
    with pytest.raises(RecipeError, match="did you mean 'dev_per_type'"):
        build(Supplier, "stereoset", {"dev_per_typ": 3})
