"""BiasEdit whole, on tiny models: what an edit does, to what it learnt from and beside it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from equipoise.edits.edit import fingerprint, parameter
from equipoise.errors import ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.model_editing.bias_edit import Place, edited_weights
from equipoise.model_editing.bias_edit_reading import pairs_of, queries_of
from equipoise.model_editing.hypernetwork import EditorSize
from equipoise.model_editing.hypernetwork_training import Aim
from equipoise.records import JSON, Continuation, Contrast, Supply
from equipoise.testing import tiny_model
from equipoise.training.loop import Trained

SIZE = EditorSize(rank=16, rate=1e-2)
AIM = Aim(edits=3, epochs=1, meta_rate=1e-3, retention=1.0)
LAST = Place(blocks=(-1,))


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
HELD_OUT = contrasts("smith", "clerk", "queen", "judge")


def edited(
    model: LanguageModel,
    supply: Supply = SUPPLY,
    *,
    aim: Aim = AIM,
    size: EditorSize = SIZE,
    place: Place = LAST,
) -> tuple[Trained, dict[str, JSON]]:
    return edited_weights(model, supply, supply.contrasts, place=place, size=size, aim=aim)


def mean_square(model: LanguageModel, items: Sequence[Contrast]) -> float:
    asked = [
        Continuation(context=item.context, continuation=text)
        for item in items
        for text in (item.stereotype, item.antistereotype)
    ]
    found = [one.logprob for one in model.score(asked)]
    return sum((a - b) ** 2 for a, b in zip(found[::2], found[1::2], strict=True)) / len(items)


def with_weights(
    model: LanguageModel, weights: dict[str, Tensor], items: Sequence[Contrast]
) -> float:
    """The mean squared margin while the model has these weights."""
    own = {name: parameter(model.module, name).detach().clone() for name in weights}
    with torch.no_grad():
        for name, one in weights.items():
            parameter(model.module, name).copy_(one)
        found = mean_square(model, items)
        for name, one in own.items():
            parameter(model.module, name).copy_(one)
    return found


def at_random(model: LanguageModel, shift: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
    """The weights shifted by noise of the same size."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, one in shift.items():
        noise = torch.randn(one.shape, generator=generator)
        found[name] = parameter(model.module, name).detach() + noise / noise.norm() * one.norm()
    return found


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_margins_shrink_more_than_by_random_updates_of_equal_norm(family: str) -> None:
    model = tiny_model(family)
    trained, report = edited(model, aim=replace(AIM, epochs=4))
    shift = {
        name: one - parameter(model.module, name).detach() for name, one in trained.weights.items()
    }
    for items, most in ((SUPPLY.contrasts, 0.2), (HELD_OUT, 1.0)):
        after = with_weights(model, dict(trained.weights), items)
        assert after < most * mean_square(model, items)
        others = [with_weights(model, at_random(model, shift, seed), items) for seed in range(5)]
        assert after < sum(others) / len(others)
    assert report["root_mean_square_margin_after"] == pytest.approx(
        with_weights(model, dict(trained.weights), SUPPLY.contrasts) ** 0.5, rel=1e-3
    )


@pytest.mark.parametrize("losses", ["fixed", "reference"])
def test_the_retention_loss_is_0_at_the_start_but_the_released_codes_is_not(losses: str) -> None:
    model, still = tiny_model(), replace(SIZE, rate=0.0)  # the first step changes nothing
    aim = replace(AIM, losses=losses, edits=6)  # type: ignore[arg-type]
    firsts = [
        edited(model, aim=replace(aim, retention=weight), size=still)[0].losses[0]
        for weight in (0.0, 1000.0)
    ]
    assert (firsts[1] == pytest.approx(firsts[0], rel=1e-4)) is (losses == "fixed")
    if losses == "fixed":
        assert firsts[0] == pytest.approx(mean_square(model, SUPPLY.contrasts), rel=1e-4)


def test_retention_holds_the_model_where_it_was() -> None:
    model = tiny_model()
    free, held = (edited(model, aim=replace(AIM, retention=one))[1] for one in (0.0, 1000.0))
    sizes = [one["shift_share"][0] for one in (free, held)]  # type: ignore[index, call-overload]
    assert sizes[1] < sizes[0]


def test_neutral_texts_are_retained_too_and_can_stand_alone() -> None:
    model = tiny_model()
    bare = tuple(replace(contrast, unrelated=None) for contrast in SUPPLY.contrasts)
    texts = ("A door is open.", "It rains.")
    found = edited(model, replace(SUPPLY, contrasts=bare, texts=texts))[0].losses
    with_both = edited(model, replace(SUPPLY, texts=texts))[0].losses
    alone = edited(model)[0].losses
    assert found[0] != alone[0] != with_both[0]


