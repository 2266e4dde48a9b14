"""Bad input at the command line: one sentence that says what to do, status 2, nothing written."""

import copy
import dataclasses
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from equipoise import cli
from equipoise.benchmarks.base import AnyBenchmark, Benchmark
from equipoise.compare import compare_all
from equipoise.errors import DataError, RecipeError, StoreError
from equipoise.inference.language_model import LanguageModel
from equipoise.loading.load import load
from equipoise.plugins import build
from equipoise.study.results import read_results
from equipoise.testing import tiny_model, tiny_tokenizer

SECRET = "quillwort"  # in every text of the data below: no message may show it

WORLD = ("--data", "planted:default")
GENBIAS = ("genbias", *WORLD, "--limit", "8", "--draws", "0")
STEREOSET = ("stereoset", "--draws", "0")
CROWS = ("crows_pairs", "--draws", "0")
LFTF = ("lftf", *WORLD, "--set", "lftf.epochs=1")

Refused = Callable[..., str]
Change = Callable[[dict[str, Any]], object]


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
HEADER = ",sent_more,sent_less,stereo_antistereo,bias_type\n"
ROWS = [
    f"0,The {SECRET} ran.,A {SECRET} sat.,stereo,gender\n",
    f'1,"Old, the {SECRET}.",New is the {SECRET}.,antistereo,age\n',
]


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every file and folder, but for what is cached."""
    return {
        str(entry.relative_to(folder)): content(entry) if entry.is_file() else None
        for entry in sorted(folder.rglob("*"))
        if "cache" not in entry.relative_to(folder).parts
    }


def content(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read()


def run(*arguments: object) -> int:
    return cli.run([str(argument) for argument in arguments])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder to work in: data, a cache, and something of the user's own."""
    for name, value in {"DATA": "data", "CACHE": "cache"}.items():
        monkeypatch.setenv(f"EQUIPOISE_{name}", str(tmp_path / value))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    for folder in ("stereoset", "crows_pairs"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kept.txt").write_text("kept")
    put_dev(tmp_path, json.dumps(DEV).encode())
    put_pairs(tmp_path, (HEADER + "".join(ROWS)).encode())
    return tmp_path


def put_dev(place: Path, content: bytes) -> None:
    (place / "data" / "stereoset" / "dev.json").write_bytes(content)


def put_pairs(place: Path, content: bytes) -> None:
    (place / "data" / "crows_pairs" / "crows_pairs_anonymized.csv").write_bytes(content)


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


def data_error(benchmark: str) -> str:
    """What a benchmark says of its broken file, in one sentence without any text of it."""
    built: AnyBenchmark = build(Benchmark, benchmark)
    with pytest.raises(DataError) as caught:
        built.examples(built.splits[0])
    said = str(caught.value)
    assert SECRET not in said
    assert "; " in said, "nothing is said of what to do"
    assert "\n" not in said
    return said


def save(folder: Path, model: LanguageModel, tokenizer: Any = None) -> Path:
    model.module.save_pretrained(folder)
    (tokenizer or model.tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("models") / "tiny", tiny_model("llama"))


@pytest.fixture(scope="module")
def edit(model: Path) -> Path:
    """An edit of the model, learnt on the training split of genbias."""
    assert run("mitigate", model, *LFTF, "--out", model.parent / "edit") == 0
    return model.parent / "edit"


@pytest.fixture(scope="module")
def results(model: Path) -> Path:
    """What measure wrote of the model."""
    assert run("measure", model, *GENBIAS, "--out", model.parent / "results") == 0
    return model.parent / "results"


# --- data files -------------------------------------------------------------------------------


def test_broken_data_at_the_command_line(place: Path, model: Path, refused: Refused) -> None:
    put_dev(place, b"[1]")
    assert "dev.json must be an object" in refused("measure", model, *STEREOSET, "--out", "new")
    put_pairs(place, HEADER.encode())
    assert "must have rows" in refused("measure", model, *CROWS, "--out", "new")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda item: item["sentences"].pop(), "must have 3 entries, got 2"),
        (lambda item: item["sentences"][0].update(sentence=[SECRET]), "must be a text, got a list"),
        (lambda item: item.update(context=SECRET), "must have the word BLANK"),
    ],
)
def test_a_broken_example_is_named(change: Change, message: str, place: Path) -> None:
    document = copy.deepcopy(DEV)
    change(document["data"]["intrasentence"][1])
    put_dev(place, json.dumps(document).encode())
    said = data_error("stereoset")
    assert "stereoset/dev.json, " in said
    assert "intrasentence[1]" in said or "intrasentence example 1" in said
    assert message in said


