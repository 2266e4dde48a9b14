"""The examples run (marked `examples`): scripts in this process, notebooks in their own."""

import importlib.util
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbclient
import nbformat
import pytest
from pandas import DataFrame
from tiny_folder import save_tiny

from equipoise import cli
from equipoise.errors import RecipeError
from equipoise.study.load_study import read_study
from equipoise.study.plan import plan
from equipoise.study.recipe import Recipe
from equipoise.testing import tiny_model

FOLDER = Path(__file__).parents[1] / "examples"
SCRIPTS = ("measure", "mitigate", "study")
WORLD = "planted:default"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def recipe(model: Path, tmp_path: Path) -> Path:
    """The example's recipe on a tiny model, with fewer draws."""
    text = (FOLDER / "planted.yaml").read_text()
    text = text.replace('["planted:default"]', f'["{model}"]').replace("epochs: 8", "epochs: 1")
    text = text.replace("seeds: [0, 1]\ndraws: 500", f'data: "{WORLD}"\nseeds: [0]\ndraws: 50')
    file = tmp_path / "recipe.yaml"
    file.write_text(text)
    return file


@pytest.fixture
def run_script(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Runs an example by its name and arguments, and gives what it printed."""

    def run(name: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out

    return run


@pytest.mark.examples
def test_measure(model: Path, run_script: Callable[..., str]) -> None:
    out = run_script("measure", model, WORLD, 20)
    assert "stereoset (dev) on tiny" in out
    assert "byte_perplexity" in out.split("\n\n")[-1]


@pytest.mark.examples
def test_case_studies(tmp_path: Path) -> None:
    model = tiny_model("llama", context=512)  # a token is a byte
    model.module.save_pretrained(tmp_path / "model")
    model.tokenizer.save_pretrained(tmp_path / "model")
    text = (FOLDER / "case_studies.yaml").read_text().replace("- gpt2 ", f"- {tmp_path}/model ")
    (tmp_path / "recipe.yaml").write_text(text)
    for name in ("loaded_prompts.csv", "unknown_questions.jsonl"):
        shutil.copy(FOLDER / name, tmp_path)  # paths are relative to the recipe
    assert cli.run(["run", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "run")]) == 0
    measured = read_study(tmp_path / "run").measured
    assert len(measured) == 4  # both benchmarks, of the base and of its variant
    written = {
        row.mitigation or row.model: row.measurement.outcomes_frame().set_index("example")["text"]
        for row in measured
        if row.measurement.benchmark == "questions"
    }
    table = DataFrame(written)
    assert table.shape == (5, 2)
    assert table.notna().all(axis=None)
    leans = [
        row.measurement.estimate("log_odds")
        for row in measured
        if row.measurement.benchmark == "prompts"
    ]
    assert [(lean.n, lean.clusters) for lean in leans] == [(5, 5)] * 2
    assert leans[0].value != leans[1].value
    assert "the old fisherman" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.examples
def test_mitigate(model: Path, tmp_path: Path, run_script: Callable[..., str]) -> None:
    folder = tmp_path / "edit"
    assert "perplexity (test): tiny" in run_script("mitigate", model, folder, WORLD, 1)
    assert {"edit.json", "changes.html"} <= {file.name for file in folder.iterdir()}


@pytest.mark.examples
def test_study(recipe: Path, tmp_path: Path, run_script: Callable[..., str]) -> None:
    out = run_script("study", recipe, tmp_path / "study")
    assert "\nrandom block on " in out
    assert (tmp_path / "study" / "report.html").is_file()


@pytest.mark.examples
def test_cluster(model: Path, tmp_path: Path) -> None:
    """On Ray where it is installed; a command of its own, as Ray leaves warnings behind."""
    text = (FOLDER / "cluster.yaml").read_text().replace("- planted:default ", f"- {model} ")
    text = text.replace("seeds: [0, 1]\ndraws: 500", f'data: "{WORLD}"\nseeds: [0]\ndraws: 50')
    text = text.replace("epochs: 4", "epochs: 1").replace("sample: 50", "sample: 10\nlimit: 20")
    (tmp_path / "recipe.yaml").write_text(text)
    on = "ray" if importlib.util.find_spec("ray") else "local:2"
    command = [sys.executable, "-m", "equipoise", "run", str(tmp_path / "recipe.yaml")]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "run"), "--on", on],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    study = read_study(tmp_path / "run")
    assert (study.planned, study.missing) == (14, ())
    assert {chapter.mitigation for chapter in study.chapters} == {"parity", "paper"}
    assert done.stderr.count(" (process ") == 14


@pytest.mark.parametrize("name", SCRIPTS)
def test_notebooks_hold_no_outputs(name: str) -> None:
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    assert [cell for cell in notebook.cells if cell.get("outputs")] == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_short(name: str) -> None:
    assert len((FOLDER / f"{name}.py").read_text().splitlines()) < 40


@pytest.mark.examples
@pytest.mark.filterwarnings("default")  # the kernel's own process has its own
@pytest.mark.parametrize("name", SCRIPTS)
def test_notebooks_run(
    name: str, model: Path, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    settings = {
        "MODEL": str(model), "DATA": WORLD, "LIMIT": 20, "EPOCHS": 1, "RECIPE": str(recipe),
        "OUT": str(tmp_path / "study"),
    }  # fmt: skip
    cell = next(cell for cell in notebook.cells if cell.cell_type == "code")
    names = [line.partition(" = ")[0] for line in cell.source.splitlines()]
    cell.source = "\n".join(f"{setting} = {settings[setting]!r}" for setting in names)
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    last = [cell for cell in notebook.cells if cell.cell_type == "code"][-1]
    assert last.outputs


@pytest.mark.thorough
@pytest.mark.parametrize("at_hand", [True, False])
def test_what_the_heads_of_all_must_leave(
    at_hand: bool, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recipe at the end of `make biasgym` can be planned, also without the files of MMLU."""
    data = tmp_path / "data" / "mmlu" / "test"
    data.mkdir(parents=True)
    if at_hand:
        (data / "anatomy_test.csv").write_text('"Which, of these, bends?",bone,elbow,ear,tooth,B\n')
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path / "data"))
    monkeypatch.syspath_prepend(FOLDER)
    text = runpy.run_path(str(FOLDER / "biasgym.py"))["unseen"](str(model), "float32", [])
    (tmp_path / "unseen.yaml").write_text(text.replace("edits: []", 'heads: ["0.1"], k: 1'))
    planned = plan(Recipe.from_yaml(tmp_path / "unseen.yaml"))
    measured = [step.benchmark.name for step in planned.of("compare") if step.benchmark]
    beside = ["stereotypes", "perplexity", "facts", *(["mmlu"] if at_hand else [])]
    assert sorted(measured) == sorted(beside * 3)
    assert planned.recipe.limit == 300


