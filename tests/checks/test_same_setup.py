"""Numbers that are compared were made alike, or it is said."""

from dataclasses import replace

from worlds import in_world

from equipoise.benchmarks.genbias import GenBias
from equipoise.checks.run import check_comparison
from equipoise.compare import compare
from equipoise.measure import measure
from equipoise.testing import FakeScorer


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
        model_info={**sides[1].model_info, "dtype": "bfloat16"},
    )
    first = replace(sides[0], model_info={**sides[0].model_info, "dtype": "float32"})
    texts = [
        finding.text
        for finding in check_comparison(compare(first, other, draws=20))
        if (finding.check, finding.level) == ("alike", "warning")
    ]
    assert texts[0] == "dtype was bfloat16 and float32 in measurements that are compared"
    assert texts[1].startswith("torch was 0.1 and ")
    assert len(texts) == 2
