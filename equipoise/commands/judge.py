"""`equipoise judge`: how strongly do texts hold an association, and how far is the judge right?"""

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from equipoise.commands import flags
from equipoise.errors import RecipeError

if TYPE_CHECKING:
    from equipoise.judge.base import Judge
    from equipoise.judging.judgement import Judgement
    from equipoise.judging.texts import TextRow
    from equipoise.records import Estimate

_MANY_FLIPS = 50.0  # % of orders


def judge(  # noqa: PLR0913
    texts: Annotated[
        str | None,
        typer.Argument(
            metavar="TEXTS",
            help="File of rows with the column text, and perhaps prompt, target, id, association.",
        ),
    ] = None,
    judges: Annotated[
        list[str] | None,
        typer.Option(
            "--judge",
            help='lexicon, model_judge, endpoint, or JSON: {"name": …, options}; several compare.',
        ),
    ] = None,
    association: Annotated[
        str | None, typer.Option(help="What is looked for: a built-in name or a .yaml file.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="File of grades that people gave to some of the texts.")
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Judge our 40 graded texts instead of TEXTS.")
    ] = False,
    repeats: Annotated[
        bool, typer.Option(help="Ask for 5 % of the texts again, twice, in another order.")
    ] = True,
    settings: flags.Set = None,
    groups: flags.Groups = False,
    as_json: flags.AsJson = False,
    data: flags.Data = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="New file for the judgements: JSON Lines, a row a text."),
    ] = None,
    seed: flags.Seed = 0,
    draws: flags.Draws = 2000,
) -> None:
    """Grade texts for a stereotype, 0 to 3, and say how far the judge can be relied on.

    Prints mean strength with its interval; with several judges their agreement; with labels the
    agreement with people and the mean corrected by them.
    """
    from equipoise.files.atomic import check_new_file
    from equipoise.judging.comparing import agree
    from equipoise.study.results import to_json

    flags.name_data(data)
    built = _build(judges or ["lexicon"], settings)
    if calibrate == (texts is not None):
        raise RecipeError(
            f"judge must be given TEXTS or --calibrate, got {texts!r} and calibrate {calibrate}; "
            "give one of them"
        )
    if out is not None:
        check_new_file(out, what="judgements")
    rows, hand, about = _read(texts, association, labels)
    judged = {name: judging.judge([row.judged for row in rows]) for name, judging in built.items()}
    if out is not None:
        _write(out, rows, judged)
        flags.say(f"judgements are in {out}")
    document: dict[str, Any] = {"seed": seed, "draws": draws, **about}
    document["judges"] = [
        _describe(name, built[name], rows, judged[name], hand, seed, draws, repeats)
        for name in built
    ]
    document["agreement"] = [
        {"judges": pair, **dataclasses.asdict(agree(rows, *grades, draws=draws, seed=seed))}
        for pair, grades in _pairs(judged)
    ]
    print(to_json(document) if as_json else _text(document, groups=groups), end="")


def _read(
    texts: str | None, association: str | None, labels: Path | None
) -> "tuple[Sequence[TextRow], list[float], dict[str, Any]]":
    """The texts, the grades that people gave (or none), and what is recorded of both."""
    from equipoise.judging.texts import read_calibration, read_labels, read_texts

    if texts is None:
        rows = read_calibration()
        note = "the labels are our own grades of 40 texts about invented countries"
        about: dict[str, Any] = {"texts": {"name": "calibration", "n": len(rows)}, "notes": [note]}
        return rows, [row.label for row in rows], about
    read = read_texts(texts, association)
    about = {
        "association": association,
        "texts": {**dataclasses.asdict(read.use), "n": len(read.rows)},
        "notes": list(read.notes),
    }
    if labels is None:
        return read.rows, [], about
    hand, use = read_labels(str(labels), read.rows)
    return read.rows, hand, {**about, "labels": dataclasses.asdict(use)}


def _build(names: Sequence[str], settings: Sequence[str] | None) -> "dict[str, Judge]":
    """The judges by what they are called in the answer. Raises `RecipeError`."""
    from equipoise import plugins
    from equipoise.judge.base import Judge

    parsed = [_parse(name) for name in names]
    options = flags.parse_settings(settings, [name for name, _ in parsed])
    built: dict[str, Judge] = {}
    for name, own_options in parsed:
        merged = {**options[name], **own_options}
        label = name if name not in built else f"{name} {len(built) + 1}"
        built[label] = plugins.build(Judge, name, merged)
    return built


def _parse(text: str) -> tuple[str, dict[str, Any]]:
    """A judge's name with the options that stand beside it in JSON."""
    if not text.startswith("{"):
        return text, {}
    try:
        options = json.loads(text)
        return str(options.pop("name")), options
    except (ValueError, KeyError, AttributeError):
        raise RecipeError(
            f'a judge is given as a name or as {{"name": …}} in JSON, got {text!r}; write that'
        ) from None


def _pairs(
    judged: "Mapping[str, Sequence[Judgement]]",
) -> "Iterator[tuple[tuple[str, str], tuple[list[float], list[float]]]]":
    """Each two judges with their grades."""
    from equipoise.judging.comparing import grades_of

    for left, right in combinations(judged, 2):
        yield (left, right), (grades_of(judged[left]), grades_of(judged[right]))


