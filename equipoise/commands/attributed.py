"""What `equipoise attribute` computes, writes and prints."""

import dataclasses
import json
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from equipoise import api
from equipoise.attribute.base import Attributor
from equipoise.attributions import Attribution, AttributionQuality, QualityEstimate
from equipoise.commands import flags
from equipoise.commands.mitigate import checkpoints_of, describe_kept
from equipoise.errors import EquipoiseError
from equipoise.influence.score_files import scores_in
from equipoise.mixes.overlap import at_hand, guard_of
from equipoise.processes.launch import is_main_process
from equipoise.progress.messages import when_stopped
from equipoise.records import Supply
from equipoise.stats.attribution_quality import QualitySettings, judge_attributions
from equipoise.stats.retrieval import SHARES
from equipoise.study.attribution_files import summarize_attribution, write_attribution
from equipoise.study.leaving_out import check_installed
from equipoise.study.study import Attributed, AttributedRow, AttributionSummary, Study, Validated
from equipoise.study.validation_files import write_validation
from equipoise.training.resume import checkpoints_in

if TYPE_CHECKING:
    from equipoise.inference.language_model import LanguageModel

_LONGEST: Final = 100  # letters of a text on the screen
WARNING: Final = "Content warning: texts of a training set may offend."


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is attributed, and how much of it is shown."""

    supplied: Supply
    share: float
    top: int
    seed: int
    draws: int
    texts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The scores of the attributor and of the baselines, and how good they are."""

    model: str
    attributor: str
    attributions: Mapping[str, Attribution]
    summaries: Mapping[str, AttributionSummary]
    quality: tuple[AttributionQuality, ...]
    selected: tuple[int, ...]  # places of rows
    unavailable: Mapping[str, str]  # baseline, and why it has no scores
    notes: tuple[str, ...]

    @property
    def study(self) -> Study:
        """All of it for a page or a figure."""
        attributed = tuple(
            Attributed(
                model=self.model,
                attributor=name,
                attribution=attribution,
                summary=self.summaries[name],
            )
            for name, attribution in self.attributions.items()
        )
        validated = Validated(
            model=self.model, attributors=tuple(self.attributions), quality=self.quality
        )
        return Study(
            title=f"{self.attributor} on {self.model}",
            recipe={},
            attributed=attributed,
            validated=(validated,),
        )


def attribute_rows(
    model: "LanguageModel",
    attributor: tuple[str, Attributor],
    baselines: Mapping[str, Attributor],
    asked: Asked,
    *,
    out: Path | None,
) -> Result:
    """Score the rows, compare with baselines, and write a folder if it is asked for."""
    name, built = attributor
    with ExitStack() as kept:
        unfinished = None if out is None else checkpoints_of(out)
        if unfinished is None:
            when_stopped(lambda: "nothing is kept; with --out the same command goes on")
        else:
            when_stopped(lambda: describe_kept(unfinished))
            kept.enter_context(checkpoints_in(unfinished))
            kept.enter_context(scores_in(unfinished / "scores"))
        attributions = {name: api.attribute(model, built, supply=asked.supplied, seed=asked.seed)}
        unavailable: dict[str, str] = {}
        for other, baseline in baselines.items():
            flags.say(f"baseline {other}")
            try:
                check_installed(other, baseline)
                attributions[other] = api.attribute(
                    model, baseline, supply=asked.supplied, seed=asked.seed
                )
            except EquipoiseError as error:  # others are still compared
                unavailable[other] = " ".join(str(error).split())
    result = _judge(model.identity, name, attributions, unavailable, asked)
    if out is not None and is_main_process():
        _write(out, result, asked)
        flags.say(f"scores and selected rows are in {out}")
        shutil.rmtree(checkpoints_of(out), ignore_errors=True)
    return result


