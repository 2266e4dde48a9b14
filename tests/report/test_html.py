"""The page: whole, safe, self-contained, the same twice, and readable by anybody."""

import base64
import hashlib
import itertools
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import pytest

from equipoise.conclusions import Comparison, Direction
from equipoise.errors import RecipeError, StoreError
from equipoise.report.axis import typeset
from equipoise.report.html import page, study_page, write_page, write_study_page
from equipoise.report.sentences import WORD, verdict_sentence
from equipoise.stats.verdict import verdict_of
from equipoise.study.study import Study

from .making import CHANGE, calibration, comparison, example, hostile, study

VOID = frozenset({"meta", "br", "line", "circle", "path", "use"})


class Reader(HTMLParser):
    """Collects tags and attributes, and checks that tags close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID or (tag in ("use", "circle") and not self._closed()):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"{tag} at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def _closed(self) -> bool:
        return (self.get_starttag_text() or "").endswith("/>")

    def values(self, attribute: str) -> list[str]:
        return [
            str(attributes[attribute]) for _, attributes in self.tags if attribute in attributes
        ]


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def text() -> str:
    return study_page(study(), lead=["Said first."])


@pytest.fixture(scope="module")
def nasty() -> str:
    return study_page(hostile(), lead=[hostile().title])


def body(text: str) -> str:
    return text[text.index("<body>") :]


# --- what it says -----------------------------------------------------------------------------


def test_verdicts_come_first_then_the_overview_then_the_rest(text: str) -> None:
    verdict = typeset(verdict_sentence(study().chapters[0].verdict))
    order = [
        "<h1", "Said first.", "2 of 7", verdict, 'id="overview"', 'id="results"',
        'id="located"', 'id="calibrated"', 'id="checks"', 'id="missing"', 'id="provenance"',
    ]  # fmt: skip
    places = [body(text).index(item) for item in order]
    assert places == sorted(places)


def test_findings_and_missing_steps_are_at_the_top_and_in_full(text: str) -> None:
    assert "1 check has found an error" in text
    assert "1 check warns" in text
    assert "2 of 7</a>" not in text
    assert "2 of 7 steps have no result" in text
    assert "the loss is nan" in text
    assert "waits for the fit" in text
    assert re.search(r"<details><summary>Traceback</summary><pre>Trace", text)


def test_a_chapter_without_comparisons_says_so(text: str) -> None:
    assert "Nothing was measured that a verdict could rest on." in text
    assert "Nothing was compared here" in text


def test_empty_study_lists_what_is_missing() -> None:
    text = study_page(Study(title="Nothing yet", recipe={}))
    read(text)
    assert "There is nothing measured in this study yet." in text
    assert "No step is planned either" in text
    assert "No check has been run" in text
    assert 'id="verdicts"' not in text


def test_a_study_of_which_nothing_ran_names_every_step() -> None:
    text = study_page(study(measured=(), chapters=(), located=(), calibrations=(), findings=()))
    read(text)
    assert "There is nothing measured in this study yet." in text
    assert "No step is planned" not in text
    assert "fit of parity on gpt2" in text


@pytest.mark.thorough
def test_many_missing_steps_are_collapsed() -> None:
    missing = tuple(replace(study().missing[1], what=f"step {k}") for k in range(100))
    text = study_page(study(missing=missing))
    assert "70 further steps without a result" in text
    assert all(f">step {k}<" in text for k in range(100))


def test_measurements_without_a_comparison_are_shown() -> None:
    text = study_page(study(chapters=(), missing=()))
    read(text)
    assert "<h2>Measured</h2>" in text
    assert "stereoset of gpt2 after lftf, seed 8" in text
    assert 'id="verdicts"' not in text
    assert '<th scope="col">ability</th>' not in text


def test_every_measurement_is_on_the_page(text: str) -> None:
    for what in (
        "ss by group", "Professions.", "After each seed of the method", "Content warning:",
        "Known faults and coverage", "Spearman 0.93", "slope 0.400 [0.400, 0.400]",
        "; rank correlation 1.00; at strength 0: 0.020 [0.010, 0.030]",
        "1 metric has no finite reading", "and 1 of further seeds",
        "d" * 64, "CC BY-SA 4.0", "the official file", "e" * 64, "first token (BOS policy)",
        "50256", "chat template", "genbias():train", "paired bootstrap draws of whole clusters",
        "The recipe as resolved",
    ):  # fmt: skip
        assert what in text, what


def test_reason_is_below_its_row_or_once_for_all_rows() -> None:
    few = "5 independent clusters are too few"
    single = page(
        [comparison(replace(CHANGE, reason=few), replace(CHANGE, metric="lms"))], title="t"
    )
    read(single)
    assert f'<tr class="note"><td colspan="9" dir="auto">{few}</td></tr>' in single
    assert "All rows:" not in single
    groups = [replace(CHANGE, group={"axis": axis}, reason=few) for axis in "abc"]
    every = page([comparison(CHANGE, *groups)], title="t")
    assert f"All rows: {few}." in every
    assert every.count(few) == 1


def test_verdict_is_shown_once(text: str) -> None:
    verdict = typeset(verdict_sentence(study().chapters[0].verdict))
    assert body(text).count(verdict) == 1


def test_the_directions_of_a_page_are_explained_and_no_others() -> None:
    every = [
        replace(CHANGE, direction=direction, group={"axis": direction})
        for direction in get_args(Direction)
    ]
    for changes in ((CHANGE, *every), (CHANGE,)):
        text = page([comparison(*changes)], title="t")
        glossary = text[text.index('id="reading"') :]
        explained = {word for word in WORD.values() if f">{word}</b>" in glossary}
        said = {change.direction for change in changes} | {
            verdict_of([comparison(*changes)]).direction
        }
        assert explained == {WORD[direction] for direction in said}


@pytest.mark.thorough
def test_page_of_comparisons_alone(reduced: Comparison, reversed_: Comparison) -> None:
    text = page([reduced, reversed_], title="A title", lead=["Said first."])
    read(text)
    assert body(text).index("Said first.") < body(text).index(
        "Over-corrected in report.conftest:Toy share"
    )
    assert body(text).count('<details class="chapter"') == 2  # one a pair of models
    assert 'id="checks"' not in text
    named = page([reduced], title="t", names={reduced.after.model: "the even one"})
    assert ">the even one<" in named


def test_page_of_nothing() -> None:
    assert "<h1" in page([], title="t")


# --- what it does not do ----------------------------------------------------------------------


def test_the_page_needs_nothing_from_outside(text: str) -> None:
    reader = read(text)
    assert not {tag for tag, _ in reader.tags} & {"link", "img", "iframe", "object", "base"}
    assert reader.values("src") == []
    assert all(value.startswith("#") for value in reader.values("href"))
    assert "url(" not in text
    assert "@import" not in text
    assert "http" not in re.sub(r"http-equiv", "", text)


def test_only_our_script_may_run(text: str, nasty: str) -> None:
    for page_text in (text, nasty):
        scripts = re.findall(r"<script>(.*?)</script>", page_text, flags=re.DOTALL)
        assert len(scripts) == 1
        digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
        (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page_text)
        assert policy == (
            "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
            f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
        )
        assert not [
            name for name in read(page_text).tags if any(k.startswith("on") for k in name[1])
        ]


def test_hostile_text_is_escaped_everywhere(nasty: str) -> None:
    reader = read(nasty)
    assert sum(tag == "script" for tag, _ in reader.tags) == 1
    assert not [tag for tag, _ in reader.tags if tag == "img"]
    assert "<img src=x onerror=alert(1)>" in "".join(reader.texts)
    outside = re.sub(r"<(script|style)>.*?</\1>", "", nasty, flags=re.DOTALL)
    assert not re.findall(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", outside)
    assert "⟨U+202E⟩" in outside
    assert "␇" in outside
    assert "⟨U+D800⟩" in outside
    assert "&lt;" not in "".join(reader.texts)  # nothing is escaped twice
    nasty.encode()  # no half of a surrogate pair is left


def test_a_megabyte_of_text_does_not_make_a_megabyte_of_page(nasty: str) -> None:
    assert len(nasty) < 400_000
    assert "the first 2,000 of 1,000,000 characters" in nasty


def test_texts_of_examples_have_a_direction_and_are_collapsed(text: str) -> None:
    start = text.index('<details class="sensitive')
    part = text[start : text.index("</details>", start)]
    assert part.startswith('<details class="sensitive kept-folded">\n<summary><strong>Content')
    assert part.count('<blockquote dir="auto">') == 3
    assert part.index("he was tired") < part.index("they were tired")


def test_an_example_without_words_or_values_is_shown_and_many_texts_are_counted() -> None:
    silent = example(wrote_before=None, wrote_after=None, before=math.nan, texts=("t",) * 100)
    text = page([comparison(examples=(silent,))], title="t")
    assert text.count('<blockquote dir="auto">') == 6
    assert "and 94 further texts" in text
    assert '<div><p class="side before">before: lo n/a</p>\n</div>' in text


def test_what_utf8_cannot_hold_is_shown(tmp_path: Path) -> None:
    file = write_study_page(tmp_path / "page.html", study(title="half a pair: \ud800"))
    assert "half a pair: ⟨U+D800⟩" in file.read_text(encoding="utf-8")


# --- form -------------------------------------------------------------------------------------


def test_the_same_study_gives_the_same_bytes(text: str) -> None:
    assert study_page(study(), lead=["Said first."]) == text


@pytest.mark.slow
def test_page_does_not_depend_on_the_hash_seed(text: str) -> None:
    code = (
        "import sys; sys.path.insert(0, 'tests'); from report.making import study; "
        "from equipoise.report.html import study_page; import hashlib; "
        "print(hashlib.sha256(study_page(study(), lead=['Said first.']).encode()).hexdigest())"
    )
    root = Path(__file__).parents[2]
    digest = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=root,
        env={"PYTHONHASHSEED": "1"},
    ).stdout.strip()  # fmt: skip
    assert digest == hashlib.sha256(text.encode()).hexdigest()


def test_ids_are_unique_and_links_lead_somewhere() -> None:
    twice = study(chapters=(study().chapters[0],) * 2, calibrations=(calibration(),) * 2)
    reader = read(study_page(twice))
    ids = reader.values("id")
    assert len(ids) == len(set(ids))
    assert {value[1:] for value in reader.values("href")} <= set(ids)


def test_headings_are_in_order(text: str) -> None:
    levels = [int(tag[1]) for tag, _ in read(text).tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_every_figure_and_table_has_a_caption(text: str) -> None:
    reader = read(text)
    pictures = [attributes for tag, attributes in reader.tags if tag == "svg"]
    outer = [picture for picture in pictures if "y" not in picture]  # the others lie within one
    assert outer
    for picture in outer:
        assert picture.get("aria-hidden") == "true" or (
            picture.get("role") == "img" and len(str(picture["aria-label"])) > 3
        )
    assert text.count("<table") == text.count("<caption")
    assert all(
        attributes.get("scope") in ("col", "row") for tag, attributes in reader.tags if tag == "th"
    )


def test_direction_is_not_shown_by_color_alone(text: str) -> None:
    directions = [direction.replace(" ", "-") for direction in get_args(Direction)]
    for tone in (*directions, "warning", "within"):
        rule = re.search(rf"\.{tone}\b[^{{]*{{([^}}]*)}}", text)
        assert rule is not None
        assert "--tone" in rule[1]
        assert "--sign" in rule[1]
    for word in re.findall(r'<b class="badge [\w-]+">([^<]*)</b>', text):
        assert word.strip()


def colors(css: str) -> Iterator[dict[str, str]]:
    """The variables of each theme: light, dark, print."""
    for block in re.findall(r":root \{(.*?)\}", css, flags=re.DOTALL):
        yield dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))


def luminance(color: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_high_enough_in_every_theme(text: str) -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21.0)
    themes = list(colors(text))
    assert len(themes) == 3
    for theme in themes:
        for ink in ("ink", "quiet", "accent", "before", "after", "good", "bad", "open"):
            for paper in ("paper", "panel"):
                assert contrast(theme[ink], theme[paper]) >= 4.5, (ink, paper, theme[ink])
        assert contrast(theme["rim"], theme["paper"]) >= 3.0  # the edge of every dot


def test_styles_for_light_dark_narrow_and_print(text: str) -> None:
    for what in (
        "prefers-color-scheme: dark", "@media print", "max-width: 62rem", 'name="viewport"',
        ":focus-visible",
    ):  # fmt: skip
        assert what in text


def test_marks_lie_inside_their_plots(text: str) -> None:
    places = [
        float(str(attributes[key]).removesuffix("%"))
        for _, attributes in read(text).tags
        for key in ("x", "x1", "x2", "cx", "y1", "y2", "cy")
        if str(attributes.get(key, "")).endswith("%")
    ]
    assert len(places) > 100
    assert min(places) >= 0.0
    assert max(places) <= 100.0


def test_a_forest_plot_is_to_scale() -> None:
    """From 30 to 80: before 70 [60, 80], after 40 [30, 50], the ideal at 50."""
    group = replace(
        CHANGE, group={"axis": "race"}, before=70.0, before_low=60.0, before_high=80.0,
        after=40.0, after_low=30.0, after_high=50.0,
    )  # fmt: skip
    text = page([comparison(CHANGE, group)], title="t")
    part = text[text.index('<table class="changes forest"') :]

    def x(value: float) -> str:
        return f"{round(2.5 + 95.0 * (value - 30.0) / 50.0, 1)}%"

    assert f'<line class="i" x1="{x(50)}" x2="{x(50)}"' in part
    assert f'<line class="b" x1="{x(60)}" x2="{x(80)}"' in part
    assert f'<circle class="b" cx="{x(70)}"' in part
    assert f'<line class="a" x1="{x(30)}" x2="{x(50)}"' in part
    assert f'<circle class="a" cx="{x(40)}"' in part
    assert f'<text x="{x(40)}" y="100%" dy="-4">40</text>' not in part  # the ideal has the room
    assert f'<text x="{x(60)}"' not in part
    assert f'x="{x(50)}" y="100%" dy="-4">ideal 50</text>' in part


def test_page_is_written_whole_or_an_error_names_the_file(
    tmp_path: Path, reduced: Comparison
) -> None:
    file = write_page(tmp_path / "new" / "page.html", [reduced], title="t")
    assert file.read_text() == page([reduced], title="t")
    assert [item.name for item in file.parent.iterdir()] == ["page.html"]
    with pytest.raises(StoreError, match="cannot write the page"):
        write_page(file / "inside.html", [reduced], title="t")
    with pytest.raises(StoreError, match="cannot write the page"):
        write_study_page(file / "inside.html", study())


def test_a_page_of_comparisons_is_of_nothing_else(tmp_path: Path, reduced: Comparison) -> None:
    wrong: Any = reduced.changes[0]
    with pytest.raises(RecipeError, match="of comparisons, got a Change; compare two"):
        write_page(tmp_path / "page.html", [wrong], title="t")
