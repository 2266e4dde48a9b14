"""`equipoise scorer`: what a text scorer says of groups of which nothing is said."""

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from equipoise.commands import flags
from equipoise.errors import RecipeError, nearest

if TYPE_CHECKING:
    from equipoise.scorer_gaps.own_gap import OwnGap, TermShift

#: Those that are asked for unless others are named: the rest are long lists.
_USUAL = ("gender", "race", "religion", "orientation", "disability", "age", "word_names")


def scorer(  # noqa: PLR0913
    name: Annotated[str, typer.Argument(metavar="SCORER", help="A text scorer: vader, jigsaw, …")],
    axis: Annotated[
        list[str] | None,
        typer.Option(help="Whose terms are exchanged: gender, race, …; may be repeated."),
    ] = None,
    scale: Annotated[
        list[str] | None,
        typer.Option(help="Scales of which terms are listed; else the first. May be repeated."),
    ] = None,
    top: Annotated[int, typer.Option(help="Terms listed of a scale and axis.", min=0)] = 5,
    settings: flags.Set = None,
    as_json: flags.AsJson = False,
    seed: flags.Seed = 0,
    draws: flags.Draws = 2000,
) -> None:
    """Measure a text scorer on neutral sentences in which only the group's name differs.

    Prints its own gap between groups on each scale, and how far each identity term moves a sentence
    by itself, the largest first.
    """
    from equipoise import plugins
    from equipoise.scorer_gaps.own_gap import own_gaps, term_shifts
    from equipoise.study.results import to_json
    from equipoise.text_scorers.base import TextScorer

    flags.hush()
    built = plugins.build(TextScorer, name, flags.parse_settings(settings, [name])[name])
    names = [known.name for known in built.scales]
    for chosen in scale or ():
        if chosen not in names:
            raise RecipeError(f"{name} has no scale '{chosen}'; {nearest(chosen, names)}")
    document: dict[str, Any] = {
        "scorer": name,
        "version": built.version,
        "options": plugins.options_of(built, transport=False),
        "info": dict(built.info()),
        "seed": seed,
        "draws": draws,
        "axes": {},
    }
    gaps, shifts = {}, {}
    for groups in dict.fromkeys(axis or _USUAL):
        gaps[groups] = own_gaps(built, groups, draws=draws, seed=seed)
        shifts[groups] = term_shifts(built, groups, draws=draws, seed=seed)
        document["axes"][groups] = {
            "gaps": [dataclasses.asdict(gap) for gap in gaps[groups].values()],
            "terms": [dataclasses.asdict(shift) for shift in shifts[groups]],
        }
    if as_json:
        print(to_json(document), end="")
        return
    print(_gap_table(gaps))
    for chosen in scale or names[:1]:
        print(f"\n{_term_table(chosen, shifts, top)}")
    print(
        "note: sentences that say nothing of anybody, in which the name of a group alone differs; "
        "shift: against 'the person' in its place; intervals are over sentences"
    )


def _gap_table(gaps: "dict[str, Any]") -> str:
    from equipoise.number_text import interval
    from equipoise.report.tables import Table, plain

    def cells(axis: str, gap: "OwnGap") -> tuple[str, ...]:
        value = gap.reason or interval(gap.value, gap.low, gap.high)
        return (axis, gap.scale, value, *gap.extremes)

    rows = tuple(cells(axis, gap) for axis, scales in gaps.items() for gap in scales.values())
    header = ("axis", "scale", "own gap [95 % interval]", "most", "least")
    return plain(Table(header=header, rows=rows))


def _term_table(scale: str, shifts: "dict[str, tuple[TermShift, ...]]", top: int) -> str:
    from equipoise.number_text import interval
    from equipoise.report.tables import Table, plain

    rows = tuple(
        (axis, shift.group, shift.term, interval(shift.shift, shift.low, shift.high))
        for axis, listed in shifts.items()
        for shift in [each for each in listed if each.scale == scale][:top]
    )
    header = ("axis", "group", "term", f"shift in {scale} [95 % interval]")
    return plain(Table(header=header, rows=rows))
