"""LFTF on answers that are no pronouns: it takes the supply's, refuses others, and equalizes."""

import math
from pathlib import Path

import pytest
import torch

from equipoise.benchmarks.genbias import GenBias
from equipoise.benchmarks.genhint import GenHint
from equipoise.errors import RecipeError
from equipoise.locate.fixed_block import FixedBlock
from equipoise.locate.gender_contrast import GenderContrast
from equipoise.measure import measure
from equipoise.mitigate.full_finetune import FullFinetune
from equipoise.mitigate.lftf import Lftf
from equipoise.models.anatomy import head
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
@pytest.mark.parametrize(("keep", "most", "least"), [(0.0, 1.0, 0.9), (1.0, 0.7, 0.0)])
def test_it_moves_towards_uniform_on_unseen_professions(
    file: str, keep: float, most: float, least: float
) -> None:
    """Without hints kept the answers have all mass after a held-out hint, too; with them, less."""
    model = tiny_model("llama", seed=1)
    with torch.no_grad():  # a model that can be sure of a token
        head(model.module).weight.mul_(4)
    bias, hint = GenBias(file=file), GenHint(file=file, variant="hint1572", split_by="profession")
    before = measure(model, bias, draws=200).estimate("distance")
    method = Lftf(
        epochs=30, batch_size=4, learning_rate=1e-2, keep_hints=keep, locator=FixedBlock(block=-1)
    )
    edit = method.fit(model, GenBiasSupply(file=file).supply(), seed=0)
    with edit.attached(model) as edited:
        after = measure(edited, bias, draws=200)
        hinted = measure(edited, hint, draws=0)
    assert after.estimate("distance").high < before.low
    assert after.estimate("distance").value < 0.25 < 0.9 < before.value
    assert after.estimate("mass").value > 0.8
    assert least < hinted.estimate("mass").value < most
    assert math.isfinite(hinted.estimate("ub").value)
