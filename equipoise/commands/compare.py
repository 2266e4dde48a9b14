"""`equipoise compare`: say what changed between two results."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equipoise.commands import flags
from equipoise.errors import RecipeError

if TYPE_CHECKING:
    from equipoise.conclusions import Comparison


def compare(  # noqa: PLR0913
    before: Annotated[Path, typer.Argument(help="Folder that measure --out wrote.")],
    after: Annotated[
        list[Path], typer.Argument(help="The same of the other model; several: of each seed.")
    ],
    html: Annotated[Path | None, typer.Option(help="Page to write.")] = None,
    card: Annotated[
        Path | None, typer.Option(help="Saved edit whose README.md gets the numbers.")
    ] = None,
    margin: Annotated[
        list[str] | None,
        typer.Option(help="benchmark.metric=3 (or 2%): what is near enough; may be repeated."),
    ] = None,
    across: Annotated[
        list[str] | None,
        typer.Option(
            help="Setting that may differ: start, chat, decision, dtype, tokenizer, judge, options "
            "or data; may be repeated."
        ),
    ] = None,
    groups: flags.Groups = False,
    full: flags.Full = False,
    as_json: flags.AsJson = False,
    data: flags.Data = None,
    seed: flags.Seed = 0,
    draws: flags.Draws = 2000,
) -> None:
    """Say what changed between results before and after.

    They must be of the same benchmarks; they are paired item by item. Where settings differ that
    move a number by themselves nothing is concluded, unless they are named with --across.
    """
    from equipoise.checks.run import check_comparison, check_stored
    from equipoise.compare import compare_all
    from equipoise.report.html import write_page
    from equipoise.report.tables import comparison_text
    from equipoise.study.results import comparisons_document, read_results, to_json
    from equipoise.study.written_pairs import with_readable_pairs

    flags.check_files(html=html)
    flags.name_data(data)
    first, *others = [read_results(path) for path in (before, *after)]
    for side in (first, *others):
        for measurement in side:
            flags.say_faults(check_stored(measurement))
    comparisons = compare_all(
        first, *others, margins=flags.margins_of(margin or ()), seed=seed, draws=draws,
        across=across or (),
    )  # fmt: skip
    compared = {id(each) for item in comparisons for each in (item.before, *item.afters)}
    measured = [each for side in (first, *others) for each in side]
    alone = {(each.benchmark, each.model) for each in measured if id(each) not in compared}
    for benchmark, model in sorted(alone):
        flags.say(f"{benchmark} was measured on {model} alone; left out")
    _say_settings(comparisons, across or ())
    for comparison in comparisons:
        flags.say_faults(check_comparison(comparison))
    if html is not None:
        shown = [with_readable_pairs(comparison) for comparison in comparisons]
        page = write_page(html, shown, title="Before and after", full=full)
        flags.say(f"the page is {page}")
    if card is not None:
        _write_card(card, comparisons)
    if as_json:
        print(to_json(comparisons_document(comparisons)), end="")
    else:
        print("\n\n".join(comparison_text(comparison, groups=groups) for comparison in comparisons))


def _say_settings(comparisons: Sequence["Comparison"], across: Sequence[str]) -> None:
    """Say how to compare all the same, and which settings were named for nothing."""
    differing = dict.fromkeys(each.name for item in comparisons for each in item.differences)
    withheld = [f"--across {name}" for name in differing if name not in across]
    if withheld:
        flags.say(
            "nothing is concluded where settings differ; measure both alike, or name what may "
            f"differ: {' '.join(withheld)}"
        )
    for name in dict.fromkeys(across):
        if name not in differing:
            flags.say(f"--across {name} changes nothing: no difference of it is recorded")


def _write_card(folder: Path, comparisons: Sequence["Comparison"]) -> None:
    from equipoise.edits.base import read_head, write_card
    from equipoise.export.model_card import card_changes
    from equipoise.study.edit_folders import compare_one_edit

    content = read_head(folder).content
    own_comparisons = [
        alone for comparison in comparisons for alone in compare_one_edit(comparison, content)
    ]
    if len(own_comparisons) < len(comparisons):
        raise RecipeError(
            f"a card has the numbers of its own edit, got {comparisons[0].after.model} for "
            f"{folder}; measure that edit"
        )
    flags.say(f"the card is {write_card(folder, card_changes(own_comparisons))}")
