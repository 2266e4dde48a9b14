"""Our own prefixes: enough of them, all different, none with a space at its end."""

import pytest

from equipoise.decoding.bias_wordings import SAME_TYPE, bias_prefixes, bias_type
from equipoise.errors import DataError


def test_every_type_has_five_wordings_of_its_own() -> None:
    prefixes = bias_prefixes()
    assert len(prefixes) == 9
    every = [wording for wordings in prefixes.values() for wording in wordings]
    assert len(set(every)) == len(every)
    assert all(len(wordings) == 5 for wordings in prefixes.values())
    assert all(wording == wording.strip() and wording.endswith(":") for wording in every)


def test_types_have_the_names_of_both_benchmarks() -> None:
    assert bias_type("profession") == "socioeconomic"
    assert bias_type("race") == "race-color"
    assert bias_type("gender") == "gender"
    assert set(SAME_TYPE.values()) <= set(bias_prefixes())
    with pytest.raises(DataError, match=r"bias type 'gendr' has no prefix; .*gender"):
        bias_type("gendr")