def test_a_missing_file_and_what_stands_in_its_place(
    place: Path, model: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = place / "data" / "stereoset" / "dev.json"
    file.unlink()
    assert "put the file at 'stereoset/dev.json'" in refused("measure", model, *STEREOSET)
    file.mkdir()
    assert f"{file} must be a file, got a folder" in refused("measure", model, *STEREOSET)
    monkeypatch.setenv("EQUIPOISE_DATA", "absent")
    assert "EQUIPOISE_DATA must name a folder" in refused("measure", model, *STEREOSET)
    assert "data must be a folder" in refused("measure", model, *STEREOSET, "--data", "absent")


def denied(file: Path) -> bytes:
    raise PermissionError(13, "Permission denied", str(file))


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "absent.txt"), (b" \n", "must hold text, got only blank lines"), (b"\xff", "UTF-8")],
)
def test_a_text_file_that_cannot_be_read(content: bytes | None, message: str, place: Path) -> None:
    if content is not None:
        (place / "text.txt").write_bytes(content)
    name = "absent.txt" if content is None else "text.txt"
    for file, part in ((name, message), ("mine", "'mine' must be a file, got a folder")):
        benchmark: AnyBenchmark = build(Benchmark, "perplexity", {"file": file})
        with pytest.raises(DataError) as caught:
            benchmark.examples(benchmark.splits[0])
        assert part in str(caught.value)


# --- models -----------------------------------------------------------------------------------


def cut(name: str, size: int) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:size])

    return change


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def test_what_is_no_model(place: Path, model: Path, refused: Refused) -> None:
    (place / "empty").mkdir()
    assert "empty must have a config.json" in refused("measure", "empty", *GENBIAS)
    assert "a model folder must exist" in refused("measure", model / "config.json", *GENBIAS)
    assert "no/such/model" in refused("measure", "no/such/model", *GENBIAS)
    assert "did you mean 'planted'?" in refused("measure", "plnted:default", *GENBIAS)
    assert "did you mean 'default'?" in refused("measure", "planted:defualt", *GENBIAS)


@pytest.mark.parametrize(
    ("start", "token", "pad"),
    [("bos", "<bos>", "eos"), ("eos", "<eos>", "eos"), ("none", None, "none")],
)
def test_tokenizers_that_lack_a_token_are_handled_and_recorded(
    start: Any, token: str | None, pad: str, place: Path
) -> None:
    tokenizer = tiny_tokenizer(bos=start, pad=False)
    folder = save(place / "plain", tiny_model("llama", bos=start), tokenizer)
    assert run("measure", folder, *GENBIAS, "stereoset", "--out", "new") == 0
    document = json.loads((place / "new" / "results.json").read_text())
    for section in document["equipoise"]["benchmarks"].values():
        assert (section["prefix"]["prefix"], section["prefix"]["start_token"]) == (start, token)
        assert section["model_info"]["pad"] == pad
    for benchmark, metric in ("genbias", "afgb"), ("genbias", "mass"), ("stereoset", "ss"):
        assert math.isfinite(document["results"][benchmark][f"{metric},none"])


def test_a_tokenizer_without_bos_eos_and_pad_is_no_hindrance_to_learning(place: Path) -> None:
    tokenizer = tiny_tokenizer(bos="none", pad=False)
    folder = save(place / "plain", tiny_model("llama", bos="none"), tokenizer)
    assert run("mitigate", folder, *LFTF, "--out", "edit") == 0
    assert run("measure", "edit", *GENBIAS, "--out", "new") == 0


