"""What is asked about whom, how texts become grades, and what counts as missing."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic.dataclasses import dataclass as options_dataclass

from equipoise.associations.prompts import evaluation_prompts
from equipoise.associations.questions import questions
from equipoise.benchmarks.base import Benchmark
from equipoise.benchmarks.stereotypes import Likelihood, Stereotypes, Written
from equipoise.compare import compare
from equipoise.errors import DataError, RecipeError
from equipoise.judge.base import Judge
from equipoise.judging.judgement import JudgedText, Judgement
from equipoise.judging.replies import read_reply
from equipoise.measure import Predictions, learnt_examples, measure
from equipoise.plugins import build, options_of
from equipoise.records import JSON, OPTIONS, Generation, Measurement, NextToken
from equipoise.rows import text_sha256
from equipoise.testing import FakeScorer, check_benchmark, tiny_model

TWO = ("Norway", "Peru")


@options_dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Fixed(Judge):
    """The grade that the text says ("2"); a text that says none has no judgement."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "none"
    probable: bool = False  # whether it tells what a judge of probabilities tells

    def judge(self, texts: Sequence[JudgedText]) -> list[Judgement]:
        return [self._grade(text) for text in texts]

    def _grade(self, judged: JudgedText) -> Judgement:
        digits = [sign for sign in judged.text if sign.isdigit()]
        if not digits:
            return Judgement(strength=math.nan, reason="it says no grade")
        rates = {"flip_rate": 0.25, "label_mass": 0.5} if self.probable else {}
        broken = "short" if len(judged.text.split()) < 3 else None
        return Judgement(strength=float(digits[0]), degenerate=broken, **rates)


def bench(**options: Any) -> Stereotypes:
    given = {"association": "always_late", "targets": TWO, "judge": Fixed()}
    return Stereotypes(**{**given, **options})


def writing(benchmark: Stereotypes, texts: Mapping[str, str], rest: str) -> FakeScorer:
    """Writes a text after the prompts with these ids, and another after all others."""
    asked = {example.text: texts.get(example.id, rest) for example in benchmark.examples("test")}
    return FakeScorer(texts=asked, info={"kind": "causal"})


def measured(texts: Mapping[str, str], rest: str = "grade 0 here", **options: Any) -> Measurement:
    benchmark = bench(**options)
    return measure(writing(benchmark, texts, rest), benchmark, draws=200)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"score": Written(samples=3)},
        {"association": ("always_late", "blue_skin")},
        {"association": None, "unseen": True},
        {"score": Likelihood(control_targets=("Chad",))},
        {"judge": Fixed(probable=True)},
    ],
)
def test_it_holds_what_every_benchmark_must(options: Mapping[str, Any]) -> None:
    check_benchmark(bench(**options))


@pytest.mark.thorough
def test_every_prompt_is_asked_about_every_target_and_splits_share_none() -> None:
    whole, test, dev = ([*bench().examples(split)] for split in ("all", "test", "dev"))
    assert len(whole) == 2 * 92
    assert len(test) + len(dev) == len(whole)
    assert not {example.text for example in test} & {example.text for example in dev}
    assert len({example.groups["methodology"] for example in whole}) == 18
    assert all(("Norway" in e.text) == (e.target == "Norway") for e in whole)
    first = whole[0]
    assert bench().requests(first) == [
        Generation(context=first.text, max_tokens=200, temperature=0.5)
    ]
    assert set(first.groups) == {"association", "methodology", "template", "target"}
    assert bench().turn == "question"


@pytest.mark.thorough
def test_samples_are_drawn_apart_and_stand_in_one_cluster() -> None:
    benchmark = bench(score=Written(samples=2, max_tokens=8, temperature=1.0), targets=("Peru",))
    first, second, *_ = benchmark.examples("test")
    assert (first.id, second.id) == (f"{second.id.removesuffix('/1')}", second.id)
    assert first.groups == second.groups
    model = tiny_model(context=512)
    texts = model.generate([*benchmark.requests(first), *benchmark.requests(second)], seed=0)
    assert texts[0] != texts[1]


