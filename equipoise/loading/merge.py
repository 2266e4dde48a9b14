"""Merge an edited model into an ordinary model folder, which any program loads.

Merging is done in float32 on a copy and tried out three times on a few tokens: the merged copy
must answer as the edited model, and what is read back from the folder as what was written.
"""

import copy
import json
import re
import shutil
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper
from torch import Tensor, nn
from transformers import PreTrainedModel

from equipoise.edits.base import CARD
from equipoise.edits.head_scales import HeadScaleEdit
from equipoise.edits.model_card import measured_changes, merged_card, without_places
from equipoise.errors import ModelError, nearest
from equipoise.files.atomic import check_new, new_folder, sha256
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.sentence_encoder import check_predicts
from equipoise.loading.checkpoint import Checkpoint
from equipoise.loading.merged_record import MERGED, MergedRecord
from equipoise.loading.pretrained import DTYPES, load_pretrained
from equipoise.models.quantization import number_format, read_quantization

_TOLERANCE = 1e-4  # of the largest logit: float32 rounds to 1e-6, a layer left out shows more
_TOKENS = 16
_EDITS = re.compile(r"(\+[^+]+:[0-9a-f]{8})+$")  # of an identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What became of the numbers when a model was merged, on a few tokens."""

    folder: Path
    merging: float  # largest difference of a logit, merged against edited, in float32
    rounding: float  # largest difference of a log-probability by rounding to the dtype written
    record: MergedRecord


def merge(model: LanguageModel, folder: Path | str, *, dtype: str = "float32") -> Merged:
    """Write a model with its edits merged into the weights, as `save_pretrained` would.

    `model` is left as it was; memory for a second copy in float32 is needed. `folder` must be new,
    and appears whole or not at all: weights, configuration, tokenizer, a model card, and a record
    of base and edits (`merged.json`), by which `load` still knows what was learnt from, and with
    which start token. Code of the base's own is copied, where it was trusted.
    `dtype`: "float32" measures the same; "bfloat16" and "float16" take half the space and round.
    Raises `ModelError` for a model without edits, with a decoding rule or prompts, which are no
    weights, on a quantized base, with an adapter of a kind that PEFT cannot merge, with heads that
    are scaled by a hook, or with means of heads in an architecture without the bias to hold them,
    and `StoreError` for a folder that is not new.
    """
    check_predicts(model, "merged")
    folder = Path(folder).expanduser()
    if dtype not in DTYPES:
        raise ModelError(f"dtype '{dtype}' is not known; {nearest(dtype, DTYPES)}")
    _check_mergeable(model)
    check_new(folder, what="a merged model")
    module = copy.deepcopy(model.module).float().eval()
    before = _probe(module)
    _merge_layers(module)
    if any("applied" in edit for edit in _edits(model)):
        _hold_made_biases(module)
    merging = _compare(_probe(module), before, f"{model.identity} merged")
    for weight in module.parameters():
        weight.data = weight.data.to(DTYPES[dtype]).float()
    written = _probe(module)
    rounding = float((written.log_softmax(-1) - before.log_softmax(-1)).abs().max())
    with new_folder(folder, what="merged model") as beside:
        _save(module, beside, DTYPES[dtype])
        _save_tokenizer(model, beside)
        if model.source.get("remote_code"):
            for file in Path(model.module.name_or_path).glob("*.py"):
                shutil.copyfile(file, beside / file.name)
        record = MergedRecord(
            schema=1,
            base=_EDITS.sub("", model.identity),
            edits=[edit for edit in map(without_places, _edits(model)) if isinstance(edit, dict)],
            dtype=dtype,
            start=model.start,
            files={file.name: sha256(file) for file in sorted(beside.glob("*.safetensors"))},
            trained_on=sorted(model.trained_on),
        )
        text = json.dumps(record.to_json(), indent=1, sort_keys=True, allow_nan=False)
        (beside / MERGED).write_text(text + "\n", encoding="utf-8")
        on_hub = record.base.partition("@")[0] if model.source.get("revision") else None
        measured = measured_changes(_read_card(model)) if len(record.edits) == 1 else None
        card = merged_card(
            record.base, on_hub, record.edits, kind=model.kind, dtype=dtype, changes=measured
        )
        (beside / "README.md").write_text(card, encoding="utf-8")
        del module
        _compare(_probe(_read_back(beside, model)), written, f"{folder} read back")
    return Merged(folder=folder, merging=merging, rounding=rounding, record=record)


def _read_card(model: LanguageModel) -> str:
    """The card of the edit that was loaded; "" without any."""
    file = Path(str(model.source.get("name") or "")).expanduser() / CARD
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""


def _edits(model: LanguageModel) -> list[Any]:
    edits = model.source.get("edits")
    return list(edits) if isinstance(edits, list) else []