def test_a_pad_token_changes_no_number(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = []
    for pad in (True, False):
        folder = save(place / f"pad {pad}", tiny_model("llama"), tiny_tokenizer(pad=pad))
        capsys.readouterr()
        assert run("measure", folder, *STEREOSET, "--json") == 0
        result.append(json.loads(capsys.readouterr().out)["results"])
    assert result[0] == result[1]


def test_a_context_that_is_too_short_names_the_example(place: Path, refused: Refused) -> None:
    short = save(place / "short", tiny_model("llama", context=24))
    said = refused("measure", short, *GENBIAS, "--out", "new")
    assert "genbias: example 'smiled/" in said
    assert "24 tokens, got " in said
    assert "example 'a'" in refused("measure", save_short(place, 12), *STEREOSET)
    assert "prompt 0 must have 2 to 24 tokens" in refused("locate", short, *WORLD)
    assert "prompt 0 must have" in refused("mitigate", short, *LFTF, "--out", "new")


def save_short(place: Path, context: int) -> Path:
    return save(place / f"short{context}", tiny_model("llama", context=context))


@pytest.fixture
def no_number(place: Path) -> Path:
    """A model with one weight that is nan: the output for the letter e."""
    model = tiny_model("llama")
    letter = model.tokenizer("e", add_special_tokens=False)["input_ids"][0]
    with torch.no_grad():
        model.module.get_output_embeddings().weight[letter] = math.nan
    return save(place / "nan", model)


def test_nan_logits_name_the_example(no_number: Path, refused: Refused) -> None:
    for benchmark in (GENBIAS, STEREOSET, CROWS):
        said = refused("measure", no_number, *benchmark, "--out", "new")
        assert f"{benchmark[0]}: example '" in said
        assert "must have finite log-probabilities, got nan" in said


@pytest.mark.parametrize("method", ["lftf", "full_finetune"])
def test_a_nan_loss_names_the_step(method: str, no_number: Path, refused: Refused) -> None:
    said = refused("mitigate", no_number, method, *WORLD, "--out", "new")
    assert "step 0: the loss must be finite, got nan" in said


def test_a_loss_that_becomes_nan_names_the_step(model: Path, refused: Refused) -> None:
    rate = ("--set", "lftf.learning_rate=1e30")
    said = refused("mitigate", model, *LFTF, *rate, "--out", "new")
    assert "step 1: the loss must be finite" in said
    assert "lower the learning rate (it is 1e+30)" in said


def test_infinite_hidden_states_name_the_block(place: Path, refused: Refused) -> None:
    model = tiny_model("llama")
    with torch.no_grad():
        model.module.model.layers[1].mlp.down_proj.weight[0, 0] = math.inf
    folder = save(place / "inf", model)
    assert "block 1 of inf@" in refused("locate", folder, *WORLD)
    assert "must have finite log-probabilities" in refused("measure", folder, *GENBIAS)


# --- edits and adapters -----------------------------------------------------------------------


def test_an_edit_is_not_measured_on_what_it_learnt(edit: Path, refused: Refused) -> None:
    said = refused("measure", edit, *GENBIAS, "--split", "train", "--out", "new")
    assert "this edit was trained on " in said
    assert "measure another split" in said


def test_an_edit_of_another_base(place: Path, model: Path, edit: Path, refused: Refused) -> None:
    twin = save(place / "twin", tiny_model("llama", seed=1))
    other = save(place / "other", tiny_model("gpt2"))
    said = refused("measure", edit, *GENBIAS, "--base", twin)
    assert "must be attached to the model it was learnt on, tiny@" in said
    assert "got twin@" in said
    assert "GPT2LMHeadModel must have the parameter" in refused(
        "measure", edit, *GENBIAS, "--base", other
    )
    assert "is a model; leave it out" in refused("measure", model, *GENBIAS, "--base", twin)


def test_an_adapter_of_another_base(place: Path, refused: Refused) -> None:
    with pytest.warns(FutureWarning):  # peft asks transformers for an old name
        adapter = get_peft_model(
            tiny_model("llama").module, LoraConfig(r=2, target_modules=["q_proj"])
        )
    adapter.save_pretrained(place / "adapter")
    wide = save(place / "wide", tiny_model("llama", width=64))
    other = save(place / "other", tiny_model("gpt2"))
    assert "give its base" in refused("measure", "adapter", *GENBIAS)
    for base in (wide, other):
        said = refused("measure", "adapter", *GENBIAS, "--base", base)
        assert f"{base.name}@" in said
        assert "give the base it was made for" in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (cut("weights.safetensors", 100), "weights.safetensors must have sha256"),
        (remove("weights.safetensors"), "weights.safetensors must be there"),
        (remove("trained_on.json"), "trained_on.json must be there"),
        (cut("edit.json", 100), "edit.json must be JSON"),
    ],
)
def test_a_broken_edit(
    change: Callable[[Path], None], message: str, place: Path, edit: Path
) -> None:
    shutil.copytree(edit, place / "broken")
    change(place / "broken")
    with pytest.raises(StoreError) as caught:
        load(str(place / "broken"))
    assert message in str(caught.value)


