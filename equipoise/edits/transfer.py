"""Transfer: put an adapter that was learnt on a base model on a sibling of that model.

BiasUnlearn (Liu et al. 2025, EMNLP) trains a LoRA adapter on a base model and loads the same
tensors on its instruction-tuned sibling. That is right only where both have the same modules, of
the same shapes, and read the same tokens; `check` says whether they do, and `transferred` makes
the edit. `transfer_controls` makes the controls and scales it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from equipoise.edits.adapter import AdapterEdit, sits_on, wanted_tensors
from equipoise.edits.edit import Edit, EditInfo, fingerprint, parameter
from equipoise.edits.model_card import hub_id
from equipoise.edits.prompts import PromptEdit
from equipoise.edits.transfer_controls import update_norm
from equipoise.edits.weights import WeightEdit
from equipoise.errors import ModelError
from equipoise.inference.language_model import LanguageModel
from equipoise.models.vocabulary import Vocabulary, vocabulary_of
from equipoise.records import JSON

VERSION = "1"

#: Options of an adapter that replace what the base has instead of adding to it.
_REPLACING = ("modules_to_save", "trainable_token_indices")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """That an adapter fits a sibling of its base, and what a reader must know of how."""

    sits_on: tuple[str, ...]  # names of the sibling's parameters that it is added to
    notes: tuple[str, ...] = ()


def check(
    edit: Edit,
    model: LanguageModel,
    *,
    vocabulary: Vocabulary,
    of: str | None = None,
    more_tokens: bool = False,
) -> Fit:
    """Hold an adapter against a sibling of its base; the model is left bit for bit as it was.

    `vocabulary` is the base's, or that of a model named `of` in its place. The rule: modules and
    shapes are the adapter's, and every token of the base has the same id in the sibling. The
    sibling may have tokens beyond those only when `more_tokens` says so and the adapter touches
    neither embeddings nor head; then a note says how many.
    Raises `ModelError` for an edit that is no adapter, an adapter that replaces parameters, that
    is all zero or not finite, and for names, shapes or tokens that differ.
    """
    adapter = as_adapter(edit)
    _check_kinds(adapter, model)
    _check_tensors(adapter, model)
    under = sits_on(model, adapter.config)
    named = of or adapter.info.base or "the base"
    extra = _check_vocabulary(named, model, vocabulary, more_tokens=more_tokens)
    if extra and (touched := _embeddings(model, under)):
        raise ModelError(
            f"an adapter on '{touched}' must be put on a model with the vocabulary of its base, "
            f"{model.identity} has {extra} tokens more; take another sibling"
        )
    notes = [f"{model.identity} has {extra} tokens that the base has not"] if extra else []
    if not adapter.info.trained_on:
        notes.append("what the adapter learnt from is not recorded, so that no leak can be found")
    return Fit(sits_on=under, notes=tuple(notes))


def transferred(
    edit: Edit,
    model: LanguageModel,
    *,
    vocabulary: Vocabulary,
    of: str | None = None,
    more_tokens: bool = False,
) -> AdapterEdit:
    """The adapter as an edit of this model: the same tensors, bound to this model's weights.

    What it learnt from goes with it, so that measuring it on that is refused here, too. Its
    report says what it was transferred from. Raises as `check` does.
    """
    adapter = as_adapter(edit)
    fit = check(adapter, model, vocabulary=vocabulary, of=of, more_tokens=more_tokens)
    info = EditInfo(
        method="transfer",
        version=VERSION,
        options={"control": "none", "scale": 1.0, "more_tokens": more_tokens},
        seed=0,
        base=model.identity,
        base_fingerprint=fingerprint(model.module, fit.sits_on),
        trained_on=adapter.info.trained_on,
        origin=adapter.info.origin,
        files=adapter.info.files,
        report=_report(adapter, fit),
        base_name=model.load_name,
        base_kind=model.kind,
        base_vocabulary=str(vocabulary_of(model.tokenizer)),
    )
    return AdapterEdit(info=info, config=_config(adapter.config, info), tensors=adapter.tensors)


def as_adapter(edit: Edit) -> AdapterEdit:
    """The edit, if it is an adapter that adds to parameters and replaces none.

    Raises `ModelError` saying why the others cannot be transferred.
    """
    if isinstance(edit, WeightEdit):
        raise ModelError(
            f"an edit must be an adapter to be transferred, got a weight edit ({edit.info.method} "
            f"of {edit.info.base}), which replaces {len(edit.tensors)} parameters and would undo "
            "what the sibling learnt in them; learn it anew on the sibling"
        )
    if isinstance(edit, PromptEdit):
        raise ModelError(
            f"an edit must be an adapter to be transferred, got prefixes ({edit.info.method} of "
            f"{edit.info.base}), which fit any model as they are; measure the folder with --base"
        )
    if not isinstance(edit, AdapterEdit):
        raise ModelError(
            f"an edit must be an adapter to be transferred, got a {type(edit).__name__} "
            f"({edit.info.method} of {edit.info.base}); make it anew on the sibling"
        )
    _check_adds_only(edit)
    return edit


def _check_adds_only(adapter: AdapterEdit) -> None:
    found: dict[str, JSON] = {key: adapter.config.get(key) for key in _REPLACING}
    found["bias"] = adapter.config.get("bias")
    for option, value in found.items():
        if value not in (None, False, "none", []):
            raise ModelError(
                f"an adapter must only add to its base to be transferred, this one replaces "
                f"parameters ({option}: {value!r}) and would undo what the sibling learnt in "
                "them; train one without"
            )
    for name, one in adapter.tensors.items():
        if not bool(torch.isfinite(one).all()):
            raise ModelError(
                f"an adapter must be finite to be transferred, '{name}' holds nan or infinity; "
                "train it again with a lower learning rate"
            )
    if update_norm(adapter) == 0.0:
        raise ModelError(
            f"an adapter must change something to be transferred, the update of {adapter.info.base}"
            " has norm 0.0 in every module; train it first"
        )


def _check_kinds(adapter: AdapterEdit, model: LanguageModel) -> None:
    kind = adapter.info.base_kind
    if kind and kind != model.kind:
        raise ModelError(
            f"an adapter of a {kind} model must be put on one, {model.identity} is {model.kind}; "
            "give a sibling of its base"
        )


def _check_tensors(adapter: AdapterEdit, model: LanguageModel) -> None:
    wanted = wanted_tensors(model, adapter.config)
    there: Mapping[str, Tensor] = adapter.tensors
    odd = sorted(set(there) ^ set(wanted))
    base = adapter.info.base or "an unnamed base"
    if odd:
        where = "the adapter" if odd[0] in there else model.identity
        raise ModelError(
            f"the adapter of {base} must have the modules of {model.identity}, but "
            f"'{odd[0]}' and {len(odd) - 1} more names are in {where} alone; give a sibling of its "
            "base"
        )
    for name, shape in wanted.items():
        if tuple(there[name].shape) != shape:
            raise ModelError(
                f"the adapter of {base} must have the shapes of {model.identity}, but '{name}' has "
                f"{tuple(there[name].shape)} instead of {shape}; give a sibling of its base"
            )


def _check_vocabulary(
    named: str, model: LanguageModel, base: Vocabulary, *, more_tokens: bool
) -> int:
    """How many ids the model has beyond the base's."""
    own = vocabulary_of(model.tokenizer)
    if own == base:
        return 0
    if own.size < base.size or vocabulary_of(model.tokenizer, below=base.size) != base:
        raise ModelError(
            f"every token of {named} must have the same id in {model.identity}, but their "
            f"vocabularies differ ({base.size} ids, sha256 {base.sha256[:12]}…, and {own.size}, "
            f"sha256 {own.sha256[:12]}…); give a sibling with the same tokenizer"
        )
    extra = own.size - base.size
    if not more_tokens:
        raise ModelError(
            f"{model.identity} must have the vocabulary of {named}, it has {extra} tokens more "
            f"({own.size} ids, not {base.size}); allow that with more_tokens if the adapter may "
            "meet tokens it was never trained on"
        )
    return extra


