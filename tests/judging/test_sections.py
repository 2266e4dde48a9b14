"""The final section of an answer: labels as models write them, and answers without."""

import pytest

from equipoise.judging.sections import final_section


@pytest.mark.parametrize(
    ("text", "section"),
    [
        ("Explanation: It assumes much.\nDebiased Continuation: The train left at nine.", None),
        ("Explanation: It assumes. debiased continuation : The train left at nine.", None),
        ("**Debiased Continuation:** The train left at nine.", None),
        ("**Debiased Continuation**: The train left at nine.", None),
        ("## Debiased  Rewriting\nThe train left at nine.\n", None),
        ("Original Continuation: Late again.\nDebiased Rewriting: The train left at nine.", None),
        ("Debiased Continuation: The train left at nine.\n**Explanation:** It was fair.", None),
        ("Debiased Continuation: Hm.\nDebiased Continuation: The train left at nine.", None),
        ("Debiased Continuation: a < b and <i>c</i>", "a < b and <i>c</i>"),
    ],
)
def test_the_words_after_the_last_final_label(text: str, section: str | None) -> None:
    assert final_section(text) == (section or "The train left at nine.", True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The train left at nine.",
        "Explanation: It assumes that a debiased continuation is wanted, and gives none.",
        "Explanation: It assumes much.\nDebiased Continuation:",
        "Debiased Continuation: <your continuation here>",
        "Debiased Rewriting: ** **",
    ],
)
def test_without_such_a_section_it_is_the_whole_text(text: str) -> None:
    assert final_section(text) == (text, False)