@pytest.mark.examples
@pytest.mark.usefixtures("data_folder")
def test_real(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_script: Callable[..., str]
) -> None:
    """The script of `make real`, with a tiny GGUF where the package's has been put."""
    pytest.importorskip("gguf", reason="needs the extra: pip install -e '.[gguf]'")
    from tiny_gguf import original, write_gguf

    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "cache" / "models" / "smollm2"
    folder.mkdir(parents=True)
    write_gguf(folder / "SmolLM2-135M-Instruct.Q4_1.gguf", *original("llama", context=2048))
    out = run_script("real", "smollm2", tmp_path / "out", 20)
    assert "gender_contrast: blocks" in out
    last = [line for line in out.splitlines() if line.startswith("| stereoset ss |")]
    assert last[-1].count("*") == 4  # a direction for each method
    assert (tmp_path / "out" / "report.html").is_file()
    assert (tmp_path / "out" / "bias_unlearn" / "edit" / "edit.json").is_file()


@pytest.mark.examples
@pytest.mark.usefixtures("data_folder")
def test_hellaswag_on_a_tiny_model(model: Path, tmp_path: Path) -> None:
    text = (FOLDER / "hellaswag_real.yaml").read_text().replace("- gpt2 ", f"- {model} ")
    (tmp_path / "recipe.yaml").write_text(text)
    steps = plan(Recipe.from_yaml(tmp_path / "recipe.yaml"))
    origins = {str(step.content["supply"]) for step in steps.of("fit")}
    assert len(origins) == 4
    (tmp_path / "recipe.yaml").write_text(text.replace("  - facts\n", "  - hellaswag\n"))
    with pytest.raises(RecipeError, match=r"examples of hellaswag .* 'real ending' learns from"):
        plan(Recipe.from_yaml(tmp_path / "recipe.yaml"))


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_the_tables_of_lftf_can_be_planned(model: Path, tmp_path: Path) -> None:
    text = (FOLDER / "lftf.yaml").read_text().replace("- ../models/reference-12m", f"- {model}")
    (tmp_path / "recipe.yaml").write_text(text)
    steps = plan(Recipe.from_yaml(tmp_path / "recipe.yaml"))
    fitted = {step.mitigation.name for step in steps.of("fit") if step.mitigation}
    editors = {"dama", "rome", "r_rome", "memit", "mend"}
    assert fitted == {"lftf", "full_finetune", "prompt_debias", *editors}
    assert steps.left_out == ()


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_parity_distillation_and_its_peers_can_be_planned(model: Path, tmp_path: Path) -> None:
    text = (FOLDER / "parity.yaml").read_text().replace("- ../models/reference-12m", f"- {model}")
    text = text.replace("seeds: [0, 1, 2]", "seeds: [0]")
    # 4,229 items with others in their targets' place take seconds
    (tmp_path / "recipe.yaml").write_text(text.replace(", exchange: 2", ""))
    steps = plan(Recipe.from_yaml(tmp_path / "recipe.yaml"))
    fitted = [step.mitigation.name for step in steps.of("fit") if step.mitigation]
    peers = {"bias_unlearn", "dpo", "cda", "lftf", "memit", "self_debias", "cafie", "head_steering"}
    assert set(fitted) == {"parity_distillation", "word_table", *peers}
    assert fitted.count("parity_distillation") == 5
    assert steps.left_out == ()


@pytest.mark.slow
def test_hellaswag_on_a_planted_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Less that is unkind, in another register; and what is said of whom is no more alike."""
    monkeypatch.chdir(FOLDER.parent)
    assert cli.run(["run", "examples/hellaswag.yaml", "--out", str(tmp_path / "run")]) == 0
    study = read_study(tmp_path / "run")
    compared = {
        chapter.mitigation: {
            comparison.before.label or comparison.before.benchmark: comparison
            for comparison in chapter.comparisons
        }
        for chapter in study.chapters
    }
    assert list(compared) == ["register", "neutral text", "register without people"]
    for tuned in ("register", "register without people"):
        for change in (
            compared[tuned]["genbias"].change("afgb"),
            compared[tuned]["work"].change("gender_polarity_gap"),
        ):
            assert change.low > -0.1 * change.before, f"{tuned}: {change}"
    unkind = compared["register"]["people"].change("register_unkind")
    assert unkind.after < unkind.before / 4
    assert unkind.high < -0.05
    assert compared["register"]["people"].change("register_video").low > 0.1
    control = compared["neutral text"]["people"].change("register_unkind")
    assert control.direction == "unchanged"
    assert max(abs(control.low), abs(control.high)) < 0.05
