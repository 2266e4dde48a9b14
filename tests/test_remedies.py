"""What an error says to do can be done, and ends the error.

Every flag, option, command and extra that a sentence of the package names is looked up; the most
common remedies are followed as they are written.
"""

import ast
import json
import re
import shutil
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest
import torch
import typer
from tiny_folder import save_tiny
from transformers import BertConfig, BertLMHeadModel

import equipoise
from equipoise import cli, plugins
from equipoise.benchmarks.base import Benchmark
from equipoise.locate.base import Locator
from equipoise.mitigate.base import Mitigation
from equipoise.remote.options import ServerOptions
from equipoise.supply.base import Supplier

PACKAGE = Path(equipoise.__file__).parent
COMMANDS = {
    name: {flag for parameter in command.params for flag in parameter.opts}
    for name, command in typer.main.get_command(cli.app).commands.items()  # type: ignore[attr-defined]
}
OPENS_MODELS = ("measure", "locate", "mitigate")
#: Where a sentence can only come from a command that the file is of.
VERB_OF = {
    "compare": ("compare",), "export": ("export",), "locate": ("locate",), "run": ("run", "demo"),
}  # fmt: skip
#: Where a sentence names flags of torchrun, accelerate and ray.
OF_OTHER_PROGRAMS = ("commands/launched.py", "executors/ray_cluster.py")
PLUGINS = (Benchmark, Supplier, Locator, Mitigation)

# --- what sentences name ------------------------------------------------------------------------


@cache
def sentences() -> list[tuple[str, str]]:
    """Every text of the package that is no docstring, with its file; what is filled in is "…"."""
    texts = []
    for file in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        inner: set[int] = set()  # docstrings, and pieces of texts that are filled in
        name = str(file.relative_to(PACKAGE))
        for node in ast.walk(tree):  # from the outside inwards
            if isinstance(node, ast.Expr):
                inner.add(id(node.value))
            elif isinstance(node, ast.JoinedStr):
                inner |= set(map(id, node.values))
                pieces = [
                    str(part.value) if isinstance(part, ast.Constant) else "…"
                    for part in node.values
                ]
                texts.append((name, "".join(pieces)))
            elif isinstance(node, ast.Constant) and id(node) not in inner:
                texts.append((name, str(node.value)))
    return texts


def matches(pattern: str) -> Iterator[tuple[str, str, str]]:
    """File, text and what the pattern's group holds, of every match."""
    for file, text in sentences():
        for match in re.finditer(pattern, text):
            yield file, text, match.group(1)


@pytest.mark.thorough
def test_every_flag_exists_on_the_commands_that_can_name_it() -> None:
    flags = list(matches(r"(?<![\w-])((?:[a-z]+ )?--[a-z][a-z-]+[a-z])"))
    assert len(flags) > 20
    for file, text, named in flags:
        before, _, flag = named.rpartition(" ")
        if before == "download" or file == "files/wheel.py":  # of pip
            continue
        if file in OF_OTHER_PROGRAMS:
            continue
        room, _, rest = file.partition("/")
        if before in COMMANDS:
            verbs = (before,)
        elif room == "commands" and rest.removesuffix(".py") in VERB_OF:
            of_file = VERB_OF[rest.removesuffix(".py")]
            verbs = tuple(verb for verb in of_file if flag in COMMANDS[verb]) or of_file
        elif file == "inference/scorer.py":  # a note on a measurement
            verbs = ("measure",)
        elif file == "loading/push.py":
            verbs = ("push",)
        elif room in ("loading", "edits", "inference"):
            verbs = OPENS_MODELS
        else:
            verbs = tuple(name for name in COMMANDS if flag in COMMANDS[name])[:1] or ("measure",)
        for verb in verbs:
            known = COMMANDS[verb] | {"--help", "--version"}
            assert flag in known, f"{file}: {text!r} names {flag}, which {verb} lacks"


