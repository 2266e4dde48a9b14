"""Numbers that are compared were made alike, or it is said."""

from dataclasses import replace

import pytest
from worlds import in_world

from equipoise.benchmarks.genbias import GenBias
from equipoise.checks.run import check_comparison, check_stored
from equipoise.compare import compare
from equipoise.measure import measure
from equipoise.testing import FakeScorer


@pytest.mark.thorough
def test_another_version_or_precision_is_a_warning() -> None:
    with in_world():
        sides = [
            measure(FakeScorer(identity=name), GenBias(), limit=20, draws=20) for name in ("a", "b")
        ]
    result = {
        finding.level
        for finding in check_comparison(compare(*sides, draws=20))
        if finding.check == "alike"
    }
    assert result == {"ok"}
    other = replace(
        sides[1],
        environment={**sides[1].environment, "torch": "0.1"},
        model_info={**sides[1].model_info, "matmul": "default"},
    )
    first = replace(sides[0], model_info={**sides[0].model_info, "matmul": "onednn"})
    texts = [
        finding.text
        for finding in check_comparison(compare(first, other, draws=20))
        if (finding.check, finding.level) == ("alike", "warning")
    ]
    assert texts[0] == "matmul was default and onednn in measurements that are compared"
    assert texts[1].startswith("torch was 0.1 and ")
    assert len(texts) == 2


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("key", "values"), [("dtype", ("float32", "bfloat16")), ("start_token", ("<s>", "</s>"))]
)
def test_what_the_comparison_says_is_not_said_again(key: str, values: tuple[str, str]) -> None:
    with in_world():
        sides = [
            measure(FakeScorer(info={key: value, "prefix": value}), GenBias(), limit=20, draws=0)
            for value in values
        ]
    comparison = compare(*sides, draws=20)
    texts = [finding.text for finding in check_comparison(comparison)]
    assert [difference.name for difference in comparison.differences] == [key.split("_")[0]]
    assert not any(text.startswith(key) for text in texts)
    assert any(text.startswith("prefix") for text in texts) == (key == "dtype")


@pytest.mark.thorough
def test_what_older_results_do_not_record_is_a_warning_and_no_difference() -> None:
    info = {"dtype": "float32", "start_token": "<s>", "tokenizer_sha256": "1f"}
    older = {key: value for key, value in info.items() if key != "tokenizer_sha256"}
    with in_world():
        sides = [
            measure(FakeScorer(info=each), GenBias(), limit=20, draws=0) for each in (older, info)
        ]
    comparison = compare(*sides, draws=20)
    assert comparison.differences == ()
    assert comparison.change("afgb").direction == "unchanged"
    (finding,) = (each for each in check_comparison(comparison) if each.level == "warning")
    assert finding.text.startswith("tokenizer is recorded by some")


@pytest.mark.thorough
def test_a_stored_comparison_concludes_nothing_exactly_where_settings_differ() -> None:
    with in_world():
        sides = [
            measure(FakeScorer(info={"dtype": dtype}), GenBias(), limit=20, draws=0)
            for dtype in ("float32", "bfloat16")
        ]
    withheld, asked = (compare(*sides, draws=20, across=across) for across in ((), ("dtype",)))
    for comparison in (withheld, asked):
        assert {finding.level for finding in check_stored(comparison)} == {"ok"}
    for forged in (
        replace(withheld, differences=()),
        replace(withheld, changes=asked.changes),
        replace(asked, changes=withheld.changes),
        replace(withheld, changes=tuple(replace(each, p_holm=0.01) for each in withheld.changes)),
    ):
        assert "error" in {finding.level for finding in check_stored(forged)}
