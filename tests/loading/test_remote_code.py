"""Python code that a checkpoint brings: it never runs unasked, and what ran is recorded."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import peft
import pytest
import torch
from tiny_adapters import quiet
from tiny_folder import save_tiny
from transformers import dynamic_module_utils

from equipoise import cli
from equipoise.conformance import tiny_supply
from equipoise.edits.adapter import read_adapter
from equipoise.edits.edit import info_of
from equipoise.errors import ModelError
from equipoise.loading.checkpoint import content_sha256
from equipoise.loading.load import load
from equipoise.mitigate.dpo import Dpo
from equipoise.records import Continuation, Scored
from equipoise.study.plan import plan
from equipoise.study.recipe import Recipe

REQUEST = Continuation(context="The nurse", continuation=" left")

CONFIG = """
from transformers import LlamaConfig
with open({mark!r}, "a") as mark:
    mark.write("config ")
class MineConfig(LlamaConfig):
    model_type = "mine"
"""
MODEL = """
from torch import nn
from transformers import LlamaForCausalLM
from {config} import MineConfig
with open({mark!r}, "a") as mark:
    mark.write("model ")
class Head(nn.Linear):
    def forward(self, hidden):
        return super().forward(hidden) * {factor}
class MineForCausalLM(LlamaForCausalLM):
    config_class = MineConfig
    def __init__(self, config):
        super().__init__(config)
        self.lm_head = Head(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()
"""
TOKENIZER = """
from transformers import PreTrainedTokenizerFast
with open({mark!r}, "a") as mark:
    mark.write("tokenizer ")
class MineTokenizer(PreTrainedTokenizerFast):
    pass
"""
#: Which parts of a checkpoint are in code of its own.
FORMS = (
    *(("config", "model"), ("config",), ("model",), ("tokenizer",)),
    ("config", "model", "tokenizer"),
)


@pytest.fixture(autouse=True, scope="module")
def _own_modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Copies of the code, which transformers makes and imports, in a folder of this file's own."""
    with pytest.MonkeyPatch.context() as patch:
        folder = str(tmp_path_factory.mktemp("modules"))
        patch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", folder)
        patch.setattr(sys, "path", [*sys.path])
        imported = {name for name in sys.modules if name.startswith("transformers_modules")}
        for name in imported:
            patch.delitem(sys.modules, name)
        yield
        for name in [name for name in sys.modules if name.startswith("transformers_modules")]:
            del sys.modules[name]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))


