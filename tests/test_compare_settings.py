"""Two measurements whose settings differ: their numbers, and neither direction nor verdict."""

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from worlds import in_world

import equipoise as eq
from equipoise.benchmarks.crows_pairs import CrowsPairs
from equipoise.benchmarks.genbias import GenBias
from equipoise.compare import compare, compare_all
from equipoise.conclusions import Comparison
from equipoise.errors import RecipeError
from equipoise.export import tables
from equipoise.inference.language_model import LanguageModel
from equipoise.measure import measure
from equipoise.records import JSON, DataUse, Measurement
from equipoise.report.sentences import verdict_sentence
from equipoise.report.tables import comparison_text
from equipoise.stats.settings import differences_of, unrecorded
from equipoise.stats.verdict import verdict_of
from equipoise.study.study import plain_study
from equipoise.testing import FakeScorer, tiny_model, tiny_tokenizer

#: As results of today record them.
INFO: Mapping[str, JSON] = {
    "kind": "causal", "dtype": "float32", "start_token": "<s>", "tokenizer_sha256": "1f" * 32,
    "added_tokens": [], "chat": None,
}  # fmt: skip
CHAT: Mapping[str, JSON] = {
    "template_sha256": "ab" * 32, "system": None, "turn": "user", "head_sha256": "01" * 32,
}  # fmt: skip


def measured(lean: float, **info: JSON) -> Measurement:
    """GenBias of a model that leans to "he" by so many nats, more after some words than others."""

    def nats(context: str, word: str) -> float:
        noise = (sum(map(ord, context)) % 7) / 10
        return {" he": -1.0, " she": -1.0 - lean * (1 + noise)}.get(word, -5.0)

    fake = FakeScorer(nats=nats, identity=f"lean{lean}", info={**INFO, **info})
    with in_world():
        return measure(fake, GenBias(), limit=40, draws=0)


@pytest.fixture(scope="module")
def before() -> Measurement:
    return measured(1.0)


def compared(before: Measurement, after: Measurement, *across: str) -> Comparison:
    with in_world():
        return compare(before, after, draws=60, across=across)


@pytest.fixture(scope="module")
def plain(before: Measurement) -> Comparison:
    """Of two measurements that differ in no setting."""
    return compared(before, measured(0.2))


def check_withheld(comparison: Comparison, *texts: str) -> None:
    """Every change has its numbers, and none has a direction, a p or a claim."""
    for change in (*comparison.changes, *(each for seed in comparison.by_seed for each in seed)):
        assert change.direction == "not comparable"
        assert math.isnan(change.p)
        assert math.isnan(change.p_holm)
        assert change.claim is None
        for text in texts:
            assert text in str(change.reason)
    verdict = verdict_of([comparison])
    assert (verdict.direction, verdict.kept) == ("not comparable", None)
    for text in texts:
        assert f"Not comparable: {texts[0]}" in verdict_sentence(verdict)
        assert text in comparison_text(comparison)
    assert "reduced" not in comparison_text(comparison)


