"""Hostile text in Markdown: what is rendered is the text, and nothing but text."""

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from equipoise.markdown import code_block, markdown_text

markdown_it = pytest.importorskip("markdown_it", reason="comes with typer's rich")


def shown(text: str) -> str:
    """The text as a reader should see it."""
    hidden = ("Cc", "Cf", "Cs", "Cn", "Zl", "Zp")
    joiners = "\u200c\u200d"
    return "".join(
        "\ufffd" if unicodedata.category(item) in hidden and item not in joiners else item
        for item in " ".join(text.split())
    )


def tokens(text: str, *, page: str = "{}\n") -> list[tuple[str, str]]:
    """Kind and content of everything that a renderer finds, paragraphs and table parts apart."""
    parser = markdown_it.MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    result = []
    for block in parser.parse(page.format(text)):
        for entry in block.children or ([block] if block.content else []):
            result.append((entry.type, entry.content))
    return result


HARD = [
    "a|b", "`x`", "``", "<script>alert(1)</script>", "&lt;", "&#60;b&#62;", "![x](y)", "[x]: y",
    "**x**", "_x_", "__x__", "a_b_c", "~~x~~", "# x", "## x", "1. x", "1) x", "- x", "+ x", "* x",
    "> x", "---", "===", "\\", "\\|", "x\\", "| a |", "a\nb", "\ta", "$x$", "=", "é_", "_é",
]  # fmt: skip


@pytest.mark.thorough
@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1) | st.text("`*_[]()<>|&#~\\!-+=1. \n$aé", min_size=1, max_size=12))
def test_any_text_reads_as_itself(text: str) -> None:
    actual = tokens(markdown_text(text))
    if not shown(text):
        assert not actual
        return
    assert all(kind in ("text", "text_special") for kind, _ in actual), (text, actual)
    assert "".join(content for _, content in actual) == shown(text)


@pytest.mark.parametrize("text", HARD)
def test_a_cell_of_a_table_stays_a_cell(text: str) -> None:
    page = "| a | b |\n| --- | --- |\n| {} | last |\n"
    outcome = tokens(markdown_text(text), page=page)
    assert all(kind in ("text", "text_special") for kind, _ in outcome), outcome
    assert "".join(content for _, content in outcome) == "ab" + shown(text) + "last"


def test_plain_names_stay_plain() -> None:
    assert markdown_text("prompt_prefix of org/gpt2@607a") == "prompt_prefix of org/gpt2@607a"
    assert markdown_text("AFGB: 0.5 (n = 3)") == "AFGB: 0.5 (n = 3)"


def test_direction_marks_are_shown() -> None:
    assert markdown_text("a\u202eb\x07\ud800") == "a\ufffdb\ufffd\ufffd"


@pytest.mark.thorough
@settings(max_examples=40, deadline=None)
@given(st.lists(st.text("`~a \n\x00", max_size=8), min_size=1, max_size=3))
@example(["```", "````"])
def test_no_line_ends_a_code_block(lines: list[str]) -> None:
    page_tokens = tokens(code_block(lines, "bash"), page="{}\n\nafter\n")
    assert [kind for kind, _ in page_tokens] == ["fence", "text"]
    shown = [line.replace("\n", "\ufffd").replace("\x00", "\ufffd") for line in lines]
    assert page_tokens[0][1] == "\n".join(shown) + "\n"