def edit_json(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def custom(folder: Path, form: tuple[str, ...], *, factor: float = 1.0) -> Path:
    """A tiny model some parts of which are in code that leaves its mark beside the folder."""
    save_tiny(folder)
    mark = str(folder.with_suffix(".ran"))
    own_classes = {}
    if "config" in form:
        (folder / "configuration_mine.py").write_text(CONFIG.format(mark=mark))
        own_classes["AutoConfig"] = "configuration_mine.MineConfig"
        edit_json(folder / "config.json", model_type="mine", auto_map=own_classes)
    if "model" in form:
        config = ".configuration_mine" if "config" in form else "transformers"
        code = MODEL.format(mark=mark, factor=factor, config=config)
        if "config" not in form:
            code = code.replace("MineConfig", "LlamaConfig")
        (folder / "modeling_mine.py").write_text(code)
        own_classes["AutoModelForCausalLM"] = "modeling_mine.MineForCausalLM"
        edit_json(folder / "config.json", architectures=["MineForCausalLM"], auto_map=own_classes)
    if "tokenizer" in form:
        (folder / "tokenization_mine.py").write_text(TOKENIZER.format(mark=mark))
        edit_json(
            folder / "tokenizer_config.json",
            tokenizer_class="MineTokenizer",
            auto_map={"AutoTokenizer": [None, "tokenization_mine.MineTokenizer"]},
        )
    return folder


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> list[Scored]:
    """What the same model in no code of its own answers."""
    return load(str(save_tiny(tmp_path_factory.mktemp("plain") / "model"))).score([REQUEST])


@pytest.mark.thorough
@pytest.mark.parametrize("form", FORMS, ids="+".join)
def test_it_runs_only_where_it_is_trusted(
    tmp_path: Path, form: tuple[str, ...], scored: list[Scored]
) -> None:
    folder, mark = custom(tmp_path / "model", form), tmp_path / "model.ran"
    with pytest.raises(ModelError, match=r"_mine\.Mine.* give --trust-remote-code"):
        load(str(folder))
    assert not mark.exists()
    model = load(str(folder), trust_remote_code=True)
    assert set(mark.read_text().split()) == set(form)
    assert model.score([REQUEST]) == scored
    assert model.info["remote_code"] is True
    assert len(str(model.info["remote_code_sha256"])) == 64


@pytest.mark.thorough
def test_code_counts_in_the_fingerprint_where_it_is_trusted(tmp_path: Path) -> None:
    folder = custom(tmp_path / "model", FORMS[0])
    first = load(str(folder), trust_remote_code=True)
    custom(folder, FORMS[0], factor=2.0)
    second = load(str(folder), trust_remote_code=True)
    assert first.identity != second.identity
    assert first.info["remote_code_sha256"] != second.info["remote_code_sha256"]
    assert first.score([REQUEST]) != second.score([REQUEST])
    assert load(f"{folder}@{second.identity[-8:]}", trust_remote_code=True).info == second.info
    with pytest.raises(ModelError, match="give --trust-remote-code"):
        load(f"{folder}@{second.identity[-8:]}")
    with pytest.raises(ModelError, match="leave --trust-remote-code out"):
        load(f"{folder}@{content_sha256(folder)[:8]}", trust_remote_code=True)


@pytest.mark.thorough
def test_a_checkpoint_without_code_is_the_same_model_either_way(tmp_path: Path) -> None:
    plain, trusted = (
        load(str(save_tiny(tmp_path / "model")), trust_remote_code=trust) for trust in (False, True)
    )
    assert plain.info == trusted.info
    assert plain.identity == trusted.identity


@pytest.mark.thorough
def test_code_that_transformers_does_not_need_is_not_run(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "model")
    (folder / "modeling_old.py").write_text("raise RuntimeError('never')")
    edit_json(folder / "config.json", auto_map={"AutoModelForCausalLM": "modeling_old.Old"})
    assert load(str(folder)).info["remote_code"] is False


def test_code_of_another_repository_is_refused(tmp_path: Path) -> None:
    folder = custom(tmp_path / "model", FORMS[1])
    edit_json(
        folder / "config.json", auto_map={"AutoConfig": "them/code--configuration_mine.MineConfig"}
    )
    with pytest.raises(ModelError, match=r"write 'configuration_mine\.MineConfig'"):
        load(str(folder), trust_remote_code=True)


@pytest.mark.thorough
@pytest.mark.parametrize("fault", ["raise AttributeError('gone')", "def ("])
def test_code_that_fails_is_a_sentence(tmp_path: Path, fault: str) -> None:
    folder = custom(tmp_path / "model", FORMS[1])
    (folder / "configuration_mine.py").write_text(fault)
    with pytest.raises(ModelError, match="transformers that its own code was written for"):
        load(str(folder), trust_remote_code=True)


@pytest.mark.thorough
def test_an_edit_of_such_a_model_is_learnt_and_measured_with_the_switch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, trust = custom(tmp_path / "model", FORMS[0]), "--trust-remote-code"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts.jsonl").write_text('{"text": "The nurse left."}\n')
    (tmp_path / "measured.txt").write_text("She sat down.\n")
    measured = ["perplexity", "--set", "perplexity.file=measured.txt", "--draws", "0"]
    learnt = ["mitigate", str(folder), "prompt_prefix", "--supply", "texts", "--out", "edit"]
    learnt += ["--set", "texts.path=texts.jsonl"]
    for command in (learnt, ["measure", "edit", *measured]):
        assert cli.run(command) == 2
        assert trust in capsys.readouterr().err
        assert not folder.with_suffix(".ran").exists()
        assert cli.run([*command, trust]) == 0, capsys.readouterr().err
        folder.with_suffix(".ran").unlink(missing_ok=True)  # a process imports a file once
    assert cli.run(["locate", str(folder), "random_block", "--data", "planted:default"]) == 2
    assert trust in capsys.readouterr().err


@pytest.mark.thorough
def test_an_adapter_of_such_a_model_is_merged_with_its_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, trust = custom(tmp_path / "base", FORMS[0], factor=2.0), "--trust-remote-code"
    config = peft.LoraConfig(target_modules=["q_proj"], init_lora_weights=False)
    with quiet(), torch.random.fork_rng():
        module = load(str(base), trust_remote_code=True).module
        peft.get_peft_model(module, config).save_pretrained(tmp_path / "a")
    adapter, merged = str(tmp_path / "a"), str(tmp_path / "m")
    command = ["merge", adapter, "--base", str(base), "--out", merged]
    assert cli.run(command) == 2
    assert trust in capsys.readouterr().err
    assert cli.run([*command, trust]) == 0, capsys.readouterr().err
    expected = load(adapter, base=str(base), trust_remote_code=True).score([REQUEST])
    (scored,) = load(merged, trust_remote_code=True).score([REQUEST])
    assert scored.logprob == pytest.approx(expected[0].logprob, abs=1e-5)
    with pytest.raises(ModelError, match="give --trust-remote-code"):
        load(merged)


@pytest.mark.thorough
def test_the_lines_of_a_card_open_an_adapter_of_such_a_model(tmp_path: Path) -> None:
    base = custom(tmp_path / "base", FORMS[0], factor=2.0)
    model = load(str(base), trust_remote_code=True)
    info = info_of(model, Dpo(), seed=0, supply=tiny_supply(), report={})
    config = peft.LoraConfig(target_modules=["q_proj"], init_lora_weights=False)
    with quiet(), torch.random.fork_rng():
        peft.get_peft_model(model.module, config).save_pretrained(tmp_path / "theirs")
    replace(read_adapter(tmp_path / "theirs"), info=info).save(tmp_path / "ours")
    lines = (tmp_path / "ours" / "README.md").read_text().partition("from peft import")[2]
    lines = f"from peft import{lines.partition('```')[0]}"
    # a folder's path is in no card
    code = lines.replace("'BASE'", repr(str(base))).replace("FOLDER", str(tmp_path / "ours"))
    names: dict[str, object] = {}
    with quiet():  # what PEFT warns of
        exec(code, names)  # as a reader of the card does
    assert type(names["base"]).__name__ == "MineForCausalLM"


def test_a_recipe_trusts_each_model_by_itself(tmp_path: Path) -> None:
    custom(tmp_path / "model", FORMS[0])
    recipe = tmp_path / "recipe.yaml"
    keys = []
    for line in ("", ", trust_remote_code: true", ", trust_remote_code: false"):
        recipe.write_text(
            f"models: [{{name: {tmp_path / 'model'}{line}}}]\nbenchmarks: [{{name: cola}}]\n"
        )
        keys.append([step.key for step in plan(Recipe.from_yaml(recipe)).steps])
    assert keys[0] == keys[2]
    assert keys[0] != keys[1]
