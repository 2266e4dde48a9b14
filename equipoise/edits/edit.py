"""Where an edit came from, and by which parameters it recognizes its base."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn

from equipoise.errors import ModelError
from equipoise.inference.language_model import LanguageModel
from equipoise.plugins import name_of, options_of
from equipoise.records import JSON, DataUse, Supply

_EDIT_IN_IDENTITY = re.compile(r"\+([^+]+:[0-9a-f]{8})")


@dataclass(frozen=True, slots=True, kw_only=True)
class EditInfo:
    """Where an edit came from: enough to repeat it and to refuse it on the wrong model.

    The record in `edit.json` is this class (`base.Head`): a field is listed here alone.
    """

    method: str  # the mitigation's name
    version: str
    options: Mapping[str, JSON]
    seed: int
    base: str  # identity of the model it was learnt on
    base_fingerprint: str  # sha256 over the base's parameters that the edit replaces or sits on
    trained_on: frozenset[str]  # sha256 of each text it learnt from (`rows.text_sha256`)
    origin: str  # of the supply
    report: Mapping[str, JSON] = field(default_factory=dict)  # blocks trained, losses, …; no times
    base_name: str = ""  # `LanguageModel.load_name` of the base; "": not known
    base_kind: str = ""  # `LanguageModel.kind` of the base; "": not known
    files: tuple[DataUse, ...] = ()  # that the supply was read from
    base_start: str = "auto"  # `LanguageModel.start` of the base, with which it is opened again
    base_vocabulary: str = ""  # `str(vocabulary_of(tokenizer))` of the base; "": not known
    aliases: Mapping[str, str] = field(default_factory=dict)  # `Supply.aliases`
    base_code: bool = False  # the base runs Python code that it brings, which must be trusted
    base_quantize: str = ""  # to what the base was quantized while it was loaded; "": it was not


def runs_own_code(model: LanguageModel) -> bool:
    """Whether it was loaded with Python code that its checkpoint brings, which was trusted."""
    return bool(model.source.get("remote_code"))


def quantized_to(model: LanguageModel) -> str:
    """To what a checkpoint of plain numbers was quantized while it was loaded; "": it was not."""
    return str(model.source.get("quantize") or "")


class Method(Protocol):
    """A mitigation: an instance of a plug-in's class, whose fields are its options."""

    version: ClassVar[str]


def info_of(
    model: LanguageModel,
    method: Method,
    *,
    seed: int,
    names: Iterable[str] = (),
    supply: Supply,
    trained_on: frozenset[str] = frozenset(),
    report: Mapping[str, JSON],
) -> EditInfo:
    """The record of an edit that a mitigation learnt on a model.

    `names`: the model's parameters that the edit replaces or sits on; empty when it touches none.
    `supply`: the texts that the mitigation was given; the rest is as in `EditInfo`.
    """
    return EditInfo(
        method=name_of(method),
        version=method.version,
        options=options_of(method, transport=False),
        seed=seed,
        base=model.identity,
        base_name=model.load_name,
        base_kind=model.kind,
        base_start=model.start,
        base_code=runs_own_code(model),
        base_quantize=quantized_to(model),
        base_fingerprint=fingerprint(model.module, names),
        trained_on=trained_on,
        origin=supply.origin,
        files=supply.files,
        aliases=supply.aliases,
        report=report,
    )


def parameter(module: nn.Module, name: str) -> nn.Parameter:
    """A model's parameter by name, also where an adapter sits on it.

    Raises `ModelError` when there is none.
    """
    stem, _, last = name.rpartition(".")
    for candidate in (name, f"{stem}.base_layer.{last}"):
        try:
            return module.get_parameter(candidate)
        except AttributeError:
            continue
    raise ModelError(
        f"{type(module).__name__} must have the parameter '{name}', it has none; "
        "attach the edit to the model it was learnt on"
    )


def tensor_bytes(tensor: Tensor) -> bytes:
    """The values of a tensor as bytes, in order, whatever its dtype, device and layout."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    # as bytes, since numpy has no bfloat16
    return flat.view(torch.uint8).numpy().tobytes()


def fingerprint(module: nn.Module, names: Iterable[str]) -> str:
    """sha256 (hex) over named parameters, by which an edit recognizes its base.

    Of float32 values: a bfloat16 checkpoint has the same when it is loaded as float32.
    Raises `ModelError` when a parameter is missing.
    """
    digest = hashlib.sha256()
    for name in sorted(names):
        values = parameter(module, name)
        digest.update(f"{name} {tuple(values.shape)}\n".encode())
        try:
            content = tensor_bytes(values.float())
        except NotImplementedError:  # torchao's packed weights
            content = tensor_bytes(values.dequantize())
        digest.update(content)
    return digest.hexdigest()


def check_base(model: LanguageModel, info: EditInfo, names: Iterable[str]) -> None:
    """Raise `ModelError` for a model whose parameters are not those the edit was learnt on.

    An edit without a fingerprint (an adapter that another program trained) passes.
    """
    if info.base_fingerprint and fingerprint(model.module, names) != info.base_fingerprint:
        raise ModelError(
            f"edit '{info.method}' must be attached to the model it was learnt on, "
            f"{info.base}, got {model.identity} ({model.module.dtype}), whose weights differ; "
            "load that model with the dtype it had, or learn the edit anew"
        )


def is_requantized(model: LanguageModel, info: EditInfo) -> bool:
    """Whether a model is the checkpoint that an edit was learnt on, in other bits.

    Its weights are then others, and only an edit that is added to them may be put on it.
    """
    return info.base == model.identity and info.base_quantize != quantized_to(model)


def edits_under(info: EditInfo) -> list[str]:
    """The edits that the base had when this was learnt on it, as in "lftf:607a30d1"."""
    return _EDIT_IN_IDENTITY.findall(info.base)


def check_stacked(model: LanguageModel, info: EditInfo) -> None:
    """Raise `ModelError` for a model without the edits that this was learnt on top of.

    The fingerprint alone would not see them where they change other parameters.
    """
    edits = model.source.get("edits")
    present = [
        f"{edit.get('method')}:{str(edit.get('content'))[:8]}"
        for edit in (edits if isinstance(edits, list) else [])
        if isinstance(edit, dict)
    ]
    missing = [edit for edit in edits_under(info) if edit not in present]
    if missing:
        raise ModelError(
            f"edit '{info.method}' was learnt on {info.base} and must be put on it, got "
            f"{model.identity} without {missing[0]}; load the base with that edit and give it "
            "(base=, --base)"
        )
