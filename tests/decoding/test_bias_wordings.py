"""Our own prefixes and lists: enough of them, all different, none with a space at its end."""

import pytest

from equipoise.decoding.bias_wordings import SAME_TYPE, bias_prefixes, bias_type
from equipoise.errors import DataError
from equipoise.group_words.wordings import counterparts


def test_every_type_has_five_wordings_of_its_own() -> None:
    found = bias_prefixes()
    assert len(found) == 9
    every = [wording for wordings in found.values() for wording in wordings]
    assert len(set(every)) == len(every)
    assert all(len(wordings) == 5 for wordings in found.values())
    assert all(one == one.strip() and one.endswith(":") for one in every)


def test_types_have_the_names_of_both_benchmarks() -> None:
    assert bias_type("profession") == "socioeconomic"
    assert bias_type("race") == "race-color"
    assert bias_type("gender") == "gender"
    assert set(SAME_TYPE.values()) <= set(bias_prefixes())
    with pytest.raises(DataError, match=r"bias type 'gendr' has no prefix; .*gender"):
        bias_type("gendr")


def test_the_lists_name_four_axes() -> None:
    found = counterparts()
    assert isinstance(found, dict)
    assert list(found) == ["gender", "religion", "race", "nationality"]
