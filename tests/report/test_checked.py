"""Findings that say the same of several places are one row."""

from dataclasses import replace

from equipoise.conclusions import Finding
from equipoise.report.checked import gathered

ONE = Finding(check="grid", level="warning", where="a", text="3 of 5.")


def test_what_is_alike_is_told_once_with_every_place() -> None:
    other = replace(ONE, text="4 of 5.")
    error = replace(ONE, level="error")
    found = gathered([ONE, other, replace(ONE, where="b"), error, ONE])
    assert [(one.level, one.text, one.where) for one in found] == [
        ("warning", "3 of 5.", ("a", "b")),
        ("warning", "4 of 5.", ("a",)),
        ("error", "3 of 5.", ("a",)),
    ]
    assert gathered([]) == ()
