"""Which groups take whose place: partners of a text, and sets that are the same for each member."""

from collections.abc import Iterator, Sequence
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.group_words.counterfactuals import counterfactual_set, partners, substitute, swapped
from equipoise.group_words.mentions import find_mentions
from equipoise.group_words.word_lists import WordLists, read_word_lists

AXES = ("religion", "gender", "race", "nationality")
LISTS = read_word_lists(None, AXES)
GROUPS = read_word_lists(None, ["race", "religion"])


def set_of(
    text: str, lists: WordLists = LISTS, *, most: int | None = None, seed: int = 0
) -> list[str]:
    """The texts of a set, the text itself first; alone where it names no group."""
    mentions = find_mentions(text, lists, unfinished=True)
    if not mentions:
        return [text]
    members = counterfactual_set(mentions, lists, most=most, seed=seed)
    return [substitute(text, mentions, groups) for groups in members]


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("He said the man left.", "She said the woman left."),
        ("I saw her and took her bag.", "I saw him and took his bag."),
        ("I took her", "I took his"),  # what follows is not known yet
        ("I saw him", "I saw her"),
        ("My mum", "My dad"),
        ("Mrs Hill and MR", "Mr Hill and MR"),
    ],
)
def test_gender_by_hand(text: str, other: str) -> None:
    assert set_of(text)[1:] == [other]


def test_the_text_itself_is_written_as_the_lists_write_it() -> None:
    assert set_of("My mum")[0] == "My mom"
    assert set_of("all black men")[0] == "all Black men"
    assert set_of("the African-American")[0] == "the African American"


def test_words_of_an_axis_are_swapped_together_and_axes_combine() -> None:
    faiths = read_word_lists(None, ["religion"])
    assert "A Jew and Hindus." in set_of("A Muslim and Jews.", faiths)
    assert len(set_of("A Muslim and Jews.", faiths)) == 6
    assert len(set(set_of("The Native American woman"))) == 2 * 6
    assert "The Arab men" in set_of("The Native American women")


# --- the same set from each member ----------------------------------------------------------------


def built_in() -> Iterator[tuple[str, str, int]]:
    """Axis, word and place of every word of the lists."""
    axes = LISTS.as_json["axes"]  # type: ignore[call-overload,index]
    for axis, groups in axes.items():  # type: ignore[union-attr]
        for members in groups.values():  # type: ignore[union-attr]
            for place, member in enumerate(members):  # type: ignore[arg-type]
                for word in (member,) if isinstance(member, str) else member:
                    yield axis, word.partition(" [")[0], place


#: Words that stand at two places of their group: what they mean depends on what is around them.
TWICE = {
    listed
    for axis, listed, _ in built_in()
    if sum((axis, listed) == (other, word) for other, word, _ in built_in()) > 1
}
#: Words that only one of two such places has, so that their counterparts are among the above.
PARTNERS = {"him", "hers", "Jew", "Jewish", "Islamic", "Judaic", "Blacks", "Whites"}
PARTNERS |= {"African", "European", "Latin American", "Middle Eastern", "Black", "white"}
PARTNERS |= {word for axis, word, _ in built_in() if axis == "nationality"}
TEMPLATES = (
    "{}",
    "We saw the {} today.",
    "They met a {} woman who",
    "The {} people were",
    "It is {}'s",
    "WHAT THE {} SAID",
)


@cache
def as_set(text: str, axis: str, most: int | None = None) -> frozenset[str]:
    return frozenset(set_of(text, read_word_lists(None, [axis]), most=most))


@pytest.mark.thorough
@pytest.mark.parametrize(
    "turns", [1, *(pytest.param(k, marks=pytest.mark.slow) for k in range(2, 7))]
)
def test_sets_are_closed_for_every_word_of_one_sense(turns: int) -> None:
    """Every word in one of the sentences; the slow turns put it into each other one."""
    count = 0
    for axis, word, place in built_in():
        if word in TWICE | PARTNERS:
            continue
        template = TEMPLATES[(place + turns) % len(TEMPLATES)]
        text = template.format(word.upper() if template.isupper() else word)
        members = as_set(text, axis)
        assert all(as_set(member, axis) == members for member in members), text
        count += 1
    assert count > 500


