"""LFTF on answers that are no pronouns: it takes the supply's, refuses others, and equalizes."""

from pathlib import Path

import pytest
import torch

from equipoise.benchmarks.genbias import GenBias
from equipoise.benchmarks.genhint import GenHint
from equipoise.errors import RecipeError
from equipoise.locate.gender_contrast import GenderContrast
from equipoise.measure import measure
from equipoise.mitigate.full_finetune import FullFinetune
from equipoise.mitigate.lftf import Lftf
from equipoise.records import Prompt, Supply
from equipoise.supply.genbias import GenBiasSupply
from equipoise.testing import tiny_model
from equipoise.training.pronoun_losses import CeBoth

JOBS = ("cook", "clerk", "guard", "baker", "nurse", "pilot", "judge", "tailor", "miner", "diver")
ROWS = "\n".join(
    [
        "part,text",
        *(f"profession,{job}" for job in JOBS),
        "template,The {profession} ran as his race is",
        "template,The {profession} slept as his race is",
        "hint,The {hint} {profession} sang as his race is",
        "training hint,The {hint} {profession} fell as his race is",
        *(f"answer,{word}" for word in "abc"),
    ]
)


def asking(*words: str) -> Supply:
    prompts = tuple(
        Prompt(id=job, text=f"The {job} ran as his race is", words=words) for job in JOBS[:3]
    )
    return Supply(origin="tiny", prompts=prompts)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "mine.csv"
    path.write_text(ROWS + "\n")
    return str(path)


@pytest.mark.parametrize("method", [Lftf, FullFinetune])
def test_the_supply_says_which_words_are_trained(method) -> None:
    edits = [
        method(words=words, epochs=1).fit(tiny_model(), asking("d", "e", "f"), seed=0)
        for words in (None, ("d", "e", "f"))
    ]
    assert edits[0].info.report["words"] == ["d", "e", "f"]
    first, second = (edit.tensors for edit in edits)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("method", [Lftf, FullFinetune])
def test_words_that_prompts_do_not_ask_for_are_refused(method) -> None:
    message = r"from 'tiny': words must be some of .*\[' he', ' she'\], got \[' white', ' black'\]"
    with pytest.raises(RecipeError, match=message):
        method(words=(" white", " black")).fit(tiny_model(), asking(" he", " she"), seed=0)
    # one in common is enough, in whatever case; and prompts that do not say refuse nothing
    assert method(words=(" She", " they")).refuses(asking(" he", " she")) is None
    assert method(words=(" white", " black")).refuses(asking()) is None


def test_prompts_that_ask_for_different_words_need_a_name() -> None:
    mixed = Supply(origin="m", prompts=(*asking("a", "b").prompts, *asking("c", "d").prompts))
    assert "must ask for the same words" in (Lftf().refuses(mixed) or "")
    with pytest.raises(RecipeError, match="must ask for the same words"):
        Lftf().fit(tiny_model(), mixed, seed=0)


def test_an_objective_of_two_words_is_refused_on_three() -> None:
    supply = asking("a", "b", "c")
    assert "needs two words" in (Lftf(objective=CeBoth(terms="he")).refuses(supply) or "")
    reason = Lftf(objective=CeBoth(target=(0.5, 0.5))).refuses(supply)
    assert "a probability for each of ['a', 'b', 'c'], got [0.5, 0.5]" in (reason or "")
    signed = Lftf(locator=GenderContrast(effect="signed"))
    assert "must be of two words" in (signed.refuses(supply) or "")


def test_a_contrast_of_several_words_is_the_mean_over_pairs() -> None:
    model, prompts = tiny_model(blocks=3), asking("d", "e", "f").prompts
    scores = GenderContrast(draws=1).locate(model, prompts, seed=0).scores
    pairs = [
        GenderContrast(draws=1, words=words).locate(model, prompts, seed=0).scores
        for words in (("d", "e"), ("d", "f"), ("e", "f"))
    ]
    expected = [sum(each) / 3 for each in zip(*pairs, strict=True)]
    assert scores == pytest.approx(expected, rel=1e-4)
    with pytest.raises(RecipeError, match="cannot rank on these prompts: words must be some of"):
        GenderContrast(words=(" he", " she")).locate(model, prompts, seed=0)


@pytest.mark.thorough
def test_it_moves_towards_uniform_on_professions_it_has_not_seen(file: str) -> None:
    """With hints kept, the answers after held-out hints stay nearer to what they were."""
    model = tiny_model("llama", blocks=2, seed=3)
    supply = GenBiasSupply(file=file).supply()
    bias, hint = GenBias(file=file), GenHint(file=file, variant="hint1572", split_by="profession")
    before = measure(model, bias, draws=200)
    told = measure(model, hint, draws=0)
    drift, after = [], []
    for keep in (0.0, 20.0):
        method = Lftf(epochs=30, keep_hints=keep, learning_rate=3e-3)
        with method.fit(model, supply, seed=0).attached(model) as edited:
            after.append(measure(edited, bias, draws=200))
            hinted = measure(edited, hint, draws=0)
            assert hinted.estimate("ub").n == told.estimate("ub").n > 0
            drift.append(abs(hinted.estimate("mass").value - told.estimate("mass").value))
    for measurement in after:
        estimate = measurement.estimate("distance")
        assert estimate.high < before.estimate("distance").low
    assert after[0].estimate("distance").value < 0.1 < before.estimate("distance").value
    assert after[0].estimate("lo_abs").value < 0.5 * before.estimate("lo_abs").value
    assert drift[1] < 0.5 * drift[0]
