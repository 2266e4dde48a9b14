"""`equipoise run` and `equipoise demo`: a study from a recipe, resumed where it was stopped."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equipoise.commands.flags import BatchSize, Data, Device, hush, name_data, say

if TYPE_CHECKING:
    from equipoise.study.store import Store
    from equipoise.study.study import Study


def run(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A YAML file.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the study; else runs/NAME of the recipe.")
    ] = None,
    dry: Annotated[bool, typer.Option("--dry", help="Print the steps, do nothing.")] = False,
    data: Data = None,
    device: Device = "auto",
    batch_size: BatchSize = None,
) -> None:
    """Run a study: models x mitigations x benchmarks x seeds.

    Interrupted at any moment, the same command resumes. Ends with the report; status 1 when a step
    has failed.
    """
    name_data(data)
    folder = out or Path("runs") / recipe.stem
    if dry:
        _print_steps(recipe, folder)
        return
    _run_study(recipe, folder, device=device, batch_size=batch_size)


def demo(
    out: Annotated[Path, typer.Option(help="Folder of the study.")] = Path("runs/demo"),
) -> None:
    """Plant a bias, measure, find and remove it: about three minutes.

    No network is needed. Interrupted at any moment, the same command resumes.
    """
    from equipoise.demo import RECIPE

    _run_study(RECIPE, out, planted_truth=True)


def _run_study(
    recipe: Path,
    folder: Path,
    *,
    device: str = "auto",
    batch_size: int | None = None,
    planted_truth: bool = False,
) -> None:
    """Run a recipe into a folder and finish with its report; exits with 1 when a step failed.

    `planted_truth`: say what the instruments read against what was planted, as the demo does.
    """
    from equipoise.study.plan import plan
    from equipoise.study.recipe import Recipe
    from equipoise.study.runner import run as run_plan
    from equipoise.study.store import Store

    planned = plan(Recipe.from_yaml(recipe))
    hush()
    store = Store.open(folder)
    try:
        summary = run_plan(planned, store, say=say, device=device, batch_tokens=batch_size)
    except KeyboardInterrupt:
        say("stopped; the same command resumes")
        raise typer.Exit(code=130) from None
    failed = len(summary.failed)
    say(f"{summary.done} steps done, {summary.skipped} were done before, {failed} failed")
    _finish(store, planted_truth=planted_truth)
    if failed:
        raise typer.Exit(code=1)


def _print_steps(recipe: Path, folder: Path) -> None:
    from equipoise.study.plan import plan
    from equipoise.study.recipe import Recipe
    from equipoise.study.store import Store

    planned, store = plan(Recipe.from_yaml(recipe)), Store(folder=folder)
    for step in planned.steps:
        state = "done" if store.fault(step.key) is None else "to do"
        print(f"{state:6} {step.key}  {step.title}")
    print(f"{len(planned.steps)} steps, in {folder}")


def _finish(store: "Store", *, planted_truth: bool) -> None:
    """Write the report and each edit with its card, and print the verdicts."""
    from equipoise import demo
    from equipoise.report.html import study_page
    from equipoise.report.sentences import verdict_sentence
    from equipoise.study.load_study import read_study

    study = read_study(store.folder)
    lead = demo.lead(study) if planted_truth else ()
    page = store.folder / "report.html"
    with store.waiting_lock("publishing"):
        store.write_file(page, study_page(study, lead=lead))
        _publish(store, study)
    if planted_truth:
        print("\n  ".join(["The instruments, against what was planted:", *demo.instruments(study)]))
    for chapter in study.chapters:
        said = demo.plainly(chapter) if planted_truth and chapter.comparisons else None
        verdict = f"{chapter.mitigation} on {chapter.model}: {verdict_sentence(chapter.verdict)}"
        print("", said or verdict, *([verdict] if said else []), sep="\n")
    print(f"\nThe report: {page}")


def _publish(store: "Store", study: "Study") -> None:
    """Each edit in a folder of its own, with its numbers in its card."""
    from equipoise.export.model_card import card_changes
    from equipoise.study.edit_folders import edits_by_seed, publish

    for chapter in study.chapters:
        for seed, edit, own_comparisons in edits_by_seed(chapter):
            name = f"{chapter.model}-{chapter.mitigation}-seed{seed}"
            publish(store, name, edit, card_changes(own_comparisons) if own_comparisons else None)
