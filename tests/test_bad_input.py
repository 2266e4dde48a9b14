"""Bad input at the command line: one sentence that says what to do, status 2, nothing written.

Each kind of mistake is made once here; what else a room refuses is tested in that room.
"""

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from equipoise import cli
from equipoise.api import locate, measure
from equipoise.benchmarks.base import AnyBenchmark, Benchmark
from equipoise.compare import compare_all
from equipoise.errors import DataError, ModelError, OptionError, RecipeError, StoreError
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.lftf import Lftf
from equipoise.plugins import build
from equipoise.predictions import Predictions
from equipoise.study.results import check_new, read_results
from equipoise.testing import tiny_model, tiny_supply, tiny_tokenizer

SECRET = "quillwort"  # in every text of the data below: no message may show it
STEREOSET = ("stereoset", "--draws", "0")

Refused = Callable[..., str]


def example(id: str, target: str, axis: str, context: str) -> dict[str, Any]:
    words = {"stereotype": "s", "anti-stereotype": "t", "unrelated": "u"}
    return {
        "id": id,
        "target": target,
        "bias_type": axis,
        "context": context,
        "sentences": [
            {"sentence": f"The {SECRET} is {word}.", "id": f"{id}-{label}", "gold_label": label}
            for label, word in words.items()
        ],
    }


