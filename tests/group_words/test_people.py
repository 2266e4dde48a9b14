"""Names of the same people: which are one, which are not, and what a user's file may say."""

from pathlib import Path

import pytest

from equipoise.associations.countries import COUNTRIES
from equipoise.data.stereoset import StereoSetItem, read_items
from equipoise.errors import DataError, RecipeError
from equipoise.group_words.people import (
    people_of,
    plural_of,
    read_aliases,
    target_people,
    target_terms,
)


@pytest.mark.parametrize(
    "names",
    [
        ("Syria", "Syrian", "Syrians", "SYRIAN", "the Syrian people"),
        ("Britain", "British", "the United Kingdom", "Brits"),
        ("Netherlands", "the Netherlands", "Dutch", "Dutch people", "Dutchman"),
        ("Eritrea", "Eritrean", "Eriteria"),
        ("Norway", "Norwegian", "Norweigan"),
        ("Colombia", "Colombian", "Columbian", "Columbia"),
        ("Sierra Leone", "Sierra Leonean", "Sierra Leon"),
        ("Puerto Rico", "Puerto Rican"),
        ("African Americans", "African-American"),
        ("Islam", "Muslim", "Muslims", "Islamic"),
        ("gentleman", "gentlemen"),
        ("she", "her", "hers", "herself"),
        ("lady", "ladies"),
        ("wife", "wives"),
        ("man", "men"),
        ("nanny", "nannies"),
        ("attorney", "attourney"),
        ("football player", "football players"),
        ("ma'am", "ma’am", "madam"),
        ("an unknown  Term", "An unknown term"),
    ],
)
def test_names_of_the_same_people(names: tuple[str, ...]) -> None:
    assert len({people_of(name) for name in names}) == 1


def test_names_alike_are_not_of_the_same_people() -> None:
    names = (
        "Niger", "Nigeria", "Guinea", "Guinea-Bissau", "Equatorial Guinea", "Papua New Guinea",
        "Congo", "Democratic Republic of the Congo", "Republic of the Congo", "Dominican",
        "Dominica", "Dominican Republic", "Korea", "North Korea", "South Korea", "Sudan",
        "South Sudan", "Ireland", "Northern Ireland", "Scotland", "Britain", "England", "Africa",
        "South Africa", "African American", "America", "Native American", "American Indian",
        "India",
        "Iran", "Persian people", "Bangladesh", "Bengali", "Arab", "Hispanic", "Muslim", "Quran",
        "he", "she", "man", "schoolboy", "boy", "prince", "princess", "policeman", "policewoman",
    )  # fmt: skip
    different = {people_of(name) for name in names}
    assert len(different) == len(names) - 1  # an American Indian is a Native American
    assert people_of("Nigerien") == people_of("Niger")
    assert people_of("Nigerian") == people_of("Nigeria")
    assert people_of("Georgian") == people_of("Georgia")  # the country's, whatever is meant


def test_every_country_is_itself() -> None:
    assert len({people_of(country.name) for country in COUNTRIES}) == len(COUNTRIES)
    for country in COUNTRIES:
        if country.adjective not in ("Congolese", "Dominican"):  # of two countries
            assert people_of(country.adjective) == people_of(country.people), country
            assert people_of(country.adjective) == people_of(country.name), country


def test_the_longest_name_in_a_text_counts() -> None:
    aliases = read_aliases()
    named = aliases.named_in("A South African's friend, the African-American nurse, met Syrians.")
    assert named == {"south africa", "african american", "nurse", "syria"}
    assert aliases.named_in("A tale of oaks.") == frozenset()
    assert aliases.named_in("A tale of oaks.", ["Oaks"]) == {"oaks"}


@pytest.mark.parametrize(
    ("word", "plural"),
    [("nurse", "nurses"), ("nanny", "nannies"), ("boss", "bosses"), ("salesman", "salesmen"),
     ("chess player", "chess players"), ("coach", "coaches"), ("boy", "boys")],
)  # fmt: skip
def test_regular_plurals(word: str, plural: str) -> None:
    assert plural_of(word) == plural


def aliases_file(folder: Path, text: str) -> str:
    (folder / "names.yaml").write_text(text)
    return str(folder / "names.yaml")


def test_a_user_s_names_come_before_the_built_in_ones(tmp_path: Path) -> None:
    file = aliases_file(tmp_path, "same:\n  Iran: [Persian]\n  Oz: [Ozzie]\nplural: [wombat]\n")
    aliases = read_aliases(file)
    assert aliases.of("Persian people") == aliases.of("Iranian") == "iran"
    assert aliases.of("Ozzie") == "oz"
    assert aliases.of("Wombats") == "wombat"
    assert people_of("Persian people") == "persia"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("same:\n  Oz: ['']\n", r"names\.yaml, same\.Oz\.0: .* got ''; an alias is a name"),
        ("same:\n  Oz: ['  ']\n", r"names\.yaml, same\.Oz\.0: "),
        ("same:\n  Oz: [Ozzie]\n  Id: [ozzie]\n", "got 'ozzie' for 'oz' and 'id'; leave it out"),
        ("plural: [wombat]\nsame:\n  Oz: [wombats]\n", "got 'wombats' for 'oz' and 'wombat'"),
        ("sam:\n  Oz: [Ozzie]\n", r"names\.yaml, sam: Extra inputs"),
        ("same: [Oz]\n", r"names\.yaml, same: "),
    ],
)
def test_wrong_names_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_aliases(aliases_file(tmp_path, text))


def test_a_file_that_is_not_there_or_is_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="a file of aliases must be a file that can be read"):
        read_aliases(str(tmp_path / "none.yaml"))
    with pytest.raises(RecipeError, match="must hold a file of aliases, got 0 documents"):
        read_aliases(aliases_file(tmp_path, ""))


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_stereoset_s_splits_share_peoples_and_no_terms() -> None:
    """Of all terms of the official test split no others are shared than of the rows at hand."""
    dev, test = read_items("dev"), read_items("test")
    assert not target_terms(dev) & target_terms(test)
    known = target_people(test)

    def shared(axis: str, task: str | None = None) -> tuple[list[StereoSetItem], int]:
        items = [
            item for item in dev
            if item.groups["axis"] == axis and task in (None, item.task)
        ]  # fmt: skip
        return [item for item in items if target_people([item]) <= known], len(items)

    counts = {
        axis: [(len(shared(axis, task)[0]), shared(axis, task)[1]) for task in
               ("intrasentence", "intersentence")]
        for axis in ("race", "religion", "gender", "profession")
    }  # fmt: skip
    assert counts == {
        "race": [(675, 962), (686, 976)],
        "religion": [(29, 79), (29, 78)],
        "gender": [(71, 255), (73, 242)],
        "profession": [(0, 810), (0, 827)],
    }
    terms = {item.groups["target"] for item in shared("race")[0]}
    assert len(terms) == 25
    assert len({item.groups["target"] for item in dev if item.groups["axis"] == "race"}) == 36
