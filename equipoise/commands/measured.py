"""What `equipoise measure` prints: short tables as they come, then notes once, and the answer."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from equipoise.commands import flags
from equipoise.processes.launch import is_main_process

if TYPE_CHECKING:
    from equipoise.records import Measurement


def print_measurement(measurement: "Measurement", *, groups: bool, every: bool) -> None:
    """Print a measurement's headline numbers, or all of them and what they are read against.

    `groups`: the tables of groups, too; with `every` the rows of every group.
    """
    from equipoise.report.formatting import visible
    from equipoise.report.references import references_text
    from equipoise.report.tables import headline_text, measurement_table, plain

    texts = [headline_text(measurement, groups=groups)]
    if every:
        table = measurement_table(measurement, groups=groups)
        title = "all numbers" if groups else "all numbers, without groups"
        texts += [f"{title}:\n\n{visible(plain(table))}"]
        texts += [references_text(measurement, groups=groups)]
    print("\n\n".join(filter(None, texts)), end="\n\n", flush=True)


def finish(
    measurements: Sequence["Measurement"],
    *,
    out: Path | None,
    html: Path | None,
    full: bool,
    as_json: bool,
    groups: bool,
    every: bool,
) -> None:
    """Keep the results, write their page, and print the answer, or all as JSON; once for all."""
    if not is_main_process():
        return
    from equipoise.study.results import results_document, to_json, write_results

    if out is not None:
        flags.say(f"results are in {write_results(out, measurements)}")
    if html is not None:
        write_page(html, measurements, full=full)
    if as_json:
        print(to_json(results_document(measurements)), end="")
    else:
        print_answer(measurements, groups=groups, every=every)


def print_answer(measurements: Sequence["Measurement"], *, groups: bool, every: bool) -> None:
    """Print notes once, and at most five sentences on how biased the model is."""
    from equipoise.answer import answer
    from equipoise.report.formatting import visible
    from equipoise.report.tables import notes_text

    if notes := notes_text(measurements):
        print(notes, end="\n\n")
    more = [] if every else ["--all prints every number"]
    more += [] if groups else ["--groups compares groups"]
    if more:
        print(f"{', '.join(more)}.", end="\n\n")
    print("How biased is the model?")
    for sentence in answer(measurements):
        print(visible(sentence))


def write_page(file: Path, measurements: Sequence["Measurement"], *, full: bool = False) -> Path:
    """Write the page of measurements, with what automatic checks found in them."""
    from equipoise.checks.run import check_measurement
    from equipoise.report.html import write_measurement_page

    findings = [finding for each in measurements for finding in check_measurement(each)]
    page = write_measurement_page(file, measurements, findings=findings, full=full)
    flags.say(f"the page is {page}")
    return page
