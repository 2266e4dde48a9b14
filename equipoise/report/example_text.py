"""Single examples as plain text."""

import math

from equipoise.conclusions import model_title, title_of
from equipoise.number_text import group_name, numbers
from equipoise.report.formatting import clipped, visible
from equipoise.study.shown_examples import ShownExample, ShownExamples

LONGEST_TEXT = 2000  # characters of a text in a terminal


def examples_text(shown: ShownExamples, *, texts: bool) -> str:
    """Of each example its id, groups and values, and the texts where they are wanted."""
    lines = [heading(shown)]
    for row in shown.examples:
        lines += ["", f"{visible(row.example)}: {visible(group_name(row.groups))}"]
        lines.append(f"  {', '.join(value_lines(row))}")
        if texts:
            lines += [f"  asked: {_one_line(text)}" for text in row.texts]
            for side, wrote in (("wrote before", row.wrote_before), ("wrote", row.wrote)):
                lines += [] if wrote is None else [f"  {side}: {_one_line(wrote)}"]
    return "\n".join(lines)


def heading(shown: ShownExamples) -> str:
    """What is listed: "stereoset, gpt2: 10 of 2,106 examples by margin"."""
    measurement = shown.measurement
    left_out = f", {shown.without:,} without it left out" if shown.without else ""
    return (
        f"{title_of(measurement)}, {visible(model_title(measurement))}: "
        f"{len(shown.examples)} of {shown.of:,} examples by {shown.order}{left_out}"
    )


def value_lines(row: ShownExample) -> list[str]:
    """The values of an example that it has; "before → after" where there are two."""
    lines = []
    for name, value in row.values.items():
        if row.before is not None:
            was, now = numbers(row.before.get(name, math.nan), value)
            lines.append(f"{name} {was} → {now}")
        elif not math.isnan(value):
            lines.append(f"{name} {numbers(value)[0]}")
    return lines


def _one_line(text: str) -> str:
    return clipped(visible(" ".join(text.split())), LONGEST_TEXT)
