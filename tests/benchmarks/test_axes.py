"""GenBias and GenHint of race, age, religion and own answers, on models that are known."""

import math
from collections import Counter

import pytest
import torch
from worlds import in_world

from equipoise.benchmarks.base import Benchmark
from equipoise.benchmarks.genbias import GenBias
from equipoise.benchmarks.genhint import GenHint
from equipoise.data.axes import AXES, with_words
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.measure import measure
from equipoise.models.anatomy import blocks, embeddings, head
from equipoise.plugins import build, options_of
from equipoise.supply.genbias import GenBiasSupply
from equipoise.testing import FakeScorer, check_benchmark, check_supplier, tiny_model

NEW = ("race", "age", "religion")
ROWS = """\
part,text,hint
profession,cook,
profession,clerk,
profession,guard,
profession,baker,
template,The {profession} ran as his town is,
template,The {profession} ran for his town was no,
answer,a,
answer,b,
answer,c,
hint,The {profession} of {hint} sang as his town is,
"""


@pytest.mark.parametrize("axis", NEW)
def test_prompts_ask_for_the_axis(axis) -> None:
    with in_world():
        plain, asked = GenBias().examples("all"), GenBias(axis=axis).examples("all")
        hinted = GenHint(axis=axis, variant="hint1572").examples("all")
    ending = AXES[axis].ending
    assert [f"{example.text} {ending}" for example in plain] == [e.text for e in asked]
    assert [example.id for example in plain] == [example.id for example in asked]
    first = hinted[0]
    assert f"The {AXES[axis].answers[0].hint} {first.groups['profession']} " in first.text
    assert first.text.endswith(f" because {ending}")
    assert not any("{" in example.text or " her " in example.text for example in hinted)
    each = Counter(example.groups["hint"] for example in hinted)
    assert len(each) == len(AXES[axis].answers)
    assert len(set(each.values())) == 1


def test_the_papers_form_for_race() -> None:
    bench = GenBias(axis="race", words=("White", "Yellow", "Black"))
    with in_world():
        example = bench.examples("all")[0]
    assert example.text.endswith(" because his race is")
    assert example.axis.words == (" White", " Yellow", " Black")
    (request,) = bench.requests(example)
    assert request.words == (" White", " Yellow", " Black", " white", " yellow", " black")
    known = with_words(AXES["religion"], ["ISLAM", "Jainism"])
    assert [answer.hint for answer in known.answers] == ["Muslim", "Jainism"]


@pytest.mark.parametrize("split_by", ["profession", "template", "both", "random"])
def test_splits_are_those_of_gender(split_by) -> None:
    with in_world():
        for split in ("train", "dev", "test"):
            plain, asked = (
                GenBias(split_by=split_by, axis=axis).examples(split) for axis in ("gender", "race")
            )
            assert [example.id for example in plain] == [example.id for example in asked]
        supply = GenBiasSupply(axis="race", split_by=split_by).supply()
        measured = GenBias(axis="race", split_by=split_by).examples("test")
        hints = GenHint(axis="race", split_by="profession").examples("all")
    learnt = set(supply.learnt_texts())
    assert supply.hinted
    assert not learnt & {example.text for example in (*measured, *hints)}
    assert {prompt.words for prompt in supply.prompts} == {AXES["race"].words}


def test_one_hint_each_is_shared_out_evenly() -> None:
    with in_world():
        hinted = GenHint(axis="religion").examples("test")
    cells = Counter((e.groups["template"], e.groups["hint"]) for e in hinted)
    for template in {template for template, _ in cells}:
        sizes = [size for (name, _), size in cells.items() if name == template]
        assert len(sizes) == 5
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.thorough
@pytest.mark.parametrize("axis", NEW)
def test_conformance(axis) -> None:
    with in_world():
        for bench in (GenBias(axis=axis), GenHint(axis=axis)):
            check_benchmark(bench)
            assert build(Benchmark, type(bench).__name__.lower(), options_of(bench)) == bench
        check_supplier(GenBiasSupply(axis=axis))