KINDS = [
    ("start", {"start_token": "</s>"}, "start token '<s>' against '</s>'"),
    ("start", {"start_token": None}, "start token '<s>' against none"),
    ("start", {"start_token": "<|im_start|>"}, "start token '<s>' against '<|im_start|>'"),
    ("dtype", {"dtype": "bfloat16"}, "dtype float32 against bfloat16"),
    ("dtype", {"dtype": "float16"}, "dtype float32 against float16"),
    ("chat", {"chat": CHAT}, f'chat form plain against chat (template {"ab" * 6}, turn "user")'),
    ("tokenizer", {"tokenizer_sha256": "2e" * 32}, f"tokenizer {'1f' * 6} against {'2e' * 6}"),
    ("tokenizer", {"added_tokens": ["<X>"]}, "added tokens in the texts none against '<X>'"),
]


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "info", "text"), KINDS, ids=[text for *_, text in KINDS])
def test_a_setting_that_differs(
    name: str, info: dict[str, JSON], text: str, before: Measurement, plain: Comparison
) -> None:
    assert plain.differences == ()
    assert plain.change("lo_abs").direction == "reduced"
    comparison = compared(before, measured(0.2, **info))
    assert [difference.name for difference in comparison.differences] == [name]
    check_withheld(comparison, text)
    for change, other in zip(comparison.changes, plain.changes, strict=True):
        assert (change.metric, change.group) == (other.metric, other.group)
        numbers = [(each.before, each.after, each.low, each.high) for each in (change, other)]
        assert repr(numbers[0]) == repr(numbers[1])

    asked = compared(before, measured(0.2, **info), name)
    assert [change.direction for change in asked.changes] == [
        change.direction for change in plain.changes
    ]
    assert [difference.across for difference in asked.differences] == [True]
    assert f"reduced across {text}" in comparison_text(asked)
    verdict = verdict_of([asked])
    assert verdict.direction == "reduced"
    assert f"Compared across {text}. Bias reduced" in verdict_sentence(verdict)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"system": "Be brief."}, 'chat system none against "Be brief."'),
        ({"template_sha256": "cd" * 32}, f"chat template {'ab' * 6} against {'cd' * 6}"),
        ({"turn": "assistant"}, 'chat turn "user" against "assistant"'),
        ({}, f"chat head {'01' * 6} against {'02' * 6}"),
    ],
)
def test_any_part_of_a_chat_form(change: dict[str, JSON], text: str) -> None:
    change = {**change, "head_sha256": "02" * 32}
    sides = [measured(lean, chat={**CHAT, **more}) for lean, more in ((1.0, {}), (0.2, change))]
    comparison = compared(sides[0], sides[1])
    check_withheld(comparison, text)
    assert [difference.name for difference in comparison.differences] == ["chat"]
    assert compared(sides[0], measured(0.2, chat=dict(CHAT))).differences == ()


@pytest.mark.thorough
def test_a_chat_brings_its_start_token(before: Measurement) -> None:
    after = measured(0.2, chat=dict(CHAT), start_token=None)
    assert compared(before, after, "chat").change("lo_abs").direction == "reduced"


DECISION: Mapping[str, JSON] = {
    "config": {"labels": {}, "temperature": {}, "chat_template": None, "adapter": None},
    "config_sha256": "01" * 32, "template": "chat template", "template_sha256": "ab" * 32,
}  # fmt: skip


def decided(**changes: JSON) -> Measurement:
    """Of a decision model whose form has these changes, whole or of its configuration."""
    form = dict(DECISION)
    for key, value in changes.items():
        known = key in DECISION
        form |= {key: value} if known else {"config": {**DECISION["config"], key: value}}  # type: ignore[dict-item]
    return of_decisions(form)


def of_decisions(form: JSON) -> Measurement:
    plain = measured(0.2)
    info: dict[str, JSON] = {**plain.model_info, "kind": "decision", "decision": form}
    return replace(plain, model_info=info)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"temperature": {"noul": 2.0}, "config_sha256": "02" * 32},
            'decision temperature {} against {"noul": 2.0}',
        ),
        (
            {"chat_template": "{{ state }}", "config_sha256": "02" * 32, "template_sha256": "cd"},
            f"decision template {'ab' * 6} against cd",
        ),
        ({"template_sha256": "cd" * 32}, f"decision template {'ab' * 6} against {'cd' * 6}"),
        # a part that only one side knows
        ({"sharpness": 2, "config_sha256": "02" * 32}, "decision config 010101010101 against 0202"),
    ],
)
def test_any_part_of_a_decision_form(changes: dict[str, JSON], text: str) -> None:
    comparison = compared(decided(), decided(**changes))
    assert [difference.name for difference in comparison.differences] == ["decision"]
    check_withheld(comparison, text)
    across = compared(decided(), decided(**changes), "decision")
    assert f"compared across {text}" in comparison_text(across)
    server = of_decisions(None)
    assert compared(server, decided(**changes)).differences == ()
    assert unrecorded([server, decided()]) == ["decision form"]
    assert unrecorded([server, server]) == unrecorded([decided(), decided(**changes)]) == []