@pytest.mark.thorough
def test_every_option_of_a_plug_in_exists() -> None:
    options: dict[str, set[str]] = {}
    for base in PLUGINS:
        for name in plugins.available(base):
            named = {option.name for option in fields(plugins.find(base, name))}  # type: ignore[arg-type]
            options.setdefault(name, set()).update(named)
    names = "|".join(options)
    count = 0
    for file, text, option in matches(rf"(?<![\w/.])((?:{names})\.[a-z_]+)(?![\w(/])"):
        name, _, option_name = option.partition(".")
        if option_name in ("json", "jsonl", "csv", "py", "metric"):
            continue
        if file.startswith(("commands/check", "commands/export", "gate/")):  # of its metrics
            continue
        count += 1
        assert option_name in options[name], f"{file}: {text!r} names {option}"
    assert count >= 5
    # named alone, as "set keep_hints to 0"
    every = set().union(*options.values(), (option.name for option in fields(ServerOptions)))
    bare = list(
        matches(r"(?:set|leave|lower|raise) '?([a-z]+_[a-z_]+)'?(?: to | lower| out|$|,| or)")
    )
    assert len(bare) >= 5
    for file, text, option in bare:
        assert option in every, f"{file}: {text!r} names {option}"


@pytest.mark.thorough
def test_every_command_and_every_extra_exists() -> None:
    commands = list(matches(r"(?:`equipoise |: equipoise )([a-z]+)"))
    assert commands
    for file, text, verb in commands:
        assert verb in COMMANDS, f"{file}: {text!r} names {verb}"
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    extras = list(matches(r"equipoise\[([a-z]+)\]"))
    assert extras
    for file, text, extra in extras:
        assert extra in project["optional-dependencies"], f"{file}: {text!r} names {extra}"


# --- remedies that are followed -----------------------------------------------------------------

CONTRAST = {"context": "The nurse said", "stereotype": " she was", "antistereotype": " he was"}
LINES = (
    {**CONTRAST, "target": "nurse", "axis": "gender"},
    {"prompt": "The nurse slept because", "profession": "nurse"},
    {"text": "The door is open."},
)
SHORT = "The judge sat down.\n"
SETS = ["--set", "texts.path=texts.jsonl"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model "m", texts to learn from, and texts to measure on."""
    folder = tmp_path_factory.mktemp("remedies")
    save_tiny(folder / "m")
    (folder / "texts.jsonl").write_text("\n".join(map(json.dumps, LINES)))
    (folder / "short.txt").write_text(SHORT)
    return folder


@pytest.fixture
def place(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own with all of it; commands run in it."""
    shutil.copytree(models, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))
    return tmp_path


def measure(model: str = "m", *rest: str, file: str = "short.txt") -> list[str]:
    options = ["--set", f"perplexity.file={file}", "--draws", "0"]
    return ["measure", model, "perplexity", *options, *rest]


def mitigate(method: str, *settings: str, out: str = "edit") -> list[str]:
    sets = [word for setting in settings for word in ("--set", f"{method}.{setting}")]
    return ["mitigate", "m", method, "--supply", "texts", *SETS, "--out", out, *sets]


