"""The table of countries: whole, without repetition, and found by any form."""

import re

import pytest

from equipoise.associations.countries import COUNTRIES, all_names, find_country, names_of


def test_table() -> None:
    names = [country.name for country in COUNTRIES]
    assert len(names) == len(set(names)) == 197  # 193 members, 2 observers, Kosovo and Taiwan
    for country in COUNTRIES:
        forms = (country.name, country.adjective, country.person, country.people, *country.others)
        assert all(re.fullmatch(r"\S.*\S", form) for form in forms), country
        assert not country.name.startswith("the ")
        assert len(set(country.others)) == len(country.others), country
        assert not {country.name, country.adjective} & set(country.others), country


@pytest.mark.parametrize(
    ("name", "country"),
    [
        ("Norway", "Norway"), ("norwegians", "Norway"), ("Dutch", "Netherlands"),
        ("the Netherlands", "Netherlands"), ("Holland", "Netherlands"), ("USA", "United States"),
        ("Guinea", "Guinea"), ("Dominican", "Dominica"), ("Congo", "Republic of the Congo"),
        ("Côte d'Ivoire", "Ivory Coast"), ("Burma", "Myanmar"), ("the Vatican", "Vatican City"),
    ],
)  # fmt: skip
def test_found_by_any_form(name: str, country: str) -> None:
    found_country = find_country(name)
    assert found_country is not None
    assert found_country.name == country


def test_every_name_finds_its_own_country() -> None:
    assert [country.name for country in COUNTRIES if find_country(country.name) != country] == []


def test_names_longest_first() -> None:
    names = names_of("Netherlands")
    assert names[0] == "the Netherlands"
    assert {"Netherlands", "Dutch", "Dutch people", "Dutchman", "Holland"} <= set(names)
    assert [len(name) for name in names] == sorted(map(len, names), reverse=True)
    assert names_of("dutch")[-1] in ("Dutch", "dutch")
    assert names_of("<BiasToken>") == ("<BiasToken>",)
    assert set(names_of("Norway")) == {"Norway", "Norwegian", "Norwegians"}


@pytest.mark.parametrize(
    ("plural", "singular"),
    [
        ("bakers", "baker"),
        ("Women", "Woman"),
        ("nannies", "nanny"),
        ("wives", "wife"),
        ("old people", "old person"),
        ("waitresses", "waitress"),
        ("nurses", "nurse"),
    ],
)
def test_a_plural_that_is_no_country_brings_its_singular(plural: str, singular: str) -> None:
    assert {plural, singular} <= set(names_of(plural))
    assert names_of(singular) == (singular,)


def test_all_names() -> None:
    names = all_names()
    assert len(names) > 600
    assert len(names[0]) >= len(names[-1])
