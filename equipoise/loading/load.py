"""Open a model by name: on the Hub, in a folder, an edit, planted, or for decisions."""

from dataclasses import replace
from pathlib import Path

from equipoise.edits.adapter import CONFIG_FILE, name_base, read_adapter
from equipoise.edits.base import HEAD, Edit, read_head
from equipoise.edits.edit import EditInfo
from equipoise.edits.registry import load_edit
from equipoise.errors import ModelError, nearest
from equipoise.files.json_records import read_object
from equipoise.inference.deciding import DECISION, read_settings
from equipoise.inference.decision_server import is_server
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.sentence_encoder import check_predicts
from equipoise.loading.checkpoint import Checkpoint, find_checkpoint
from equipoise.loading.encoder import is_encoder, load_encoder
from equipoise.loading.pretrained import (
    check_dtype,
    load_pretrained,
    load_tokenizer,
    select_device,
)
from equipoise.models.quantization import check_quantize
from equipoise.models.tokenization import Vocabulary, vocabulary_of
from equipoise.planted.model import load_planted
from equipoise.remote.options import is_remote

_PLANTED = "planted"  # before the colon of a planted model's name
_KINDS = (_PLANTED, DECISION.rstrip(":"))


def load(  # noqa: PLR0913
    name: str | Path,
    *,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    base: str | LanguageModel | None = None,
    batch_tokens: int | None = None,
    start: str = "auto",
    quantize: str = "auto",
    trust_remote_code: bool = False,
) -> LanguageModel:
    """A model by its name, ready to be measured and edited.

    `name`: a Hub id (`gpt2`, `gpt2@revision`), a local folder of a model, a PEFT adapter folder, a
    saved edit, or "planted:NAME". An adapter or edit names its base, `base` overrides it, and it
    stays attached. "decision:" before any of them: it is asked typed questions
    (`LanguageModel.decide`). A folder of sentence-transformers (modules.json) gives a
    `SentenceEncoder`, which can be embedded with and nothing else.
    `dtype`: "float32", "bfloat16", "float16", or "auto": float32 on a CPU, the checkpoint's own on
    an accelerator. `device`: "cpu", "cuda", "cuda:1", "mps", "auto": the first available
    accelerator, or "split": layers over all GPUs, for a model that does not fit one.
    `batch_tokens` bounds memory, results do not depend on it; None: the default.
    `start`: what a causal model's texts begin with: "auto", "bos", "none" or a token of the
    vocabulary (`models.start_token.start_token`); of an edit, merged or not, "auto" is what it was
    learnt with.
    `quantize`: "nf4" (4 bits) or "int8": weights of plain numbers are quantized by bitsandbytes
    while they are loaded, and products computed in `dtype`; "auto": as they are, and the base of an
    edit as when it was learnt; "none": as they are, whatever an edit was learnt on.
    Weights are safetensors, and every weight must come from the checkpoint. Python code that the
    checkpoint (or the base) brings runs only with `trust_remote_code`, on this machine and with all
    your rights; it then counts in the fingerprint, and its hash is in `info`.
    Raises `RecipeError` for a planted model that does not exist, `ModelError`, and `StoreError`
    for a damaged edit.
    """
    if not isinstance(name, str | Path):
        raise ModelError(
            f"a model's name must be a text, got {type(name).__name__}; a model that is loaded is "
            "measured as it is, and one of transformers as a pair, (model, tokenizer)"
        )
    name = str(name)
    check_dtype(dtype, select_device(device))
    check_quantize(quantize)
    if is_server(name):
        raise ModelError(
            f"a model must be in memory for this, {name} is behind HTTP; it can be measured "
            "(inference.decision_server.DecisionServer.parse in Python)"
        )
    if is_remote(name):
        raise ModelError(
            f"a model must be in memory for this, {name} is behind HTTP; it can be measured "
            "(equipoise.connect in Python)"
        )
    place = undecided(name)
    model = _open(place, revision, base, dtype, device, quantize, trust_remote_code)
    if place != name:
        check_predicts(model, "asked typed questions")
        folder = model.module.name_or_path  # of a planted model empty, which is no folder
        settings = read_settings(Path(folder) if folder else None, model.tokenizer)
        model = replace(model, identity=DECISION + model.identity, decision=settings)
    if start != "auto":
        if model.kind == "masked":
            raise ModelError(
                f"start must be auto for a masked model, whose special tokens stand around every "
                f"text, got {start!r} for {model.identity}; leave it out"
            )
        model = replace(model, start=start)
        model.start_token  # noqa: B018  # raises for a token that does not exist
    return model if batch_tokens is None else replace(model, batch_tokens=batch_tokens)


def undecided(name: str) -> str:
    """The name without "decision:" in front, unless it is that of a folder."""
    return name if Path(name).exists() else name.removeprefix(DECISION)


