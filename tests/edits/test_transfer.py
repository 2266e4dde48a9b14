"""Transfer of adapters: what must fit, what is kept, and that nothing is touched when refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_adapters import adapter_for, effect, sibling_of, vocabulary, weights

from equipoise.edits.prompts import PromptEdit
from equipoise.edits.registry import load_edit
from equipoise.edits.transfer import check, transferred
from equipoise.edits.weights import WeightEdit
from equipoise.errors import ModelError
from equipoise.inference.language_model import LanguageModel
from equipoise.models.vocabulary import vocabulary_of
from equipoise.records import JSON
from equipoise.testing import tiny_model


def test_the_same_tensors_are_bound_to_the_sibling(tmp_path: Path) -> None:
    base = tiny_model("llama")
    sibling, edit = sibling_of(base), adapter_for(base)
    before = weights(sibling)
    made = transferred(edit, sibling, vocabulary=vocabulary(edit))
    assert weights(sibling) == before
    assert made.tensors == edit.tensors
    assert made.info.base == "tiny-instruct@0"
    assert made.info.trained_on == {"ab"}
    assert made.info.origin == "here"
    assert made.info.report["from_base"] == base.identity
    assert made.info.report["from_content"] == edit.content
    assert made.info.report["from_options"] == {"beta": 0.1}
    assert made.config["base_model_name_or_path"] == "tiny-instruct"
    with pytest.raises(ModelError, match=r"learnt on, tiny-instruct@0, got tiny-llama@0"):
        made.apply(base)
    with pytest.raises(ModelError, match=r"learnt on, tiny-llama@0, got tiny-instruct@0"):
        edit.apply(sibling)
    made.save(tmp_path / "made")
    again = load_edit(tmp_path / "made")
    assert (again.info, again.content) == (made.info, made.content)
    card = (tmp_path / "made" / "README.md").read_text(encoding="utf-8")
    assert "learnt on tiny-llama@0 and put on this base as it is" in card
    with again.attached(sibling) as edited:
        assert edited.identity.startswith("tiny-instruct@0+transfer:")
        assert edited.trained_on == {"ab"}


def test_a_sibling_keeps_most_of_the_effect() -> None:
    base = tiny_model("llama")
    sibling, edit = sibling_of(base), adapter_for(base)
    made = transferred(edit, sibling, vocabulary=vocabulary(edit))
    there, here = effect(edit, base).flatten(), effect(made, sibling).flatten()
    assert float(there.norm()) > 0.1
    assert float(torch.cosine_similarity(there, here, dim=0)) > 0.9


def test_onto_its_own_base_it_does_what_it_did() -> None:
    base = tiny_model("llama")
    edit = adapter_for(base)
    made = transferred(edit, base, vocabulary=vocabulary(edit))
    torch.testing.assert_close(effect(made, base), effect(edit, base), rtol=0, atol=0)
    assert made.info.base_fingerprint == edit.info.base_fingerprint


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (tiny_model("gpt2"), "must fit tiny-gpt2@0, got: Target modules"),
        (tiny_model("llama", blocks=3), r"layers\.2.* 3 more names are in tiny-llama@0 alone"),
        (tiny_model("llama", blocks=1), r"layers\.1.* 3 more names are in the adapter alone"),
        (tiny_model("llama", width=64), r"q_proj\.lora_A.*' has \(2, 32\) instead of \(2, 64\)"),
        (tiny_model("bert"), "an adapter of a causal model must be put on one"),
    ],
)
def test_other_modules_and_shapes_are_refused(other: LanguageModel, said: str) -> None:
    edit = adapter_for(tiny_model("llama"))
    before, modules = weights(other), [id(module) for module in other.module.modules()]
    with pytest.raises(ModelError, match=said):
        transferred(edit, other, vocabulary=vocabulary(edit))
    assert weights(other) == before
    assert [id(module) for module in other.module.modules()] == modules


def test_another_token_under_an_id_is_refused_whatever_is_allowed() -> None:
    base = tiny_model("llama")
    edit = adapter_for(base)
    masked = vocabulary_of(tiny_model("bert").tokenizer)
    for more in (False, True):
        with pytest.raises(ModelError, match=r"every token of tiny-llama@0 must have the same id"):
            check(edit, sibling_of(base), vocabulary=masked, more_tokens=more)


def test_a_sibling_with_fewer_tokens_is_refused() -> None:
    base = tiny_model("llama")
    sibling = sibling_of(base)
    base.tokenizer.add_tokens(["<user>"])
    edit = adapter_for(base)
    with pytest.raises(ModelError, match=r"vocabularies differ \(260 ids, .* and 259, "):
        check(edit, sibling, vocabulary=vocabulary(edit), more_tokens=True)


def test_more_tokens_must_be_allowed_and_are_noted() -> None:
    base = tiny_model("llama")
    sibling, edit = sibling_of(base), adapter_for(base)
    sibling.tokenizer.add_tokens(["<user>", "<reply>"])
    with pytest.raises(ModelError, match=r"it has 2 tokens more \(261 ids, not 259\)"):
        check(edit, sibling, vocabulary=vocabulary(edit))
    fit = check(edit, sibling, vocabulary=vocabulary(edit), more_tokens=True)
    assert fit.notes == ("tiny-instruct@0 has 2 tokens that the base has not",)
    made = transferred(edit, sibling, vocabulary=vocabulary(edit), more_tokens=True)
    assert made.info.report["notes"] == list(fit.notes)


@pytest.mark.parametrize("module", ["embed_tokens", "lm_head"])
def test_more_tokens_are_never_allowed_under_an_adapter_on_them(module: str) -> None:
    base = tiny_model("llama")
    edit = adapter_for(base, target_modules=["q_proj", module])
    sibling = sibling_of(base)
    assert check(edit, sibling, vocabulary=vocabulary(edit)).notes == ()
    sibling.tokenizer.add_tokens(["<user>"])
    with pytest.raises(ModelError, match=rf"an adapter on '.*{module}\.weight' must be put on"):
        check(edit, sibling, vocabulary=vocabulary(edit), more_tokens=True)


def test_what_is_no_adapter_is_refused_with_the_reason() -> None:
    base = tiny_model("llama")
    info = adapter_for(base).info
    own = vocabulary_of(base.tokenizer)
    replaced = WeightEdit(info=info, tensors={"model.norm.weight": torch.ones(32)})
    with pytest.raises(ModelError, match="replaces 1 parameters and would undo what the sibling"):
        transferred(replaced, base, vocabulary=own)
    with pytest.raises(ModelError, match=r"got prefixes .* which fit any model as they are"):
        transferred(PromptEdit(info=info, prompts=("Be fair. ",)), base, vocabulary=own)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bias": "all"}, "replaces parameters .bias: 'all'"),
        ({"modules_to_save": ["norm"]}, r"replaces parameters .modules_to_save: \['norm'\]"),
        ({"init_lora_weights": "pissa"}, "must leave the weights of its base alone"),
    ],
)
def test_an_adapter_that_replaces_parameters_is_refused(
    options: dict[str, JSON], said: str
) -> None:
    base = tiny_model("llama")
    edit = adapter_for(base)
    before = weights(base)
    with pytest.raises(ModelError, match=said):
        transferred(
            replace(edit, config={**edit.config, **options}), base, vocabulary=vocabulary(edit)
        )
    assert weights(base) == before


@pytest.mark.parametrize(
    ("value", "said"), [(0.0, "must change something"), (float("nan"), "must be finite")]
)
def test_an_empty_or_broken_adapter_is_refused(value: float, said: str) -> None:
    base = tiny_model("llama")
    edit = adapter_for(base)
    tensors = {
        name: torch.full_like(one, value) if "lora_B" in name else one
        for name, one in edit.tensors.items()
    }
    with pytest.raises(ModelError, match=said):
        transferred(replace(edit, tensors=tensors), base, vocabulary=vocabulary(edit))


def test_an_adapter_of_unknown_lessons_is_noted() -> None:
    base = tiny_model("llama")
    edit = adapter_for(base)
    foreign = replace(edit, info=replace(edit.info, trained_on=frozenset()))
    (note,) = check(foreign, base, vocabulary=vocabulary(edit)).notes
    assert "no leak can be found" in note
