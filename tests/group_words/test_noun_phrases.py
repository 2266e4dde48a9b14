"""Whether a noun phrase follows: sentences of our own, by hand, and what the rule gets wrong."""

import re

import pytest

from equipoise.group_words.noun_phrases import is_count_noun, precedes_noun_phrase, precedes_people

#: "her" is "his" here.
DETERMINERS = (
    "Her coat hung by the door.",
    "She folded her letter twice.",
    "We met her two cousins.",
    "I borrowed her old bicycle.",
    "The cat sat on her lap.",
    "They repaired her newly painted fence.",
    "Nobody read her very long report.",
    "He praised her first novel.",
    "She lost her way in the fog.",
    "She did her best.",
    "They thanked her elderly neighbor.",
    "I admire her calm manner.",
    "She raised her hand.",
    "He fed her hungry dog.",
    "She told her son a story.",
    "I gave her brother the keys.",
    "He called her mother at noon.",
    "They let her dog out.",
    "I saw her painting in the hall.",
    "We found her building easily.",
    "She hurt her back.",
    'She closed her "secret" notebook.',
    "Each of her 12 students passed.",
    "It was against her will.",
    "With all her might she pulled.",
    "They sold her family's farm.",
    "He asked her opinion.",
    "She wore her favorite red scarf.",
    "I know her only sister.",
    "It is her own fault.",
    "Her being late surprised us.",
    "He heard her footsteps.",
    "In her early years she sailed.",
    "She broke her right arm.",
    "I made her bed.",
    "They watched her performance.",
)
#: "her" is "him" here.
OBJECTS = (
    "I saw her.",
    "We thanked her for the soup.",
    "He told her the truth.",
    "They let her go.",
    "She asked me to help her carry the boxes.",
    "I heard her laughing.",
    "They found her sleeping under a tree.",
    "He gave her a pear.",
    "Nobody believed her, so she left.",
    "I met her yesterday.",
    "We called her Anna.",
    "I want her back.",
    "He drove her home.",
    "It made her happy.",
    "The news made her very sad.",
    "We left her alone.",
    "He looked at her kindly.",
    "They paid her well.",
    "I told her that we won.",
    "He gave her money for the bus.",
    "She had a bag with her when she left.",
    "The man beside her smiled.",
    "I promised her flowers.",
    "We showed her everything.",
    "Ask her why.",
    "I know her and her sister.",
    "Was it her?",
    "He saw her leave.",
    'I told her "Come in".',
    "We picked her up at nine.",
    "He loves her more than I do.",
    "People around her were singing.",
    "The song reminded her of home.",
    "They watched her walk away.",
    "I saw her last night.",
    "She let him kiss her once.",
    "The boy behind her shouted.",
    "We followed her into the barn.",
)
#: "him" to a reader, "his" by the rule: neighbors do not tell.
MISTAKEN = (
    "Give her time to think.",
    "They elected her president.",
    "Beside her crowds cheered.",
    "Nobody would marry her regardless of it.",
)


def span(text: str, word: str) -> tuple[int, int]:
    match = re.search(rf"\b{word}\b", text, re.IGNORECASE)
    assert match is not None
    return match.span()


def test_her_is_a_determiner_before_a_noun_phrase_and_else_an_object() -> None:
    texts = (*DETERMINERS, *OBJECTS, *MISTAKEN)
    determiners = [text for text in texts if precedes_noun_phrase(text, *span(text, "her"))]
    assert determiners == [*DETERMINERS, *MISTAKEN]


@pytest.mark.parametrize(
    ("text", "determiner"),
    [
        ("His hat is blue.", True),
        ("He did his best.", True),
        ("Despite his being late we began.", True),
        ("He reached for his $5 ticket.", True),
        ("He hit the ball with his right.", True),
        ("The blue hat is his.", False),
        ("His was the last name on the list.", False),
        ("A friend of his told me.", True),  # mistaken: "told" is no word of rule 2
        ("A friend of his came to tea.", False),
        ("Her hand touched his, and she smiled.", False),
        ("The choice was his\n\nChapter two", False),
        ("It was his\nhat.", True),
    ],
)
def test_his(text: str, determiner: bool) -> None:
    assert precedes_noun_phrase(text, *span(text, "his")) is determiner


@pytest.mark.parametrize(
    ("text", "noun"),
    [
        ("She is a Muslim.", True),
        ("He met the young Muslim and left.", True),
        ("They are Muslim.", False),
        ("The Muslim teacher spoke.", False),
        ("It is a mostly Muslim town.", False),
        ("Muslim and proud.", False),
    ],
)
def test_count_nouns(text: str, noun: bool) -> None:
    assert is_count_noun(text, *span(text, "Muslim")) is noun


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("Asian men sang.", True),
        ("Asian and other men sang.", True),
        ("Asian old rich men sang.", True),
        ("Asian food for men.", False),
        ("Asian, men", False),
        ("Asian", False),
    ],
)
def test_words_for_people_near_by(text: str, holds: bool) -> None:
    assert precedes_people(text, span(text, "Asian")[1]) is holds


@pytest.mark.parametrize("text", ["I took her", "I took her ", "It is his"])
def test_at_the_end_of_an_unfinished_text_a_noun_phrase_is_expected(text: str) -> None:
    place = span(text, "her|his")
    assert precedes_noun_phrase(text, *place, unfinished=True)
    assert not precedes_noun_phrase(text, *place)
    assert not precedes_noun_phrase(text + ".", *place, unfinished=True)


def test_nouns_in_an_unfinished_text() -> None:
    assert not is_count_noun("She is a Muslim", *span("She is a Muslim", "Muslim"), unfinished=True)
    assert is_count_noun("She is a Muslim", *span("She is a Muslim", "Muslim"))