def _judge(
    model: str,
    name: str,
    attributions: Mapping[str, Attribution],
    unavailable: Mapping[str, str],
    asked: Asked,
) -> Result:
    rows = asked.supplied.rows
    summaries = {
        each: summarize_attribution(attribution, rows, count=asked.top)
        for each, attribution in attributions.items()
    }
    quality: tuple[AttributionQuality, ...] = ()
    if summaries[name].labelled:
        shares = {*SHARES, asked.share} - {0.0}
        settings = QualitySettings(
            shares=tuple(sorted(shares)),
            draws=asked.draws,
            permutations=asked.draws,
            seed=asked.seed,
        )
        baselines = [each for each in attributions if each != name]
        quality = judge_attributions(attributions, rows, baselines=baselines, settings=settings)
    return Result(
        model=model,
        attributor=name,
        attributions=attributions,
        summaries=summaries,
        quality=quality,
        selected=attributions[name].select(asked.share),
        unavailable=unavailable,
        notes=tuple(_notes(attributions[name], asked.supplied)),
    )


def _notes(attribution: Attribution, supply: Supply) -> Iterator[str]:
    yield f"rows and probes are of {supply.origin}"
    if attribution.skipped:
        name, reason = next(iter(attribution.skipped.items()))
        yield f"{len(attribution.skipped)} rows have no score, the first is '{name}': {reason}"
    yield from attribution.notes
    known = at_hand()
    shared = guard_of(known).count(text for probe in supply.probes for text in probe.texts)
    for benchmark, count in shared.items():
        yield (
            f"{count} sentences of the probes share 5 words in a row with {benchmark}: what is "
            f"selected by them must not be judged on {benchmark}; take other probes for it"
        )


# --- the folder ---------------------------------------------------------------------------------


def _write(out: Path, result: Result, asked: Asked) -> None:
    from equipoise.files.atomic import new_folder

    with new_folder(out, what="attribution") as beside:
        for name, attribution in result.attributions.items():
            if name == result.attributor:
                write_attribution(beside, attribution)
            else:
                (beside / "baselines").mkdir(exist_ok=True)
                write_attribution(beside / "baselines" / name.replace("/", "_"), attribution)
        if result.quality:
            write_validation(beside / "quality.json", result.quality)
        with (beside / "selected.jsonl").open("w", encoding="utf-8") as file:
            for line in _selected(result, asked):
                file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _selected(result: Result, asked: Asked) -> Iterator[dict[str, Any]]:
    """The selected rows: ids with scores, and all that they are only where texts are asked for."""
    attribution = result.attributions[result.attributor]
    for index in result.selected:
        line: dict[str, Any] = {
            "id": attribution.ids[index], "score": float(attribution.scores[index]),
        }  # fmt: skip
        if asked.texts:
            row = asked.supplied.rows[index]
            turns = [{"role": role, "content": said} for role, said in row.messages]
            line |= {"messages": turns} if turns else {"text": row.text}
            line |= dict(row.groups)
        yield line


# --- what is printed ----------------------------------------------------------------------------


def show(
    result: Result, asked: Asked, *, html: Path | None, figure: Path | None, as_json: bool
) -> None:
    """Print the result, and write page and figure if they are asked for."""
    from equipoise.report.attribution_figure import write_attribution_figure
    from equipoise.report.html import write_study_page

    if as_json:
        _print_json(result, asked)
    else:
        print("\n".join(_lines(result, asked)))
    # after the result, which took long and must not be lost where there is nothing to plot
    study = result.study
    if html is not None:
        flags.say(f"the page is {write_study_page(html, study)}")
    if figure is not None:
        written = write_attribution_figure(figure, study, title=study.title)
        flags.say(f"the figure is {written}")


def _print_json(result: Result, asked: Asked) -> None:
    from equipoise.study.results import to_json

    attribution = result.attributions[result.attributor]
    summary = result.summaries[result.attributor]
    document = {
        "model": result.model,
        "attributor": result.attributor,
        "unit": attribution.unit,
        "seed": asked.seed,
        "rows": summary.rows,
        "scored": summary.scored,
        "probes": attribution.probes,
        "facts": dict(attribution.facts),
        "top": [_plain(row, texts=asked.texts) for row in summary.most],
        "bottom": [_plain(row, texts=asked.texts) for row in summary.least],
        "selected": [line["id"] for line in _selected(result, asked)],
        "profile": [dataclasses.asdict(each) for each in summary.profile],
        "quality": [dataclasses.asdict(each) for each in result.quality],
        "unavailable": dict(result.unavailable),
        "notes": list(result.notes),
    }
    print(to_json(document), end="")