def _embeddings(model: LanguageModel, under: tuple[str, ...]) -> str:
    """The first parameter under the adapter that embeds or predicts tokens; "" when none does."""
    ends = (model.module.get_input_embeddings(), model.module.get_output_embeddings())
    tables = {id(one) for end in ends if end is not None for one in end.parameters()}
    return next((name for name in under if id(parameter(model.module, name)) in tables), "")


def _report(adapter: AdapterEdit, fit: Fit) -> dict[str, JSON]:
    info = adapter.info
    norm = update_norm(adapter)
    return {
        "from_method": info.method,
        "from_version": info.version,
        "from_options": dict(info.options),
        "from_seed": info.seed,
        "from_base": info.base,
        "from_base_fingerprint": info.base_fingerprint,
        "from_content": adapter.content,
        "notes": list(fit.notes),
        **({} if math.isnan(norm) else {"update_norm": norm}),
        **{key: value for key, value in info.report.items() if key == "told"},
    }


def _config(config: Mapping[str, JSON], info: EditInfo) -> dict[str, JSON]:
    """PEFT's configuration with the new base in it; a folder's path is nobody else's."""
    name, _, revision = info.base_name.partition("@")
    on_hub = bool(hub_id(info))
    return {
        **config,
        "base_model_name_or_path": name if on_hub and name else None,
        "revision": revision if on_hub and revision else None,
    }