@pytest.mark.slow
def test_a_shift_may_be_judged_by_other_contrasts_than_its_own() -> None:
    model = tiny_model()
    same, other = (
        edited(model, aim=replace(AIM, judged=one))[0].losses  # type: ignore[arg-type]
        for one in ("same", "other")
    )
    assert same != other
    alone = replace(SUPPLY, contrasts=SUPPLY.contrasts[:1])  # there is no other
    assert len(edited(model, alone, aim=replace(AIM, judged="other"))[0].losses) == 1


@pytest.mark.slow
def test_how_many_texts_go_together_changes_nothing() -> None:
    model = tiny_model()
    one, other = (edited(model, aim=replace(AIM, texts=texts))[0] for texts in (2, 32))
    assert one.losses == pytest.approx(other.losses, rel=1e-3)


def test_the_seed_settles_the_edit_and_the_model_is_left_alone() -> None:
    model = tiny_model("gpt2")
    names = [name for name, _ in model.module.named_parameters()]
    before = fingerprint(model.module, names)
    flags = [one.requires_grad for one in model.module.parameters()]
    first, again, other = (edited(model, aim=replace(AIM, seed=seed))[0] for seed in (1, 1, 2))
    assert fingerprint(model.module, names) == before
    assert [one.requires_grad for one in model.module.parameters()] == flags
    assert all(one.grad is None for one in model.module.parameters())
    (name,) = first.weights
    assert name == "transformer.h.1.mlp.c_proj.weight"
    assert torch.equal(first.weights[name], again.weights[name])
    assert not torch.equal(first.weights[name], other.weights[name])


def test_a_loss_that_is_not_finite_names_its_step() -> None:
    with pytest.raises(ModelError, match=r"^step 0: the loss"):
        edited(tiny_model(), size=replace(SIZE, rate=1e38))
    broken = tiny_model()
    with torch.no_grad():
        parameter(broken.module, "model.layers.1.mlp.up_proj.weight")[0, 0] = float("nan")
    with pytest.raises(ModelError, match=r"^before training: the loss"):
        edited(broken)


def test_what_the_supply_lacks_is_said() -> None:
    model = tiny_model()
    with pytest.raises(RecipeError, match="must have contrasts, got none from 'tiny'"):
        edited(model, replace(SUPPLY, contrasts=()))
    bare = tuple(replace(contrast, unrelated=None) for contrast in SUPPLY.contrasts)
    with pytest.raises(RecipeError, match="retention needs unrelated texts or neutral ones"):
        edited(model, replace(SUPPLY, contrasts=bare))
    reference = replace(AIM, losses="reference")
    with pytest.raises(RecipeError, match="retention needs unrelated texts, got none"):
        edited(model, replace(SUPPLY, contrasts=bare, texts=("A door.",)), aim=reference)
    assert edited(model, replace(SUPPLY, contrasts=bare), aim=replace(AIM, retention=0.0))


def test_contrasts_that_cannot_be_told_apart_or_read_are_named() -> None:
    model = tiny_model(context=24)
    (one,) = contrasts("cook")
    with pytest.raises(RecipeError, match="contrast 'cook' must have two different texts"):
        pairs_of(model, [replace(one, antistereotype=one.stereotype)], whole=False)
    with pytest.raises(RecipeError, match=r"contrast 'cook' must fit .* 24 tokens, got 38"):
        pairs_of(model, [replace(one, context="x" * 32)], whole=False)
    without_start = tiny_model(bos="none")
    short = replace(one, context="", stereotype="a", antistereotype="b")
    with pytest.raises(RecipeError, match="contrast 'cook' must have two tokens in each text"):
        pairs_of(without_start, [short], whole=False)


def test_a_masked_model_is_refused() -> None:
    with pytest.raises(ModelError, match=r"must be causal, got tiny-bert@0, a masked one"):
        edited(tiny_model("bert"))


def test_texts_are_read_from_their_first_difference_on_or_whole() -> None:
    model = tiny_model()  # a token is a byte, after the start token
    (one,) = contrasts("cook")
    (part,) = pairs_of(model, [one], whole=False)
    (whole,) = pairs_of(model, [one], whole=True)
    assert [at for at, _ in whole.stereotype.reads] == list(range(len("The cook sang.")))
    assert [at for at, _ in part.stereotype.reads] == list(range(len("The cook s"), 14))
    assert len(part.antistereotype.reads) == len("lept.")
    begun = replace(one, antistereotype=one.stereotype + ".")
    (pair,) = pairs_of(model, [begun], whole=False)  # one begins the other: all is read
    assert len(pair.stereotype.reads) == len("The cook sang.")
    assert queries_of(tiny_model(bos="none"), ["x"], ["a"]) == [None]