ITEMS = [example(id, "tree", "gender", f"The {SECRET} is BLANK.") for id in "ab"]
DEV = {"data": {"intrasentence": ITEMS, "intersentence": [example("c", "sea", "race", SECRET)]}}
SENTENCES = [
    sentence["id"]
    for task in DEV["data"].values()
    for item in task
    for sentence in item["sentences"]
]


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every file and folder, but for what is cached."""
    return {
        str(entry.relative_to(folder)): entry.read_bytes() if entry.is_file() else None
        for entry in sorted(folder.rglob("*"))
        if "cache" not in entry.relative_to(folder).parts
    }


def run(*arguments: object) -> int:
    return cli.run([str(argument) for argument in arguments])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder to work in: data, a cache, and something of the user's own."""
    for name, value in {"DATA": "data", "CACHE": "cache"}.items():
        monkeypatch.setenv(f"EQUIPOISE_{name}", str(tmp_path / value))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "stereoset").mkdir(parents=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kept.txt").write_text("kept")
    (tmp_path / "data" / "stereoset" / "dev.json").write_text(json.dumps(DEV))
    return tmp_path


@pytest.fixture
def refused(place: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run a command that must be refused; gives the one sentence that it said."""

    def check(*arguments: object) -> str:
        before = contents(place)
        capsys.readouterr()
        status = run(*arguments)
        out, err = capsys.readouterr()
        assert contents(place) == before
        assert (status, out) == (2, "")
        (line,) = err.splitlines()
        assert line.startswith("error: ")
        assert SECRET not in line
        assert "; " in line, "nothing is said of what to do"
        return line

    return check


def save(folder: Path, model: LanguageModel) -> Path:
    model.module.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("models") / "tiny", tiny_model("llama"))


def stereoset() -> AnyBenchmark:
    built: AnyBenchmark = build(Benchmark, "stereoset")
    return built


def full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


# --- at the command line ----------------------------------------------------------------------


@pytest.mark.thorough
def test_a_broken_data_file(place: Path, model: Path, refused: Refused) -> None:
    (place / "data" / "stereoset" / "dev.json").write_text("[1]")
    message = refused("measure", model, *STEREOSET, "--out", "new")
    assert "dev.json, row 1 must be an object" in message


def test_missing_data_folder(model: Path, refused: Refused) -> None:
    assert "got 'absent'" in refused("measure", model, *STEREOSET, "--data", "absent")


def test_missing_model(refused: Refused) -> None:
    assert "no/such/model" in refused("measure", "no/such/model", *STEREOSET)


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (("measure", "MODEL", "sterioset"), "did you mean 'stereoset' or"),
        (("measure", "MODEL", "stereoset", "--set", "stereoset.tsk=both"), "did you mean 'task'?"),
        (("mitigate", "MODEL", "lfft", "--out", "new"), "did you mean 'lftf'?"),
    ],
)
def test_misspelt_name_suggests_the_nearest(
    arguments: tuple[str, ...], nearest: str, refused: Refused
) -> None:
    assert nearest in refused(*arguments)


@pytest.mark.thorough
def test_invalid_flag(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(place)
    for arguments, part in (
        (("measure", "m", "stereoset", "--limit", "0"), "'--limit': "),
        (("measure", "m", "stereoset", "--limt", "3"), "--limt"),
        (("mitigate", "m", "lftf"), "--out"),
        (("mesure", "m", "stereoset"), "'measure'"),
    ):
        assert run(*arguments) == 2
        out, err = capsys.readouterr()
        assert (out, part in err.splitlines()[-1]) == ("", True)
    assert contents(place) == before


def test_existing_results_folder(model: Path, refused: Refused) -> None:
    assert "got mine" in refused("measure", model, *STEREOSET, "--out", "mine")


@pytest.mark.thorough
def test_a_measurement_is_shown_although_it_cannot_be_written(
    model: Path, place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(place)
    monkeypatch.setattr("pyarrow.parquet.write_table", full)
    assert run("measure", model, *STEREOSET, "--out", "new") == 2
    out, err = capsys.readouterr()
    assert "lms" in out
    assert "No space left" in err
    assert contents(place) == before


@pytest.mark.thorough
def test_an_edit_that_cannot_be_written_leaves_nothing(
    model: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("equipoise.files.atomic.flush", full)
    supply = ("--supply", "texts", "--set", "texts.path=mine/kept.txt")
    assert "No space left" in refused("mitigate", model, "self_debias", *supply, "--out", "new")


def test_unreadable_file(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "somewhere")

    monkeypatch.setattr("equipoise.commands.flags.load_model", denied)
    assert "Permission denied: 'somewhere'" in refused("measure", "m", *STEREOSET)


@pytest.mark.thorough
def test_nonfinite_logprobs_name_the_example(place: Path, refused: Refused) -> None:
    spoilt = tiny_model("llama")
    letter = spoilt.tokenizer("e", add_special_tokens=False)["input_ids"][0]
    with torch.no_grad():
        spoilt.module.get_output_embeddings().weight[letter] = math.nan
    said = refused("measure", save(place / "nan", spoilt), *STEREOSET, "--out", "new")
    assert "stereoset: example 'a'" in said
    assert "must have finite log-probabilities, got nan" in said


@pytest.mark.thorough
def test_damaged_results_and_unwritable_page(place: Path, model: Path, refused: Refused) -> None:
    assert run("measure", model, *STEREOSET, "--out", "results") == 0
    said = refused("compare", "results", "results", "--draws", "0", "--html", "mine")
    assert "--html must be a file, got the folder mine" in said
    shutil.copytree("results", "broken")
    (place / "broken" / "results.json").write_text("{")
    said = refused("compare", "results", "broken", "--html", "page.html")
    assert "broken/results.json must be JSON" in said


@pytest.mark.thorough
def test_an_interrupt_in_the_middle_leaves_nothing(
    place: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("equipoise.inference.engine.logits_at", interrupted)
    before = contents(place)
    assert run("measure", model, *STEREOSET, "--out", "new") == 130
    assert "Traceback" not in capsys.readouterr().err
    assert contents(place) == before


@pytest.mark.thorough
def test_a_process_says_one_line(place: Path) -> None:
    command = [sys.executable, "-m", "equipoise", "export", "nowhere"]
    before = contents(place)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "--csv" in line
    assert contents(place) == before


# --- by calls ---------------------------------------------------------------------------------


def test_missing_data_file_and_directory_in_its_place(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = place / "data" / "stereoset" / "dev.json"
    file.unlink()
    with pytest.raises(DataError, match=r"'stereoset/dev.json'"):
        stereoset().examples("dev")
    file.mkdir()
    with pytest.raises(DataError, match=f"{file} must be a file"):
        stereoset().examples("dev")
    monkeypatch.setenv("EQUIPOISE_DATA", "absent")
    with pytest.raises(DataError, match=r"EQUIPOISE_DATA.* got 'absent'"):
        stereoset().examples("dev")


@pytest.mark.parametrize(
    ("content", "part"),
    [(None, "text.txt"), (b" \n", "blank lines"), (b"\xff", "UTF-8")],
)
def test_unreadable_text_file(content: bytes | None, part: str, place: Path) -> None:
    if content is not None:
        (place / "text.txt").write_bytes(content)
    for file, expected in (("text.txt", part), ("mine", "'mine' must be a file")):
        benchmark: AnyBenchmark = build(Benchmark, "perplexity", {"file": file})
        with pytest.raises(DataError, match=expected):
            benchmark.examples(benchmark.splits[0])


@pytest.mark.thorough
@pytest.mark.parametrize("start", ["bos", "eos", "none"])
def test_missing_pad_or_start_token_is_accepted(start: Any, place: Path) -> None:  # noqa: ARG001
    model = tiny_model("llama", bos=start)
    unpadded = replace(model, tokenizer=tiny_tokenizer(bos=start, pad=False))
    results = [measure(each, stereoset(), draws=0) for each in (model, unpadded)]
    assert results[0].estimates == results[1].estimates
    assert math.isfinite(results[1].estimate("ss").value)
    if start == "none":
        edit = Lftf(epochs=1).fit(unpadded, tiny_supply(), seed=0)
        with edit.attached(unpadded) as edited:
            measure(edited, stereoset(), draws=0)


def test_too_short_context_window_names_the_example(place: Path) -> None:  # noqa: ARG001
    short = tiny_model("llama", context=12)
    with pytest.raises(ModelError, match=r"stereoset: example 'a' must fit .* 12 tokens, got "):
        measure(short, stereoset(), draws=0)
    with pytest.raises(ModelError, match=r"prompt 0 must have 2 to 12 tokens"):
        locate(short, supply=tiny_supply())
    with pytest.raises(ModelError, match=r"prompt 0 must have 2 to 12 tokens"):
        Lftf().fit(short, tiny_supply(), seed=0)


@pytest.mark.thorough
def test_nan_loss_names_the_step_and_the_learning_rate() -> None:
    with pytest.raises(ModelError, match=r"step 1: the loss must be finite.*it is 1e\+30"):
        Lftf(epochs=2, learning_rate=1e30).fit(tiny_model(), tiny_supply(), seed=0)


@pytest.mark.thorough
def test_an_edit_of_another_base() -> None:
    model = tiny_model("llama")
    edit = Lftf(epochs=1).fit(model, tiny_supply(), seed=0)
    with (
        pytest.raises(ModelError, match=r"learnt on, tiny-llama@0.*, got tiny-llama@1"),
        edit.attached(tiny_model("llama", seed=1)),
    ):
        pass


def test_options_that_no_plug_in_has_together_with_its_data() -> None:
    with pytest.raises(RecipeError, match="supplier 'crows_pairs' is not known"):
        locate(tiny_model(), supply="crows_pairs")
    with pytest.raises(DataError, match="split 'test' must have examples of task 'both'"):
        measure(tiny_model(), "stereoset", split="test", data="planted:default")
    with pytest.raises(OptionError, match="sterioset"):
        build(Benchmark, "stereoset", {"sterioset": "both"})


def test_results_folder_is_refused_before_anything_runs(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mine", "mine/kept.txt", "mine/kept.txt/new"):
        with pytest.raises(StoreError, match=name):
            check_new(Path(name), what="results")

    def denied(**_: object) -> None:  # the superuser may write anywhere
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("equipoise.files.atomic.TemporaryFile", denied)
    with pytest.raises(StoreError, match="new cannot be made because"):
        check_new(place / "new", what="results")


@pytest.mark.parametrize(
    ("content", "part"),
    [({"schema": 9, "benchmarks": {}}, "schema 2, got 9"), ({"benchmarks": []}, "'list'")],
)
def test_results_of_another_schema(content: dict[str, Any], part: str, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps({"equipoise": {"schema": 2, **content}}))
    with pytest.raises(StoreError, match=part):
        read_results(tmp_path)


@pytest.mark.thorough
def test_results_of_no_common_benchmark(place: Path) -> None:  # noqa: ARG001
    before = measure(tiny_model(), stereoset(), draws=0)
    with pytest.raises(RecipeError, match=r"\['stereoset'\] before and \['genbias'\] after"):
        compare_all([before], [replace(before, benchmark="genbias")], draws=0)


def test_published_predictions(place: Path) -> None:
    file = place / "scores.json"
    scores = [{"id": id, "score": score} for score, id in enumerate(SENTENCES)]
    file.write_text(json.dumps({"intrasentence": scores}))
    assert len(measure(Predictions(file=file), stereoset(), draws=0).outcomes) == 3
    with pytest.raises(DataError, match="entry 0 must have a key 'gpt'"):
        measure(Predictions(file=file, column="gpt"), stereoset(), draws=0)
    with pytest.raises(DataError, match="'mine' is a folder"):
        measure(Predictions(file=Path("mine")), stereoset(), draws=0)
    with pytest.raises(RecipeError, match="genbias reads no published predictions"):
        measure(Predictions(file=file), "genbias", data="planted:default")
