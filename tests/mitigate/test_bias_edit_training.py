"""BiasEdit whole, on tiny models: what an edit does, to what it learnt from and beside it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from equipoise.contrast_training.packed_forward import PackedForward
from equipoise.contrast_training.tokenized import tokenize_texts
from equipoise.edits.edit import fingerprint, parameter
from equipoise.edits.weights import WeightEdit
from equipoise.errors import ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate import bias_edit
from equipoise.mitigate.bias_edit import BiasEdit
from equipoise.model_editing.target_modules import gradient_rows, select_target_modules
from equipoise.records import Continuation, Contrast, Supply
from equipoise.testing import tiny_model

METHOD = BiasEdit(
    blocks=(-1,),
    rank=16,
    edit_rate=1e-2,
    batch_size=3,
    epochs=1,
    learning_rate=1e-3,
    retention_weight=1.0,
)


def contrasts(*names: str) -> tuple[Contrast, ...]:
    return tuple(
        Contrast(
            id=name,
            context=f"The {name}",
            stereotype=" sang.",
            antistereotype=" slept.",
            unrelated=" of.",
        )
        for name in names
    )


SUPPLY = Supply(origin="tiny", contrasts=contrasts("cook", "maid", "monk", "duke", "bard", "page"))
FEW = replace(SUPPLY, contrasts=SUPPLY.contrasts[:3])  # a single step
HELD_OUT = contrasts("smith", "clerk", "queen", "judge")
BARE = replace(
    SUPPLY, contrasts=tuple(replace(contrast, unrelated=None) for contrast in SUPPLY.contrasts)
)
BARE_FEW = replace(BARE, contrasts=BARE.contrasts[:3])


def fit(
    model: LanguageModel, supply: Supply = SUPPLY, *, seed: int = 0, **options: object
) -> WeightEdit:
    return replace(METHOD, **options).fit(model, supply, seed=seed)  # type: ignore[arg-type]


def mean_square(model: LanguageModel, items: Sequence[Contrast]) -> float:
    """The mean squared margin, by the engine that benchmarks use."""
    requests = [
        Continuation(context=item.context, continuation=text)
        for item in items
        for text in (item.stereotype, item.antistereotype)
    ]
    scores = [score.logprob for score in model.score(requests)]
    return sum((a - b) ** 2 for a, b in zip(scores[::2], scores[1::2], strict=True)) / len(items)


def edited_mean_square(
    model: LanguageModel, edit: WeightEdit, items: Sequence[Contrast], shift: dict[str, Tensor]
) -> float:
    """The mean squared margin with these shifts in place of the edit's."""
    tensors = {name: parameter(model.module, name).detach() + shift[name] for name in shift}
    with replace(edit, tensors=tensors).attached(model) as edited:
        return mean_square(edited, items)


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    """A model that no test changes."""
    return tiny_model()


@pytest.mark.thorough
def test_margins_shrink_more_than_by_random_updates_of_equal_norm(model: LanguageModel) -> None:
    edit = fit(model, epochs=3)
    shift = {
        name: weight - parameter(model.module, name).detach()
        for name, weight in edit.tensors.items()
    }
    for items, most in ((SUPPLY.contrasts, 0.2), (HELD_OUT, 1.0)):
        after = edited_mean_square(model, edit, items, shift)
        assert after < most * mean_square(model, items)
        by_chance = []
        for seed in range(3):
            generator = torch.Generator().manual_seed(seed)
            noise = {n: torch.randn(s.shape, generator=generator) for n, s in shift.items()}
            equal = {name: noise[name] / noise[name].norm() * shift[name].norm() for name in noise}
            by_chance.append(edited_mean_square(model, edit, items, equal))
        assert after < sum(by_chance) / len(by_chance)
    report = edit.info.report
    learnt = edited_mean_square(model, edit, SUPPLY.contrasts, shift)
    assert report["root_mean_square_margin_after"] == pytest.approx(learnt**0.5, rel=1e-3)


@pytest.mark.thorough
@pytest.mark.parametrize("losses", ["fixed", "reference"])
def test_the_retention_loss_is_0_at_the_start_but_the_released_codes_is_not(
    model: LanguageModel, losses: str
) -> None:
    still = {"losses": losses, "batch_size": 6, "edit_rate": 1e-12, "learning_rate": 0.1}
    firsts = [
        fit(model, retention_weight=weight, **still).info.report["first_loss"]
        for weight in (0.0, 1000.0)
    ]
    assert (firsts[1] == pytest.approx(firsts[0], rel=1e-4)) is (losses == "fixed")
    if losses == "fixed":
        assert firsts[0] == pytest.approx(mean_square(model, SUPPLY.contrasts), rel=1e-4)