@pytest.mark.parametrize(
    ("axis", "text"),
    [
        *(("gender", text) for text in ("He took her", "I saw her.", "It is hers.", "his bag was")),
        *(("gender", text) for text in ("I saw him yesterday.", "The bag is his and")),
        *(("religion", text) for text in ("A Jew said", "The Jewish teacher", "Islamic law is")),
        *(("religion", text) for text in ("They are Judaic.", "THE JEWS SAID", "A Muslim was")),
        *(("race", text) for text in ("all black men", "Middle Eastern food", "An Asian is")),
        *(("race", text) for text in ("Native American women", "old Hispanic and white men")),
        *(("nationality", text) for text in ("An American said", "The Polish team", "from Peru")),
    ],
)
def test_sets_are_closed_where_the_context_disambiguates(axis: str, text: str) -> None:
    members = as_set(text, axis)
    assert len(members) == len(LISTS.groups[axis])
    assert all(as_set(member, axis) == members for member in members)


@pytest.mark.parametrize(
    ("text", "member", "other"),
    [
        ("I saw him", "I saw her", "I saw his"),
        ("The man told him lies", "The woman told her lies", "The man told his lies"),
        ("the Jewish today", "the Muslim today", "the Jew today"),
        ("all Blacks", "all Asians", "all Africans"),
    ],
)
def test_sets_may_differ_for_a_word_of_two_senses(text: str, member: str, other: str) -> None:
    """Known, and said in docs/methods/cafie.md."""
    assert member in set_of(text)
    assert other in set_of(member)
    assert other not in set_of(text)


#: Words in several cases, some of which begin like others or have two parts.
WORDS = ("bo", "Bogo", "co", "du co", "du", "Fi ha", "ek")
SHOWN = ("a", "An", *WORDS, *map(str.upper, WORDS), *map(str.capitalize, WORDS))


@pytest.mark.thorough
@given(
    st.permutations(WORDS),
    st.lists(st.sampled_from([*SHOWN, ".", "was"]), max_size=6),
    st.sampled_from([None, 2]),
)
@settings(max_examples=60, derandomize=True)
def test_sets_are_closed_for_any_lists(
    words: Sequence[str], parts: Sequence[str], most: int | None
) -> None:
    first = {group: [word] for group, word in zip("xyz", words[:3], strict=True)}
    second = {group: [word] for group, word in zip("uv", words[3:5], strict=True)}
    lists = WordLists.of({"axes": {"a": first, "b": second}}, ["a", "b"])
    text = " , ".join(parts)  # so that neighbors never make a phrase
    members = set(set_of(text, lists, most=most))
    for member in members:
        assert set(set_of(member, lists, most=most)) == members


# --- large sets ----------------------------------------------------------------------------------


def test_a_large_set_is_cut_into_blocks_that_are_sets_themselves() -> None:
    every = set_of("The Kenyan team")
    blocks = {frozenset(set_of(text, most=5)) for text in every}
    assert sum(map(len, blocks)) == len(every) == 47
    assert {len(block) for block in blocks} == {5, 6}
    assert all(frozenset(set_of(text, most=5)) == block for block in blocks for text in block)


def test_the_blocks_come_from_the_seed() -> None:
    sets = [set(set_of("The Kenyan team", most=5, seed=seed)) for seed in (0, 0, 1)]
    assert sets[0] == sets[1] != sets[2]


@pytest.mark.parametrize("most", [1, 2, 3, 4, 5, 6])
def test_no_text_has_more_counterfactuals_than_allowed(most: int) -> None:
    for text in ("All Sikhs", "All Jewish women", "The Kenyan"):
        texts = set_of(text, most=most)
        assert 2 <= len(texts) == len(set(texts)) <= 1 + most
        assert texts[0] == text


# --- partners of a text ---------------------------------------------------------------------------


@pytest.mark.thorough
def test_partners_are_other_groups_with_equal_probability() -> None:
    groups = GROUPS.groups["religion"]
    drawn = [partners("religion", groups, f"text {index}", seed=0) for index in range(600)]
    for partner in drawn:
        assert set(partner) == set(partner.values()) == set(groups)
        assert all(group != other for group, other in partner.items())
    counts = [sum(partner["Muslim"] == group for partner in drawn) for group in groups]
    assert counts[list(groups).index("Muslim")] == 0
    assert min(count for count in counts if count) > 80  # 120 expected, deviation 9.8
    assert partners("religion", groups, "text 0", seed=1) != drawn[0]


@pytest.mark.thorough
@settings(max_examples=30)
@given(st.lists(st.sampled_from(["Asian men", "a Jew", "an Arab", "church", "and"]), max_size=6))
def test_swaps_do_not_depend_on_the_order_of_texts(parts: list[str]) -> None:
    texts = [" ".join(parts[:size]) for size in range(len(parts) + 1)]
    forward = {text: swapped(text, GROUPS, seed=0) for text in texts}
    backward = {text: swapped(text, GROUPS, seed=0) for text in reversed(texts)}
    assert forward == backward
