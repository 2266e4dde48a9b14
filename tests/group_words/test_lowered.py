"""Names in texts that have lost their capitals: read, but where the word means something else."""

import pytest

from equipoise.errors import DataError
from equipoise.group_words.counterfactuals import substitute, swapped
from equipoise.group_words.mentions import find_mentions
from equipoise.group_words.word_lists import WordLists, read_word_lists
from equipoise.records import JSON

AXES = ("religion", "gender", "race", "nationality")
LOWERED = read_word_lists(None, AXES, case="lowered")
LISTED = read_word_lists(None, AXES)


def put(text: str, group: str, lists: WordLists = LOWERED) -> str:
    mentions = find_mentions(text, lists)
    return substitute(text, mentions, [group] * len(mentions))


@pytest.mark.parametrize(
    ("text", "group", "other"),
    [
        ("People from ethiopia are kind", "peru", "People from peru are kind"),
        ("People from Ethiopia are kind", "peru", "People from Peru are kind"),
        ("She met an ethiopian man", "poland", "She met a polish man"),
        ("Ethiopian men left", "south_africa", "South African men left"),
        ("South african men left", "peru", "Peruvian men left"),
        ("He met south african men", "saudi_arabia", "He met saudi men"),
        ("She read a bible", "Muslim", "She read a quran"),
        ("He saw black men", "Asian", "He saw asian men"),
        ("HE SAW ETHIOPIA", "peru", "HE SAW PERU"),
    ],
)
def test_counterparts_keep_lower_case(text: str, group: str, other: str) -> None:
    axis = {"Muslim": "religion", "Asian": "race"}.get(group, "nationality")
    assert put(text, group, read_word_lists(None, [axis], case="lowered")) == other


@pytest.mark.parametrize(
    "text",
    [
        "He likes to polish shoes", "A pole stood there", "We ate turkey on fine china",
        "The swede is a root", "Ms. tall", "He met SouTh african men", "He met South african men",
        "white wine", "an old spider-man",
    ],
)  # fmt: skip
def test_what_is_no_name_is_not_read(text: str) -> None:
    lists = read_word_lists(None, ["race", "nationality", "religion"], case="lowered")
    assert find_mentions(text, lists) == ()


def test_by_default_a_name_needs_its_capital() -> None:
    assert find_mentions("People from ethiopia pray in a church", LISTED)[0].group == "Christian"
    assert swapped("People from ethiopia left", LISTED, seed=0) is None
    assert swapped("People from ethiopia left", LOWERED, seed=0) is not None


@pytest.mark.parametrize(
    "text", ["He met a man from peru", "He met black men", "The jewish teacher left", "A sikh sang"]
)
def test_a_set_is_that_of_each_of_its_texts(text: str) -> None:
    (mention,) = (m for m in find_mentions(text, LOWERED) if m.axis != "gender")
    groups = LOWERED.groups[mention.axis]
    texts = {substitute(text, [mention], [group]) for group in groups}
    assert text in texts
    for other in texts:
        mentions = [m for m in find_mentions(other, LOWERED) if m.axis == mention.axis]
        if mentions:  # "polish" is not read
            assert {substitute(other, mentions, [group]) for group in groups} == texts


def test_ambiguous_words_of_a_users_lists() -> None:
    lists: dict[str, JSON] = {
        "axes": {"pets": {"cats": ["Tom"], "dogs": ["Rex"]}},
        "ambiguous": ["Tom"],
    }
    assert find_mentions("tom", WordLists.of(lists, ["pets"], case="lowered")) == ()
    assert find_mentions("rex", WordLists.of(lists, ["pets"], case="lowered")) != ()
    for word in ("Max", "tom"):
        with pytest.raises(DataError, match=f"ambiguous: .*got '{word}'"):
            WordLists.of({**lists, "ambiguous": [word]}, ["pets"])
