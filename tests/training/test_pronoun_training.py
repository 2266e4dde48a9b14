"""The loss of a batch, what a long training comes to, and that the cache changes nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from contrast_items import weights
from torch import Tensor

from equipoise.errors import ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.models.anatomy import block
from equipoise.records import Prompt, Supply
from equipoise.testing import tiny_model
from equipoise.training.loop import Trained
from equipoise.training.next_token_logits import NextLogits, prompt_ids, word_tree
from equipoise.training.pronoun_losses import (
    AbsoluteGap,
    CeBoth,
    MaximizeMass,
    MinimizeMass,
    Objective,
    Parity,
    SquaredLogOdds,
    divergence,
)
from equipoise.training.pronoun_training import (
    PronounLoss,
    PronounOptions,
    parameters_of,
    train_on_prompts,
)

WORDS = ("a", "b")
JOBS = ("nurse", "baker", "pilot", "clerk", "judge")


def prompts(*forms: str) -> tuple[Prompt, ...]:
    return tuple(
        Prompt(id=f"{job}{index}", text=form.format(job))
        for index, form in enumerate(forms)
        for job in JOBS
    )


SUPPLY = Supply(
    origin="tiny",
    prompts=prompts("The {} ran because ", "The {} smiled a lot because "),
    hinted=prompts("The {} took his bag because ", "The {} took her bag because "),
)
TEXTS = [prompt.text for prompt in (*SUPPLY.prompts, *SUPPLY.hinted)]
COUNT = len(SUPPLY.prompts)


def options(objective: Objective | None = None, **changes: Any) -> PronounOptions:
    usual = {"words": WORDS, "learning_rate": 1e-3, "epochs": 3, "batch_size": 4}
    return PronounOptions(objective=objective or CeBoth(), **{**usual, **changes})


def trained(
    model: LanguageModel,
    method: PronounOptions,
    *,
    number: int = 1,
    cached: bool = True,
    seed: int = 0,
    supply: Supply = SUPPLY,
) -> Trained:
    parameters = parameters_of(model, [block(model.module, number)])
    start = number if cached else None
    return train_on_prompts(model, supply, method, parameters=parameters, start=start, seed=seed)


# --- the loss of a batch ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny() -> LanguageModel:
    """A model that no test changes."""
    return tiny_model()


def logits_of(model: LanguageModel) -> NextLogits:
    return NextLogits(model, prompt_ids(model, TEXTS), ((),))


@contextmanager
def scaled(model: LanguageModel, scale: float) -> Iterator[None]:
    """The model with its weights multiplied: one that was trained a little."""
    values = [parameter.data for parameter in model.module.parameters()]
    for parameter in model.module.parameters():
        parameter.data = parameter.data * scale
    try:
        yield
    finally:
        for parameter, value in zip(model.module.parameters(), values, strict=True):
            parameter.data = value


def loss_of(model: LanguageModel, method: PronounOptions, *, step: int = 0) -> float:
    """Of the prompts 2, 0 and 3, after a little training."""
    tree, logits = word_tree(model.tokenizer, TEXTS, WORDS), logits_of(model)
    loss = PronounLoss(method, tree, logits, examples=COUNT, seed=0)
    with torch.no_grad(), scaled(model, 1.05):
        return float(loss(logits, torch.tensor([2, 0, 3]), step))


def logprobs(model: LanguageModel, *, scale: float) -> Tensor:
    """After every prompt: [prompt, vocabulary]."""
    with scaled(model, scale):
        return logits_of(model).logprobs()[:, 0]


@pytest.mark.parametrize(
    ("objective", "formula"),
    [
        (CeBoth(), lambda words: -words.sum(-1).mean()),
        (CeBoth(terms="he"), lambda words: -words[:, 0].mean()),
        (CeBoth(terms="she"), lambda words: -words[:, 1].mean()),
        (CeBoth(target=(0.3, 0.7)), lambda words: -2 * (words @ torch.tensor([0.3, 0.7])).mean()),
        (MinimizeMass(), lambda words: words.exp().sum(-1).mean()),
        (MaximizeMass(), lambda words: -words.exp().sum(-1).mean()),
        (AbsoluteGap(), lambda words: (words[:, 0].exp() - words[:, 1].exp()).abs().mean()),
        (SquaredLogOdds(), lambda words: (words[:, 0] - words[:, 1]).square().mean()),
    ],
)
def test_each_objective_is_its_formula_on_the_prompts_of_the_batch(
    tiny: LanguageModel, objective: Objective, formula: Any
) -> None:
    ids = [tiny.tokenizer.convert_tokens_to_ids(word) for word in WORDS]
    words = logprobs(tiny, scale=1.05)[[2, 0, 3]][:, ids]
    assert loss_of(tiny, options(objective)) == pytest.approx(float(formula(words)), rel=1e-4)


@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_parity_adds_the_divergence_of_everything_else(tiny: LanguageModel, weight: float) -> None:
    ids = [tiny.tokenizer.convert_tokens_to_ids(word) for word in WORDS]
    before, now = (logprobs(tiny, scale=scale)[[2, 0, 3]] for scale in (1.0, 1.05))
    tree = word_tree(tiny.tokenizer, TEXTS, WORDS)
    both = [tree.merged(part[:, None]) for part in (now, before)]
    expected = Parity(mass_weight=weight).loss(now[:, ids], *both)
    value = loss_of(tiny, options(Parity(mass_weight=weight)))
    assert value == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize("step", [0, 3])
def test_hints_add_the_divergence_on_as_many_hinted_prompts(tiny: LanguageModel, step: int) -> None:
    """The next ones of a seeded order, cyclically."""
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(0)) + COUNT
    places = [(4 * step + index) % COUNT for index in range(3)]
    before, now = (logprobs(tiny, scale=scale)[order[places]] for scale in (1.0, 1.05))
    added = loss_of(tiny, options(keep_hints=5.0), step=step) - loss_of(tiny, options(), step=step)
    assert added == pytest.approx(5 * float(divergence(before, now)), rel=1e-3)


# --- training ---------------------------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.parametrize("family", ["gpt2", "gemma3"])  # of every family: `test_next_token_logits`
def test_cached_activations_train_as_full_forwards_do(family: str) -> None:
    model = tiny_model(family, blocks=3)
    method = options(Parity(), keep_hints=0.5, epochs=1)
    short, full = trained(model, method), trained(model, method, cached=False)
    assert short.losses == pytest.approx(full.losses, abs=1e-5, rel=1e-5)
    for name, value in full.weights.items():
        assert torch.allclose(short.weights[name], value, atol=1e-5)


@pytest.mark.thorough
def test_the_model_is_left_as_it_was_and_the_seed_decides(tiny: LanguageModel) -> None:
    before = weights(tiny)
    first, again, other = (trained(tiny, options(epochs=1), seed=seed) for seed in (0, 0, 1))
    assert weights(tiny) == before
    assert all(torch.equal(first.weights[name], again.weights[name]) for name in first.weights)
    assert any(not torch.equal(first.weights[name], other.weights[name]) for name in first.weights)


def answers(model: LanguageModel, result: Trained, supply: tuple[Prompt, ...]) -> Tensor:
    """Log-probabilities of the next token after prompts, with the trained weights."""
    named = dict(model.module.named_parameters())
    before = {name: named[name].data for name in result.weights}
    for name, value in result.weights.items():
        named[name].data = value
    ids = prompt_ids(model, [prompt.text for prompt in supply])
    values = NextLogits(model, ids, ((),)).logprobs()
    for name, value in before.items():
        named[name].data = value
    return values[:, 0]


def probabilities(model: LanguageModel, method: PronounOptions) -> Tensor:
    """Of the two words after each prompt, and their sum: [prompt, 3], after training."""
    ids = [model.tokenizer.convert_tokens_to_ids(word) for word in WORDS]
    words = answers(model, trained(model, method), SUPPLY.prompts)[:, ids].exp()
    return torch.cat([words, words.sum(-1, keepdim=True)], dim=-1)


def before_training(model: LanguageModel) -> Tensor:
    ids = [model.tokenizer.convert_tokens_to_ids(word) for word in WORDS]
    return logprobs(model, scale=1.0)[:COUNT, ids].exp()


def long(objective: Objective | None = None) -> PronounOptions:
    return options(objective, epochs=40, learning_rate=3e-3)


def short(objective: Objective | None = None) -> PronounOptions:
    return options(objective, epochs=30, learning_rate=5e-3, batch_size=10)


@pytest.mark.thorough
def test_ce_both_gives_each_word_half_of_everything() -> None:
    words = probabilities(tiny_model(width=64), short())
    assert torch.allclose(words, torch.tensor([0.5, 0.5, 1.0]).expand(10, 3), atol=0.1)


@pytest.mark.slow
def test_ce_both_reaches_a_target() -> None:
    words = probabilities(tiny_model(width=128), long(CeBoth(target=(0.8, 0.2))))
    assert torch.allclose(words, torch.tensor([0.8, 0.2, 1.0]).expand(10, 3), atol=0.15)
    assert torch.allclose(words.mean(0), torch.tensor([0.8, 0.2, 1.0]), atol=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "expected"), [(CeBoth(terms="he"), (1.0, 0.0)), (CeBoth(terms="she"), (0.0, 1.0))]
)
def test_a_single_term_makes_its_word_certain(
    objective: CeBoth, expected: tuple[float, float]
) -> None:
    words = probabilities(tiny_model(width=128), long(objective))
    assert torch.allclose(words[:, :2], torch.tensor(expected).expand(10, 2), atol=0.02)


@pytest.mark.thorough
def test_parity_equalizes_and_preserves_the_mass(tiny: LanguageModel) -> None:
    before, after = before_training(tiny), probabilities(tiny, short(Parity(mass_weight=10.0)))
    odds = (after[:, 0] / after[:, 1]).log().abs().mean()
    assert odds < 0.3 * (before[:, 0] / before[:, 1]).log().abs().mean()
    assert torch.allclose(after[:, 2], before.sum(-1), rtol=0.5)  # `ce_both` multiplies it by 200


@pytest.mark.slow
def test_a_larger_mass_weight_preserves_more(tiny: LanguageModel) -> None:
    reference = logprobs(tiny, scale=1.0)[:COUNT]
    drift = []
    for weight in (0.0, 10.0):
        method = options(Parity(mass_weight=weight), epochs=20)
        after = answers(tiny, trained(tiny, method), SUPPLY.prompts)
        drift.append(float(divergence(reference, after)))
    assert drift[1] < 0.5 * drift[0]


@pytest.mark.slow
def test_the_other_readings_move_the_mass() -> None:
    model = tiny_model(width=128)
    mass = before_training(model).sum(-1).mean()
    assert probabilities(model, long(MinimizeMass()))[:, 2].mean() < 0.2 * mass
    assert probabilities(model, long(MaximizeMass()))[:, 2].mean() > 0.9


@pytest.mark.slow
def test_absolute_gap_closes_the_gap(tiny: LanguageModel) -> None:
    before, after = before_training(tiny), probabilities(tiny, long(AbsoluteGap()))
    assert (after[:, 0] - after[:, 1]).abs().mean() < 0.3 * (
        before[:, 0] - before[:, 1]
    ).abs().mean()


@pytest.mark.slow
def test_hints_preserve_what_follows_hinted_prompts(tiny: LanguageModel) -> None:
    reference = logprobs(tiny, scale=1.0)[COUNT:]
    drift = []
    for weight in (0.0, 3.0):
        result = trained(tiny, options(keep_hints=weight, epochs=20))
        after = answers(tiny, result, SUPPLY.hinted)
        drift.append(float(divergence(reference, after)))
    assert drift[1] < 0.5 * drift[0]


# --- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "value"),
    [
        ({"words": ("a",)}, r"\('a',\)"),
        ({"words": ("a", "a")}, r"\('a', 'a'\)"),
        ({"objective": CeBoth(terms="he"), "words": ("a", "b", "c")}, "'c'"),
        ({"objective": CeBoth(terms="he", target=(0.5, 0.5))}, "0.5"),
        ({"objective": CeBoth(target=(0.5, 0.6))}, "0.6"),
        ({"objective": CeBoth(target=(1.0,))}, "1.0"),
    ],
)
def test_options_that_do_not_fit_together(wrong: dict[str, Any], value: str) -> None:
    with pytest.raises(ValueError, match=value):
        PronounOptions(**wrong)


@pytest.mark.parametrize(
    "supply", [Supply(origin="bare"), Supply(origin="bare", prompts=SUPPLY.prompts)]
)
def test_a_supply_without_prompts_or_hints_is_refused(tiny: LanguageModel, supply: Supply) -> None:
    with pytest.raises(RecipeError, match="'bare'"):
        trained(tiny, options(keep_hints=1.0), supply=supply)


def test_a_broken_model_is_reported_at_the_first_step() -> None:
    model = tiny_model()
    with torch.no_grad():
        model.module.get_input_embeddings().weight.fill_(torch.nan)
    with pytest.raises(ModelError, match="step 0"):
        trained(model, options())


def test_the_default_rate_is_the_papers_at_the_papers_width() -> None:
    method = PronounOptions()
    assert method.rate(tiny_model(width=32)) == pytest.approx(1e-5 * 128)
    assert method.rate(tiny_model(width=64)) == pytest.approx(1e-5 * 64)
    assert options().rate(tiny_model()) == 1e-3
