"""`equipoise associations`: what is learnt of an association, from templates or from a model."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from equipoise.commands import flags
from equipoise.commands.chat_writer import chat_writer

if TYPE_CHECKING:
    from equipoise.associations.diversity import Diversity
    from equipoise.associations.writing import Writer, Written
    from equipoise.inference.language_model import LanguageModel

    Result: TypeAlias = tuple[Diversity, Written[Any] | None, list[dict[str, Any]]]

LABELS = ("medium", "topic", "writing_style", "implicitness_score", "answer")  # of a sample


def associations(  # noqa: PLR0913
    name: Annotated[str, typer.Argument(metavar="NAME", help="Built-in name, or a .yaml file.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="New file of JSON Lines; else only figures are printed."),
    ] = None,
    questions: Annotated[
        bool, typer.Option("--questions", help="Contrast questions in place of paragraphs.")
    ] = False,
    count: Annotated[
        int | None, typer.Option(help="How many; else 500 paragraphs or 100 questions.", min=1)
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Chat model that writes them; else templates do.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Server that has the model, by /v1/chat/completions.")
    ] = None,
    samples: Annotated[
        int, typer.Option(help="Texts to print, with their labels; they state stereotypes.", min=0)
    ] = 0,
    temperature: Annotated[float, typer.Option(help="Of the model.", min=0.0)] = 1.0,
    max_tokens: Annotated[int, typer.Option(help="Of a reply, which has 25 texts.", min=1)] = 4096,
    seed: flags.Seed = 0,
    as_json: flags.AsJson = False,
    data: flags.Data = None,
    dtype: flags.Dtype = "auto",
    device: flags.Device = "auto",
    revision: flags.Revision = None,
    trust_remote_code: flags.TrustRemoteCode = False,
) -> None:
    """Write paragraphs that say an association, or questions about it, and how diverse they are.

    The supply `association` reads the file. No text is printed but with --samples.
    """
    from equipoise.associations.load import load_association
    from equipoise.files.atomic import check_new_file

    flags.name_data(data)
    load_association(name)  # before a model is
    if out is not None:
        check_new_file(out, what="questions" if questions else "paragraphs")

    def load(name: str) -> "LanguageModel":
        return flags.load_model(
            name, dtype, device, revision, None, None, "auto", trust_remote_code
        )

    writer = chat_writer(model, address, temperature, max_tokens, load=load)
    wanted = count or (100 if questions else 500)
    write = _write_questions if questions else _write_paragraphs
    figures, written, rows = write(name, writer, wanted, seed, out)
    # spread over the set, whose neighbors may be alike
    shown = rows[:: max(1, len(rows) // samples)][:samples] if samples else []
    if as_json:
        print(json.dumps(_document(figures, written, out) | {"samples": shown}))
        return
    _print(figures)
    for row in shown:
        labels = ", ".join(f"{key} {row[key]}" for key in LABELS if key in row)
        print(f"- {row.get('paragraph') or row.get('question')} ({labels})")
    if written is not None:
        refused = ", ".join(f"{texts} {reason}" for reason, texts in written.refused.items())
        print(f"note: {written.calls} calls, {written.cached} of them cached")
        print(f"note: left out: {refused or 'nothing'}")
    if figures.texts < wanted:
        print("note: fewer than were asked for: the model wrote no more that differ")
    if out is not None:
        option = "questions_file" if questions else "file"
        print(f"learn from it: --supply association --set association.{option}={out}")


def _write_paragraphs(
    name: str, writer: "Writer | None", count: int, seed: int, out: Path | None
) -> "Result":
    from equipoise.associations.diversity import diversity_of
    from equipoise.associations.generated import write_paragraphs_with
    from equipoise.associations.paragraphs import paragraphs
    from equipoise.associations.records_file import write_paragraphs

    written = None if writer is None else write_paragraphs_with(writer, name, count, seed=seed)
    said = paragraphs(name, count, seed=seed) if written is None else written.kept
    if out is not None:
        write_paragraphs(out, said)
    return diversity_of(said), written, [asdict(paragraph) for paragraph in said]


def _write_questions(
    name: str, writer: "Writer | None", count: int, seed: int, out: Path | None
) -> "Result":
    from equipoise.associations.diversity import diversity
    from equipoise.associations.generated import write_questions_with
    from equipoise.associations.questions import questions
    from equipoise.associations.records_file import write_questions

    written = None if writer is None else write_questions_with(writer, name, count, seed=seed)
    asked = questions(name, count, seed=seed) if written is None else written.kept
    if out is not None:
        write_questions(out, asked)
    figures = diversity([prompt.text for prompt in asked])
    return figures, written, [{"question": prompt.text, **prompt.groups} for prompt in asked]


def _document(
    figures: "Diversity", written: "Written[Any] | None", out: Path | None
) -> dict[str, object]:
    """Figures and what was left out; no text."""
    from equipoise.files.json_records import record_json

    document: dict[str, object] = {"out": None if out is None else str(out)}
    document |= json.loads(record_json(figures))
    if written is not None:
        about = replace(written, kept=())
        document["written"] = asdict(about) | {"kept": len(written.kept)}
    return document


def _print(figures: "Diversity") -> None:
    from equipoise.number_text import interval, rounded
    from equipoise.report.tables import Table, plain

    rows = [("texts", str(figures.texts), "")]
    for estimate in figures.estimates:
        value = interval(estimate.value, estimate.low, estimate.high)
        rows.append((estimate.metric, value, estimate.reason or f"n = {estimate.n}"))
    for size, share in figures.distinct.items():
        rows.append((f"distinct_{size}", rounded(share, 3), "share of runs that differ"))
    for label, counts in figures.counts.items():
        shown = ", ".join(f"{value} {texts}" for value, texts in counts.items())
        rows.append((label, str(len(counts)), shown))
    print(plain(Table(header=("figure", "value [95 % interval]", "about"), rows=tuple(rows))))
