"""Fitting: the cache changes nothing, every option does what it says, the model stays as it was."""

import hashlib

import pytest
import torch
from torch import Tensor

from equipoise.errors import ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.models.anatomy import block
from equipoise.records import Prompt, Supply
from equipoise.testing import CAUSAL_FAMILIES, tiny_model
from equipoise.training.loop import Schedule, Trained
from equipoise.training.next_token_logits import NextLogits, prompt_ids, word_tree
from equipoise.training.pronoun_training import Goal, default_rate, parameters_of, tune

WORDS = ("a", "b")
JOBS = ("nurse", "baker", "pilot", "clerk", "judge")


def prompts(*forms: str) -> tuple[Prompt, ...]:
    return tuple(Prompt(id=f"{job}{n}", text=form.format(job))
                 for n, form in enumerate(forms) for job in JOBS)  # fmt: skip


SUPPLY = Supply(
    origin="tiny",
    prompts=prompts("The {} ran because ", "The {} smiled a lot because "),
    hinted=prompts("The {} took his bag because ", "The {} took her bag because "),
)


def content(model: LanguageModel) -> str:
    digest = hashlib.sha256()
    for name, value in model.module.state_dict().items():
        digest.update(name.encode() + value.float().numpy().tobytes())
    return digest.hexdigest()


def tuned(
    model: LanguageModel, goal: Goal, *, number: int = 1, cached: bool = True, **changes: object
) -> Trained:
    names = parameters_of(model, [block(model.module, number)])
    options = {"learning_rate": 1e-3, "epochs": 3, "batch_size": 4, "seed": 0, **changes}
    return tune(
        model,
        SUPPLY,
        goal=goal,
        names=names,
        start=number if cached else None,
        schedule=Schedule(**options),  # type: ignore[arg-type]
    )


def answers(model: LanguageModel, found: Trained, supply: tuple[Prompt, ...]) -> Tensor:
    """Log-probabilities of the next token after some prompts, with the trained weights in."""
    named = dict(model.module.named_parameters())
    kept = {name: named[name].data for name in found.weights}
    for name, value in found.weights.items():
        named[name].data = value
    logprobs = NextLogits(model, prompt_ids(model, [one.text for one in supply]), ((),)).logprobs()
    for name, value in kept.items():
        named[name].data = value
    return logprobs[:, 0]


@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_cached_activations_train_as_full_forwards_do(family: str) -> None:
    model = tiny_model(family, blocks=3)
    goal = Goal(objective="parity", words=WORDS, keep_hints=0.5)
    short = tuned(model, goal, epochs=1)
    full = tuned(model, goal, epochs=1, cached=False)
    assert short.losses == pytest.approx(full.losses, abs=1e-5, rel=1e-5)
    for name, value in full.weights.items():
        assert torch.allclose(short.weights[name], value, atol=1e-5)


@pytest.mark.parametrize("objective", ["ce_both", "parity", "squared_log_odds"])
def test_the_model_is_left_as_it_was_and_the_seed_decides(objective: str) -> None:
    model = tiny_model(blocks=2)
    before = content(model)
    goal = Goal(objective=objective, words=WORDS)  # type: ignore[arg-type]
    first, again, other = (tuned(model, goal, seed=seed) for seed in (0, 0, 1))
    assert content(model) == before
    assert all(torch.equal(first.weights[name], again.weights[name]) for name in first.weights)
    assert any(not torch.equal(first.weights[name], other.weights[name]) for name in first.weights)


def probabilities(model: LanguageModel, goal: Goal, **changes: object) -> Tensor:
    """Of the two words after each prompt, and their sum: [prompt, 3], after long training."""
    options = {"epochs": 40, "learning_rate": 3e-3, **changes}
    logprobs = answers(model, tuned(model, goal, **options), SUPPLY.prompts)  # type: ignore[arg-type]
    tree = word_tree(model.tokenizer, [SUPPLY.prompts[0].text], WORDS)
    words = tree.logprobs(logprobs[:, None]).exp()
    return torch.cat([words, words.sum(-1, keepdim=True)], dim=-1)


def before(model: LanguageModel) -> Tensor:
    ids = prompt_ids(model, [prompt.text for prompt in SUPPLY.prompts])
    words = NextLogits(model, ids, ((),)).logprobs().exp()[:, 0]
    chosen = [ord(word) for word in WORDS]
    codes = [model.tokenizer.convert_tokens_to_ids(chr(code)) for code in chosen]
    return words[:, codes]


def test_ce_both_gives_each_word_half_of_everything() -> None:
    found = probabilities(tiny_model(width=128), Goal(words=WORDS))
    assert torch.allclose(found, torch.tensor([0.5, 0.5, 1.0]).expand(10, 3), atol=0.15)
    assert torch.allclose(found.mean(0), torch.tensor([0.5, 0.5, 1.0]), atol=0.03)