def _plain(row: AttributedRow, *, texts: bool) -> dict[str, Any]:
    plain = dataclasses.asdict(row)
    return plain if texts else {key: plain[key] for key in plain if key != "texts"}


def _lines(result: Result, asked: Asked) -> Iterator[str]:
    from equipoise.report.tables import Table, plain

    attribution = result.attributions[result.attributor]
    summary = result.summaries[result.attributor]
    if result.quality:
        header, rows = _quality_table(result.quality, asked.share)
        yield plain(Table(header=header, rows=rows))
        yield ""
        for difference in result.quality[0].versus:
            yield difference.sentence
        yield ""
    shown = summary.most
    if shown:
        if asked.texts:
            yield WARNING
        yield plain(_row_table(shown, attribution.unit, texts=asked.texts))
        yield ""
    biased = f", {summary.biased} of {summary.labelled} labelled rows biased" * bool(
        summary.labelled
    )
    yield (
        f"note: {summary.rows} rows{biased}; {attribution.probes} probes; the first "
        f"{len(result.selected)} rows are {100 * asked.share:g}%"
    )
    if not asked.texts and shown:
        yield "note: texts are not printed; --show-texts does, they may offend"
    for note in _quality_notes(result.quality, asked.share):
        yield f"note: {note}"
    for name, reason in result.unavailable.items():
        yield f"note: baseline {name} was left out: {reason}"
    for name, value in attribution.facts.items():
        yield f"note: {name}: {value:.4g}"
    for note in result.notes:
        yield f"note: {note}"


def _at_share(result: AttributionQuality, share: float) -> list[QualityEstimate]:
    """The statistics of all rows, and those of the selected share."""
    return [
        each
        for each in result.estimates
        if each.estimate.group.get("share") in (None, f"{share:g}")
    ]


def _quality_notes(quality: Sequence[AttributionQuality], share: float) -> Iterator[str]:
    """Why values or intervals of the table are missing, and what it is of; each once."""
    for reason in dict.fromkeys(
        each.estimate.reason for result in quality for each in _at_share(result, share)
    ):
        if reason is not None:
            yield f"n/a: {reason}"
    if quality:
        yield from quality[0].notes


def _quality_table(
    quality: Sequence[AttributionQuality], share: float
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """The statistics of all rows, and those of the selected share."""
    from equipoise.number_text import interval, probability
    from equipoise.report.attribution_plots import heading_of, order_of

    def heading(each: QualityEstimate) -> str:
        known = "" if math.isnan(each.chance) else f" (chance {each.chance:.2g})"
        return f"{heading_of(each.estimate)}{known}"

    first = sorted(_at_share(quality[0], share), key=order_of)
    header = ("attributor", *map(heading, first), "p (AP)")
    rows = []
    for result in quality:
        cells = [
            interval(each.estimate.value, each.estimate.low, each.estimate.high)
            for each in sorted(_at_share(result, share), key=order_of)
        ]
        p = result.value("average_precision").p
        rows.append((result.attributor, *cells, "n/a" if math.isnan(p) else probability(p)))
    return header, tuple(rows)


def _row_table(rows: Sequence[AttributedRow], unit: str, *, texts: bool) -> Any:
    from equipoise.report.formatting import visible
    from equipoise.report.tables import Table

    keys = tuple(dict.fromkeys(key for row in rows for key in row.groups))
    header = ("rank", "id", f"score ({unit})", *keys, *(("text",) if texts else ()))
    lines = []
    for row in rows:
        text = " ".join(visible(" / ".join(row.texts)).split())
        clipped = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
        groups = (visible(row.groups.get(key, "")) for key in keys)
        cells = (str(row.rank), visible(row.id), f"{row.score:.4g}", *groups)
        lines.append((*cells, clipped) if texts else cells)
    return Table(header=header, rows=tuple(lines))
