"""AdapterEdit: a PEFT adapter (LoRA and its kin), attached and detached bit for bit.

The saved folder is also an ordinary PEFT adapter folder, which other programs can load;
`read_adapter` reads an adapter folder that another program wrote.
"""

import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import peft
import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor, nn
from transformers import PreTrainedModel

from equipoise.edits.base import Edit, Stored, described, read_tensors
from equipoise.edits.edit import EditInfo, check_base, edits_under, is_requantized
from equipoise.edits.model_card import hub_id
from equipoise.edits.peft_kinds import check_kind
from equipoise.edits.token_tables import PREFIX, put_tables
from equipoise.edits.tokenizer import read_tokenizer_files
from equipoise.errors import ModelError, StoreError
from equipoise.files.json_records import read_object
from equipoise.inference.language_model import LanguageModel
from equipoise.records import JSON

CONFIG_FILE = "adapter_config.json"
TENSORS_FILE = "adapter_model.safetensors"
NAMES_OF_BASE = ("base_model_name_or_path", "revision")
ADAPTER = "equipoise"  # the adapter's name inside the model


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AdapterEdit(Edit):
    """A PEFT adapter: its configuration and its weights, put in without being merged.

    Modules that are missing, other shapes or names, another base and a second adapter raise
    `ModelError`. The same checkpoint in other bits (`load(quantize=)`) is no other base: what it
    was learnt on stands in the record of the edited model.

    `info.base_fingerprint` is `edit.fingerprint(model.module, sits_on(model, config))`; empty when
    another program trained it, and then names and shapes alone are checked.
    """

    kind: ClassVar[str] = "adapter"

    config: Mapping[str, JSON]  # adapter_config.json
    tensors: Mapping[str, Tensor]  # adapter_model.safetensors

    def put(self, model: LanguageModel, undo: ExitStack) -> LanguageModel:
        """Put PEFT's layers in, and the adapter's weights into them."""
        wrapper = _wrap(model, self.config, undo)
        if not is_requantized(model, self.info):  # as QLoRA's adapters are used on plain weights
            check_base(model, self.info, _adapted_names(model.module))
        # PEFT's "auto" counts the base's embeddings as the adapter's where they are its target
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # takes a bias of LoRA's own for a damaged matrix
            wanted = get_peft_model_state_dict(
                wrapper, adapter_name=ADAPTER, save_embedding_layers=False
            ).keys()
        tensors = {
            name if name.startswith("base_model.") else PREFIX + name: values
            for name, values in self.tensors.items()
        }
        tensors = put_tables(model, tensors, wanted, undo)
        # PEFT drops tensors without a layer silently, and only warns of layers without tensors
        if odd := sorted(tensors.keys() ^ wanted):
            raise ModelError(
                f"adapter of '{self.info.base}' must fit {model.identity}, but "
                f"'{odd[0].removeprefix(PREFIX)}' and {len(odd) - 1} more names are not in both; "
                "give the base it was made for"
            )
        try:
            set_peft_model_state_dict(wrapper, tensors, adapter_name=ADAPTER)
        except (RuntimeError, ValueError) as error:
            raise ModelError(
                f"adapter of '{self.info.base}' must have the shapes of {model.identity}, "
                f"got: {_first_lines(error)}; give the base it was made for"
            ) from error
        return described(model, self)

    @classmethod
    def _from_stored(cls, info: EditInfo, stored: Stored, folder: Path) -> Self:
        config = stored.documents.get(CONFIG_FILE)
        if not isinstance(config, dict):
            raise StoreError(
                f"{folder / CONFIG_FILE} must be a mapping, got {config!r}; save again"
            )
        return cls(info=info, config=config, tensors=stored.tensors)

    def documents_for_others(self) -> Mapping[str, JSON]:
        """The configuration with the base's name, by which PEFT, vLLM and TGI find it."""
        if name_base(self.config):
            return {CONFIG_FILE: dict(self.config)}
        return {CONFIG_FILE: {**_without_base(self.config), **base_names(self.info)}}

    @classmethod
    def documents_of_ours(cls, documents: Mapping[str, JSON]) -> Mapping[str, JSON]:
        """Without the base's name: an adapter is the same wherever its base lies."""
        config = documents.get(CONFIG_FILE)
        if not isinstance(config, dict):
            return documents
        return {**documents, CONFIG_FILE: _without_base(config)}

    def stored(self) -> Stored:
        """PEFT's own two files."""
        named = bool(name_base(self.config))
        return Stored(
            kind=self.kind,
            documents={CONFIG_FILE: dict(self.config) if named else _without_base(self.config)},
            tensors=self.tensors,
            tensors_file=TENSORS_FILE,
        )


def _without_base(config: Mapping[str, JSON]) -> dict[str, JSON]:
    return {key: value for key, value in config.items() if key not in NAMES_OF_BASE}


def name_base(config: Mapping[str, Any]) -> str:
    """The base that an adapter's configuration names, loadable; "" where it names none."""
    base, revision = str(config.get("base_model_name_or_path") or ""), config.get("revision")
    on_hub = base and revision and not Path(base).expanduser().exists()
    return f"{base}@{revision}" if on_hub else base


