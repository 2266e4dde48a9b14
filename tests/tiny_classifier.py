"""A tiny classifier of whole texts in a folder, as anybody would save it."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from equipoise.testing import tiny_model


def save_classifier(
    folder: Path,
    *,
    family: str = "bert",
    labels: tuple[str, ...] = ("toxic", "neutral"),
    problem_type: str | None = "single_label_classification",
    pickled: bool = False,
) -> Path:
    """Random weights from a fixed seed; gives the folder."""
    model = tiny_model(family)
    settings: dict[str, Any] = model.module.config.to_dict()
    settings |= {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: number for number, label in enumerate(labels)},
        "num_labels": len(labels),
        "problem_type": problem_type,
        "architectures": None,
    }
    kind = settings.pop("model_type")
    if family == "gpt2":
        settings["pad_token_id"] = None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = AutoModelForSequenceClassification.from_config(
            AutoConfig.for_model(kind, **settings)
        )
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    module.save_pretrained(folder)
    if pickled:
        (folder / "model.safetensors").unlink()
        torch.save(module.state_dict(), folder / "pytorch_model.bin")
    model.tokenizer.save_pretrained(folder)
    return folder
