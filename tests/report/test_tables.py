"""Tables for readers: a row for every number, in text and in Markdown."""

from dataclasses import replace

from equipoise.conclusions import Comparison
from equipoise.report.sentences import sentence
from equipoise.report.tables import (
    comparison_table,
    comparison_text,
    markdown,
    measurement_table,
    measurement_text,
    plain,
)


def test_tables_have_a_row_for_every_number(reduced: Comparison) -> None:
    table = comparison_table(reduced)
    assert len(table.rows) == 3 * 3
    assert len(comparison_table(reduced, groups=False).rows) == 3
    share = table.rows[0]
    assert share[:2] == ("share", "overall")
    assert share[2].startswith("90.0 [")
    assert share[-1] == "reduced"
    values = measurement_table(reduced.before)
    assert len(values.rows) == 9
    assert values.rows[0][5:] == ("60", "60")


def test_plain_columns_line_up_and_markdown_escapes_bars(reduced: Comparison) -> None:
    table = comparison_table(reduced)
    lines = plain(table).splitlines()
    assert len(lines) == 2 + len(table.rows)
    place = lines[0].index("direction")
    assert all(line[place - 1] == " " and line[place] != " " for line in lines)
    text = markdown(table)
    assert "kind even\\|kind" in text
    bars = {line.replace("\\|", "").count("|") for line in text.splitlines()}
    assert bars == {len(table.header) + 1}


def test_terminal_gets_the_verdict_first_and_no_control_codes(reduced: Comparison) -> None:
    text = comparison_text(reduced, groups=False)
    assert text.index(sentence(reduced.change("share"), "toy")[4:]) < text.index("metric")
    assert "note: 6 rows of groups are not shown" in text
    hostile = replace(reduced.before, model="gpt2\x1b[2J\u202e")
    assert "gpt2␛[2J⟨U+202E⟩" in measurement_text(hostile)
    assert "\x1b" not in measurement_text(hostile)
