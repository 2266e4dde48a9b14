"""Loading: from a name to a `LanguageModel`, or to one sentence that says why not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from equipoise.edits.edit import Edit, EditInfo
from equipoise.edits.registry import edit_in
from equipoise.errors import ModelError, nearest
from equipoise.inference.language_model import LanguageModel
from equipoise.loading.checkpoint import Checkpoint, check_files, find_checkpoint, read_config
from equipoise.models.start_token import start_rule, start_token_id
from equipoise.models.vocabulary import Vocabulary, vocabulary_of
from equipoise.records import JSON, ModelKind

#: Opens a name of another kind, such as "planted:default".
Opener = Callable[[str], LanguageModel]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """How a model is wanted; the same for an edit's base."""

    dtype: str
    device: torch.device
    trust_remote_code: bool
    schemes: Mapping[str, Opener] = field(default_factory=dict)


def load(
    name: str,
    *,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    base: str | LanguageModel | None = None,
    trust_remote_code: bool = False,
    schemes: Mapping[str, Opener] | None = None,
) -> LanguageModel:
    """A model by its name, ready to be measured and edited.

    `name`: a Hub id (`gpt2`, `gpt2@revision`), a local folder of a model, a PEFT adapter folder or
    a saved edit. The last two know their base; `base` overrides it, and they stay attached. A
    name with a colon belongs to `schemes`, which has an opener by the word before the colon.
    `dtype`: "float32", "bfloat16", "float16", or "auto": float32 on a processor, the checkpoint's
    own on an accelerator. `device`: "cpu", "cuda", "cuda:1", "mps", or "auto": the first there is.
    Weights are safetensors, and every weight must come from the checkpoint.
    Raises `ModelError`, and `StoreError` for a damaged edit.
    """
    where = _device(device)
    wish = _Wish(
        dtype=_known_dtype(dtype, where),
        device=where,
        trust_remote_code=trust_remote_code,
        schemes=schemes or {},
    )
    return _load(name, revision, base, wish)


def find_edit(name: str) -> tuple[Edit, Checkpoint]:
    """The edit or PEFT adapter of a name (a folder or a Hub id), and its files.

    Raises `ModelError` when there is none, and `StoreError` for a damaged one.
    """
    checkpoint = find_checkpoint(name, revision=None, code=False)
    edit = edit_in(checkpoint.folder)
    if edit is None:
        raise ModelError(
            f"{name} must be a saved edit (edit.json) or a PEFT adapter (adapter_config.json), "
            "it is neither; name the folder that mitigate wrote"
        )
    return edit, checkpoint


def base_vocabulary(
    info: EditInfo, *, base: str | None = None, schemes: Mapping[str, Opener] | None = None
) -> Vocabulary:
    """The vocabulary of an edit's base; no weights of a model on disk are read.

    `base`: a model that has it; None takes what the edit says, else the tokenizer of the base that
    it names. `schemes`: as `load`. Raises `ModelError` when nothing says it.
    """
    if base is None and info.base_vocabulary:
        return Vocabulary.parsed(info.base_vocabulary)
    name = base or info.base_name or _name_of(info.base)
    scheme, colon, _ = name.partition(":")
    if name and not (colon and not Path(name).exists()):
        return vocabulary_of(_tokenizer_alone(name))
    opener = (schemes or {}).get(scheme)
    if opener is not None:
        return vocabulary_of(opener(name).tokenizer)
    raise ModelError(
        f"the vocabulary of an edit's base must be known, this one ({info.method} of "
        f"'{info.base}') names no base on disk or on the Hub; give a model that has it (base=, "
        "--base)"
    )


def _tokenizer_alone(name: str) -> PreTrainedTokenizerBase:
    folder = Path(name).expanduser()
    repository, _, revision = name.partition("@")
    try:
        if folder.is_dir():
            return AutoTokenizer.from_pretrained(folder, local_files_only=True)
        return AutoTokenizer.from_pretrained(repository, revision=revision or None)
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"the base's tokenizer must load to compare vocabularies, got of '{name}': {reason}; "
            "give another place of that model (base=, --base)"
        ) from error


def _load(
    name: str, revision: str | None, base: str | LanguageModel | None, wish: _Wish
) -> LanguageModel:
    scheme, colon, _ = name.partition(":")
    if colon and not Path(name).exists():
        if scheme not in wish.schemes:
            wanted = "be of a known kind" if wish.schemes else "be opened by equipoise.load"
            raise ModelError(
                f"'{name}' must {wanted}, got '{scheme}:'; {nearest(scheme, wish.schemes)}"
            )
        return wish.schemes[scheme](name)
    checkpoint = find_checkpoint(name, revision=revision, code=wish.trust_remote_code)
    edit = edit_in(checkpoint.folder)
    if edit is None:
        if base is not None:
            raise ModelError(
                f"a base must be given for an adapter or an edit, {name} is a model; leave it out"
            )
        return _plain(checkpoint, wish)
    return _edited(checkpoint, edit, base, wish)


def _edited(
    checkpoint: Checkpoint, edit: Edit, base: str | LanguageModel | None, wish: _Wish
) -> LanguageModel:
    if isinstance(base, LanguageModel):
        under = base
    else:
        named = base or edit.info.base_name or _name_of(edit.info.base)
        if not named:
            raise ModelError(
                f"{checkpoint.name} must say what it was learnt on, it says "
                f"'{edit.info.base}'; give its base (base=, --base)"
            )
        try:
            under = _load(named, None, None, wish)
        except ModelError as error:
            if base is not None:
                raise
            raise ModelError(
                f"the base of {checkpoint.name} cannot be loaded: {error} (or give another place "
                "with base=, --base)"
            ) from error
    edited = edit.apply(under)
    return replace(edited, source={**edited.source, "name": checkpoint.name})


