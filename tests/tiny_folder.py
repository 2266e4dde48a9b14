"""A tiny model in a folder, as anybody would save it."""

from pathlib import Path

from equipoise.testing import tiny_model


def save_tiny(folder: Path) -> Path:
    """Model and tokenizer of the usual tiny model; gives the folder."""
    model = tiny_model("llama")
    model.module.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder
