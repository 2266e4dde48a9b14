"""The probe of a model is kept for the next process, and is of its very weights."""

from pathlib import Path

import pytest
import torch

from equipoise import load
from equipoise.inference import forward
from equipoise.testing import tiny_model


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))
    place = tmp_path / "model"
    model = tiny_model("llama")
    model.module.save_pretrained(place)
    model.tokenizer.save_pretrained(place)
    return place


def passes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Forward passes that opening the model takes in a process that knows no kind of module."""
    calls = []
    original = forward.logits_at

    def counted(*args: object) -> torch.Tensor:
        calls.append(args)
        return original(*args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(forward, "_known", {})
        patch.setattr(forward, "logits_at", counted)
        model = load(str(folder))
        layout = forward.layout_of(model)
        count = len(calls)
        forward._known.clear()
        assert layout == forward.layout_of(model)
        return count


@pytest.mark.thorough
def test_the_second_process_probes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert passes(folder, monkeypatch) == 2
    assert passes(folder, monkeypatch) == 0


@pytest.mark.thorough
def test_other_weights_are_probed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passes(folder, monkeypatch)
    tiny_model("llama", seed=1).module.save_pretrained(folder)
    assert passes(folder, monkeypatch) == 2


@pytest.mark.thorough
@pytest.mark.parametrize("content", ["", "{}", '{"pack": "yes", "gather": true}', "[1]"])
def test_a_damaged_entry_is_made_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    passes(folder, monkeypatch)
    (entry,) = (folder.parent / "cache/layouts").iterdir()
    good = entry.read_text()
    entry.write_text(content)
    assert passes(folder, monkeypatch) == 2
    assert entry.read_text() == good
