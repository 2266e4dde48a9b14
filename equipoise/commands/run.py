"""`equipoise run` and `equipoise demo`: a study from a recipe, resumed where it was stopped."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equipoise.commands import flags
from equipoise.commands.export import describe_study
from equipoise.processes.launch import is_main_process, refuse_several_processes
from equipoise.progress.messages import NOTHING_KEPT, when_stopped

if TYPE_CHECKING:
    from equipoise.study.plan import Plan
    from equipoise.study.recipe import Recipe
    from equipoise.study.store import Store
    from equipoise.study.study import Study


def run(  # noqa: PLR0913
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A YAML file.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of the study; else runs/NAME of the recipe."),
    ] = None,
    dry: Annotated[bool, typer.Option("--dry", help="Print the steps, do nothing.")] = False,
    no_controls: Annotated[
        bool,
        typer.Option(
            "--no-controls",
            help="Leave out the word tables that join methods which learn from StereoSet.",
        ),
    ] = False,
    on: Annotated[
        str | None,
        typer.Option(
            help="Where steps run: local:N (processes), ray, ray:HOST:PORT or slurm; "
            "see docs/cluster.md. Else in this process, one after the other."
        ),
    ] = None,
    allow_code: flags.AllowCode = False,
    data: flags.Data = None,
    device: flags.Device = "auto",
    batch_size: flags.BatchSize = None,
    as_json: flags.AsJson = False,
) -> None:
    """Run a study: models x mitigations x benchmarks x seeds.

    Interrupted at any moment, the same command resumes. Ends with the report; status 1 when a step
    has failed. Python code that a model brings runs where the recipe says trust_remote_code: true.
    """
    flags.name_data(data)
    folder = out or Path("runs") / recipe.stem
    if on is not None:
        from equipoise.executors.place import parse_place

        parse_place(on)  # before a recipe is read, which may take a while
    read = _read_recipe(recipe, controls=not no_controls, allow_code=allow_code)
    if dry:
        _print_plan(read, folder, on=on, device=device, as_json=as_json)
    else:
        _run_study(read, folder, on=on, device=device, batch_size=batch_size, as_json=as_json)


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the study.")] = Path(
        "runs/demo"
    ),
    quick: Annotated[
        bool, typer.Option("--quick", help="A method and a seed: about a minute.")
    ] = False,
    as_json: flags.AsJson = False,
) -> None:
    """Plant a bias, measure, find and remove it: about three minutes.

    No network is needed. Interrupted at any moment, the same command resumes; what --quick did is
    not done again without it.
    """
    from equipoise.demo import RECIPE
    from equipoise.study.recipe import Recipe

    recipe = Recipe.from_yaml(RECIPE)
    if quick:  # pronouns alone, a method and a seed; each step is a step of the whole demo, too
        recipe = replace(
            recipe,
            benchmarks=tuple(each for each in recipe.benchmarks if each.name != "stereoset"),
            mitigations=recipe.mitigations[:1],
            seeds=recipe.seeds[:1],
            locators=(),
        )
    _run_study(recipe, out, planted_truth=True, as_json=as_json)


def _read_recipe(file: Path, *, controls: bool, allow_code: bool) -> "Recipe":
    """A recipe, controls left out and programs run as the command says."""
    from equipoise.study.recipe import Recipe

    recipe = Recipe.from_yaml(file)
    if allow_code:
        running = flags.running_code(benchmark.name for benchmark in recipe.benchmarks)
        benchmarks = tuple(
            replace(spec, options={**spec.options, "allow_code": True})
            if spec.name in running
            else spec
            for spec in recipe.benchmarks
        )
        recipe = replace(recipe, benchmarks=benchmarks)
    return replace(recipe, controls=recipe.controls and controls)


def _say_left_out(planned: "Plan") -> None:
    for title, reason in planned.left_out:
        flags.say(f"left out: {title}: {reason}")
    for label, reason in planned.missing:
        flags.say(f"missing: {label}: {reason}")


def _print_plan(
    recipe: "Recipe", folder: Path, *, on: str | None, device: str, as_json: bool
) -> None:
    """Print the steps, which are done, how long each took or may take, and where it would run."""
    from equipoise.executors.choose import describe_places
    from equipoise.progress.messages import duration
    from equipoise.study.plan import plan
    from equipoise.study.runner import describe_steps
    from equipoise.study.store import Store
    from equipoise.study.timing import Timing

    planned = plan(recipe)
    store = Store(folder=folder)
    steps = describe_steps(planned)
    timing = Timing.of(store, steps)
    known = {str(step["key"]): store.fault(str(step["key"])) is None for step in steps}
    seconds = {
        key: timing.by_key.get(key) if known[key] else timing.expect(step)
        for key, step in zip(known, steps, strict=True)
    }
    unlike = [key for key, took in seconds.items() if took is None and not known[key]]
    guesses = _guess_times(planned, unlike, device=device)
    place, needs = describe_places(on, planned, device=device)
    if as_json:
        names = ("key", "kind", "title", "model", "mitigation", "benchmark", "plugin", "seed")
        document = [
            {name: step[name] for name in names}
            | {"done": known[key], "seconds": seconds[key], "guessed_seconds": guesses.get(key)}
            | {"needs": needs.get(key)}
            for key, step in zip(known, steps, strict=True)
        ]
        left_out = [{"what": title, "why": reason} for title, reason in planned.left_out]
        missing = [{"what": label, "why": reason} for label, reason in planned.missing]
        answer = {"folder": str(folder), "place": place, "steps": document, "left_out": left_out}
        print(json.dumps(answer | {"missing": missing}))
        return
    to_do = []
    for key, step in zip(known, steps, strict=True):
        about = "" if known[key] else "~"
        took = "" if (expected := seconds[key]) is None else f"{about}{duration(expected)}"
        took = f"?{duration(guesses[key])}" if key in guesses else took
        where = f"  ({needs[key]})" if key in needs and not known[key] else ""
        print(f"{'done' if known[key] else 'to do':6} {took:>9}  {key}  {step['title']}{where}")
        to_do += [] if known[key] else [step]
    _say_left_out(planned)
    if needs:
        print(f"where: {place}")
    left = f": {timing.describe(to_do, guesses)}" if to_do else ""
    print(f"{len(steps)} steps in {folder}, {len(to_do)} to do{left}")


def _guess_times(planned: "Plan", keys: Sequence[str], *, device: str) -> dict[str, float]:
    """Guesses of seconds for the steps of these keys, by key, where there is any."""
    from equipoise.study.time_guess import TimeGuess, time_machine

    if not keys:
        return {}
    guess = TimeGuess(planned, time_machine(device))
    guesses = {step.key: guess.seconds(step) for step in planned.steps if step.key in keys}
    return {key: seconds for key, seconds in guesses.items() if seconds is not None}


def _run_study(
    recipe: "Recipe",
    folder: Path,
    *,
    on: str | None = None,
    device: str = "auto",
    batch_size: int | None = None,
    planted_truth: bool = False,
    as_json: bool = False,
) -> None:
    """Run a recipe into a folder and finish with its report; exits with 1 when a step failed.

    `planted_truth`: say what the instruments read against what was planted, as the demo does.
    """
    from equipoise.processes.together import on_main
    from equipoise.study.plan import plan
    from equipoise.study.runner import run as run_plan
    from equipoise.study.store import Store

    when_stopped(lambda: _describe_earlier(folder))
    # whole before the first step: a mistake in the recipe's last line costs no hours
    planned = plan(recipe)
    _say_left_out(planned)
    flags.hush()
    store = on_main(lambda: Store.open(folder))
    when_stopped(lambda: _describe_kept(planned, store))
    executor = None
    if on is not None:
        from equipoise.executors.choose import open_executor

        refuse_several_processes(f"a study on {on}, whose workers are processes of their own,")
        executor = open_executor(on, planned, store, device=device, batch_tokens=batch_size)
    summary = run_plan(
        planned, store, say=flags.say, device=device, batch_tokens=batch_size, executor=executor
    )
    failed = len(summary.failed)
    if not is_main_process():
        raise typer.Exit(code=int(failed > 0))
    flags.say(f"{summary.done} steps done, {summary.skipped} were done before, {failed} failed")
    study, page = _publish(store, planted_truth=planted_truth)
    if as_json:
        counts = {"done": summary.done, "skipped": summary.skipped, "failed": [*summary.failed]}
        print(json.dumps({"folder": str(folder), **counts, **describe_study(study, page)}))
    else:
        _print_study(study, page, planted_truth=planted_truth)
    if failed:
        raise typer.Exit(code=1)


def _describe_earlier(folder: Path) -> str:
    """What is kept of an earlier run, while this one has not begun."""
    if not any(folder.glob("steps/*")):
        return NOTHING_KEPT
    return f"what was done before is kept in {folder}, and the same command goes on from there"


def _describe_kept(planned: "Plan", store: "Store") -> str:
    done = sum(store.step(step.key).is_dir() for step in planned.steps)
    return (
        f"{done} of {len(planned.steps)} steps are kept in {store.folder}, and the same command "
        "goes on from there"
    )


def _publish(store: "Store", *, planted_truth: bool) -> "tuple[Study, Path]":
    """Write the report and each edit with its card."""
    from equipoise import demo
    from equipoise.export.model_card import card_changes
    from equipoise.report.html import study_page
    from equipoise.study.edit_folders import edits_by_seed, publish
    from equipoise.study.load_study import read_study

    study = read_study(store.folder)
    page = store.folder / "report.html"
    # two processes may finish the same study at once
    with store.waiting_lock("publishing"):
        store.write_file(page, study_page(study, lead=demo.lead(study) if planted_truth else ()))
        for chapter in study.chapters:
            for seed, edit, comparisons in edits_by_seed(chapter):
                name = f"{chapter.model}-{chapter.mitigation}-seed{seed}"
                publish(store, name, edit, card_changes(comparisons) if comparisons else None)
    return study, page


def _print_study(study: "Study", page: Path, *, planted_truth: bool) -> None:
    """Print the verdicts, and where the report is."""
    from equipoise import demo
    from equipoise.conclusions import title_of
    from equipoise.report.controls import control_sentences
    from equipoise.report.reductions import reduction_sentences
    from equipoise.report.sentences import verdict_sentence
    from equipoise.report.shares import share_sentences
    from equipoise.stats.target_parts import part_sentences

    if planted_truth:
        print("\n  ".join(["The instruments, against what was planted:", *demo.instruments(study)]))
    for chapter in study.chapters:
        print()
        if planted_truth and chapter.comparisons:
            print(demo.plainly(chapter))
        print(f"{chapter.title}: {verdict_sentence(chapter.verdict)}")
        for sentence in (*control_sentences(study, chapter), *reduction_sentences(chapter)):
            print(f"  {sentence}")
        for comparison in chapter.comparisons:
            for said in part_sentences(comparison.changes):
                print(f"  {title_of(comparison.before)}: {said}")
    if shares := [*share_sentences(study)]:
        print("\n  ".join(["\nHow much of it is whose:", *shares]))
    print(f"\nThe report: {page}")
