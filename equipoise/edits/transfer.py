"""Transfer: an adapter that was learnt on a base model, put on a sibling of that model.

BiasUnlearn (Liu et al. 2025, EMNLP) trains a LoRA adapter on a base model and loads the same
tensors on its instruction-tuned sibling. That is right only where both have the same modules, of
the same shapes, and the same tokens: `transfer_adapter` checks that. `norm_matched_random` makes
the control that the paper lacks, and `scale_update` changes the size of the update.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import replace

import peft
import torch
from peft.utils.other import get_pattern_key
from torch import Tensor

from equipoise.edits.adapter import NAMES_OF_BASE, AdapterEdit, sits_on
from equipoise.edits.base import Edit
from equipoise.edits.edit import EditInfo, fingerprint, parameter, quantized_to, runs_own_code
from equipoise.edits.token_tables import PREFIX, table_name, table_names
from equipoise.edits.weights import WeightEdit
from equipoise.errors import ModelError
from equipoise.inference.language_model import LanguageModel
from equipoise.models.tokenization import Vocabulary, vocabulary_of
from equipoise.records import JSON

VERSION = "2"

#: Options of an adapter that replace what the base has instead of adding to it.
_REPLACING = ("modules_to_save", "trainable_token_indices", "bias")
#: Variants of LoRA whose update is not s B A.
_VARIANTS = ("use_dora", "use_qalora", "use_bdlora", "kasa_config", "alora_invocation_tokens")
#: Endings of the names of A to those of B.
_FACTORS: Mapping[str, str] = {
    ".lora_A.weight": ".lora_B.weight",
    ".lora_embedding_A": ".lora_embedding_B",
}
_LARGEST_SCALE = 1e6  # beyond it sums leave float32


def transfer_adapter(
    edit: Edit, model: LanguageModel, *, vocabulary: Vocabulary, vocabulary_of_model: str = ""
) -> AdapterEdit:
    """The adapter as an edit of this model: the same tensors, bound to this model's weights.

    `vocabulary` is that of the adapter's base, or of a model named `vocabulary_of_model` in its
    place. What the adapter learnt from stays recorded, so that the edit cannot be measured on it;
    the report says what it was transferred from. The model is left bit for bit as it was.
    Raises `ModelError` for an edit that is no adapter, for an adapter that replaces parameters,
    that is all zero or not finite, and for kinds, names, shapes or tokens that differ.
    """
    adapter = _check_adapter(edit)
    _check_tables(adapter, model)
    learnt = adapter.info
    norm = None if _deviation_from_lora(adapter) else update_norm(adapter)
    if norm == 0.0:
        raise ModelError(
            f"an adapter must change something to be transferred, the update of {learnt.base} has "
            f"norm {norm} in every module; train it first"
        )
    if learnt.base_kind not in ("", model.kind):
        raise ModelError(
            f"an adapter of a {learnt.base_kind} model must be put on another, {model.identity} is "
            f"{model.kind}; give a sibling of its base"
        )
    # To attach it is to check that modules and shapes are those of the base.
    with replace(adapter, info=replace(learnt, base_fingerprint="")).attached(model):
        pass
    model_vocabulary = vocabulary_of(model.tokenizer)
    if model_vocabulary != vocabulary:
        raise ModelError(
            f"{model.identity} must have the tokens of "
            f"{vocabulary_of_model or learnt.base or 'the base'}, but their vocabularies "
            f"differ ({model_vocabulary}, and {vocabulary}); give a sibling with the same tokenizer"
        )
    unknown = "what the adapter learnt from is not recorded, so that a leak cannot be detected"
    report: dict[str, JSON] = {
        "from_method": learnt.method,
        "from_version": learnt.version,
        "from_options": dict(learnt.options),
        "from_seed": learnt.seed,
        "from_base": learnt.base,
        "from_base_fingerprint": learnt.base_fingerprint,
        "from_content": adapter.content,
        "notes": [] if learnt.trained_on else [unknown],
    }
    if norm is not None:
        report["update_norm"] = norm
    if "item_info" in learnt.report:
        report["item_info"] = learnt.report["item_info"]
    info = EditInfo(
        method="transfer",
        version=VERSION,
        options={"control": "none", "scale": 1.0},
        seed=0,
        base=model.identity,
        base_fingerprint=fingerprint(model.module, sits_on(model, adapter.config)),
        trained_on=learnt.trained_on,
        origin=learnt.origin,
        files=learnt.files,
        aliases=learnt.aliases,
        report=report,
        base_name=model.load_name,
        base_kind=model.kind,
        base_start=model.start,
        base_code=runs_own_code(model),
        base_quantize=quantized_to(model),
        base_vocabulary=str(model_vocabulary),
    )
    # named by what is written: the names that it has are of the other base
    plain = {key: value for key, value in adapter.config.items() if key not in NAMES_OF_BASE}
    return replace(adapter, info=info, config=plain)


def _check_adapter(edit: Edit) -> AdapterEdit:
    """Refuse what is no adapter, does not only add to its base, or is not finite."""
    if not isinstance(edit, AdapterEdit):
        # changed weights are of the very model that they were learnt on
        measurable = "" if isinstance(edit, WeightEdit) else ", or measure its folder with --base"
        raise ModelError(
            f"an edit must be an adapter to be transferred, got a {type(edit).__name__} "
            f"({edit.info.method} of {edit.info.base}); learn it anew on the sibling{measurable}"
        )
    for option in _REPLACING:
        value = edit.config.get(option)
        if value not in (None, False, "none", []):
            raise ModelError(
                f"an adapter must only add to its base to be transferred, got {option}: "
                f"{value!r}, which replaces parameters; train it without"
            )
    for name, tensor in edit.tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ModelError(
                f"an adapter must be finite to be transferred, '{name}' holds nan or infinity; "
                "train it again with a lower learning rate"
            )
    return edit


def _check_tables(adapter: AdapterEdit, model: LanguageModel) -> None:
    """Refuse whole token tables, which would take the place of the model's own."""
    tables = table_names(model.module)
    for name, values in adapter.tensors.items():
        table = table_name(name)
        if table not in tables:
            continue
        expected = parameter(model.module, table)
        held = values.to(expected.device, expected.dtype)
        if expected.shape != values.shape or not torch.equal(expected, held):
            raise ModelError(
                f"an adapter must only add to its base to be transferred, it holds '{table}' of "
                f"{adapter.info.base or 'its base'} whole, which is not that of {model.identity}; "
                "save it with save_embedding_layers=False, or train it without added tokens"
            )