def base_names(info: EditInfo) -> dict[str, JSON]:
    """What an adapter's configuration says of its base: a Hub id and revision, or a folder.

    Empty for what transformers cannot open by a name: a planted model, a GGUF file, and a base with
    edits, without which the adapter must not be put on it.
    """
    name, revision = info.base_name, ""
    if not name or edits_under(info) or ":" in name or name.lower().endswith(".gguf"):
        return {}
    if hub_id(info):
        name, _, revision = name.partition("@")
    return dict(zip(NAMES_OF_BASE, (name, revision or None), strict=True))


def read_adapter(folder: Path) -> AdapterEdit:
    """A PEFT adapter folder that another program wrote, as an edit.

    Its base is the name and revision that its configuration has.
    Raises `ModelError` when its weights are pickled, `StoreError` when a file is missing or cut.
    """
    config = read_object(folder / CONFIG_FILE)
    if "peft_type" not in config:
        raise StoreError(
            f"{folder / CONFIG_FILE} must name its peft_type, it has none; it is no PEFT adapter"
        )
    if not (folder / TENSORS_FILE).is_file() and (folder / "adapter_model.bin").is_file():
        raise ModelError(
            f"{folder} must have {TENSORS_FILE}, it has pickled weights (adapter_model.bin), which "
            "can run code; load it with peft and save it with save_pretrained to convert it"
        )
    info = EditInfo(
        method="adapter",
        version="1",
        options={"peft_type": str(config["peft_type"])},
        seed=0,
        base=str(config.get("base_model_name_or_path") or ""),
        base_name=name_base(config),
        base_fingerprint="",
        trained_on=frozenset(),
        origin="",
        # PEFT has no task of masked models
        base_kind="causal" if config.get("task_type") == "CAUSAL_LM" else "",
    )
    return AdapterEdit(
        info=info,
        config=config,
        tensors=read_tensors(folder / TENSORS_FILE),
        tokenizer=read_tokenizer_files(folder),
    )


def sits_on(model: LanguageModel, config: Mapping[str, JSON]) -> tuple[str, ...]:
    """Names of the base's parameters that an adapter of this configuration is added to."""
    with ExitStack() as undo:
        return inject(model, config, undo)


def inject(model: LanguageModel, config: Mapping[str, JSON], undo: ExitStack) -> tuple[str, ...]:
    """Put PEFT's layers in, which `undo` removes; returns the parameters' names under them."""
    _wrap(model, config, undo)
    return _adapted_names(model.module)


def _wrap(model: LanguageModel, config: Mapping[str, JSON], undo: ExitStack) -> peft.PeftModel:
    """Put PEFT's layers in, which `undo` removes; returns PEFT's view of the model."""
    check_kind(config)
    undo.callback(_restorer(model.module))
    options: Any = {**config, "inference_mode": True, "base_model_name_or_path": None}
    try:
        # PEFT draws initial values from torch's global generator
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice for those who train with it
            wrapper = peft.PeftModel(
                model.module, peft.PeftConfig.from_peft_type(**options), ADAPTER
            )
    except ImportError as error:
        raise ModelError(
            f"an adapter of the kind {config['peft_type']} must have what peft needs for it, got: "
            f"{_first_lines(error)}; install that package"
        ) from error
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise ModelError(
            f"adapter must fit {model.identity}, got: {_first_lines(error)}; "
            "give the base it was made for"
        ) from error
    # PEFT's layers begin in training mode, with their dropout on
    model.module.eval()
    return wrapper


def _adapted_names(module: nn.Module) -> tuple[str, ...]:
    return tuple(
        f"{name}.{last}"
        for name, layer in module.named_modules()
        if isinstance(layer, BaseTunerLayer)
        for last, _ in layer.get_base_layer().named_parameters()
    )


def refuse_adapter(module: nn.Module, *, when: str = "another is attached") -> None:
    """Raise `ModelError` for a model with an adapter: a second would sit on the first.

    `when`: what else it stands in the way of.
    """
    if any(isinstance(part, BaseTunerLayer) for part in module.modules()):
        raise ModelError(
            f"{type(module).__name__} must have no adapter when {when}; "
            "merge it into the base first (equipoise merge)"
        )


def _restorer(module: PreTrainedModel) -> Callable[[], None]:
    """A function that puts every submodule, flag and bias back to what it is now."""
    # No context manager: `Edit.apply` drops its undoing, and a generator dropped would undo.
    refuse_adapter(module)
    children = [
        (parent, name, child)
        for parent in module.modules()
        for name, child in parent.named_children()
    ]
    flags = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    modes = [(part, part.training) for part in module.modules()]
    sizes = dict(vars(module.config))  # LoRA may repeat blocks
    # an adapter may carry its own biases
    biases = [
        (parameter, parameter.detach().clone())
        for name, parameter in module.named_parameters()
        if name.endswith("bias")
    ]
    # PEFT leaves its configuration on the module
    attributes = set(vars(module))

    def restore() -> None:
        for parent, name, child in children:
            setattr(parent, name, child)
        for added in set(vars(module)) - attributes:
            delattr(module, added)
        vars(module.config).update(sizes)
        with torch.no_grad():
            for bias, values in biases:
                bias.copy_(values)
        for parameter, required in flags:
            parameter.requires_grad_(required)
        for part, training in modes:
            part.training = training

    return restore


def _first_lines(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:300]