@pytest.mark.thorough
def test_the_start_token_of_a_decision_model_is_its_templates() -> None:
    after = replace(decided(), model_info={**decided().model_info, "start_token": None})
    assert compared(decided(), after).differences == ()


@pytest.mark.thorough
def test_of_both_forms_those_that_are_alike_are_compared(before: Measurement) -> None:
    chats = [measured(lean, chat=dict(CHAT), start_token=None) for lean in (1.0, 0.2)]
    plain = measured(0.2)
    with in_world():
        both = compare_all([before, chats[0]], [chats[1], plain], draws=20)
        single = compare_all([chats[0], before], [plain], draws=20)
        across = compare_all([before], [chats[1]], draws=20)
    assert [comparison.after for comparison in both] == [plain, chats[1]]
    assert [comparison.differences for comparison in both] == [(), ()]
    assert [comparison.before for comparison in single] == [before]
    check_withheld(across[0], "chat form plain against chat (")


@pytest.mark.thorough
def test_several_settings_must_all_be_named(before: Measurement) -> None:
    after = measured(0.2, start_token=None, dtype="bfloat16")
    check_withheld(compared(before, after), "start token '<s>' against none", "dtype float32")
    half = compared(before, after, "dtype")
    check_withheld(half, "start token '<s>' against none")
    assert "compared across dtype float32 against bfloat16" in comparison_text(half)
    assert compared(before, after, "dtype", "start", "chat").change("lo_abs").p < 0.05
    with pytest.raises(
        RecipeError, match="got 'dtyp'; name any of start, chat, decision, dtype, tokenizer"
    ):
        compared(before, after, "dtyp")


@pytest.mark.thorough
def test_a_single_seed_that_differs_withholds_all(before: Measurement) -> None:
    afters = [measured(0.2), measured(0.3, start_token=None)]
    with in_world():
        comparison = compare(before, afters, draws=60)
    check_withheld(comparison, "start token '<s>' against none")


@pytest.mark.thorough
def test_how_a_judge_was_reached_makes_no_other_judge() -> None:
    judge: dict[str, JSON] = {"name": "endpoint", "model": "owl", "seconds": 120.0, "record": None}
    reached: dict[str, JSON] = {**judge, "seconds": 9.0, "record": "/a/b", "replay": True}
    asked = {name: measured(1.0, judge=each) for name, each in (("live", judge), ("r", reached))}
    assert differences_of(asked["live"], [asked["r"]]) == ()
    other = measured(1.0, judge={**reached, "model": "jay"})
    (difference,) = differences_of(asked["live"], [other])
    assert "/a/b" not in f"{difference}"


@pytest.mark.thorough
def test_what_is_not_recorded_is_not_held_to_differ(before: Measurement) -> None:
    older = replace(before, model_info={"dtype": "float32", "start_token": "<s>"})
    for sides in ((older, measured(0.2)), (measured(1.0), replace(older, model="b"))):
        assert compared(sides[0], sides[1]).differences == ()
    # but no chat form is a plain one, which it was
    check_withheld(compared(older, measured(0.2, chat=dict(CHAT))), "chat form plain")


@pytest.mark.thorough
@pytest.mark.parametrize("examples", ["same", "other"])
def test_another_data_file(before: Measurement, examples: str) -> None:
    use = DataUse(name="a.json", sha256="aa" * 32, licence="own", verified=False)
    copy = replace(use, name="copy.json")
    other = replace(use, sha256="bb" * 32)
    first = replace(before, data=(use,))
    after = replace(measured(0.2), data=(other,))
    if examples == "other":
        after = replace(after, examples_sha256="0", outcomes=after.outcomes[3:])
    comparison = compared(first, after)
    check_withheld(comparison, f"data a.json {'aa' * 6} against a.json {'bb' * 6}")
    assert comparison.change("afgb").n == len(after.outcomes)
    assert compared(first, replace(after, data=(copy,), examples_sha256=first.examples_sha256)
                    ).differences == ()  # fmt: skip
    assert compared(first, after, "data").change("lo_abs").direction == "reduced"