def _check_mergeable(model: LanguageModel) -> None:
    """Refuse what has nothing to merge, or what no weights can hold."""
    rule, prompts = model.decoding_rule, [prompt for prompt in model.prompts if prompt]
    if rule is not None or prompts:
        what = f"the decoding rule '{rule.kind}'" if rule else f"the prompt {prompts[0]!r:.40}"
        raise ModelError(
            f"an edit must be weights to be merged, {model.identity} has {what}, which is applied "
            "whenever the model is asked; measure the edit's folder as it is"
        )
    if not _edits(model):
        raise ModelError(
            f"a model must have an edit to be merged, {model.identity} has none; load an edit or "
            "an adapter"
        )
    if read_quantization(model.module) is not None:
        loaded_so = "quantize" in model.source
        remedy = 'load(EDIT, quantize="none")' if loaded_so else "equipoise mitigate MODEL transfer"
        raise ModelError(
            f"an edit must be on weights of plain numbers to be merged, those of {model.identity} "
            f"are {number_format(model.module)} and would be rounded again; put the adapter on the "
            f"model that they were made from ({remedy}), and merge that"
        )

    hooks = [str(edit["applied"]) for edit in _edits(model) if "applied" in edit]
    if hooked := [how for how in hooks if how != "weights"]:
        raise ModelError(
            f"scaled heads must be in the weights to be merged, in {model.identity} they are a "
            f"{hooked[0]}; merge the adapter by itself and learn the edit on what that writes"
        )


def unmerge(
    edit: HeadScaleEdit, model: LanguageModel, folder: Path | str, *, dtype: str = "float32"
) -> Path:
    """Write the model that a head edit was merged into with its original columns; gives the folder.

    `model`: the merged model, loaded, and left as it was. In the dtype of the base the weights that
    are written are the base's, byte for byte; biases that merging made are gone.
    Raises `ModelError` where the model's record names other edits than `edit`, and as
    `HeadScaleEdit.restore` does; `StoreError` for a folder that is not new.
    """
    folder = Path(folder).expanduser()
    if dtype not in DTYPES:
        raise ModelError(f"dtype '{dtype}' is not known; {nearest(dtype, DTYPES)}")
    contents = [edit.get("content") for edit in _edits(model)]
    if contents != [edit.content]:
        raise ModelError(
            f"a model must be merged with this edit alone ({edit.content[:8]}) to be set back, "
            f"{model.identity} has {[str(content)[:8] for content in contents]}; give the folder "
            "that `equipoise merge` wrote of it"
        )
    check_new(folder, what="a model")
    module = copy.deepcopy(model.module)
    edit.restore(replace(model, module=module))
    if edit.means and not edit.biases:
        _drop_made_biases(module)
    with new_folder(folder, what="model") as beside:
        _save(module, beside, DTYPES[dtype])
        _save_tokenizer(model, beside)
    return folder


def _hold_made_biases(module: PreTrainedModel) -> None:
    """Say in the configuration that there are biases where an edit made some, the others 0.

    Raises `ModelError` for an architecture that has no setting for them.
    """
    added = module.state_dict().keys() - _shapes(module, module.config).keys()
    if not added:
        return
    config = copy.deepcopy(module.config)
    config.get_text_config().attention_bias = True
    shapes = _shapes(module, config)
    if not added <= shapes.keys():
        raise ModelError(
            f"means of heads must be held by a bias to be merged, {type(module).__name__} has none "
            f"at {min(added)}; ablate to zero, or measure the edit's folder as it is"
        )
    for name in shapes.keys() - module.state_dict().keys():
        parent, _, last = name.rpartition(".")
        bias = torch.zeros(shapes[name], device=module.device, dtype=module.dtype)
        setattr(module.get_submodule(parent), last, nn.Parameter(bias, requires_grad=False))
    module.config.get_text_config().attention_bias = True


def _drop_made_biases(module: PreTrainedModel) -> None:
    """Take out the biases that `_hold_made_biases` made, and the setting that says so."""
    config = copy.deepcopy(module.config)
    config.get_text_config().attention_bias = False
    for name in module.state_dict().keys() - _shapes(module, config).keys():
        parent, _, last = name.rpartition(".")
        setattr(module.get_submodule(parent), last, None)
    module.config.get_text_config().attention_bias = False


def _shapes(module: PreTrainedModel, config: Any) -> dict[str, torch.Size]:
    """Shapes by name of what a module of this kind and configuration holds."""
    with torch.device("meta"):
        empty: PreTrainedModel = type(module)(config)
    return {name: tensor.shape for name, tensor in empty.state_dict().items()}


