"""What was learnt against what is measured: texts, terms, templates, and what a method knows."""

from dataclasses import replace

import pytest
from worlds import in_world

from equipoise.benchmarks.base import texts_of
from equipoise.benchmarks.genbias import GenBias
from equipoise.checks.learnt import Learnt, learnt_from
from equipoise.checks.run import check_overlap
from equipoise.measure import choose_examples, measure
from equipoise.mitigate.base import Mitigation
from equipoise.plugins import available, find
from equipoise.records import Measurement, Outcome
from equipoise.supply.genbias import GenBiasSupply
from equipoise.testing import FakeScorer

NOTHING = Learnt(origin="none", texts=frozenset(), groups={}, item_info=())


def measured(*groups: dict[str, str]) -> Measurement:
    return Measurement(
        model="m", benchmark="toy", version="1", options={}, split="test", seed=0, draws=0,
        limit=None, examples_sha256="", data=(), model_info={}, environment={}, cluster=None,
        estimates=(),
        outcomes=tuple(
            Outcome(example=str(k), values={}, groups=group) for k, group in enumerate(groups)
        ),
    )  # fmt: skip


def overlap_findings(split_by: str, split: str) -> list[tuple[str, str, str]]:
    benchmark = GenBias(split_by=split_by)  # type: ignore[arg-type]
    with in_world():
        examples, requests = choose_examples(benchmark, split=split)
        measurement = measure(FakeScorer(), benchmark, split=split, draws=0)
        supply = GenBiasSupply(split_by=split_by).supply()  # type: ignore[arg-type]
    texts = [
        text
        for example, example_requests in zip(examples, requests, strict=True)
        for text in texts_of(benchmark, example, example_requests)
    ]
    findings = check_overlap(learnt_from(supply), measurement, texts)
    return [(finding.check, finding.level, finding.text) for finding in findings]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("split_by", "shared"),
    [
        ("both", []),
        ("profession", ["template"]),
        ("template", ["term"]),
        ("random", ["term", "template"]),
    ],
)
def test_shared_groups_of_each_split(split_by: str, shared: list[str]) -> None:
    texts, *groups, item_info = overlap_findings(split_by, "test")
    assert (texts[1], item_info[1]) == ("ok", "ok")
    assert [level for _, level, _ in groups] == (["warning"] * len(shared) or ["ok"])
    assert sorted(text.split("'")[1] for _, level, text in groups if level != "ok") == sorted(
        shared
    )


@pytest.mark.thorough
def test_learnt_text_is_an_error() -> None:
    texts, *_ = overlap_findings("profession", "train")
    assert texts[:2] == ("texts", "error")
    assert "texts measured were learnt from (genbias(split_by=profession" in texts[2]
    assert "because" not in texts[2]  # no text is printed


def test_shared_names_are_counted_and_three_are_shown() -> None:
    learnt = replace(
        NOTHING,
        origin="here",
        texts=frozenset(),
        groups={"profession": ("baker", "clerk", "judge", "nurse")},
    )
    jobs = ("Baker", "pilot", "clerk", "nurse", "judge", "tailor")
    groups, item_info = check_overlap(learnt, measured(*({"profession": job} for job in jobs)))
    assert (groups.check, groups.level) == ("groups", "warning")
    assert groups.text == (
        "by 'term', 4 of the 6 groups measured were learnt from (here): Baker, clerk, judge, …"
    )
    assert item_info.level == "ok"


def test_target_terms_overlap_under_any_key_and_categories_never() -> None:
    learnt = replace(
        NOTHING,
        origin="here",
        texts=frozenset(),
        groups={
            "profession": ("nurse",),
            "axis": ("gender",),
            "hint": ("male",),
            "town": ("Porto",),
        },
    )
    measurement = measured({"target": "nurse", "axis": "gender", "hint": "male", "town": "Porto"})
    kinds = [
        finding.text.split("'")[1]
        for finding in check_overlap(learnt, measurement)
        if finding.check == "groups"
    ]
    assert kinds == ["term", "town"]


def test_no_common_group_key_is_not_reported_as_ok() -> None:
    measurement = measured({"relation": "capital"})
    assert [finding.check for finding in check_overlap(NOTHING, measurement)] == ["item_info"]
    assert [finding.check for finding in check_overlap(NOTHING, measurement, ["Rain fell."])] == [
        "texts", "item_info"
    ]  # fmt: skip


def test_each_kind_of_item_info_is_a_warning() -> None:
    informed = replace(NOTHING, item_info=("bias type", "label"))
    (first, second) = check_overlap(informed, measured({}))
    assert {first.level, second.level} == {"warning"}
    assert first.text == (
        "the method is given the bias type of each item it is measured on, which a user of the "
        "model would have to supply"
    )


@pytest.mark.parametrize("name", available(Mitigation))
def test_only_the_transductive_method_has_item_info(name: str) -> None:
    item_info = ("labels",) if name == "bias_edit_transductive" else ()
    assert find(Mitigation, name).item_info == item_info
