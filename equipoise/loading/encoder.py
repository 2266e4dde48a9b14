"""A folder that sentence-transformers wrote, to a `SentenceEncoder`."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from transformers import AutoModel, PreTrainedModel, PreTrainedTokenizerBase

from equipoise.errors import ModelError
from equipoise.files.json_records import read_object
from equipoise.files.parsing import parse_json
from equipoise.inference.sentence_encoder import POOLINGS, SentenceEncoder
from equipoise.loading.checkpoint import Checkpoint, check_files, named_code
from equipoise.loading.parts import load_parts
from equipoise.loading.pretrained import select_device
from equipoise.models.quantization import number_format
from equipoise.models.tokenization import set_pad_token

MODULES: Final = "modules.json"
_KNOWN: Final = ("Transformer", "Pooling", "Normalize")
_LEGACY: Final = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}  # in the order in which their vectors follow each other


def is_encoder(folder: Path) -> bool:
    """Whether sentence-transformers wrote the folder."""
    return (folder / MODULES).is_file()


def load_encoder(checkpoint: Checkpoint, *, dtype: str, device: str) -> SentenceEncoder:
    """The encoder of a folder: a transformer, a pooling, and vectors of length 1 or not.

    Raises `ModelError` for parts that are not known, and for what cannot be loaded.
    """
    if checkpoint.from_hub:
        raise ModelError(
            f"a sentence encoder must be a folder here, {checkpoint.name} is on the Hub; fetch it "
            f"whole (hf download {checkpoint.name}) and name the folder that this prints"
        )
    paths = _read_modules(checkpoint)
    inner = replace(checkpoint, folder=checkpoint.folder / paths["Transformer"])
    settings = _read_if_there(inner.folder / "sentence_bert_config.json")
    _refuse_prompt(checkpoint)
    check_files(inner)
    if named_code(inner):
        raise ModelError(
            f"a sentence encoder must need no code of its own, {checkpoint.name} names "
            f"{', '.join(named_code(inner))}; take another"
        )
    module, tokenizer = _load_parts(inner, dtype, device)
    limit = settings.get("max_seq_length")
    return SentenceEncoder(
        module=module,
        tokenizer=tokenizer,
        identity=checkpoint.identity,
        kind="masked",
        source={
            "name": checkpoint.name,
            "revision": None,
            "fingerprint": checkpoint.revision,
            "architecture": type(module).__name__,
            "dtype": number_format(module),
            "pad": set_pad_token(tokenizer, int(module.get_input_embeddings().weight.shape[0])),
        },
        pooling=_read_pooling(checkpoint, checkpoint.folder / paths["Pooling"] / "config.json"),
        normalized="Normalize" in paths,
        lower=bool(settings.get("do_lower_case")),
        most_tokens=limit if isinstance(limit, int) else None,
    )


def _read_modules(checkpoint: Checkpoint) -> dict[str, str]:
    """Kind of each part to its folder, in their order."""
    file = checkpoint.folder / MODULES
    rows = parse_json(file.read_bytes(), str(file))
    parts = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    paths = {str(part.get("type")).rpartition(".")[2]: str(part.get("path", "")) for part in parts}
    if [*paths] not in ([*_KNOWN], [*_KNOWN[:2]]) or len(paths) != len(parts):
        kinds = [str(part.get("type")).rpartition(".")[2] for part in parts]
        raise ModelError(
            f"a sentence encoder must have the parts Transformer, Pooling and perhaps Normalize, "
            f"{checkpoint.name} has {', '.join(kinds) or 'none'}; take another"
        )
    outside = next((path for path in paths.values() if path.startswith(("/", "."))), None)
    if outside is not None:
        raise ModelError(
            f"the parts of {checkpoint.name} must lie in its folder, got '{outside}'; correct "
            f"{MODULES}"
        )
    return paths


def _read_pooling(checkpoint: Checkpoint, file: Path) -> tuple[str, ...]:
    if not file.is_file():
        raise ModelError(
            f"{checkpoint.name} must say how it pools, {file} is not there; copy the whole folder"
        )
    config = read_object(file)
    given: Any = config.get("pooling_mode")
    if given is None:
        given = [mode for key, mode in _LEGACY.items() if config.get(key)] or ["mean"]
    modes = (given,) if isinstance(given, str) else tuple(map(str, given))
    unknown = [mode for mode in modes if mode not in POOLINGS]
    if unknown:
        raise ModelError(
            f"{checkpoint.name} must pool by {', '.join(POOLINGS)}, got '{unknown[0]}' in {file}; "
            "take another"
        )
    return modes


def _refuse_prompt(checkpoint: Checkpoint) -> None:
    name = _read_if_there(checkpoint.folder / "config_sentence_transformers.json").get(
        "default_prompt_name"
    )
    if name is not None:
        raise ModelError(
            f"a sentence encoder must read texts as they are, {checkpoint.name} puts its prompt "
            f"'{name}' before each; put null for "
            "default_prompt_name into its config_sentence_transformers.json"
        )


def _read_if_there(file: Path) -> Mapping[str, Any]:
    return read_object(file) if file.is_file() else {}


def _load_parts(
    checkpoint: Checkpoint, dtype: str, device: str
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    place = select_device(device)
    # as of language models: in bfloat16 only where it is asked for
    wanted = "float32" if dtype == "auto" and place.type == "cpu" else dtype
    module, tokenizer = load_parts(
        AutoModel,
        checkpoint,
        wanted,
        remedy="copy the whole folder again",
        unused=("pooler.",),  # a pooler of the transformer's own is not asked
    )
    return module.to(place).eval(), tokenizer
