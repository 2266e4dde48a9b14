"""A recipe run from Python, as `equipoise run` does it, without its page."""

import sys
from collections.abc import Callable
from pathlib import Path

from equipoise.errors import RecipeError
from equipoise.study.load_study import read_study
from equipoise.study.plan import plan
from equipoise.study.recipe import Recipe
from equipoise.study.runner import run as run_plan
from equipoise.study.store import Store
from equipoise.study.study import Study


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def run(
    recipe: Recipe | Path | str,
    out: Path | str | None = None,
    *,
    device: str = "auto",
    batch_tokens: int | None = None,
    say: Callable[[str], None] = _say,
) -> Study:
    """Run a study from its recipe, or go on with it; gives what is in its folder.

    `recipe`: a YAML file, or a recipe that was read. `out`: its folder, as `equipoise run --out`
    takes it; None: runs/NAME of the recipe. `say` gets a line per step. A step that fails does not
    stop the rest: it is in `Study.missing`, with its reason.
    Raises `RecipeError` for a mistake in the recipe, before anything is done.
    """
    if isinstance(recipe, str | Path):
        recipe = Recipe.from_yaml(recipe)
    if not isinstance(recipe, Recipe):
        raise RecipeError(
            f"a recipe must be a YAML file, got {type(recipe).__name__}; write it to a file and "
            "give its path"
        )
    planned = plan(recipe)
    store = Store.open(out or Path("runs") / Path(recipe.source).stem)
    run_plan(planned, store, say=say, device=device, batch_tokens=batch_tokens)
    return read_study(store.folder)
