"""Requests that cannot be answered leave the others' answers as they are."""

from collections.abc import Sequence

from equipoise.errors import RequestError
from equipoise.inference.answerable import ask_answerable


def double_small(numbers: Sequence[int]) -> list[int]:
    for index, number in enumerate(numbers):
        if number > 9:
            raise RequestError(index, f"must be at most 9, got {number}")
    return [2 * number for number in numbers]


def test_a_text_is_answered_whole_or_not_at_all() -> None:
    answers, reasons = ask_answerable(double_small, [[1, 2], [3, 10], [], [4], [11]])
    assert answers == {0: [2, 4], 3: [8]}
    assert reasons == {
        1: "the request must be at most 9, got 10",
        4: "the request must be at most 9, got 11",
    }


def test_without_requests_nothing_is_asked() -> None:
    def refuse(numbers: Sequence[int]) -> list[int]:
        raise AssertionError(numbers)

    assert ask_answerable(refuse, [[], []]) == ({}, {})