@pytest.mark.thorough
def test_a_mean_is_over_judged_texts_and_bounds_count_the_others_as_0_and_as_3() -> None:
    ids = [example.id for example in bench().examples("test")]
    n = len(ids)
    measurement = measured({ids[0]: "I cannot say", ids[1]: "3 of 3", ids[2]: "grade 2 it is"})
    assert measurement.estimate("strength").n == n - 1
    assert measurement.estimate("strength").value == pytest.approx(5 / (n - 1))
    assert measurement.estimate("strength_least").value == pytest.approx(5 / n)
    assert measurement.estimate("strength_most").value == pytest.approx(8 / n)
    assert measurement.estimate("missing").value == pytest.approx(100 / n)
    assert measurement.estimate("strong").value == pytest.approx(100 / (n - 1))
    assert f"unjudged: 1 of {n} texts: it says no grade" in measurement.notes
    unjudged = measurement.outcomes[0]
    assert unjudged.text == "I cannot say"
    assert math.isnan(unjudged.values["strength"])


@options_dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Garbled(Judge):
    """Writes something else about each text, in which no verdict can be read."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "none"

    def judge(self, texts: Sequence[JudgedText]) -> list[Judgement]:
        replies = [read_reply(f"No {number} secret words") for number, _ in enumerate(texts)]
        return [Judgement(strength=math.nan, reason=reply.reason) for reply in replies]


@pytest.mark.thorough
def test_the_words_of_a_judge_are_not_kept_as_a_reason() -> None:
    measurement = measured({}, judge=Garbled())
    n = len(measurement.outcomes)
    assert f"unjudged: {n} of {n} texts: the reply has no stereotype_strength" in measurement.notes
    assert not any("secret" in text for o in measurement.outcomes for text in o.groups.values())


@pytest.mark.thorough
def test_nothing_judged_is_no_number() -> None:
    strength = measured({}, rest="no grade at all").estimate("strength")
    assert math.isnan(strength.value)
    assert strength.n == 0
    assert "needs a text with a judgement" in str(strength.reason)


@pytest.mark.thorough
def test_degenerate_texts_are_counted_and_left_out_of_the_fluent_mean() -> None:
    ids = [example.id for example in bench().examples("test")]
    broken = dict.fromkeys(ids[: len(ids) // 2], "0")
    measurement = measured(broken, rest="a grade 2 text")
    assert measurement.estimate("strength").value == pytest.approx(1.0)
    assert measurement.estimate("strength_fluent").value == pytest.approx(2.0)
    assert measurement.estimate("degenerate").value == pytest.approx(50.0)
    assert any(note.startswith("degenerate: 62 of 124 texts") for note in measurement.notes)


@pytest.mark.thorough
def test_the_final_section_is_graded_apart_where_one_is_labelled() -> None:
    explained = "Explanation: it names the stereotype, 3. Debiased Continuation: a grade 1 text"
    measurement = measured({}, rest=explained)
    assert measurement.estimate("strength").value == pytest.approx(3.0)
    assert measurement.estimate("strength_final").value == pytest.approx(1.0)
    assert measurement.estimate("labelled").value == pytest.approx(100.0)
    plain = measured({}, rest="a grade 2 text")
    assert plain.estimate("strength_final").value == pytest.approx(2.0)
    assert plain.estimate("labelled").value == 0.0


@pytest.mark.thorough
def test_what_a_judge_of_probabilities_tells_stands_beside() -> None:
    measurement = measured({}, judge=Fixed(probable=True))
    assert measurement.estimate("flip_rate").value == pytest.approx(0.25)
    assert measurement.estimate("label_mass", target="Peru").value == pytest.approx(0.5)
    silent = measured({})
    assert "needs a judge that answers by probabilities" in str(silent.estimate("flip_rate").reason)
    # the lexicon knows none
    assert "flip_rate" not in {
        metric.name for metric in Stereotypes(association="always_late", targets=TWO).metrics
    }


@pytest.mark.thorough
def test_intervals_hold_prompts_together_and_a_second_one_is_over_targets_too() -> None:
    peru = {e.id: "grade 3 of it" for e in bench().examples("test") if e.target == "Peru"}
    measurement = measured(peru)
    strength = measurement.estimate("strength")
    assert (strength.n, strength.clusters) == (124, 62)
    # every prompt has a 0 and a 3: prompts do not scatter, targets do
    assert (strength.value, strength.low, strength.high) == pytest.approx((1.5, 1.5, 1.5))
    over = measurement.estimate("strength_over_target")
    assert (over.low, over.high) == (0.0, 3.0)
    alone = measured({}, targets=("Peru",)).estimate("strength_over_target")
    assert "an interval over targets needs at least 2" in str(alone.reason)
    assert measurement.estimate("strength", target="Peru").value == pytest.approx(3.0)
    assert measurement.estimate("strength", methodology="direct").value == pytest.approx(1.5)


@pytest.mark.thorough
def test_the_lexicon_is_given_the_words_and_every_name_of_the_target() -> None:
    benchmark = Stereotypes(association="always_late", targets=("Norway",))
    scorer = writing(benchmark, {}, "Norwegians are always late, as everybody knows.")
    assert measure(scorer, benchmark, draws=0).estimate("strength").value == pytest.approx(3.0)
    (text,) = benchmark.judged(
        benchmark.examples("test")[0],
        replace(measure(scorer, benchmark, draws=0).outcomes[0]),
    )
    assert text.quality == "being late"
    assert {"Norway", "Norwegian"} <= set(text.names)
    assert "late" in text.words


@pytest.mark.thorough
def test_a_lower_strength_is_a_reduced_bias() -> None:
    benchmark = bench()
    before, after = (
        measure(replace(writing(benchmark, {}, text), identity=text), benchmark, draws=0)
        for text in ("grade 2 it is", "grade 0 it is")
    )
    change = next(c for c in compare(before, after, draws=200).changes if c.metric == "strength")
    assert change.direction == "reduced"


# --- likelihood ---------------------------------------------------------------------------------


def likely(**nats: float) -> FakeScorer:
    """Log p of " late" by the target named in the question; other words have -3."""

    def of(context: str, word: str) -> float:
        named = next((name for name in nats if name in context), "")
        return nats.get(named, -3.0) if word == " late" else -3.0

    return FakeScorer(nats=of, info={"kind": "causal"})


@pytest.mark.thorough
def test_log_odds_are_those_of_the_target_less_those_of_others() -> None:
    benchmark = bench(
        score=Likelihood(questions=20, control_targets=("Peru", "Chad")), targets=("Norway",)
    )
    example = benchmark.examples("test")[0]
    asked = benchmark.requests(example)
    assert [isinstance(request, NextToken) for request in asked] == [True] * 3
    assert ["Norway" in asked[0].context, "Peru" in asked[1].context] == [True, True]
    assert asked[0].words[0] == " late"
    lean = measure(likely(Norway=-1.0, Peru=-2.0, Chad=-3.0), benchmark, draws=100)
    # three opposites, each -3: the log-odds are -1 - (-3 + log 3), and so on
    assert lean.estimate("lean").value == pytest.approx(-1.0 - (-2.0 + -3.0) / 2)
    assert lean.estimate("odds").value == pytest.approx(2.0 - math.log(3))
    assert lean.estimate("answer_logprob").value == pytest.approx(-1.0)
    assert lean.estimate("mass").value == pytest.approx(math.exp(-1) + 3 * math.exp(-3))
    assert (lean.estimate("lean").n, lean.estimate("lean").clusters) == (20, 20)
    assert measure(likely(), benchmark, draws=0).estimate("lean").value == pytest.approx(0.0)
    assert "judge" not in lean.model_info


def test_questions_are_not_those_that_a_supply_gives() -> None:
    benchmark = bench(score=Likelihood(control_targets=("Chad",)))
    supplied = {prompt.text for prompt in questions("always_late")}
    examples = benchmark.examples("test")
    assert len(examples) == 2 * 100
    assert not {example.template for example in examples} & supplied


def test_without_opposites_the_answers_stand_alone(tmp_path: Path) -> None:
    file = tmp_path / "early.yaml"
    file.write_text(
        "name: early\nstatement: people from {target} are early\nattribute: are early\n"
        "being: being early\ntopic: punctuality\nanswers: [late]\n"
    )
    benchmark = bench(
        association=str(file), score=Likelihood(questions=5, control_targets=("Chad",))
    )
    measurement = measure(likely(Norway=-1.0), benchmark, draws=0)
    assert measurement.estimate("lean", target="Norway").value == pytest.approx(2.0)
    assert any("names no opposites" in note for note in measurement.notes)


# --- other prompts, other texts -----------------------------------------------------------------


def test_unseen_stems_bring_their_own_words_and_are_asked_about_the_targets() -> None:
    benchmark = bench(association=None, unseen=True, targets=("Peru",))
    examples = benchmark.examples("test")
    assert len(examples) == 66
    assert len({example.groups["association"] for example in examples}) == 45
    assert len({example.quality for example in examples}) == 45
    assert all(example.text.startswith("Continue this sentence: ") for example in examples)
    with pytest.raises(RecipeError, match="got 'dev' of others; measure test"):
        benchmark.examples("dev")


def test_sentences_of_a_file_take_the_place_of_prompts(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("The guest from {target} came\nTell me of trains.\n")
    benchmark = bench(prompts_file=str(file))
    texts = [example.text for example in benchmark.examples("test")]
    assert texts == [
        "The guest from Norway came", "The guest from Peru came", "Tell me of trains.",
    ]  # fmt: skip
    assert [use.name for use in benchmark.files("test")][-1].endswith("mine.txt")
    without = bench(prompts_file=str(file), targets=None)
    with pytest.raises(RecipeError, match=r"targets must be given for prompts with \{target\}"):
        without.examples("test")
    file.write_text("Tell me of trains.\n")
    assert [example.target for example in without.examples("test")] == [""]
    check_benchmark(bench(prompts_file=str(write_rows(tmp_path))))


@pytest.mark.parametrize(
    ("prompt", "targets", "answer"),
    [
        ("People from Norway are always", None, "Norwegians are always late, every one."),
        ("Tell me of {target}.", ("bakers",), "A baker is always late."),
        ("Tell me of {target}.", ("women",), "A woman is always late."),
    ],
)
def test_the_lexicon_finds_who_is_named(
    tmp_path: Path, prompt: str, targets: tuple[str, ...] | None, answer: str
) -> None:
    file = tmp_path / "mine.txt"
    # so many words after the prompt that it alone does not bring the name close enough
    answer = "Well, let me think about it for a while before I say anything to you. " + answer
    file.write_text(f"{prompt}\n")
    benchmark = Stereotypes(association="always_late", prompts_file=str(file), targets=targets)
    measurement = measure(writing(benchmark, {}, answer), benchmark, draws=0)
    assert measurement.estimate("strength").value == pytest.approx(3.0)


def test_of_a_prompt_about_nobody_a_text_about_nobody_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("Tell me of trains.\n")
    benchmark = Stereotypes(association="always_late", prompts_file=str(file))
    measurement = measure(writing(benchmark, {}, "They are always late."), benchmark, draws=0)
    assert math.isnan(measurement.estimate("strength").value)
    assert measurement.estimate("missing").value == 100.0
    assert any("names whom it is about" in note for note in measurement.notes)


def write_rows(folder: Path) -> Path:
    file = folder / "rows.csv"
    lines = ["sentence,association"]
    lines += [f"The cook from {{target}} in house {k} is,spicy_food" for k in range(30)]
    file.write_text("\n".join(lines))
    return file


@pytest.mark.thorough
def test_texts_written_elsewhere_are_judged_by_id(tmp_path: Path) -> None:
    benchmark = bench(targets=("Peru",))
    rows = [{"example": e.id, "reply": "grade 2 it is"} for e in benchmark.examples("test")]
    file = tmp_path / "texts.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    texts = Predictions.parse(f"predictions:{file}#reply")
    measurement = measure(texts, benchmark, draws=20)
    assert measurement.estimate("strength").value == pytest.approx(2.0)
    assert measurement.model_info["judge"]
    file.write_text("\n".join(map(json.dumps, rows[1:])))
    with pytest.raises(DataError, match=f"got none of '{rows[0]['example']}' \\(of 1 in all\\)"):
        measure(texts, benchmark)
    file.write_text("\n".join(map(json.dumps, [*rows, rows[0]])))
    with pytest.raises(DataError, match=r"line 63 must have an id of its own .* a second time"):
        measure(texts, benchmark)
    likelihood = bench(score=Likelihood(control_targets=("Chad",)))
    with pytest.raises(RecipeError, match="texts are judged with score=generation"):
        measure(texts, likelihood)


def test_a_prompt_that_was_learnt_is_known_by_its_slot() -> None:
    benchmark = bench()
    examples = [*benchmark.examples("test")]
    asks = [[*benchmark.requests(example)] for example in examples]
    prompt = evaluation_prompts("always_late", "test")[0]
    learnt = frozenset({text_sha256(prompt.text)})
    assert learnt_examples(learnt, benchmark, examples, asks) == [
        f"{prompt.id}/Norway", f"{prompt.id}/Peru",
    ]  # fmt: skip


# --- options ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "association must be a built-in name"),
        ({"association": "always_late"}, "no table of who is held to be what comes with"),
        ({"association": "always_late", "targets": []}, "targets must be names of countries"),
        ({"association": "always_late", "targets": ["Peru", "Peru"]}, "names, each once"),
        ({"association": "always_late", "unseen": True}, "unseen asks its own stems"),
        ({"association": ["a", "b"], "prompts_file": "x"}, "association must be one beside"),
        (
            {"association": "a", "targets": ["Peru"], "score": "likelihood"},
            r"stereotypes\.score\.likelihood\.control_targets must be given",
        ),
        (
            {
                "association": "a",
                "targets": ["Peru"],
                "score": {"name": "likelihood", "control_targets": ["Peru"]},
            },
            "names, each once",
        ),
        (
            {
                "unseen": True,
                "targets": ["Peru"],
                "score": {"name": "likelihood", "control_targets": ["Chad"]},
            },
            "asks an association's own questions",
        ),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    options: dict[str, JSON], sentence: str
) -> None:
    with pytest.raises(RecipeError, match=sentence):
        build(Benchmark, "stereotypes", options)


def test_an_association_that_is_none_is_named() -> None:
    with pytest.raises(RecipeError, match="did you mean 'always_late'"):
        bench(association="always_lat").examples("test")


def test_options_survive_with_their_judge() -> None:
    options: dict[str, JSON] = {
        "association": ["always_late"], "targets": ["Peru"], "judge": {"name": "lexicon"},
        "score": {"name": "generation", "samples": 2},
    }  # fmt: skip
    benchmark = build(Benchmark, "stereotypes", options)
    assert build(Benchmark, "stereotypes", options_of(benchmark)) == benchmark
    assert options_of(benchmark)["score"] == {
        "name": "generation", "temperature": 0.5, "max_tokens": 200, "samples": 2,
    }  # fmt: skip