# --- what was asked for -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (("measure", "MODEL", "sterioset"), "did you mean 'stereoset'?"),
        (("measure", "MODEL", "zzz"), "known: bbq, cola, crows_pairs, facts"),
        (("measure", "MODEL", "stereoset", "--split", "tets"), "did you mean 'test'?"),
        (("measure", "MODEL", "stereoset", "--set", "stereoset.tsk=both"), "did you mean 'task'?"),
        (("measure", "MODEL", "stereoset", "--set", "sterioset.task=both"), "'stereoset'"),
        (("mitigate", "MODEL", "lfft", "--out", "new"), "did you mean 'lftf'?"),
        (("mitigate", "MODEL", *LFTF, "--out", "new", "--set", "lftf.blocks=9"), "at most 2"),
        (("mitigate", "MODEL", "lftf", "--supply", "crows_pairs", "--out", "new"),
         "supplier 'crows_pairs' is not known"),
        (("locate", "MODEL", "block_influenc"), "did you mean 'block_influence'?"),
        (("calibrate", "genbais"), "did you mean 'genbias'?"),
        (("calibrate", "genbias", "--strength", "2"), "from 0 to 1, got '2.0'"),
    ],
)  # fmt: skip
def test_an_unknown_name_is_told_the_nearest(
    arguments: tuple[str, ...], nearest: str, model: Path, refused: Refused
) -> None:
    assert nearest in refused(
        *(model if argument == "MODEL" else argument for argument in arguments)
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("measure", "m", "stereoset", "--limit", "0"), "'--limit': "),
        (("measure", "m", "stereoset", "--limit", "few"), "'--limit': "),
        (("measure", "m", "stereoset", "--draws", "-1"), "'--draws': "),
        (("measure", "m", "stereoset", "--limt", "3"), "--limt"),
        (("measure", "m"), "BENCHMARK"),
        (("mitigate", "m", "lftf"), "--out"),
        (("mesure", "m", "stereoset"), "'measure'"),
    ],
)
def test_a_flag_that_cannot_be(
    arguments: tuple[str, ...], message: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(place)
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    usage, remedy, *_, said = err.splitlines()
    assert (out, usage[:17]) == ("", "Usage: equipoise ")
    assert remedy.endswith("--help' for help.")
    assert said.startswith("Error: ")
    assert message in said
    assert contents(place) == before


def test_a_split_that_a_world_has_not(model: Path, refused: Refused) -> None:
    said = refused("measure", model, "stereoset", *WORLD, "--split",
                   "test")  # fmt: skip
    assert "split 'test' must have examples of task 'both', got none" in said


# --- places to write to -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [("measure", "MODEL", *GENBIAS), ("mitigate", "MODEL", *LFTF), ("calibrate", "genbias")],
    ids=lambda one: one[0],
)
def test_a_place_for_results_that_cannot_be(
    command: tuple[str, ...], model: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [model if one == "MODEL" else one for one in command]
    for name in ("mine", "mine/kept.txt"):
        assert f"new or empty folder, {name} is not one" in refused(*given, "--out", name)
    said = refused(*given, "--out", "mine/kept.txt/new")
    assert "mine/kept.txt/new cannot be made because" in said
    monkeypatch.setattr("os.access", lambda *_: False)  # the superuser may write anywhere
    assert "may not be written to" in refused(*given, "--out", "new")


def test_results_that_cannot_be_written_leave_nothing(
    model: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pyarrow.parquet.write_table", full)
        assert "No space left" in refused("measure", model, *GENBIAS, "--json", "--out", "new")
    monkeypatch.setattr("equipoise.edits.storage.save", full)
    assert "No space left" in refused("mitigate", model, *LFTF, "--out", "new")


def test_what_is_found_is_shown_although_a_later_step_fails(
    model: Path, place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    before = contents(place)
    monkeypatch.setattr("pyarrow.parquet.write_table", full)
    assert run("measure", model, *GENBIAS, "--out", "new") == 2
    out, err = capsys.readouterr()
    assert "afgb" in out
    assert "No space left" in err
    assert contents(place) == before


def test_a_page_where_none_can_be(results: Path, refused: Refused) -> None:
    for name in ("mine", "mine/kept.txt/page.html"):
        said = refused("compare", results, results, "--draws", "10", "--html", name)
        assert f"cannot write the page {name}" in said


def test_a_demo_that_has_no_place(refused: Refused) -> None:
    assert "mine/kept.txt" in refused("demo", "--out", "mine/kept.txt")


def test_the_file_system_says_no(
    model: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = "equipoise.commands.measure.load_model"
    monkeypatch.setattr(place, lambda *_: denied(Path("somewhere")))
    assert "Permission denied: 'somewhere'" in refused("measure", model, *GENBIAS)


# --- results ----------------------------------------------------------------------------------


def other_schema(folder: Path) -> None:
    rewrite(folder, lambda own: own.update(schema=9))


def without_split(folder: Path) -> None:
    rewrite(folder, lambda own: own["benchmarks"]["genbias"].pop("split"))


def as_list(folder: Path) -> None:
    rewrite(folder, lambda own: own.update(benchmarks=[]))


def rewrite(folder: Path, change: Change) -> None:
    document = json.loads((folder / "results.json").read_text())
    change(document["equipoise"])
    (folder / "results.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (cut("results.json", 300), "results.json must be JSON"),
        (remove("results.json"), "results.json' must be there"),
        (cut("results.json", 0), "results.json must be JSON"),
        (cut("outcomes-genbias.parquet", 50), "outcomes-genbias.parquet must have sha256"),
        (remove("outcomes-genbias.parquet"), "outcomes-genbias.parquet must be there"),
        (other_schema, "results.json must have schema 2, got 9"),
        (without_split, "got one without 'split'"),
        (as_list, "results.json must hold whole measurements, got one in which 'list'"),
    ],
)
def test_broken_results(
    change: Callable[[Path], None], message: str, tmp_path: Path, results: Path
) -> None:
    shutil.copytree(results, tmp_path / "broken")
    change(tmp_path / "broken")
    with pytest.raises(StoreError) as caught:
        read_results(tmp_path / "broken")
    assert "broken/" in str(caught.value)
    assert message in str(caught.value)


def test_broken_results_at_the_command_line(results: Path, place: Path, refused: Refused) -> None:
    shutil.copytree(results, place / "broken")
    remove("results.json")(place / "broken")
    for sides in ((results, "broken"), ("broken", results)):
        said = refused("compare", *sides, "--html", "page.html")
        assert "broken" in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "dev"}, "on the same split, got 'test' before and 'dev' after"),
        ({"options": {"leak": "all"}}, "on the same options"),
        ({"limit": 9}, "on the same limit, got 8 before and 9 after"),
        ({"examples_sha256": "f" * 64}, "on the same examples (sha256)"),
        ({"benchmark": "stereoset"}, "['genbias'] before and ['stereoset'] after"),
    ],
)
def test_results_that_do_not_compare(change: dict[str, Any], message: str, results: Path) -> None:
    (before,) = read_results(results)
    with pytest.raises(RecipeError) as caught:
        compare_all([before], [dataclasses.replace(before, **change)], draws=0)
    assert message in str(caught.value)


