"""The templates: their form, their lengths, and that they say nothing of gender."""

import re

from equipoise.data import situations
from equipoise.data.situations import Template, Term, situation

GENDERED = re.compile(
    r"\b(he|she|him|her|his|hers|himself|herself|man|men|woman|women|boy|girl|wife|husband|mother"
    r"|father|sister|brother|son|daughter|lady|sir|you|your|yours)\b",
    re.IGNORECASE,
)
PLAIN = (*situations.OWN_TEMPLATES, *situations.DAMA_TEMPLATES)
HINTS = (*situations.HINT_TEMPLATES, *situations.HINT_TEMPLATES_TRAIN)
NURSE = Term(word="nurse", score=-0.9)


def action(template: Template) -> str:
    return template.text.removeprefix("The {profession} ").removesuffix(" because")


def test_own_templates() -> None:
    scales = [template.scale for template in situations.OWN_TEMPLATES]
    assert scales == ["word"] * 3 + ["phrase"] * 3 + ["sentence"] * 3
    lengths = {scale: set[int]() for scale in scales}
    for template in situations.OWN_TEMPLATES:
        lengths[template.scale].add(len(action(template).split()))
    assert lengths["word"] == {1}
    assert lengths["phrase"] <= {2, 3, 4}
    assert all(8 <= length <= 15 for length in lengths["sentence"])


def test_dama_templates() -> None:
    assert len(situations.DAMA_TEMPLATES) == 11
    for template in situations.DAMA_TEMPLATES:
        assert re.fullmatch(r"The \{profession\} \w+ (that|because)", template.text)


def test_no_gendered_word_and_no_second_person() -> None:
    for template in (*PLAIN, *HINTS):
        assert not GENDERED.search(template.text)
        assert template.text == template.text.strip()


def test_texts_and_names_are_unique() -> None:
    texts = [template.text for template in (*PLAIN, *HINTS)]
    assert len(set(texts)) == len(texts) == 9 + 11 + 3 + 3
    for family in (situations.OWN_TEMPLATES, situations.DAMA_TEMPLATES, HINTS):
        assert len({template.name for template in family}) == len(family)


def test_situation_without_hint() -> None:
    plain = situation(NURSE, situations.OWN_TEMPLATES[0])
    assert (plain.text, plain.id, plain.hint) == ("The nurse smiled because", "smiled/nurse", 0.0)
    assert plain.groups == {"profession": "nurse", "scale": "word", "template": "smiled"}
    assert plain.score == -0.9


def test_situation_with_hint() -> None:
    his, her = (situation(NURSE, situations.HINT_TEMPLATES[0], answer=answer) for answer in (0, 1))
    assert his.text == "The nurse packed his bag and left because"
    assert (his.hint, her.hint) == (1.0, -1.0)
    assert (his.groups["hint"], her.groups["hint"]) == ("male", "female")
    assert his.id != her.id