def _merge_layers(module: PreTrainedModel) -> None:
    """Put plain modules in place of PEFT's, with the adapter's weights merged into them."""
    kinds = (BaseTunerLayer, AuxiliaryTrainingWrapper)
    layers = {name: part for name, part in module.named_modules() if isinstance(part, kinds)}
    if not layers:
        return
    _separate_shared(module)
    for name, layer in layers.items():
        if any(name.startswith(f"{outer}.") for outer in layers):
            continue  # a part of a layer that is merged itself
        parent, _, last = name.rpartition(".")
        try:
            setattr(module.get_submodule(parent), last, _merged(layer))
        except (NotImplementedError, ValueError, AttributeError, RuntimeError) as error:
            kind = type(layer).__module__.removeprefix("peft.tuners.").partition(".")[0]
            raise ModelError(
                f"an adapter must be of a kind that PEFT can merge, {kind} is not on '{name}': "
                f"{' '.join(str(error).split())[:200]}; measure the adapter's folder as it is"
            ) from error
    vars(module).pop("peft_config", None)
    _tie_or_untie(module)


def _merged(layer: Any) -> nn.Module:
    if isinstance(layer, AuxiliaryTrainingWrapper):
        plain: nn.Module = layer.unload_and_optionally_merge_module(
            merge=True, safe_merge=True, adapter_names=None
        )
        return plain
    for inner in layer.children():  # of experts, each parameter has a layer around the other's
        if isinstance(inner, BaseTunerLayer):
            _merged(inner)
    layer.merge(safe_merge=True)
    base: nn.Module = layer.get_base_layer()
    return base


def _separate_shared(module: PreTrainedModel) -> None:
    """Give each module its own copy of what it shares, or PEFT would merge into tied tables twice.

    A table that alone has an adapter would change the other table, too.
    """
    seen = set()
    for part in module.modules():
        for name, shared in list(part.named_parameters(recurse=False)):
            if id(shared) in seen:
                setattr(part, name, nn.Parameter(shared.detach().clone(), requires_grad=False))
            seen.add(id(shared))


def _tie_or_untie(module: PreTrainedModel) -> None:
    """Say in the configuration whether the two tables are still tied."""
    embeddings, head = module.get_input_embeddings(), module.get_output_embeddings()
    if head is None or head.weight is embeddings.weight:
        return
    configs = [module.config, module.config.get_text_config()]
    if not any(config.tie_word_embeddings for config in configs):
        return
    if torch.equal(head.weight, embeddings.weight):
        module.tie_weights()
        return
    for config in configs:
        config.tie_word_embeddings = False


def _probe(module: PreTrainedModel) -> Tensor:
    """Logits of a few tokens, spread over the vocabulary so that added tokens are among them."""
    rows = int(module.get_input_embeddings().weight.shape[0])
    numbers = torch.linspace(0, rows - 1, min(_TOKENS, rows)).long()
    with torch.no_grad():
        logits: Tensor = module(input_ids=numbers[None].to(module.device)).logits
    return logits.float().cpu()


def _compare(values: Tensor, expected: Tensor, what: str) -> float:
    """The largest difference. Raises `ModelError` where it is more than rounding."""
    difference = float((values - expected).abs().max())
    if not difference <= _TOLERANCE * float(expected.abs().max()):
        raise ModelError(
            f"a merged model must answer as the edited model, the logits of {what} differ by up "
            f"to {difference:.3g}; measure the edit's folder as it is, and report this"
        )
    return difference


def _save(module: PreTrainedModel, folder: Path, dtype: torch.dtype) -> None:
    for weight in module.parameters():  # not the whole module: buffers keep their precision
        weight.data = weight.data.to(dtype)
    generation = vars(module).get("generation_config")  # a masked model has none
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of settings of generation, which are the base's own
        if generation is not None:
            # `save_pretrained` refuses settings that loading has accepted
            module.generation_config = type(generation)()
        module.save_pretrained(folder)
    if generation is not None:
        generation.to_json_file(folder / "generation_config.json")
    for file in folder.iterdir():  # safetensors lets only the owner read
        file.chmod((folder.stat().st_mode & 0o666) | 0o600)


def _save_tokenizer(model: LanguageModel, folder: Path) -> None:
    tokenizer = copy.deepcopy(model.tokenizer)
    if model.source.get("pad") != "own":
        tokenizer.pad_token = None  # it was lent a padding token when it was loaded
    tokenizer.save_pretrained(folder)


def _read_back(folder: Path, model: LanguageModel) -> PreTrainedModel:
    written = Checkpoint(
        name=f"{model.identity} merged",
        folder=folder,
        revision="",
        from_hub=False,
        trusts_code=bool(model.source.get("remote_code")),
    )
    return load_pretrained(written, dtype="float32", device="cpu").module
