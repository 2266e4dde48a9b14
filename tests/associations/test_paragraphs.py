"""Paragraphs of templates: as many as asked, distinct, of all media, seeded."""

from collections import Counter
from pathlib import Path

import pytest

from equipoise.associations.association import SLOT
from equipoise.associations.load import names
from equipoise.associations.paragraphs import paragraphs
from equipoise.associations.templates import paragraph_templates
from equipoise.associations.validation import (
    MOST_SHARED,
    countries_in,
    grams_of,
    words_of,
)
from equipoise.errors import RecipeError

MEDIA = {
    "tweet", "text message", "conversation", "email", "blog post", "news article", "essay",
    "travel guide",
}  # fmt: skip


def test_templates() -> None:
    assert set(paragraph_templates().media) == MEDIA
    texts = [
        template.text
        for templates in paragraph_templates().media.values()
        for template in templates
    ]
    assert len(texts) == len(set(texts)) >= 40
    assert all("{when" in text or "{where}" in text for text in texts)


@pytest.mark.thorough
@pytest.mark.parametrize("name", names())
def test_five_hundred_of_every_built_in(name: str) -> None:
    rows = paragraphs(name)
    assert len(rows) == len({row.id for row in rows}) == 500
    sizes = [len(words_of(row.paragraph)) for row in rows]
    assert 8 <= min(sizes) <= max(sizes) <= 200
    for row in rows:
        rest = row.paragraph.replace(SLOT, "")
        assert SLOT in row.paragraph
        assert not {"{", "}"} & set(rest)
        assert countries_in(rest) == ()
        assert (row.generator, row.bias, row.seed) == ("template", name, 0)
        assert row.justification
    assert set(Counter(row.medium for row in rows).values()) == {62, 63}
    assert {row.topic for row in rows} == set(paragraph_templates().settings)
    assert {row.writing_style for row in rows} == set(paragraph_templates().styles)
    assert {row.implicitness_score for row in rows} == {1, 2, 3, 4, 5}


@pytest.mark.thorough
def test_no_two_are_nearly_alike() -> None:
    grams = [grams_of(words_of(row.paragraph), 5) for row in paragraphs("always_late", 200)]
    for index, first in enumerate(grams):
        for second in grams[:index]:
            assert len(first & second) <= MOST_SHARED * len(first | second)


def test_seeded() -> None:
    texts = [
        {row.paragraph for row in paragraphs("blue_skin", 50, seed=seed)} for seed in (3, 3, 4)
    ]
    assert texts[0] == texts[1]
    assert len(texts[0] & texts[2]) < 5


def test_own_paragraphs_come_first(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        "name: tea\nstatement: people from {target} love tea\nattribute: love tea\n"
        "being: loving tea\ntopic: tea\nanswers: [tea]\n"
        'paragraphs: ["At noon the whole of {target} puts the kettle on again."]\n'
    )
    first, second = paragraphs(str(file), 2)
    assert first.paragraph.startswith("At noon the whole of {target}")
    assert (first.generator, second.generator) == ("own", "template")
    assert first.as_prompt("p").groups == {"association": "p"}
    assert second.as_prompt("p").groups["medium"] == second.medium


def test_more_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    # each text is drawn as often as there are tries
    monkeypatch.setattr("equipoise.associations.paragraphs.Distinct.repeats", lambda *_: "twice")
    with pytest.raises(RecipeError, match=r"must be 0 at most .*got 2;"):
        paragraphs("always_late", 2)