@pytest.mark.slow
def test_ce_both_reaches_a_target() -> None:
    found = probabilities(tiny_model(width=128), Goal(words=WORDS, target=(0.8, 0.2)))
    assert torch.allclose(found, torch.tensor([0.8, 0.2, 1.0]).expand(10, 3), atol=0.15)
    assert torch.allclose(found.mean(0), torch.tensor([0.8, 0.2, 1.0]), atol=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(("terms", "expected"), [("he", (1.0, 0.0)), ("she", (0.0, 1.0))])
def test_a_single_term_makes_its_word_certain(terms: str, expected: tuple[float, float]) -> None:
    found = probabilities(tiny_model(width=128), Goal(words=WORDS, terms=terms))  # type: ignore[arg-type]
    assert torch.allclose(found[:, :2], torch.tensor(expected).expand(10, 2), atol=0.02)


def test_parity_equalizes_and_keeps_the_mass() -> None:
    model = tiny_model()
    then = before(model)
    now = probabilities(model, Goal(objective="parity", words=WORDS))
    odds = (now[:, 0] / now[:, 1]).log().abs().mean()
    assert odds < 0.1 * (then[:, 0] / then[:, 1]).log().abs().mean()
    assert torch.allclose(now[:, 2], then.sum(-1), rtol=0.2)


@pytest.mark.slow
def test_a_larger_mass_weight_keeps_more() -> None:
    model = tiny_model()
    reference = answers_before(model, SUPPLY.prompts)
    drift = []
    for weight in (0.0, 10.0):
        goal = Goal(objective="parity", words=WORDS, mass_weight=weight)
        now = answers(model, tuned(model, goal, epochs=20), SUPPLY.prompts)
        drift.append((reference.exp() * (reference - now)).sum(-1).mean().item())
    assert drift[1] < 0.5 * drift[0]


def answers_before(model: LanguageModel, supply: tuple[Prompt, ...]) -> Tensor:
    ids = prompt_ids(model, [one.text for one in supply])
    return NextLogits(model, ids, ((),)).logprobs()[:, 0]


@pytest.mark.slow
def test_the_other_readings_move_the_mass_as_they_say() -> None:
    model = tiny_model(width=128)
    mass = before(model).sum(-1).mean()
    lower = probabilities(model, Goal(objective="minimize_mass", words=WORDS))[:, 2].mean()
    higher = probabilities(model, Goal(objective="maximize_mass", words=WORDS))[:, 2].mean()
    assert lower < 0.2 * mass
    assert higher > 0.9


@pytest.mark.slow
def test_absolute_gap_closes_the_gap() -> None:
    model = tiny_model()
    then = before(model)
    now = probabilities(model, Goal(objective="absolute_gap", words=WORDS))
    assert (now[:, 0] - now[:, 1]).abs().mean() < 0.3 * (then[:, 0] - then[:, 1]).abs().mean()


def test_kept_hints_keep_what_follows_hinted_prompts() -> None:
    model = tiny_model()
    reference = answers_before(model, SUPPLY.hinted)
    drift = []
    for weight in (0.0, 3.0):
        now = answers(
            model, tuned(model, Goal(words=WORDS, keep_hints=weight), epochs=20), SUPPLY.hinted
        )
        drift.append((reference.exp() * (reference - now)).sum(-1).mean().item())
    assert drift[1] < 0.5 * drift[0]


def test_the_first_loss_with_hints_is_the_objective_alone() -> None:
    """KL(before || after) is 0 until something has changed."""
    model = tiny_model()
    with_hints = tuned(model, Goal(words=WORDS, keep_hints=5.0)).losses
    without = tuned(model, Goal(words=WORDS)).losses
    assert with_hints[0] == pytest.approx(without[0], abs=1e-4)
    assert with_hints[-1] != pytest.approx(without[-1], abs=1e-4)


@pytest.mark.parametrize(
    ("goal", "message"),
    [
        (Goal(words=("a",)), "words must be two or more"),
        (Goal(words=("a", "a")), "words must be two or more"),
        (Goal(objective="parity", terms="he"), "terms and target are for ce_both"),
        (Goal(objective="parity", target=(0.5, 0.5)), "terms and target are for ce_both"),
        (Goal(terms="he", words=("a", "b", "c")), "one term must be one of two words"),
        (Goal(target=(0.5, 0.6)), "target must be 2 probabilities"),
        (Goal(target=(1.0,)), "target must be 2 probabilities"),
    ],
)
def test_goals_that_do_not_fit_together(goal: Goal, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        goal.check()


def test_a_supply_without_prompts_or_hints_is_refused() -> None:
    model = tiny_model()
    schedule = Schedule(learning_rate=1e-3, epochs=1, batch_size=4, seed=0)
    names = parameters_of(model, [block(model.module, 0)])
    for supply, goal, message in (
        (Supply(origin="bare"), Goal(words=WORDS), "must have prompts, got none from 'bare'"),
        (
            Supply(origin="bare", prompts=SUPPLY.prompts),
            Goal(words=WORDS, keep_hints=1.0),
            "keep_hints needs hinted prompts, got none from 'bare'",
        ),
    ):
        with pytest.raises(RecipeError, match=message):
            tune(model, supply, goal=goal, names=names, start=0, schedule=schedule)


def test_a_broken_model_is_told_at_the_first_step() -> None:
    model = tiny_model()
    with torch.no_grad():
        model.module.get_input_embeddings().weight.fill_(torch.nan)
    with pytest.raises(ModelError, match="step 0: the loss must be finite"):
        tuned(model, Goal(words=WORDS))


def test_the_default_rate_is_the_papers_at_the_papers_width() -> None:
    assert default_rate(tiny_model(width=32)) == pytest.approx(1e-5 * 128)
    assert default_rate(tiny_model(width=64)) == pytest.approx(1e-5 * 64)
