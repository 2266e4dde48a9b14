"""Answerers whose scores are known, on each of BBQ's eleven categories."""

import math
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from bbq_rows import category_rows, write

from equipoise.benchmarks.bbq import BBQ
from equipoise.data.bbq import CATEGORIES, BbqItem, BbqRow, build_items, source
from equipoise.data.validation import read_lines
from equipoise.records import Outcome, Scored
from equipoise.stats.resample import columns_of

MAIN = ("accuracy_ambig", "accuracy_disambig", "bias_ambig", "bias_disambig")
#: Of disambiguated right answers those that show the bias, where that is not just half of them.
UNBALANCED = {
    "Disability_status": (394, 778), "Physical_appearance": (426, 788), "SES": (1752, 3432),
}  # fmt: skip
COUNTS = (3680, 1556, 5672, 3080, 1576, 6880, 11160, 15960, 1200, 6864, 864)


def scores(items: Sequence[BbqItem], answer: Callable[[BbqItem], int]) -> list[float]:
    """The four scores of answers given with certainty, in percent."""
    outcomes: list[Outcome] = []
    for item in items:
        place = answer(item)
        logprobs = [0.0 if index == place else -50.0 for index in range(3)]
        scored = [Scored(token_logprobs=(value,), bytes=1) for value in logprobs]
        outcomes.append(BBQ().outcome(item, scored))
    columns = columns_of(outcomes, cluster=BBQ.cluster)
    readings = {metric.name: metric.of(columns) for metric in BBQ().metrics}
    return [readings[name] for name in MAIN]


def unknown(item: BbqItem) -> int:
    assert item.unknown is not None
    return item.unknown


def people(item: BbqItem) -> list[int]:
    return [place for place in range(3) if place != item.unknown]


@pytest.mark.parametrize("category", CATEGORIES)
def test_scores_of_known_answerers(
    category: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bias is that of the people that the rows were made with, in each category's form."""
    content, stereotyped = category_rows(category)
    write(tmp_path, content, category)
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    items = BBQ().examples("test")
    negative = {item.id: item.groups["polarity"] == "neg" for item in items}
    places = dict(zip((item.id for item in items), stereotyped, strict=True))

    def biased(item: BbqItem) -> int:
        (other,) = set(people(item)) - {places[item.id]}
        return places[item.id] if negative[item.id] else other

    def reverse(item: BbqItem) -> int:
        return next(place for place in people(item) if place != biased(item))

    # a fair coin, but exactly: every other answer of each condition
    coin: dict[str, int] = {}
    for ambiguous in (True, False):
        of_kind = [item for item in items if item.ambiguous == ambiguous]
        coin |= {item.id: biased(item) for item in of_kind[::2]}
        coin |= {item.id: reverse(item) for item in of_kind[1::2]}
    assert [item.target for item in items] == [biased(item) for item in items]
    assert scores(items, biased) == pytest.approx([0, 50, 100, 100])
    assert scores(items, reverse) == pytest.approx([0, 50, -100, -100])
    assert scores(items, unknown) == pytest.approx([100, 0, math.nan, math.nan], nan_ok=True)
    assert scores(items, lambda item: item.label) == pytest.approx(
        [100, 100, math.nan, 0], nan_ok=True
    )
    assert scores(items, lambda item: people(item)[0])[2:] == pytest.approx([0, 0])
    assert scores(items, lambda item: coin[item.id])[2:] == pytest.approx([0, 0])


@pytest.mark.slow
@pytest.mark.parametrize(("category", "count"), [*zip(CATEGORIES, COUNTS, strict=True)])
def test_scores_on_the_official_files(category: str, count: int) -> None:
    file = source(category)
    if file.local_file() is None and not file.cached_file().is_file():
        pytest.skip(f"{file.path} is in no data folder; fetch it with 'equipoise data bbq'")
    items = list(BBQ(categories=category).examples("test"))
    lost = [item for item in items if item.target is None]
    assert (len(items), len(lost)) == (count, 16 if category == "Gender_identity" else 0)
    assert not any(set("{}") & set(item.context) for item in items)
    clear = [item for item in items if item.target is not None]
    aligned, right = UNBALANCED.get(category, (1, 2))
    share, lean = 100 * aligned / right, 200 * aligned / right - 100

    def biased(item: BbqItem) -> int:
        assert item.target is not None
        return item.target

    def reverse(item: BbqItem) -> int:
        return next(place for place in people(item) if place != item.target)

    generator = random.Random(0)
    assert scores(clear, biased) == pytest.approx([0, share, 100, 100])
    assert scores(clear, reverse) == pytest.approx([0, 100 - share, -100, -100])
    assert scores(items, unknown) == pytest.approx([100, 0, math.nan, math.nan], nan_ok=True)
    assert scores(items, lambda item: item.label) == pytest.approx(
        [100, 100, math.nan, lean], nan_ok=True
    )
    assert scores(items, lambda item: people(item)[0])[2:] == pytest.approx([0, 0])
    for value in scores(items, lambda item: generator.choice(people(item)))[2:]:
        assert abs(value) < 4 * 100 / math.sqrt(len(items) / 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("category", "attributes"),
    [
        ("Race_x_gender", {"F": 13560, "M": 2400}),
        ("Race_x_SES", {"lowSES": 6600, "highSES": 4560}),
    ],
)
def test_crossed_categories_have_an_attribute_a_template(
    category: str, attributes: dict[str, int]
) -> None:
    """In every row of a template the stereotyped person alone has its race and its attribute."""
    file = source(category)
    if file.local_file() is None and not file.cached_file().is_file():
        pytest.skip(f"{file.path} is in no data folder; fetch it with 'equipoise data bbq'")

    rows = [row for _, row in read_lines(BbqRow, file.read(), file.path)]
    by_template: dict[str, set[str]] = defaultdict(set)
    counts: dict[str, int] = defaultdict(int)
    for row, item in zip(rows, build_items(rows), strict=True):
        assert item.target is not None
        assert row.answer_info is not None
        negative = row.question_polarity == "neg"
        place = item.target if negative else next(p for p in people(item) if p != item.target)
        _, said = list(row.answer_info)[place]
        attribute = (said[-1] or "F-Latino").split("-")[0]  # "the Latina woman" is left blank
        by_template[row.question_index].add(attribute)
        counts[attribute] += 1
    assert all(len(names) == 1 for names in by_template.values())
    assert dict(counts) == attributes
