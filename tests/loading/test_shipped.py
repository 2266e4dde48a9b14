"""What is shipped, opened by plain PEFT and transformers in another process, scores the same."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import AutoPeftModelForCausalLM
from tiny_adapters import adapter_for, logits, quiet
from tiny_folder import save_tiny
from transformers import AutoModelForCausalLM

from equipoise.edits.adapter import AdapterEdit
from equipoise.edits.base import Edit
from equipoise.edits.registry import load_edit
from equipoise.errors import ModelError
from equipoise.inference.language_model import LanguageModel
from equipoise.loading.load import load
from equipoise.loading.merge import merge

#: What another program does, without Equipoise.
OTHERS = """
import json, sys, warnings
warnings.simplefilter("ignore")
import torch
from peft import AutoPeftModelForCausalLM
from transformers import AutoModelForCausalLM
adapter, merged = sys.argv[1:]
models = (AutoPeftModelForCausalLM.from_pretrained(adapter),
          AutoModelForCausalLM.from_pretrained(merged))
with torch.no_grad():
    logits = [model.eval()(input_ids=torch.tensor([[3, 70, 80, 90]])).logits for model in models]
assert "equipoise" not in sys.modules
json.dump([values.tolist() for values in logits], sys.stdout)
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


def learnt_on(model: LanguageModel, **change: str) -> AdapterEdit:
    adapter = adapter_for(model, base_model_name_or_path=None, task_type="CAUSAL_LM")
    info = replace(adapter.info, base_name=model.load_name)
    return replace(adapter, info=replace(info, **change))


def config_of(edit: Edit, folder: Path) -> dict[str, object]:
    edit.save(folder)
    config: dict[str, object] = json.loads((folder / "adapter_config.json").read_text())
    return config


@pytest.mark.thorough
def test_peft_and_transformers_score_as_we_do(base: Path, tmp_path: Path) -> None:
    model = load(str(base))
    learnt_on(model).save(tmp_path / "edit")
    merge(load(str(tmp_path / "edit")), tmp_path / "merged")
    edited = logits(load(str(tmp_path / "edit")))
    assert not torch.allclose(logits(model), edited, atol=1e-3)
    with quiet():
        theirs = [
            AutoPeftModelForCausalLM.from_pretrained(tmp_path / "edit"),
            AutoModelForCausalLM.from_pretrained(tmp_path / "merged"),
        ]
    for module in theirs:
        values = logits(replace(model, module=module.eval()))
        torch.testing.assert_close(values, edited, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
def test_so_they_do_in_another_process(base: Path, tmp_path: Path) -> None:
    model = load(str(base))
    learnt_on(model).save(tmp_path / "edit")
    merge(load(str(tmp_path / "edit")), tmp_path / "merged")
    command = [sys.executable, "-c", OTHERS, tmp_path / "edit", tmp_path / "merged"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    plain, edited = logits(model), logits(load(str(tmp_path / "edit")))
    assert not torch.allclose(plain, edited, atol=1e-3)
    for theirs in json.loads(done.stdout):
        torch.testing.assert_close(torch.tensor(theirs), edited, atol=1e-5, rtol=1e-4)


@pytest.mark.thorough
def test_the_base_is_named_as_others_look_for_it(base: Path, tmp_path: Path) -> None:
    names = {
        "them/tiny@607a30d": ("them/tiny", "607a30d"),
        "them/tiny": ("them/tiny", None),
        str(base): (str(base), None),
        "planted:default": (None, None),
        "/somewhere/tiny.gguf": (None, None),
        "": (None, None),
    }
    model, contents = load(str(base)), set()
    for number, (name, expected) in enumerate(names.items()):
        edit = learnt_on(model, base_name=name)
        config = config_of(edit, tmp_path / str(number))
        assert (config.get("base_model_name_or_path"), config.get("revision")) == expected
        again = load_edit(tmp_path / str(number))
        contents |= {edit.content, again.content}
        again.save(tmp_path / f"{number}-again")
        both = [tmp_path / folder for folder in (str(number), f"{number}-again")]
        written = [(folder / "adapter_config.json").read_bytes() for folder in both]
        assert written[0] == written[1]
    assert len(contents) == 1  # wherever the base lies


@pytest.mark.thorough
def test_an_edit_on_an_edit_is_put_on_no_other_base(base: Path, tmp_path: Path) -> None:
    """Its own parameters are the plain base's, too, so that the fingerprint alone would fit."""
    model = load(str(base))
    first = adapter_for(model)
    with first.attached(model) as adapted:
        identity = adapted.identity
    stacked = learnt_on(model, base=identity, base_name="")
    assert config_of(stacked, tmp_path / "stacked").get("base_model_name_or_path") is None
    with pytest.raises(ModelError, match=r"was learnt on tiny@\w+\+unlearn:\w+ and must be put on"):
        load(str(tmp_path / "stacked"), base=str(base))
    with pytest.raises(ModelError, match="must say what it was learnt on"):
        load(str(tmp_path / "stacked"))
