"""Single examples as a page, their texts behind a warning."""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from equipoise.files.atomic import write_file
from equipoise.report.example_text import LONGEST_TEXT, heading, value_lines
from equipoise.report.html import page_templates, read_template
from equipoise.study.shown_examples import ShownExamples


def write_examples_page(file: Path, shown: Sequence[ShownExamples]) -> Path:
    """Write a page of the examples, whole or not at all; gives it back. Raises `StoreError`."""
    text = (
        page_templates()
        .get_template("examples.html")
        .render(
            lists=[
                (heading(each), each, [value_lines(row) for row in each.examples]) for each in shown
            ],
            style=Markup(read_template("page.css")),
            longest=LONGEST_TEXT,
        )
    )
    return write_file(file, text, what="page")
