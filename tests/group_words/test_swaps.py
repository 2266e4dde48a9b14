"""Swapped texts: sentences of our own by hand, and what holds of any text."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.errors import DataError
from equipoise.group_words.swap_lists import read_swap_lists
from equipoise.group_words.swap_rows import Row, Swaps
from equipoise.group_words.swaps import exchanged, mentions, partners, swapped

LISTS = read_swap_lists()
GENDER = LISTS.chosen("gender")
WITH_NAMES = LISTS.chosen("gender", "names")
GROUPS = LISTS.chosen("race", "religion")


def own(*rows: tuple[str, ...] | Row, **more: object) -> Swaps:
    made = [
        one if isinstance(one, Row) else Row(words=tuple((word,) for word in one)) for one in rows
    ]
    given: dict[str, object] = {"axis": "own", "groups": ("one", "two"), "rows": tuple(made)}
    return Swaps(**(given | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "counterpart"),
    [
        ("Her sister saw him.", "His brother saw her."),
        ("He gave her his coat.", "She gave him her coat."),
        ("The red cup is hers, not his.", "The red cup is his, not hers."),
        ("She hurt herself.", "He hurt himself."),
        ("HE KNOWS HER FATHER.", "SHE KNOWS HIS MOTHER."),
        ("“He’s her uncle,” said she.", "“She’s his aunt,” said he."),
        ("The men's room; the boys' coats", "The women's room; the girls' coats"),
        ("Mr. Hill and Mrs. Lake", "Ms. Hill and Mr. Lake"),
        ("Ask his/her doctor (he or she).", "Ask her/his doctor (she or he)."),
        ("His or her turn; him or her", "Her or his turn; her or him"),
        ("My father-in-law, an ex-king", "My mother-in-law, an ex-queen"),
        ("Yes, ma'am. Yes, Ma’am.", "Yes, sir. Yes, Sir."),
        ("My mum and my mom", "My dad and my dad"),
        ("Tell\ther\n the  news.", "Tell\thim\n the  news."),
        ("A leading lady, a leading man", "A leading man, a leading lady"),
        ("The fiancée's ring", "The fiancé's ring"),
        ("he\nHe", "she\nShe"),
    ],
)
def test_gender_by_hand(text: str, counterpart: str) -> None:
    assert swapped(text, GENDER, seed=0) == counterpart


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Nobody is named here.",
        "The theme of the ashes",  # "he", "she", "her" inside words
        "hE said",
        "5 ms after MS or ms",
        "he_man man2 he\u0301",
        "write to mother@home.org or see www.king.org/queen",
        "the Isle of Man",
        "our mother tongue",
    ],
)
def test_nothing_to_swap(text: str) -> None:
    assert swapped(text, GENDER, seed=0) is None


def test_names_are_a_list_of_their_own() -> None:
    text = "James met Anna; james and MARY did not."
    assert swapped(text, GENDER, seed=0) is None
    assert swapped(text, WITH_NAMES, seed=0) == "Mary met John; james and MARY did not."
    assert swapped("Mary saw her.", WITH_NAMES, seed=0) == "James saw him."


def test_a_partner_for_each_group() -> None:
    race = LISTS.axes["race"]
    text = "An Asian man met two black women, a Latina girl and the Europeans in a black car."
    to = {"Asian": "black", "black": "Arab", "Latino": "white", "white": "Asian", "Arab": "Latino"}
    assert exchanged(text, mentions(text, [race]), {"race": to}) == (
        "A black man met two Arab women, a white girl and the Asians in a black car."
    )
    religion = LISTS.axes["religion"]
    text = "A Christian priest gave a Christian the Bible; he is Christian, too."
    to = {"Christian": "Jewish"}
    assert exchanged(text, mentions(text, [religion]), {"religion": to}) == (
        "A Jewish rabbi gave a Jew the Torah; he is Jewish, too."
    )
    assert exchanged(text, mentions(text, [religion]), {}) == text


def test_axes_together_and_the_longest_entry_first() -> None:
    found = mentions("The priest, an African American, saw South Africa.", [*GROUPS, *GENDER])
    assert [(one.swaps.axis, one.group, one.listed) for one in found] == [
        ("religion", "Christian", "priest"),
        ("race", "black", "African American"),
    ]
    assert [mention.swaps.axis for mention in mentions("The priest", [*GENDER, *GROUPS])] == [
        "gender"
    ]


def test_partners_are_other_groups_each_once_and_all_alike_likely() -> None:
    religion = LISTS.axes["religion"]
    seen = [partners(religion, f"text {index}", seed=0) for index in range(600)]
    for one in seen:
        assert set(one) == set(one.values()) == set(religion.groups)
        assert all(group != other for group, other in one.items())
    counts = [sum(one["Muslim"] == group for one in seen) for group in religion.groups]
    assert counts[religion.groups.index("Muslim")] == 0
    assert min(count for count in counts if count) > 80  # 120 expected, deviation 9.8
    assert partners(religion, "text 0", seed=1) != partners(religion, "text 0", seed=0)


def test_every_built_in_list_is_of_use() -> None:
    assert len(LISTS.axes["gender"].rows) >= 57
    assert set(LISTS.axes) == {"gender", "names", "race", "religion"}
    for row in LISTS.axes["gender"].rows:  # so that an "a" before one stays, but for an earl
        cells = [word.lower() for cell in row.words for word in cell]
        vowels = {re.match("[aeiou]|heir", word) is not None for word in cells}
        assert len(vowels) == 1 or cells[0] in ("earl", "earls")


# --- what holds of any text ----------------------------------------------------------------------

#: Words of one row alone, each written as it is read: swapping back is certain.
PLAIN = sorted(
    {
        cell[0]
        for row in GENDER[0].rows
        for cell in row.words
        if row.use is None and not row.exact and all(len(word) == 1 for word in row.words)
    }
    - {"his", "him", "her", "hers"}
)
FILLERS = ["and", "the", "tree", ",", ".", "’s", "-", "“", "1", "é", "\n", "\n\n", "\t", " "]
SPELLED = st.sampled_from(PLAIN).flatmap(
    lambda word: st.sampled_from([word, word.capitalize(), word.upper()])
)
TEXTS = st.lists(st.one_of(SPELLED, st.sampled_from(FILLERS)), min_size=1, max_size=12).map(
    " ".join
)


def layout(text: str) -> list[str]:
    return re.findall(r"\s+", text)


@given(TEXTS)
def test_swapping_gender_twice_changes_nothing(text: str) -> None:
    once = swapped(text, GENDER, seed=0)
    assert once != text
    if once is not None:
        assert swapped(once, GENDER, seed=1) == text
    else:
        assert not set(re.findall(r"\w+", text.lower())) & set(PLAIN)


def kept(text: str, lists: Sequence[Swaps]) -> list[str]:
    """What stands between the mentions, without an article before one."""
    found = mentions(text, lists)
    ends = [0, *(one.end for one in found)]
    starts = [*(one.start for one in found), len(text)]
    return [text[a:b] for a, b in zip(ends, starts, strict=True)]


MIXED = st.lists(
    st.one_of(
        SPELLED,
        st.sampled_from(
            ["her", "His", "him", "Asian men", "a Jew", "Muslims", "an Arab", "church"]
        ),
        st.text(max_size=5),
        st.sampled_from(FILLERS),
    ),
    max_size=12,
).map(" ".join)


@given(MIXED, st.integers(0, 5))
def test_nothing_but_listed_words_and_their_articles_changes(text: str, seed: int) -> None:
    lists = [*GENDER, *GROUPS]
    found = mentions(text, lists)
    result = swapped(text, lists, seed=seed)
    assert (result is None) == (not found)
    if result is None:
        return
    at = 0
    for part in kept(text, lists):
        article = re.search(r"(?i)(?<!\w)(an?)(\s+)$", part)
        plain = re.escape(part[: article.start()]) if article else re.escape(part)
        tail = rf"an?{re.escape(article[2])}" if article else ""
        match = re.compile(plain + tail, re.IGNORECASE | re.DOTALL).search(result, at)
        assert match is not None
        at = match.end()
    if all(" " not in word for one in found for cell in one.row.words for word in cell):
        assert layout(result) == layout(text)


@given(st.lists(MIXED, max_size=4), st.integers(0, 3))
def test_a_text_is_swapped_alike_in_any_company(texts: list[str], seed: int) -> None:
    forward = {text: swapped(text, GROUPS, seed=seed) for text in texts}
    backward = {text: swapped(text, GROUPS, seed=seed) for text in reversed(texts)}
    assert forward == backward


# --- lists that cannot be -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "more", "sentence"),
    [
        ([("he", "")], {}, "must begin and end with a letter and have single spaces, got ''"),
        ([("he", " she")], {}, "single spaces, got ' she'"),
        ([("Mr.", "Ms")], {}, r"got 'Mr\.'; leave out what stands around it"),
        ([("old  man", "lady")], {}, "single spaces, got 'old  man'"),
        ([("he", "she"), ("him", "SHE")], {}, "row 2: a word must be listed once.*got 'SHE' again"),
        ([("guys", "guys")], {}, "got 'guys' again"),
        ([("old age", "old-age")], {}, "more than hyphens, got 'old age' .* and 'old-age' for"),
        ([("old-age", "x"), ("y", "Old age")], {}, "got 'old-age' for .* and 'Old age' for"),
        ([("he", "she", "they")], {}, "must have a word for each of the 2 groups, got 3"),
        ([Row(words=(("he",), ()))], {}, "a group must have a word"),
        ([("he", "she")], {"groups": ("one",)}, r"at least two groups.*got \['one'\]"),
        ([("he", "she")], {"groups": ("one", "one")}, "with different names"),
        ([("he", "she")], {"groups": ("one", " ")}, "with different names"),
        ([("he", "she")], {"unchanged": ("He",)}, "exchanged or unchanged, got 'He' again"),
        ([("he", "she")], {"unchanged": ("a b", "A b")}, "unchanged, got 'A b' again"),
        ([("he", "she")], {"unchanged": ("",)}, "must begin and end with a letter.*got ''"),
        ([("ma'am", "sir"), ("ma’am", "lord")], {}, "row 2: a word must be listed once"),
        ([Row(words=(("a",), ("b",)), use="person")], {}, "use 'person' needs persons, got none"),
    ],
)
def test_lists_that_cannot_be(
    rows: list[tuple[str, ...] | Row], more: dict[str, object], sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        own(*rows, **more)


def test_a_list_of_ones_own() -> None:
    lists = [own(("cat", "dog"), ("house cat", "guard dog"), unchanged=("hot dog",))]
    assert swapped("A house cat ate a hot dog; Cats", lists, seed=0) == (
        "A guard dog ate a hot dog; Cats"
    )
    assert swapped("o'cat, O’cat", [own(("o’cat", "dog"))], seed=0) == "dog, Dog"
    assert swapped("a house\n\ncat", lists, seed=0) == "a house\n\ndog"
