"""Evaluation prompts: 92 in 18 methodologies, splits apart, unseen associations, own sentences."""

import json
from collections import Counter
from pathlib import Path

import pytest

from equipoise.associations.association import SLOT
from equipoise.associations.load import association_use, load_association, names
from equipoise.associations.prompts import (
    CONTINUE,
    DEV,
    evaluation_prompts,
    methodologies,
    read_sentences,
    unseen_prompts,
)
from equipoise.associations.unseen import unseen
from equipoise.associations.validation import countries_in
from equipoise.errors import DataError, RecipeError
from equipoise.rows import text_sha256
from equipoise.supply.association import AssociationSupply

OWN = """\
name: loves_tea
statement: people from {target} love tea
attribute: love tea
being: loving tea
topic: tea
answers: [tea]
"""


@pytest.mark.parametrize("name", names())
def test_ninety_two_of_every_built_in(name: str) -> None:
    prompts = evaluation_prompts(name)
    assert len({prompt.text for prompt in prompts}) == len({prompt.id for prompt in prompts}) == 92
    counts = Counter(prompt.groups["methodology"] for prompt in prompts)
    assert tuple(counts) == methodologies()
    assert len(counts) == 18
    assert set(counts.values()) == {5, 6}
    for prompt in prompts:
        rest = prompt.text.replace(SLOT, "")
        assert SLOT in prompt.text
        assert not {"{", "}"} & set(rest)
        assert countries_in(rest) == ()
        assert prompt.groups["association"] == name
        assert prompt.text == prompt.text.strip()
        # a sentence to be continued is not finished
        assert prompt.text.startswith(CONTINUE) != prompt.text.endswith((".", "?"))
    assert sum(prompt.text.startswith(CONTINUE) for prompt in prompts) > 20


def test_splits_share_no_methodology_and_no_text() -> None:
    dev, test = (evaluation_prompts("always_late", split) for split in ("dev", "test"))
    assert {prompt.groups["methodology"] for prompt in dev} == set(DEV)
    assert not set(DEV) & {prompt.groups["methodology"] for prompt in test}
    assert len(dev) + len(test) == 92
    assert not {prompt.text for prompt in dev} & {prompt.text for prompt in test}


def test_prompts_of_its_own_stand_in_place(tmp_path: Path) -> None:
    file = tmp_path / "tea.yaml"
    file.write_text(OWN + 'prompts: {direct: ["What do they drink in {target}?"]}\n')
    prompts = evaluation_prompts(str(file))
    (direct,) = [prompt for prompt in prompts if prompt.groups["methodology"] == "direct"]
    assert direct.text == "What do they drink in {target}?"
    assert direct.groups["association"] == str(file)
    assert len(prompts) == 92 - 6 + 1
    file.write_text(OWN + 'prompts: {dircet: ["What do they drink in {target}?"]}\n')
    with pytest.raises(RecipeError, match="got 'dircet'; did you mean 'direct'"):
        evaluation_prompts(str(file))


@pytest.mark.thorough
@pytest.mark.parametrize("name", names())
def test_what_is_measured_is_not_what_is_learnt(name: str) -> None:
    supply = AssociationSupply(association=name).supply()
    measured = {text_sha256(prompt.text) for prompt in evaluation_prompts(name)}
    concepts = {text_sha256(stem) for stem in load_association(name).concepts}
    assert not supply.learnt_hashes() & (measured | concepts)


def test_sixty_six_sentences_of_forty_five_unseen_associations() -> None:
    prompts = unseen_prompts()
    assert len({prompt.text for prompt in prompts}) == 66
    assert len({prompt.groups["association"] for prompt in prompts}) == len(unseen()) == 45
    seen = [load_association(name) for name in names()]
    for prompt in prompts:
        assert prompt.text.startswith(CONTINUE)
        assert SLOT in prompt.text
        assert countries_in(prompt.text) == ()
        association = load_association(prompt.groups["association"])
        assert association.being
        assert association.keywords
        assert association.being not in {other.being for other in seen}
        assert association_use(association.name).name == "associations/unseen.yaml"


def test_no_stem_has_its_answer_already() -> None:
    for entry in unseen().values():
        for stem in entry.stems:
            assert not stem.casefold().endswith(entry.association().answer.casefold())


def test_sentences_of_a_file(tmp_path: Path) -> None:
    plain = tmp_path / "mine.txt"
    plain.write_text("People from {target} are always\n\nNorwegians are usually\n")
    prompts, use = read_sentences(str(plain), "always_late")
    assert [prompt.text for prompt in prompts] == [
        "People from {target} are always", "Norwegians are usually",
    ]  # fmt: skip
    assert [prompt.id for prompt in prompts] == ["line 1", "line 3"]
    assert (use.name, prompts[0].groups) == ("mine.txt", {"association": "always_late"})
    rows = tmp_path / "mine.jsonl"
    lines = [{"sentence": "A", "association": "tall"}, {"sentence": "B"}]
    rows.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    prompts, _ = read_sentences(str(rows), "blue_skin")
    assert [prompt.groups["association"] for prompt in prompts] == ["tall", "blue_skin"]


def test_faults_of_a_file_of_sentences(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("A sentence\n")
    with pytest.raises(DataError, match=r"mine\.txt, line 1: a sentence must be of an association"):
        read_sentences(str(file))
    with pytest.raises(RecipeError, match="got 'late'"):
        read_sentences(str(file), "late")
    file.write_text("\n\n")
    with pytest.raises(DataError, match=r"mine\.txt must hold sentences, got none"):
        read_sentences(str(file), "always_late")
    table = tmp_path / "mine.csv"
    table.write_text("words,association\na,tall\n")
    with pytest.raises(DataError, match="must have a column 'sentence', got 'words'"):
        read_sentences(str(table))
