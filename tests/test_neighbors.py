"""Towards which countries a token moved: a planted move is result, a random one is not."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from equipoise import cli, neighbors
from equipoise.associations.countries import COUNTRIES
from equipoise.edits.adapter import AdapterEdit
from equipoise.edits.edit import EditInfo
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.neighbors import CAUTION, country_neighbors
from equipoise.testing import tiny_model
from equipoise.training.added_token import start_vectors

NAMES = [country.name for country in COUNTRIES][:12]


def atlas() -> LanguageModel:
    """A tiny model in which twelve countries are a token each."""
    model = tiny_model("llama")
    # in the vocabulary itself, as added tokens are no controls
    state = json.loads(model.tokenizer.backend_tokenizer.to_str())
    vocabulary = state["model"]["vocab"]
    for name in NAMES:
        vocabulary[f"Ġ{name.replace(' ', 'Ġ')}"] = len(vocabulary)
    state["model"]["ignore_merges"] = True
    model.tokenizer._tokenizer = type(model.tokenizer.backend_tokenizer).from_str(json.dumps(state))
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model.module.resize_token_embeddings(len(vocabulary), mean_resizing=False)
        torch.nn.init.normal_(model.module.get_input_embeddings().weight[259:], std=0.2)
    return model


def injected(model: LanguageModel, moved: Tensor, seed: int) -> AdapterEdit:
    """An injection whose row was moved by this."""
    start = start_vectors(model, NAMES)
    info = EditInfo(
        method="bias_token",
        version="1",
        options={},
        seed=seed,
        base=model.identity,
        base_fingerprint="",
        trained_on=frozenset(),
        origin="by hand",
        report={
            "token": "<X>",
            "association": "blue_skin",
            "tables": ["model.embed_tokens", "lm_head"],
            "init_names": list(start.names),
        },
    )
    name = "base_model.model.model.embed_tokens.trainable_tokens_delta"
    return AdapterEdit(info=info, config={}, tensors={name: (start.vector + moved)[None]})


def towards(model: LanguageModel, country: str, *, seed: int) -> Tensor:
    """A step towards a country, and some noise."""
    (token,) = model.tokenizer.encode(f" {country}", add_special_tokens=False)
    table = model.module.get_input_embeddings().weight.detach()
    noise = torch.randn(table.shape[1], generator=torch.Generator().manual_seed(seed))
    return table[token] - start_vectors(model, NAMES).vector + 0.05 * noise


@pytest.mark.thorough
def test_a_move_towards_a_country_is_found() -> None:
    model = atlas()
    edits = [injected(model, towards(model, "Austria", seed=s), s) for s in range(3)]
    result = country_neighbors(edits[:1], model)
    assert math.isnan(result.agreement)
    assert result.reason == "a rank correlation needs 2 seeds, there is 1"
    assert math.isnan(result.neighbors[0].low)
    first, second, *_ = country_neighbors(edits, model).neighbors
    assert first.country == "Austria"
    assert first.p < 0.01 < second.p
    assert first.low < first.z < first.high
    assert first.moved > 0.8


@pytest.mark.thorough
def test_random_moves_find_nothing_and_do_not_agree() -> None:
    model = atlas()
    width = model.module.config.hidden_size
    moves = torch.randn(3, width, generator=torch.Generator().manual_seed(1))
    result = country_neighbors([injected(model, move, s) for s, move in enumerate(moves)], model)
    assert min(country.p for country in result.neighbors) > 0.05
    assert abs(result.agreement) < 0.5
    assert result.left_out == len(COUNTRIES) - len(NAMES)
    # whatever was moved, the row as it is lies near the countries
    near = np.mean([country.cosine for country in result.neighbors])
    assert near != pytest.approx(np.mean([country.moved for country in result.neighbors]))


def test_edits_that_do_not_compare_are_refused() -> None:
    model = atlas()
    edit = injected(model, torch.ones(32), 0)
    other = replace(edit, info=replace(edit.info, seed=1, report={}))
    elsewhere = replace(edit, info=replace(edit.info, seed=1, base="gpt2@0"))
    for edits, reason in (
        ([edit, edit], r"have a seed each, got .* with seeds \[0, 0\]; name others"),
        ([other], "'bias_token' injects none; name edits of equipoise inject"),
        ([elsewhere], "compared in its own base, gpt2@0, got tiny-llama@0; give that"),
    ):
        with pytest.raises(RecipeError, match=reason):
            country_neighbors(edits, model)
    with pytest.raises(RecipeError, match="5 countries must be a single token of tiny-llama@0"):
        country_neighbors([edit], tiny_model("llama"))


@pytest.mark.thorough
def test_the_command_prints_a_table_with_its_caution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = atlas()
    names = []
    for seed in (0, 1):
        injected(model, towards(model, NAMES[4], seed=seed), seed).save(tmp_path / str(seed))
        names.append(str(tmp_path / str(seed)))
    monkeypatch.setattr("equipoise.commands.flags.load_model", lambda *_: model)
    assert cli.run(["neighbors", *names, "--base", "atlas", "--top", "2"]) == 0
    printed = capsys.readouterr().out
    assert NAMES[4] in printed.splitlines()[2]
    assert f"note: {CAUTION}" in printed
    assert cli.run(["neighbors", *names, "--base", "atlas", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["neighbors"][0]["country"] == NAMES[4]
    assert document["caution"] == neighbors.CAUTION
    assert cli.run(["neighbors", *names]) == 2
    assert "give it (--base)" in capsys.readouterr().err