# --- published predictions --------------------------------------------------------------------

SENTENCES = [s["id"] for task in DEV["data"].values() for one in task for s in one["sentences"]]
SCORES = {"intrasentence": [{"id": one, "score": k} for k, one in enumerate(SENTENCES)]}


def test_whole_predictions_are_read(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "scores.json").write_text(json.dumps(SCORES))
    assert run("measure", "predictions:scores.json", *STEREOSET, "--json") == 0
    assert json.loads(capsys.readouterr().out)["n-samples"]["stereoset"]["effective"] == 3


def test_predictions_that_are_none(place: Path, refused: Refused) -> None:
    assert "'mine' is a folder" in refused("measure", "predictions:mine", *STEREOSET)
    assert "'none' does not exist" in refused("measure", "predictions:none", *STEREOSET)
    assert "predictions:FILE[#COLUMN]" in refused("measure", "predictions:", *STEREOSET)
    (place / "scores.json").write_text(json.dumps(SCORES))
    said = refused("measure", "predictions:scores.json", *GENBIAS)
    assert "genbias reads no published predictions" in said
    said = refused("measure", "predictions:scores.json#gpt", *STEREOSET)
    assert "entry 0 must have a key 'gpt'" in said


# --- the process ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", [("measure", *GENBIAS), ("mitigate", *LFTF)], ids=lambda one: one[0]
)
def test_an_interrupt_in_the_middle_leaves_nothing(
    command: tuple[str, ...],
    place: Path,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for name in ("equipoise.inference.engine.logits_at", "equipoise.training.loop.train"):
        monkeypatch.setattr(name, interrupted)
    monkeypatch.setattr("equipoise.training.pronoun_training.train", interrupted)
    before = contents(place)
    verb, *rest = command
    assert run(verb, model, *rest, "--out", "new") == 130
    assert "Traceback" not in capsys.readouterr().err
    assert contents(place) == before


def test_a_process_of_its_own_says_one_line(place: Path) -> None:
    command = [sys.executable, "-m", "equipoise", "report", "nowhere"]
    before = contents(place)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "nowhere" in line
    assert contents(place) == before