#: What fails, a part of what it says, and the command that does what it says.
RETYPED: dict[str, tuple[list[str], str, list[str]]] = {
    "a misspelt benchmark": (
        ["measure", "m", "perplexty"], "did you mean 'perplexity'", measure()),
    "a misspelt option": (
        ["measure", "m", "perplexity", "--set", "perplexity.files=short.txt"],
        "did you mean 'file'", measure()),
    "a setting without a name": (
        measure("m", "--set", "window=64"), "set as name.option=value",
        measure("m", "--set", "perplexity.window=64", "--set", "perplexity.stride=32")),
    "an option twice": (
        measure("m", "--set", "perplexity.file=m"), "once, got it twice; drop", measure()),
    "float16 on a processor": (
        measure("m", "--dtype", "float16"), "take bfloat16", measure("m", "--dtype", "bfloat16")),
    "a dtype": (
        measure("m", "--dtype", "float31"), "did you mean 'float32'",
        measure("m", "--dtype", "float32")),
    "a device": (
        measure("m", "--device", "gpu"), "did you mean 'cpu'", measure("m", "--device", "cpu")),
    "a revision of a folder": (
        measure("m", "--revision", "main"), "leave it out", measure()),
    "a base of a model": (measure("m", "--base", "m"), "leave it out", measure()),
    "a fingerprint": (measure("m@00000000"), "leave the fingerprint out", measure("m")),
    "a data folder": (
        measure("m", "--data", "nowhere"), "planted:NAME",
        measure("m", "--data", "planted:default")),
    "a format": (
        ["export", "out", "--table", "estimates"], "choose one",
        ["export", "out", "--table", "estimates", "--csv"]),
    "a margin": (
        ["compare", "out", "out", "--margin", "ppl=3"], "benchmark.metric=3",
        ["compare", "out", "out", "--margin", "perplexity.bits_per_byte=3"]),
    "a block that is not there": (
        ["locate", "m", "fixed_block", "--supply", "texts", *SETS, "--set", "fixed_block.block=9"],
        "from -2 to 1",
        ["locate", "m", "fixed_block", "--supply", "texts", *SETS, "--set", "fixed_block.block=1"]),
    "hints to keep": (
        mitigate("lftf", "keep_hints=1", "epochs=1", "blocks=1"), "set keep_hints to 0",
        mitigate("lftf", "keep_hints=0", "epochs=1", "blocks=1")),
    "too many blocks": (
        mitigate("lftf", "keep_hints=0", "blocks=9"), "at most 2",
        mitigate("lftf", "keep_hints=0", "blocks=2", "epochs=1")),
    "nothing to stop on": (
        mitigate("bias_unlearn", "steps=2"), "controller 'none'",
        mitigate("bias_unlearn", "steps=2", "controller=none", "kl=null", "learning_rate=0.01")),
    "no word of a group": (
        mitigate("cda", "steps=1", "source=texts"), "source 'contrasts'",
        mitigate("cda", "steps=1", "source=contrasts", "learning_rate=0.01")),
    "contrasts that are too long": (
        mitigate("sft", "steps=1", "longest=5"), "raise longest",
        mitigate("sft", "steps=1", "longest=50", "learning_rate=0.01")),
    "stereotypes to keep": (
        mitigate("sft", "steps=1", "keep_lms=5"), "leave keep_lms out",
        mitigate("sft", "steps=1", "learning_rate=0.01")),
    "a rank": (
        mitigate("sft", "steps=1", "rank=500"), "lower it",
        mitigate("sft", "steps=1", "rank=4", "learning_rate=0.01")),
    "nothing to retain": (
        mitigate("bias_edit", "losses=reference", "epochs=1"), "set retention_weight to 0",
        mitigate("bias_edit", "losses=reference", "epochs=1", "retention_weight=0")),
    "results that are there": (
        measure("m", "--out", "out"), "choose another name", measure("m", "--out", "other")),
}  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize("case", RETYPED)
def test_a_command_as_the_sentence_says_it(
    place: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    failing, phrase, mended = RETYPED[case]
    if "out" in failing:
        assert cli.run(measure("m", "--out", "out")) == 0
        capsys.readouterr()
    refused(failing, phrase, capsys)
    assert cli.run(mended) == 0, capsys.readouterr().err
    assert place.is_dir()


def refused(command: list[str], phrase: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(command) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert phrase in error


def edit_json(file: str, **changes: object) -> None:
    path = Path(file)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def save_bidirectional() -> None:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = BertConfig(vocab_size=259, intermediate_size=48, **sizes)
    BertLMHeadModel(config).save_pretrained("broken")


def pickle_weights() -> None:
    Path("broken/model.safetensors").unlink()
    torch.save({}, "broken/pytorch_model.bin")


def restore(*names: str) -> None:
    for name in names:
        shutil.copy(Path("m", name), Path("broken", name))


#: What breaks a copy of the model, a part of what is said, and what that says to do with its files.
MENDED: dict[str, tuple[Callable[[], object], str, Callable[[], object]]] = {
    "a tokenizer": (
        lambda: [file.unlink() for file in Path("broken").glob("tokenizer*")],
        "save the model's tokenizer into the same folder",
        lambda: restore("tokenizer.json", "tokenizer_config.json"),
    ),
    "pickled weights": (
        pickle_weights, "save it with save_pretrained, and give that folder",
        lambda: restore("model.safetensors"),
    ),
    "weights cut short": (
        lambda: Path("broken/model.safetensors").write_bytes(b"cut"), "copy the whole folder again",
        lambda: restore("model.safetensors"),
    ),
    "later tokens": (
        save_bidirectional, "set is_decoder in its config.json",
        lambda: edit_json("broken/config.json", is_decoder=True),
    ),
    "a configuration": (
        lambda: Path("broken/config.json").unlink(), "must have a config.json",
        lambda: restore("config.json"),
    ),
}  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize("case", MENDED)
def test_files_mended_as_the_sentence_says(
    place: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    break_files, phrase, mend_files = MENDED[case]
    shutil.copytree(place / "m", place / "broken")
    break_files()
    refused(measure("broken"), phrase, capsys)
    mend_files()
    assert cli.run(measure("broken")) == 0, capsys.readouterr().err


@pytest.mark.thorough
def test_the_base_of_an_edit_that_moved(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(mitigate("sft", "steps=1", "rank=2", "learning_rate=0.01")) == 0
    (place / "m").rename(place / "moved")
    refused(measure("edit"), "--base", capsys)
    assert cli.run(measure("edit", "--base", "moved")) == 0
    # an adapter of another program says nothing of its base's vocabulary
    edit = json.loads((place / "edit/edit.json").read_text())
    assert edit["info"]["base_vocabulary"]
    (place / "edit/edit.json").unlink()
    transfer = ["mitigate", "moved", "transfer", "--supply", "texts", *SETS, "--out", "put"]
    transfer += ["--set", "transfer.edit=edit"]
    refused(transfer, "(of an edit's base: transfer.base)", capsys)
    assert cli.run([*transfer, "--set", "transfer.base=moved"]) == 0, capsys.readouterr().err


@pytest.mark.thorough
def test_an_edit_of_weights_is_learnt_anew_and_one_of_prompts_measured_on_a_sibling(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sibling = ["mitigate", "m", "transfer", "--supply", "texts", *SETS, "--out", "put", "--set"]
    assert cli.run(mitigate("lftf", "keep_hints=0", "epochs=1", "blocks=1", out="weights")) == 0
    capsys.readouterr()
    refused([*sibling, "transfer.edit=weights"], "learn it anew on the sibling", capsys)
    assert cli.run(mitigate("prompt_prefix", "only=0", out="prompts")) == 0
    capsys.readouterr()
    refused([*sibling, "transfer.edit=prompts"], "measure its folder with --base", capsys)
    shutil.copytree(place / "m", place / "sibling")
    window = ["--set", "perplexity.window=16", "--set", "perplexity.stride=8"]
    assert cli.run(measure("prompts", "--base", "sibling", *window)) == 0, capsys.readouterr().err


@pytest.mark.thorough
def test_the_recipe_s_remedies(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = place / "r.yaml"
    benchmark = "benchmarks: [{name: perplexity, file: short.txt}]\n"
    dry = ["run", "r.yaml", "--dry"]
    recipe.write_text(f"models: [m, m]\n{benchmark}")
    refused(dry, "give it 'as: ANOTHER NAME'", capsys)
    recipe.write_text(f"models: [m, {{name: m, as: ANOTHER NAME}}]\n{benchmark}")
    assert cli.run(dry) == 0
    recipe.write_text(f"models: [m]\n{benchmark}margins: {{perplexity.bits: 1}}\n")
    refused(dry, "known: bits_per_byte", capsys)
    recipe.write_text(f"models: [m]\n{benchmark}margins: {{perplexity.bits_per_byte: 1}}\n")
    assert cli.run(dry) == 0
