"""The tail of an error that names what may have been meant."""

from equipoise.errors import nearest


def test_a_close_name_is_offered() -> None:
    assert nearest("sterioset", ["stereoset", "genbias"]) == "did you mean 'stereoset'?"


def test_without_a_close_name_all_are_listed_sorted() -> None:
    assert nearest("zzz", ["genbias", "facts"]) == "known: facts, genbias"
    assert nearest("zzz", []) == "known: none"