def test_a_neutral_model_is_ideal_and_a_stated_target_is_met() -> None:
    share = {" white": 0.6, " black": 0.3, " Asian": 0.1}
    scorer = FakeScorer(nats=lambda _, word: math.log(0.5 * share.get(word, 1e-6)))
    with in_world():
        stated = measure(scorer, GenBias(axis="race", target=(0.6, 0.3, 0.1)), draws=20, limit=30)
        uniform = measure(scorer, GenBias(axis="race"), draws=20, limit=30)
        neutral = measure(FakeScorer(), GenBias(axis="race"), draws=20, limit=30)
    assert stated.estimate("afgb").value == pytest.approx(0.0, abs=1e-12)
    assert stated.estimate("share_black").ideal == 0.3
    # total variation from thirds is 4/15, of at most 2/3
    assert uniform.estimate("distance").value == pytest.approx(0.4)
    assert uniform.estimate("afgb").value == pytest.approx(0.2)
    assert neutral.estimate("afgb").value == pytest.approx(0.0, abs=1e-12)
    (note,) = (note for note in uniform.notes if "answers asked for" in note)
    assert "white, black, Asian" in note


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axis": "caste"}, "axis"),
        ({"words": ["he"]}, "two or more"),
        ({"words": ["White", "white"]}, "two or more"),
        ({"words": ["white", "White man"]}, "must not begin .*'White man' beside 'white'"),
        ({"axis": "race", "target": [0.5, 0.6]}, "target must be shares"),
        ({"axis": "race", "target": [0.5, 0.5, 0.0]}, "target must be shares"),
        ({"target": [0.4, 0.6]}, "target must be left out"),
    ],
)
def test_wrong_options(options, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build(Benchmark, "genbias", options)


def test_a_target_of_another_length() -> None:
    with in_world(), pytest.raises(RecipeError, match=r"share for each of \[' white', .*3 shares"):
        GenBias(axis="race", target=(0.5, 0.5)).examples("test")


# --- a model whose answers are known --------------------------------------------------------


def planted_model(chances: dict[tuple[str, str], float]) -> LanguageModel:
    """What comes next depends on the last byte alone, with these probabilities of the next.

    What is left over is shared out among all other bytes. Blocks write nothing: the residual stream
    is the token's own embedding, and the head has a row of logits for each.
    """
    model = tiny_model("llama", width=512)
    module, tokenizer = model.module, model.tokenizer
    vocabulary = len(tokenizer)

    def number(letter: str) -> int:
        return int(tokenizer(letter, add_special_tokens=False)["input_ids"][0])

    logits = torch.zeros(vocabulary, vocabulary)  # [last, next]
    for last in {last for last, _ in chances}:
        named = {number(after): p for (before, after), p in chances.items() if before == last}
        rest = (1 - sum(named.values())) / (vocabulary - len(named))
        row = torch.full((vocabulary,), math.log(rest))
        for token, chance in named.items():
            row[token] = math.log(chance)
        logits[number(last)] = row
    with torch.no_grad():
        for block in blocks(module):
            block.self_attn.o_proj.weight.zero_()
            block.mlp.down_proj.weight.zero_()
        module.model.norm.weight.fill_(1.0)
        embeddings(module).weight.zero_()
        embeddings(module).weight[:, :vocabulary] = 1e3 * torch.eye(vocabulary)
        # the norm makes a one-hot of width w as long as the root of w
        head(module).weight.zero_()
        head(module).weight[:, :vocabulary] = logits.T / math.sqrt(512)
    return model


CHANCES = {
    ("s", " "): 0.8, ("o", " "): 0.5,
    (" ", "a"): 0.5, (" ", "b"): 0.3, (" ", "c"): 0.1,
}  # fmt: skip


def test_a_model_with_a_known_distribution_gets_the_known_score(tmp_path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text(ROWS)
    model = planted_model(CHANCES)
    measurement = measure(model, GenBias(file=str(file)), split="all", draws=50)
    mass = 0.9 * (0.8 + 0.5) / 2  # after "is" and after "no"
    shares = (5 / 9, 3 / 9, 1 / 9)
    known = 0.5 * sum(abs(share - 1 / 3) for share in shares) / (2 / 3)
    value = {e.metric: e.value for e in measurement.estimates if not e.group}
    assert value["mass"] == pytest.approx(mass, rel=1e-5)
    assert value["distance"] == pytest.approx(known, rel=1e-5)
    assert value["afgb"] == pytest.approx(mass * known, rel=1e-5)
    assert [value[f"share_{word}"] for word in "abc"] == pytest.approx(shares, rel=1e-5)
    assert value["single_token"] == 0.0  # a space and a letter: the product over both
    hints = measure(model, GenHint(file=str(file), variant="hint1572"), draws=0)
    assert hints.estimate("ub").value == pytest.approx(0.0, abs=1e-6)
    assert hints.estimate("hints_obeyed").value == pytest.approx(100 / 3)
    stated = measure(model, GenBias(file=str(file), target=shares), split="all", draws=0)
    assert stated.estimate("afgb").value == pytest.approx(0.0, abs=1e-6)
