"""Words found and put for others: by hand, for every method alike, and what holds of any text."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.group_words.counterfactuals import substitute, swapped
from equipoise.group_words.mentions import find_mentions
from equipoise.group_words.word_lists import WordLists, read_word_lists

GENDER = read_word_lists(None, ["gender"])
NAMES = read_word_lists(None, ["gender", "names"])
RACE = read_word_lists(None, ["race"])
FAITH = read_word_lists(None, ["religion"])
COUNTRY = read_word_lists(None, ["nationality"])


def put(text: str, lists: WordLists, group: str) -> str:
    mentions = find_mentions(text, lists)
    return substitute(text, mentions, [group] * len(mentions))


@pytest.mark.parametrize(
    ("text", "counterpart"),
    [
        ("Her sister saw him.", "His brother saw her."),
        ("He gave her his coat.", "She gave him her coat."),
        ("The red cup is hers, not his.", "The red cup is his, not hers."),
        ("I gave her the bag; ask her.", "I gave him the bag; ask him."),
        ("His bag is his.", "Her bag is hers."),
        ("The man told him lies", "The woman told her lies"),
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
        ("A leading lady, a Leading Man", "A leading man, a Leading Lady"),
        ("Leading men", "Leading ladies"),
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
        "5 ms after MS or ms, MISS",
        "he_man man2 he\u0301",
        "write to mother@home.org or see www.king.org/queen",
        "the Isle of Man",
        "our mother tongue",
        "leading Man",
    ],
)
def test_no_swap(text: str) -> None:
    assert swapped(text, GENDER, seed=0) is None


def test_names_are_an_axis_of_their_own() -> None:
    text = "James met Anna; james did not. MARY DID."
    assert swapped(text, GENDER, seed=0) is None
    assert swapped(text, NAMES, seed=0) == "Mary met John; james did not. JAMES DID."


@pytest.mark.parametrize(
    ("text", "group", "expected"),
    [
        ("An Asian man met two black women.", "Arab", "An Arab man met two Arab women."),
        ("all black men", "white", "all white men"),
        ("Black men", "white", "White men"),
        ("They left. Asian men came.", "white", "They left. White men came."),
        ('He said: "Asian men', "white", 'He said: "white men'),
        ("asian men", "Black", "Black men"),
        ("White people sang to white people", "Latino", "Latino people sang to Latino people"),
        ("AN ASIAN MAN", "white", "A WHITE MAN"),
        ("African-American men", "Arab", "Arab American men"),
        (
            "a white wine in a black car, Snow White",
            "Arab",
            "a white wine in a black car, Snow White",
        ),
        ("Asian food", "white", "European food"),
        ("Africans and Blacks", "Asian", "Asians and Asians"),
        ("The Latin\n American said", "Black", "The African said"),
    ],
)
def test_race_by_hand(text: str, group: str, expected: str) -> None:
    assert put(text, RACE, group) == expected


@pytest.mark.parametrize(
    ("text", "group", "expected"),
    [
        ("A Christian church", "Muslim", "A Muslim mosque"),
        ("The Christian was there", "Jewish", "The Jew was there"),
        ("He is Christian, too.", "Jewish", "He is Jewish, too."),  # no noun: no article before it
        ("Christians like churches", "Muslim", "Muslims like mosques"),
        ("Most MUSLIMS", "Jewish", "Most JEWS"),
        ("muslim, Muslim", "Sikh", "muslim, Sikh"),  # a name has its capital
        (
            "A Christian priest gave a Christian the Bible.",
            "Jewish",
            "A Jewish rabbi gave a Jew the Torah.",
        ),
    ],
)
def test_religion_by_hand(text: str, group: str, expected: str) -> None:
    assert put(text, FAITH, group) == expected


@pytest.mark.parametrize(
    ("text", "group", "expected"),
    [
        ("The Americans met a Pole.", "china", "The Chinese people met a Chinese person."),
        ("Polish shoes, to polish", "turkey", "Turkish shoes, to polish"),
        ("South African", "ukraine", "Ukrainian"),
    ],
)
def test_countries_by_hand(text: str, group: str, expected: str) -> None:
    assert put(text, COUNTRY, group) == expected


def test_user_lists_give_the_same_article_as_built_in_lists() -> None:
    """Two engines disagreed here, and only that of CAFIE was right."""
    lists = WordLists.of(
        {"axes": {"from": {"de": ["German"], "ua": ["Ukrainian"]}}},
        ["from"],
    )
    assert swapped("A German met a German.", lists, seed=0) == "A Ukrainian met a Ukrainian."
    assert put("A German met a German teacher.", COUNTRY, "ukraine") == (
        "A Ukrainian met a Ukrainian teacher."
    )


@pytest.mark.parametrize(
    ("article", "words"),
    [
        ("a", "European Ukrainian unique uniform unanimous one-eyed once-rich user usual US UN UK"),
        ("a", "Ugandan Uruguayan ubiquitous ewe horse Yemeni"),
        ("an", "Asian hour hourly heir honest honorable uncle uninvited unimportant unidentified"),
        ("an", "usher Uzbek urban onerous Eritrean American"),
    ],
)
def test_the_article_before_a_word(article: str, words: str) -> None:
    for word in words.split():
        lists = WordLists.of({"axes": {"x": {"old": ["tree"], "new": [word]}}}, ["x"])
        assert put("met a tree", lists, "new") == f"met {article} {word}"
        other = WordLists.of({"axes": {"x": {"old": ["oak"], "new": [word]}}}, ["x"])
        assert put("met\nan\noak", other, "new") == f"met\n{article}\n{word}"


@pytest.mark.parametrize(
    ("text", "group", "expected"),
    [
        ("An imam", "Jewish", "A rabbi"),
        ("A RABBI", "Muslim", "AN IMAM"),
        ("a RABBI", "Muslim", "an IMAM"),
        ("a imam", "Jewish", "a rabbi"),
        ("an rabbi", "Jewish", "a rabbi"),  # it did not agree before
        ("banana rabbi", "Muslim", "banana imam"),
        ("vitamin-a rabbi", "Muslim", "vitamin-a imam"),
    ],
)
def test_the_case_of_an_article_and_what_is_none(text: str, group: str, expected: str) -> None:
    assert put(text, FAITH, group) == expected


def test_a_mention_may_stay_as_it_is() -> None:
    text = "A mum met an uncle"
    assert substitute(text, find_mentions(text, GENDER), [None, "female"]) == "A mum met an aunt"


@pytest.mark.thorough
def test_every_built_in_word_is_found_as_its_own_group() -> None:
    axes = ("gender", "names", "race", "religion", "nationality")
    for axis in axes:
        lists = read_word_lists(None, [axis])
        document = lists.as_json
        assert isinstance(document, dict)
        for group, members in document["axes"][axis].items():  # type: ignore[index,call-overload,union-attr]
            for member in members:
                for word in (member,) if isinstance(member, str) else member:
                    listed = word.split(" [")[0]
                    (mention,) = find_mentions(f"({listed} people)", lists)
                    assert mention.group == group, word


# --- what holds of any text ----------------------------------------------------------------------

#: Words of one place alone, written as they are read: swapping back is certain.
PLAIN = (
    "he",
    "she",
    "man",
    "women",
    "heir",
    "heiress",
    "actor",
    "actress",
    "leading man",
    "menswear",
)
FILLERS = ["and", "the", "tree", ",", ".", "’s", "-", "“", "1", "é", "\n", "\n\n", "\t", " "]
SPELLED = st.sampled_from(PLAIN).flatmap(
    lambda word: st.sampled_from([word, word.capitalize(), word.upper(), word.title()])
)
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


@pytest.mark.thorough
@settings(max_examples=40)
@given(
    st.lists(st.one_of(SPELLED, st.sampled_from(FILLERS)), min_size=1, max_size=12).map(" ".join)
)
def test_swapping_gender_twice_changes_nothing(text: str) -> None:
    once = swapped(text, GENDER, seed=0)
    assert once != text
    if once is not None:
        assert swapped(once, GENDER, seed=1) == text


@pytest.mark.thorough
@settings(max_examples=50)
@given(MIXED, st.integers(0, 5))
def test_nothing_but_listed_words_and_their_articles_changes(text: str, seed: int) -> None:
    lists = read_word_lists(None, ["gender", "race", "religion"])
    mentions = find_mentions(text, lists)
    result = swapped(text, lists, seed=seed)
    assert (result is None) == (not mentions)
    if result is None:
        return
    edges = [0, *(edge for m in mentions for edge in (m.start, m.end)), len(text)]
    position = 0
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        between = text[start:end]
        article = re.search(r"(?i)(?<!\w)(an?)(\s+)$", between)
        plain = re.escape(between[: article.start()] if article else between)
        tail = rf"an?{re.escape(article[2])}" if article else ""
        match = re.compile(plain + tail, re.IGNORECASE | re.DOTALL).search(result, position)
        assert match is not None
        position = match.end()