@pytest.mark.thorough
def test_retention_preserves_the_model(model: LanguageModel) -> None:
    shares = [
        fit(model, FEW, epochs=2, retention_weight=weight).info.report["shift_share"][0]  # type: ignore[index, call-overload]
        for weight in (0.0, 1000.0)
    ]
    assert shares[1] < shares[0]


@pytest.mark.thorough
def test_neutral_texts_are_retained_too_and_can_stand_alone(model: LanguageModel) -> None:
    texts = ("A door is open.", "It rains.")
    losses = {
        fit(model, supply).info.report["first_loss"]
        for supply in (FEW, replace(FEW, texts=texts), replace(BARE_FEW, texts=texts))
    }
    assert len(losses) == 3


@pytest.mark.slow
def test_batch_size_does_not_change_the_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    together = fit(model)
    monkeypatch.setattr(bias_edit, "_TEXTS", 2)
    apart = fit(model)
    for loss in ("first_loss", "last_loss"):
        assert apart.info.report[loss] == pytest.approx(together.info.report[loss], rel=1e-3)


def test_the_rows_of_a_text_do_not_depend_on_the_others(model: LanguageModel) -> None:
    targets = select_target_modules(model, (-1,))
    forward = PackedForward(model, share=False)

    def rows(*words: str) -> tuple[Tensor, Tensor]:
        """The rows of the first text."""
        texts = tokenize_texts(model, words, longest=99)
        places = ([0] * len(texts[0].ids), list(range(len(texts[0].ids))))

        def loss() -> Tensor:
            return forward.logprobs(forward.read(texts, [text.positions for text in texts])).sum()

        (module,) = gradient_rows(targets, loss, places)
        return module

    alone = rows("The cook")
    for others in (["The cook"], ["The cooks sang"]):  # equal, and with a shared prefix
        for first, second in zip(rows("The cook", *others), alone, strict=True):
            torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-5)


@pytest.mark.thorough
def test_seed_determines_the_edit_and_the_model_is_unchanged() -> None:
    model = tiny_model("gpt2")
    names = [name for name, _ in model.module.named_parameters()]
    before = fingerprint(model.module, names)
    flags = [parameter.requires_grad for parameter in model.module.parameters()]
    first, again, other = (fit(model, FEW, seed=seed) for seed in (1, 1, 2))
    assert fingerprint(model.module, names) == before
    assert [parameter.requires_grad for parameter in model.module.parameters()] == flags
    assert all(parameter.grad is None for parameter in model.module.parameters())
    (name,) = first.tensors
    assert name == "transformer.h.1.mlp.c_proj.weight"
    assert torch.equal(first.tensors[name], again.tensors[name])
    assert not torch.equal(first.tensors[name], other.tensors[name])


@pytest.mark.thorough
def test_a_loss_that_is_not_finite_names_its_step() -> None:
    with pytest.raises(ModelError, match=r"^step 0: the loss"):
        fit(tiny_model(), edit_rate=1e38)
    broken = tiny_model()
    with torch.no_grad():
        parameter(broken.module, "model.layers.1.mlp.up_proj.weight")[0, 0] = float("nan")
    with pytest.raises(ModelError, match=r"^before training: the loss"):
        fit(broken)


@pytest.mark.thorough
def test_insufficient_supply_is_refused(model: LanguageModel) -> None:
    with pytest.raises(RecipeError, match="must have contrasts"):
        fit(model, replace(SUPPLY, contrasts=()))
    with pytest.raises(RecipeError, match="needs unrelated texts, or neutral ones"):
        fit(model, BARE)
    with pytest.raises(RecipeError, match=r"needs unrelated texts, .* for reference losses"):
        fit(model, replace(BARE, texts=("A door.",)), losses="reference")
    assert fit(model, BARE, retention_weight=0.0).tensors


@pytest.mark.parametrize(
    ("context", "stereotype", "antistereotype", "word"),
    [
        ("The cook", " sang.", " sang.", "two different texts"),
        ("x" * 32, " sang.", " slept.", "fit the context"),
    ],
)
def test_contrasts_that_are_equal_or_too_long_are_named(
    context: str, stereotype: str, antistereotype: str, word: str
) -> None:
    contrast = Contrast(
        id="bad", context=context, stereotype=stereotype, antistereotype=antistereotype
    )
    supply = replace(BARE, contrasts=(*BARE.contrasts, contrast))
    with pytest.raises(RecipeError, match="'bad'") as caught:
        fit(tiny_model(context=24), supply, retention_weight=0.0)
    assert word in str(caught.value)


def test_a_masked_model_is_refused() -> None:
    with pytest.raises(ModelError, match="tiny-bert@0"):
        fit(tiny_model("bert"))