def _name_of(identity: str) -> str:
    """The loadable part of an identity; empty when the base was itself edited."""
    return "" if "+" in identity else identity.partition("@")[0]


def _plain(checkpoint: Checkpoint, wish: _Wish) -> LanguageModel:
    config = read_config(checkpoint)
    kind = _kind(checkpoint, config)
    check_files(checkpoint)
    module = _module(checkpoint, kind, wish)
    tokenizer, notes = _tokenizer(checkpoint, module, kind, wish)
    source: dict[str, JSON] = {
        "name": checkpoint.name,
        "revision": checkpoint.revision if checkpoint.from_hub else None,
        "fingerprint": None if checkpoint.from_hub else checkpoint.revision,
        "architecture": type(module).__name__,
        "dtype": str(module.dtype).removeprefix("torch."),
        "trust_remote_code": wish.trust_remote_code,
        **notes,
    }
    return LanguageModel(
        module=module,
        tokenizer=tokenizer,
        identity=checkpoint.identity,
        kind=kind,
        source=source,
    )


def _kind(checkpoint: Checkpoint, config: Mapping[str, Any]) -> ModelKind:
    """Causal or masked, by the class that the checkpoint was saved from, else by its type."""
    if config.get("is_encoder_decoder"):
        raise ModelError(
            f"{checkpoint.name} must be a causal or masked model, it is an encoder-decoder "
            f"({config.get('model_type')}); take another"
        )
    for saved in config.get("architectures") or ():
        if saved in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values():
            return "causal"
        if saved in MODEL_FOR_MASKED_LM_MAPPING_NAMES.values():
            return "masked"
    if "AutoModelForMaskedLM" in config.get("auto_map", {}):
        return "masked"
    kind = config.get("model_type")
    if kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        return "masked"
    if kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or "AutoModelForCausalLM" in config.get(
        "auto_map", {}
    ):
        return "causal"
    raise ModelError(
        f"{checkpoint.name} must be a causal or masked language model, its config.json says "
        f"{config.get('architectures')} of type {kind!r}; take another, or a newer transformers"
    )


def _module(checkpoint: Checkpoint, kind: ModelKind, wish: _Wish) -> PreTrainedModel:
    auto = AutoModelForMaskedLM if kind == "masked" else AutoModelForCausalLM
    try:
        module, report = auto.from_pretrained(
            checkpoint.folder,
            dtype=_DTYPES.get(wish.dtype, "auto"),
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=wish.trust_remote_code,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"{checkpoint.name} must load with transformers, got: {reason}; mend the folder, or "
            "trust its code if it brings its own"
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(
            f"{checkpoint.name} must hold every weight of {type(module).__name__}, it lacks "
            f"{len(missing)}, first '{missing[0]}', which would be random; take a checkpoint with "
            "its language-model head"
        )
    loaded: PreTrainedModel = module.to(wish.device).eval()
    return loaded


def _tokenizer(
    checkpoint: Checkpoint, module: PreTrainedModel, kind: ModelKind, wish: _Wish
) -> tuple[PreTrainedTokenizerBase, dict[str, JSON]]:
    """The tokenizer, fit to be used, and what a result must record about it."""
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            checkpoint.folder, local_files_only=True, trust_remote_code=wish.trust_remote_code
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"the tokenizer of {checkpoint.name} must load, got: {reason}; save it again with "
            "transformers"
        ) from error
    rows = int(module.get_input_embeddings().weight.shape[0])
    if tokenizer.vocab_size > rows:
        raise ModelError(
            f"the tokenizer of {checkpoint.name} must have at most the model's {rows} tokens, it "
            f"has {tokenizer.vocab_size}; it belongs to another model"
        )
    if kind == "masked" and tokenizer.mask_token_id is None:
        raise ModelError(
            f"the tokenizer of the masked model {checkpoint.name} must have a mask token, it has "
            "none; set mask_token and save it again"
        )
    pad = _settle_pad(tokenizer, rows)
    start = start_token_id(tokenizer)
    first = tokenizer("a")["input_ids"][:1]
    return tokenizer, {
        "pad": pad,
        "start": start_rule(tokenizer),
        "tokenizer_adds_start": start is not None and first == [start],
    }


def _settle_pad(tokenizer: PreTrainedTokenizerBase, rows: int) -> str:
    """Give the tokenizer a pad token if it can have one: "own", "eos" or "none" (id 0, masked)."""
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id < rows:
        return "own"
    if tokenizer.eos_token_id is not None:
        tokenizer.pad_token = tokenizer.eos_token
        return "eos"
    tokenizer.pad_token = None  # it may have been one that the model has no row for
    return "none"


def _device(name: str) -> torch.device:
    there = ["cpu"]
    if torch.cuda.is_available():
        there += ["cuda", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        there += ["mps"]
    if name == "auto":
        best = next((one for one in ("cuda", "mps") if one in there), "cpu")
        return torch.device(best)
    if name not in there:
        raise ModelError(f"device '{name}' is not there; {nearest(name, ['auto', *there])}")
    return torch.device(name)


def _known_dtype(dtype: str, device: torch.device) -> str:
    if dtype not in ("auto", *_DTYPES):
        raise ModelError(f"dtype '{dtype}' is not known; {nearest(dtype, ['auto', *_DTYPES])}")
    if device.type != "cpu":
        return dtype
    if dtype == "float16":
        raise ModelError(
            f"dtype must be float32 or bfloat16 on a processor, got '{dtype}', which is about 15 "
            "times slower there; take bfloat16"
        )
    return "float32" if dtype == "auto" else dtype