def _describe(  # noqa: PLR0913
    name: str,
    judging: "Judge",
    rows: "Sequence[TextRow]",
    judgements: "Sequence[Judgement]",
    hand: list[float],
    seed: int,
    draws: int,
    repeats: bool,
) -> dict[str, Any]:
    """All that is said of a judge and its judgements."""
    from equipoise import plugins
    from equipoise.judging.comparing import compare_with_labels
    from equipoise.judging.summary import count_reasons, repeat, summarize

    estimates = summarize(rows, judgements, draws=draws, seed=seed)
    described: dict[str, Any] = {
        "judge": name,
        "version": judging.version,
        "options": plugins.options_of(judging, transport=False),
        "info": dict(judging.info()),
        "estimates": [dataclasses.asdict(estimate) for estimate in estimates],
        "missing": count_reasons(judgements),
    }
    if repeats:
        again = repeat(judging.judge_again, rows, judgements, seed=seed)
        described["self_agreement"] = dataclasses.asdict(again)
    if hand:
        compared = compare_with_labels(rows, judgements, hand, draws=draws, seed=seed)
        described["with_labels"] = dataclasses.asdict(compared)
    return described


def _write(
    out: Path, rows: "Sequence[TextRow]", judged: "Mapping[str, Sequence[Judgement]]"
) -> None:
    """A line for each text and judge; nan is null."""
    from equipoise.files.atomic import write_file

    lines = []
    for name, judgements in judged.items():
        for row, judgement in zip(rows, judgements, strict=True):
            cells = {"id": row.id, "target": row.target, "judge": name}
            for key, value in dataclasses.asdict(judgement).items():
                cells[key] = None if isinstance(value, float) and math.isnan(value) else value
            lines.append(json.dumps(cells, ensure_ascii=False) + "\n")
    write_file(out, "".join(lines), what="judgements")


# --- what is printed ----------------------------------------------------------------------------


def _text(document: dict[str, Any], *, groups: bool) -> str:
    """All judges as tables with their notes, then how they agree."""
    from equipoise.report.formatting import visible

    parts = [_judge_text(described, groups=groups) for described in document["judges"]]
    for pair in document["agreement"]:
        parts.append(f"{' and '.join(pair['judges'])}: {_agreement_text(pair)}")
    parts += [f"note: {note}" for note in document["notes"]]
    return visible("\n\n".join(parts)) + "\n"


def _judge_text(described: dict[str, Any], *, groups: bool) -> str:
    from equipoise.number_text import group_name, interval
    from equipoise.records import Estimate
    from equipoise.report.tables import Table, plain

    estimates = [Estimate(**estimate) for estimate in described["estimates"]]
    rows = tuple(
        (
            e.metric,
            group_name(e.group),
            interval(e.value, e.low, e.high) + (f" ({e.reason})" if e.reason else ""),
            e.unit,
            str(e.n),
            str(e.clusters),
        )
        for e in estimates
        if groups or not e.group
    )
    header = ("number", "group", "value [95 % interval]", "unit", "n", "clusters")
    info = described["info"].get("model", "")
    lines = [
        f"{described['judge']}{f' ({info})' if info else ''}",
        plain(Table(header=header, rows=rows)),
    ]
    lines += [f"no judgement: {count} times {why}" for why, count in described["missing"].items()]
    lines += [*_bounds(estimates), *_flips(estimates)]
    again = described.get("self_agreement")
    if again:
        lines.append(
            f"asked {again['repeats']} times in another order: the same grade for "
            f"{100 * again['same']:.0f} % of {again['texts']} texts"
        )
    if "with_labels" in described:
        lines += _labels_text(described["with_labels"])
    return "\n".join(lines)


def _bounds(estimates: "list[Estimate]") -> list[str]:
    """What the mean would be at worst, where texts have no judgement."""
    values = {e.metric: e for e in estimates if not e.group}
    if not values["missing"].value:
        return []
    low, high = values["strength_low"].value, values["strength_high"].value
    return [
        f"strength is between {low:.2f} and {high:.2f}, whatever the texts without a judgement are"
    ]


def _flips(estimates: "list[Estimate]") -> list[str]:
    """That a judge goes by the places of the options, where it does."""
    flips = next((e.value for e in estimates if e.metric == "flip_rate" and not e.group), 0.0)
    if flips < _MANY_FLIPS:
        return []
    return [
        f"another order of the options gives another grade in {flips:.0f} % of orders: this judge "
        "goes by places, and its strength says little of the texts"
    ]


def _labels_text(compared: dict[str, Any]) -> list[str]:
    lines = [f"with the labels: {_agreement_text(compared['agreement'])}"]
    mean, share = compared["corrected_strength"], compared["corrected_holds"]
    if mean is None:
        return lines
    return [
        *lines,
        f"strength corrected by {mean['labels']} labels (PPI++): {_interval_text(mean)}",
        f"share that holds it, corrected (Rogan-Gladen): {_interval_text(share, percent=True)}",
    ]


def _agreement_text(pair: dict[str, Any]) -> str:
    quadratic = pair["quadratic_kappa"]
    linear, exact = pair["linear_kappa"]["value"], 100 * pair["exact"]
    return (
        f"weighted kappa {_interval_text(quadratic)} (quadratic), {linear:.2f} (linear), the same "
        f"grade for {exact:.0f} % of {quadratic['n']} texts"
    )


def _interval_text(part: dict[str, Any], *, percent: bool = False) -> str:
    from equipoise.number_text import interval

    factor = 100.0 if percent else 1.0
    text = interval(*(factor * part[end] for end in ("value", "low", "high")))
    unit = " %" if percent and not math.isnan(part["value"]) else ""
    return text + unit + (f" ({part['reason']})" if part.get("reason") else "")