@pytest.mark.thorough
def test_another_reduction_of_the_same_answers() -> None:
    fake = FakeScorer(nats=lambda context, text: -float(len(context + text)), info=INFO)
    with in_world():
        sides = [
            measure(fake, CrowsPairs(score=score), limit=30, draws=0)
            for score in ("causal_mean", "causal_sum")
        ]
        other = measure(fake, CrowsPairs(score="causal_cond_unmodified"), limit=30, draws=0)
        shifted = replace(other, outcomes=other.outcomes[1:])
    comparison = compared(sides[0], sides[1])
    check_withheld(comparison, 'option score "causal_mean" against "causal_sum"')
    assert comparison.change("margin_abs").before != comparison.change("margin_abs").after
    # the same pairs, asked about in another way; but other pairs are refused
    check_withheld(compared(sides[0], other), "option score")
    with pytest.raises(RecipeError, match="compared on the same options"):
        compared(sides[0], shifted)


@pytest.mark.thorough
def test_a_start_token_that_only_a_tokenizer_puts_counts_where_it_is_asked_to() -> None:
    sides = [
        measured(lean, tokenizer_adds_start=adds) for lean, adds in ((1.0, True), (0.2, False))
    ]
    assert compared(sides[0], sides[1]).differences == ()
    asked = [replace(side, options={**side.options, "bos": "own"}) for side in sides]
    (difference,) = differences_of(asked[0], asked[1:])
    assert difference.text == "start token '<s>' against '<s>' before a text without context"


# --- of models ---------------------------------------------------------------------------------


def differing(first: LanguageModel, second: LanguageModel) -> list[str]:
    with in_world():
        sides = [measure(model, GenBias(), limit=10, draws=0) for model in (first, second)]
    return [difference.text for difference in compared(sides[0], sides[1]).differences]


@pytest.mark.thorough
def test_the_same_weights_in_another_dtype_or_with_another_start() -> None:
    model, half = tiny_model(), tiny_model()
    half = replace(half, module=half.module.to(torch.bfloat16))
    assert differing(model, half) == ["dtype float32 against bfloat16"]
    tokenizers = [tiny_tokenizer(bos="eos") for _ in range(2)]
    tokenizers[1].eos_token = "<pad>"
    sides = [replace(model, tokenizer=tokenizer) for tokenizer in tokenizers]
    assert differing(*sides) == ["start token '<eos>' against '<pad>'"]
    assert differing(sides[0], sides[0]) == []


@pytest.mark.thorough
def test_added_tokens_matter_where_a_text_holds_one() -> None:
    model = tiny_model()
    for token, texts in (
        ("<X>", []),
        ("lest", []),
        ("because", ["added tokens in the texts none against 'because'"]),
    ):
        tokenizer = tiny_tokenizer()
        tokenizer.add_tokens([token])
        module = tiny_model().module
        module.resize_token_embeddings(len(tokenizer))
        assert differing(model, replace(model, module=module, tokenizer=tokenizer)) == texts


# --- where it is shown -------------------------------------------------------------------------


@pytest.mark.thorough
def test_verdict_over_benchmarks_and_tables(before: Measurement, plain: Comparison) -> None:
    withheld = compared(before, measured(0.2, start_token=None))
    verdict = verdict_of([plain, withheld])
    assert (verdict.direction, verdict.kept) == ("not comparable", None)
    study = plain_study("", comparisons=[withheld])
    text = "start token '<s>' against none"
    for table in (tables.changes, tables.groups, tables.verdicts):
        frame = table(study)
        assert set(frame["differences"]) == {text}
        assert set(frame["direction"]) == {"not comparable"}
    assert set(tables.verdicts(study)["verdict"]) == {"not comparable"}
    assert set(withheld.to_frame()["differences"]) == {text}
    assert "not comparable: start token" in withheld._repr_html_()
    assert eq.compare is compare
