"""A folder or Hub id of a sequence classifier, to a `SequenceClassifier`. Safetensors only."""

import re
from pathlib import Path
from typing import Final

from transformers import AutoModelForSequenceClassification

from equipoise.errors import ModelError
from equipoise.inference.classifier import Activation, SequenceClassifier, without_padding
from equipoise.loading.checkpoint import (
    Checkpoint,
    check_files,
    find_checkpoint,
    named_code,
    read_config,
)
from equipoise.loading.parts import load_parts
from equipoise.loading.pretrained import check_dtype, select_device
from equipoise.models.quantization import number_format
from equipoise.models.tokenization import find_unfit_token

_COMMIT: Final = re.compile("[0-9a-f]{7,40}")
_ACTIVATIONS: Final[dict[str, Activation]] = {
    "single_label_classification": "softmax",
    "multi_label_classification": "sigmoid",
}


def load_classifier(
    name: str, *, activation: Activation | None = None, dtype: str = "auto", device: str = "auto"
) -> SequenceClassifier:
    """The classifier of a folder or of a Hub id with its commit, "name@commit".

    `activation`: None takes what the configuration's problem_type says. Weights are safetensors,
    and each must come from the checkpoint. Raises `ModelError` for a Hub id without a commit,
    for what is no classifier, and for a configuration that does not say how its logits are read.
    """
    place = select_device(device)
    check_dtype(dtype, place)
    checkpoint = find_classifier(name)
    labels, settled = read_labels(checkpoint, activation)
    check_files(checkpoint)
    module, tokenizer = load_parts(
        AutoModelForSequenceClassification,
        checkpoint,
        "float32" if dtype == "auto" and place.type == "cpu" else dtype,
        remedy="take a checkpoint with its classifier's head",
    )
    without_padding(module)
    unfit = find_unfit_token(tokenizer, int(module.get_input_embeddings().weight.shape[0]))
    if unfit is not None:
        raise ModelError(
            f"the tokenizer of {checkpoint.name} must fit the model, it has {unfit!r}, for which "
            "there is no row; copy the whole folder again"
        )
    return SequenceClassifier(
        module=module.to(place).eval(),
        tokenizer=tokenizer,
        identity=checkpoint.identity,
        kind="masked",
        source={
            "name": checkpoint.name,
            "revision": checkpoint.revision if checkpoint.from_hub else None,
            "fingerprint": None if checkpoint.from_hub else checkpoint.revision,
            "architecture": type(module).__name__,
            "dtype": number_format(module),
        },
        labels=labels,
        activation=settled,
    )


def find_classifier(name: str) -> Checkpoint:
    """The files of a classifier; on the Hub it is pinned by its commit. Raises `ModelError`."""
    place, _, commit = name.rpartition("@")
    is_path = name.startswith((".", "/", "~")) or any(
        Path(folder).expanduser().exists() for folder in (name, place) if folder
    )
    if not is_path and not _COMMIT.fullmatch(commit if place else ""):
        raise ModelError(
            "a classifier on the Hub must be pinned by its commit, as a branch may move and every "
            f"number with it, got '{name}'; write {place or name}@COMMIT"
        )
    checkpoint = find_checkpoint(name, revision=None)
    if named_code(checkpoint):
        raise ModelError(
            f"a classifier must need no code of its own, {checkpoint.name} names "
            f"{', '.join(named_code(checkpoint))}; take another"
        )
    return checkpoint


def read_labels(
    checkpoint: Checkpoint, activation: Activation | None
) -> tuple[tuple[str, ...], Activation]:
    """The labels of a classifier by their number, and how its logits are read; no weights are.

    Raises `ModelError`.
    """
    config = read_config(checkpoint)
    architectures = config.get("architectures") or ["none"]
    if not all(str(each).endswith("ForSequenceClassification") for each in architectures):
        raise ModelError(
            f"{checkpoint.name} must be a classifier of whole texts, it was saved as "
            f"{', '.join(map(str, architectures))}; take one (…ForSequenceClassification)"
        )
    names = config.get("id2label")
    names = names if isinstance(names, dict) else {"0": "LABEL_0", "1": "LABEL_1"}
    labels = tuple(str(names[key]) for key in sorted(names, key=int))
    if activation is None:
        problem = config.get("problem_type")
        activation = _ACTIVATIONS.get(str(problem))
        # transformers' own rule for training: of a single label there is a number, of more a choice
        if problem is None and len(labels) > 1:
            activation = "softmax"
        if activation is None:
            raise ModelError(
                f"{checkpoint.name} must say whether its labels exclude each other "
                f"(problem_type in config.json), it says {problem!r} with {len(labels)} labels; "
                "set the option activation to softmax or sigmoid"
            )
    return labels, activation
