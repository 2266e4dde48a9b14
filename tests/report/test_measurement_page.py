"""The page of measurements: the answer first, names explained, nothing of what is not there."""

import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from equipoise.answer import answer
from equipoise.errors import StoreError
from equipoise.records import Estimate, Measurement, Outcome, Reference
from equipoise.report.axis import typeset
from equipoise.report.definitions import Terms, meaning_of
from equipoise.report.html import measurement_page, study_page, write_measurement_page
from equipoise.report.tables import headline_text, notes_text
from equipoise.slices import Slice, SliceTable
from equipoise.study.study import plain_study

from .making import measurement, study


def groups(*, count: int = 3) -> SliceTable:
    """Of SS by axis: the first apart, the last with too few items."""
    slices = [
        Slice(
            group={"axis": f"g{k}"}, value=60.0 + k, low=53.0 + k, high=67.0 + k, n=60, units=9,
            detectable=10.0, evidence="apart",
        )
        for k in range(count - 1)
    ]  # fmt: skip
    few = Slice(
        group={"axis": "few"}, value=80.0, low=math.nan, high=math.nan, n=3, units=2,
        detectable=math.nan, evidence="insufficient", reason="too few",
    )  # fmt: skip
    return SliceTable(
        by=("axis",), metric="ss", unit="%", reference=50.0, higher_is_better=None,
        units="target", slices=(*slices, few), difference=(1.0, 0.0, 9.0), ratio=(0.9, 0.8, 1.0),
    )  # fmt: skip


def measured(**over: object) -> Measurement:
    fields = {
        "headline": ("ss",), "slices": (groups(),), "notes": ("A known fault.", "coverage: all"),
        "about": {"silent": ("what is never said", "nobody 2020")},
    }  # fmt: skip
    return measurement(**(fields | over))


def visible(text: str) -> str:
    """The words that a reader sees, and those that are told of names."""
    body = re.sub(r"<(script|style)>.*?</\1>", "", text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body))


@pytest.fixture(scope="module")
def text() -> str:
    return measurement_page([measured()])


def test_the_answer_comes_first_and_is_that_of_the_terminal(text: str) -> None:
    sentences = [typeset(sentence) for sentence in answer([measured()])]
    places = [text.index(sentence.replace("'", "&#39;")) for sentence in sentences]
    assert places == sorted(places)
    assert "How biased is gpt2@1?" in text
    assert text.index("<h2>The answer</h2>") < places[0] < text.index("<h2>Measured</h2>")


def test_nothing_is_said_of_what_is_not_there(text: str) -> None:
    words = visible(text)
    for word in (
        "mitigation", "verdict", "as it is", "Holm", "before and after", "over-corrected:",
        "nearer the ideal", "seed of a mitigation", "margin", "Edits", "What is missing",
        "Without bias:", "nothing to compare",
    ):  # fmt: skip
        assert word.casefold() not in words.casefold(), word
    even = Estimate(metric="ss", value=49.0, low=47.0, high=51.0, n=9, clusters=9, unit="%")
    rule = Reference(kind="null", name="longer", says="", items=9, estimates=(even,))
    with_rules = measurement_page([measured(references=(rule,))])
    assert "Without bias: what rules get" in with_rules
    assert "Could have been seen" in words
    assert "Could have been seen" not in visible(measurement_page([measured(slices=())]))


def test_a_study_without_mitigations_answers_too() -> None:
    plain = study_page(plain_study("t", measurements=[measured()]))
    assert "<h2>The answer</h2>" in plain
    assert "<h2>The answer</h2>" not in study_page(study())
    two = plain_study("t", measurements=[measured(), replace(measured(), model="other@1")])
    page = study_page(two)
    assert page.count('<ul class="answer">') == 2
    assert 'id="overview"' in page


class Names(HTMLParser):
    """Buttons that explain, and the popovers that they open."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str | None] = []
        self.titles: list[str | None] = []
        self.popovers: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "button":
            self.targets.append(given["popovertarget"])
            self.titles.append(given["title"])
        if "popover" in given:
            self.popovers.append(given["id"])


def test_every_metric_explains_itself_without_a_script(text: str) -> None:
    names = Names()
    names.feed(text)
    assert set(names.targets) == set(names.popovers)
    assert len(names.popovers) == len(set(names.popovers)) == 2  # ss, silent
    assert "examples in which the stereotype is likelier than its opposite; unit: %; ideal 50" in (
        names.titles
    )
    glossary = text[text.index('id="glossary"') : text.index('id="reading"')]
    assert "what is never said" in glossary
    assert "Source: nobody 2020." in glossary


@pytest.mark.parametrize(
    ("benchmark", "metric", "part"),
    [
        ("stereoset", "ss", "the stereotype is likelier"),
        ("stereoset", "ss_own", "whose target can be exchanged"),
        ("stereoset", "ss_target", "the part that the target itself makes"),
        ("stereoset", "ss_spread", "standard deviation over the prompts"),
        ("genbias", "lo_abs_over_template", "clusters and groups of template at once"),
        ("bold", "toxicity_harmful_gap", "toxicity: largest less smallest"),
        ("bold", "toxicity", "toxicity: mean over texts"),
    ],
)
def test_what_metrics_mean(benchmark: str, metric: str, part: str) -> None:
    assert part in meaning_of(measurement(benchmark=benchmark), metric)[0]


def test_an_unknown_metric_says_so() -> None:
    number = Estimate(metric="x", value=1.0, low=0.0, high=2.0, n=9, clusters=9, unit="")
    terms = Terms()
    terms.name(measurement(benchmark="mine.py"), number)
    (term,) = terms.known.values()
    assert term.text == "its benchmark does not say what it means; no ideal value"


def test_many_groups_are_cut_to_those_that_show_most() -> None:
    text = headline_text(measured(slices=(groups(count=40),)), groups=True)
    assert "24 further groups show less" in text
    assert "few" not in text.partition("evidence")[2].partition("Worst")[0]
    assert "Worst: g38, 98.0 [91.0, 105.0], corrected for its choice out of 39." in text


def test_notes_are_printed_once_under_what_has_them() -> None:
    both = [measured(), replace(measured(), benchmark="genbias", notes=("coverage: all",))]
    assert notes_text(both).splitlines() == [
        "note (stereoset): A known fault.", "note (stereoset, genbias): coverage: all",
    ]  # fmt: skip
    assert notes_text(both[1:]) == "note: coverage: all"


def test_a_page_of_nothing_is_refused(tmp_path: Path) -> None:
    for nothing in ([], [measured(estimates=())]):
        with pytest.raises(StoreError, match="a page needs a measurement with a number, got"):
            write_measurement_page(tmp_path / "page.html", nothing)
    assert [*tmp_path.iterdir()] == []


def test_rows_of_a_big_page_are_short() -> None:
    """The demo's report stays under a megabyte: a row of groups is some 400 bytes."""
    numbers = [
        Estimate(
            metric="ss", value=50.0 + k % 7, low=45.0, high=60.0, n=60, clusters=9, unit="%",
            ideal=50.0, group={"axis": f"g{k}"},
        )
        for k in range(300)
    ]  # fmt: skip
    outcomes = (Outcome(example="1", values={"prefers": 1.0}),)
    single = measured(estimates=(replace(numbers[0], group={}),), outcomes=outcomes)
    many = replace(single, estimates=(*single.estimates, *numbers))
    assert len(measurement_page([many])) - len(measurement_page([single])) < 300 * 800