def norm_matched_random(edit: AdapterEdit, *, seed: int) -> AdapterEdit:
    """Random matrices in place of learnt matrices, with the update of each module at its norm.

    Entries are normal, drawn for each module by the seed and its name; the rank and the Frobenius
    norm of B A are those of the adapter (to 1e-5, in float32), its singular values are not.
    Raises `ModelError` for an adapter that is not plain LoRA.
    """
    tensors: dict[str, Tensor] = {}
    for a_name, b_name in _lora_pairs(edit):
        a, b = edit.tensors[a_name], edit.tensors[b_name]
        digest = hashlib.sha256(f"{seed} {a_name.rpartition('.lora_')[0]}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
        random_a = torch.randn(a.shape, generator=generator, dtype=torch.float64)
        random_b = torch.randn(b.shape, generator=generator, dtype=torch.float64)
        ratio = _product_norm(a, b) / _product_norm(random_a, random_b)
        tensors |= {a_name: random_a.float(), b_name: (random_b * ratio).float()}
    options = {**edit.info.options, "control": "random", "control_seed": seed}
    return replace(edit, info=replace(edit.info, options=options), tensors=tensors)


def scale_update(edit: AdapterEdit, scale: float) -> AdapterEdit:
    """The adapter with every update multiplied (B, as float32); 0 adds nothing.

    Raises `ModelError` for a scale below 0 or above 1e6, where sums leave float32, and for an
    adapter that is not plain LoRA.
    """
    if not 0.0 <= scale <= _LARGEST_SCALE:
        raise ModelError(f"a scale must be from 0 to {_LARGEST_SCALE:g}, got {scale}; correct it")
    # B alone, since the update is a product; in float32, so that a small scale loses no digits
    scaled_b = {name: edit.tensors[name].float() * scale for _, name in _lora_pairs(edit)}
    scaled = replace(edit, tensors={**edit.tensors, **scaled_b})
    info = replace(
        edit.info,
        options={**edit.info.options, "scale": scale},
        report={**edit.info.report, "update_norm": update_norm(scaled)},
    )
    return replace(scaled, info=info)


def update_norm(edit: AdapterEdit) -> float:
    """Frobenius norm of all that the adapter adds to the weights; 0: nothing.

    Raises `ModelError` for an adapter that is not plain LoRA.
    """
    norms = []
    for a_name, b_name in _lora_pairs(edit):
        a, b = edit.tensors[a_name], edit.tensors[b_name]
        # the rank of A itself: a pattern may give modules other ranks than the common rank
        root = math.sqrt(len(a)) if edit.config.get("use_rslora") else len(a)
        module = a_name.rpartition(".lora_")[0].removeprefix(PREFIX)
        scaling = _read_alpha(edit.config, module) / root
        norms.append(scaling * _product_norm(a, b))
    return math.sqrt(math.fsum(norm * norm for norm in norms))


def _lora_pairs(edit: AdapterEdit) -> list[tuple[str, str]]:
    """The names of A, [rank, in], and B, [out, rank], for every module; its update is s B A."""
    if deviation := _deviation_from_lora(edit):
        raise ModelError(
            f"an adapter must be plain LoRA to be scaled or to have a control, got "
            f"{deviation}; transfer it as it is"
        )
    return [(name, _partner(name)) for name in edit.tensors if name.endswith(tuple(_FACTORS))]


def _product_norm(a: Tensor, b: Tensor) -> float:
    """Frobenius norm of B A, through the two matrices of rank by rank."""
    a, b = a.double(), b.double()
    return math.sqrt(max(float(((b.mT @ b) * (a @ a.mT)).sum()), 0.0))


def _partner(name: str) -> str:
    """The name of the other matrix of a module's update; "" for a tensor that is neither."""
    for pair in _FACTORS.items():
        for ending, other in (pair, pair[::-1]):
            if name.endswith(ending):
                return name.removesuffix(ending) + other
    return ""


def _deviation_from_lora(edit: AdapterEdit) -> str:
    """What makes the adapter something other than plain LoRA; "" when it is plain."""
    kind = str(edit.config.get("peft_type"))
    if kind != "LORA":
        return f"the type {kind}"
    for option in _VARIANTS:
        if edit.config.get(option):
            return f"{option}: {edit.config[option]!r}"
    for name, tensor in edit.tensors.items():
        if tensor.ndim != 2 or not _partner(name):
            return f"the tensor '{name}' of shape {tuple(tensor.shape)}"
        if _partner(name) not in edit.tensors:
            return f"'{name}' without its other half"
    return ""


def _read_alpha(config: Mapping[str, JSON], module: str) -> float:
    """The alpha of a module, as PEFT reads it: that of the pattern it matches, or the common."""
    pattern = config.get("alpha_pattern")
    value = config.get("lora_alpha", peft.LoraConfig().lora_alpha)
    if isinstance(pattern, dict) and pattern:
        value = pattern.get(get_pattern_key(list(pattern), module), value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ModelError(f"an alpha must be a number, got {value!r}; correct adapter_config.json")
    return float(value)