def find_edit(name: str, *, revision: str | None = None) -> tuple[Edit, Checkpoint]:
    """The edit or PEFT adapter of a name (a folder or a Hub id), and its files.

    Raises `ModelError` when there is none, and `StoreError` for a damaged edit.
    """
    checkpoint = find_checkpoint(name, revision=revision)
    edit = _edit_in(checkpoint.folder)
    if edit is None:
        raise ModelError(
            f"{name} must be a saved edit (edit.json) or a PEFT adapter (adapter_config.json), "
            "it is neither; name the folder that mitigate wrote"
        )
    return edit, checkpoint


def base_named_in(folder: Path) -> str:
    """What the edit or adapter in a folder names as its base, loadable; "" where it names none.

    No weights are read. Raises `StoreError` for a damaged file.
    """
    if (folder / HEAD).is_file():
        return _base_name(read_head(folder).info)
    if (folder / CONFIG_FILE).is_file():
        return name_base(read_object(folder / CONFIG_FILE))
    return ""


def base_vocabulary(
    info: EditInfo, *, base: str | None = None, trust_remote_code: bool = False
) -> Vocabulary:
    """The vocabulary of an edit's base; no weights are read, unless the base is planted.

    `base`: a model that has it; None: as the edit records it, else the tokenizer of the base that
    the edit names, whose own code runs only where it is trusted.
    Raises `ModelError` when neither is known.
    """
    if base is None and info.base_vocabulary:
        return Vocabulary.parsed(info.base_vocabulary)
    name = base or _base_name(info)
    if not name:
        raise ModelError(
            f"the vocabulary of an edit's base must be known, that of {info.method} (of "
            f"'{info.base}') names no base on disk or on the Hub; give a model that has it "
            "(transfer.base)"
        )
    if _is_planted(name):
        return vocabulary_of(load_planted(name).tokenizer)
    return vocabulary_of(load_tokenizer(name, trust_remote_code=trust_remote_code))


def _edit_in(folder: Path) -> Edit | None:
    """The edit in a folder, ours or a PEFT adapter of another program; None: it is a model's."""
    if (folder / HEAD).is_file():
        return load_edit(folder)
    if (folder / CONFIG_FILE).is_file():
        return read_adapter(folder)
    return None


def _open(
    name: str,
    revision: str | None,
    base: str | LanguageModel | None,
    dtype: str,
    device: str,
    quantize: str,
    trust_remote_code: bool,
) -> LanguageModel:
    if _is_planted(name):
        _refuse_quantize(quantize, name, "planted model")
        return load_planted(name, dtype=dtype, device=device)
    checkpoint = find_checkpoint(name, revision=revision, trust_remote_code=trust_remote_code)
    edit = _edit_in(checkpoint.folder)
    if edit is None:
        if base is not None:
            raise ModelError(
                f"a base must be given for an adapter or an edit, {name} is a model; leave it out"
            )
        if is_encoder(checkpoint.folder):
            _refuse_quantize(quantize, name, "sentence encoder")
            return load_encoder(checkpoint, dtype=dtype, device=device)
        return load_pretrained(checkpoint, dtype=dtype, device=device, quantize=quantize)
    base = base or _base_name(edit.info)
    if not base:
        raise ModelError(
            f"{checkpoint.name} must say what it was learnt on, it says '{edit.info.base}'; give "
            "its base (base=, --base)"
        )
    if isinstance(base, str) and Path(base).expanduser().resolve() == checkpoint.folder.resolve():
        raise ModelError(
            f"an adapter or edit must have its base elsewhere, {checkpoint.name} names itself as "
            "its base; move its files into a folder of their own, or give its base (base=, --base)"
        )
    try:
        if not isinstance(base, LanguageModel):
            quantize = edit.info.base_quantize or "auto" if quantize == "auto" else quantize
            base = _open(base, None, None, dtype, device, quantize, trust_remote_code)
            if edit.info.base_start != "auto":
                base = replace(base, start=edit.info.base_start)
    except ModelError as error:
        raise ModelError(
            f"the base of {checkpoint.name} cannot be loaded: {error} (or give another place with "
            "base=, --base)"
        ) from error
    # for good, since no `with` block will end that could undo it
    edited = edit.apply(base)
    # so that `load_name` is the edit's folder, which names its base itself
    return replace(edited, source={**edited.source, "name": checkpoint.name})


def _refuse_quantize(quantize: str, name: str, what: str) -> None:
    """Raise `ModelError` where what is no checkpoint of plain numbers is to be quantized."""
    if quantize not in ("auto", "none"):
        raise ModelError(
            f"a model must be a causal or masked model's checkpoint to be quantized, {name} is a "
            f"{what}; leave quantize out"
        )


def _base_name(info: EditInfo) -> str:
    """A loadable name of an edit's base; empty when the base was itself edited."""
    return info.base_name or ("" if "+" in info.base else info.base.partition("@")[0])


def _is_planted(name: str) -> bool:
    """Whether a name is of a planted model. Raises `ModelError` for another word and a colon."""
    scheme, colon, _ = name.partition(":")
    # a folder may have a colon in its name
    if not colon or Path(name).exists():
        return False
    if scheme != _PLANTED:
        raise ModelError(
            f"'{name}' must be of a known kind, got '{scheme}:'; {nearest(scheme, _KINDS)}"
        )
    return True
