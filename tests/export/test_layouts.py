"""Tables of chosen benchmarks and metrics, as a matrix, for a paper, and method against method."""

import csv
import io
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from equipoise import cli
from equipoise.conclusions import Comparison
from equipoise.errors import RecipeError
from equipoise.export.choosing import choose
from equipoise.export.export import export
from equipoise.export.method_pairs import method_pairs
from equipoise.export.paper import caption_of, latex_text
from equipoise.records import DataUse
from equipoise.stats.verdict import verdict_of
from equipoise.study.results import write_results
from equipoise.study.study import Chapter, Measured, Study

TOY = "report.conftest:Toy"


@pytest.fixture(scope="module")
def study(reduced: Comparison, reversed_: Comparison) -> Study:
    """Two methods on a model that prefers 90 %: one brings it to 50 %, another to 10 %."""
    use = DataUse(name="toy_$1.csv", sha256="0" * 64, licence="CC BY-SA 4.0", verified=True)
    before = replace(reduced.before, data=(use,))
    chapters = [
        Chapter(
            model="m", mitigation=name, comparisons=(replace(comparison, before=before),),
            verdict=verdict_of([comparison]), edits=(),
        )
        for name, comparison in {"halve": reduced, "flip": reversed_}.items()
    ]  # fmt: skip
    measured = Measured(model="m", mitigation=None, seed=None, measurement=before)
    return Study(title="A study", recipe={}, measured=(measured,), chapters=tuple(chapters))


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.thorough
def test_method_against_method_is_tested_on_the_same_items(study: Study) -> None:
    share, fluency, silent = method_pairs(study).to_dict("records")
    assert (share["first"], share["second"]) == ("halve", "flip")
    assert (share["first_value"], share["second_value"]) == (50.0, 10.0)
    assert (share["difference"], share["n"]) == (-40.0, 60)
    assert share["difference_high"] < 0
    assert (share["direction"], share["p"]) == ("worse", share["p_holm"])  # a pair is a family
    assert fluency["direction"] == "worse"
    assert math.isnan(silent["difference"])
    assert silent["reason"]
    three = replace(study, chapters=(*study.chapters, replace(study.chapters[0], mitigation="as")))
    shares = [row for row in method_pairs(three).to_dict("records") if row["metric"] == "share"]
    assert [(row["first"], row["second"]) for row in shares] == [
        ("halve", "flip"), ("halve", "as"), ("flip", "as"),
    ]  # fmt: skip
    assert all(row["p_holm"] >= row["p"] for row in shares)
    assert shares[0]["p_holm"] > shares[0]["p"]
    assert shares[1]["direction"] == "unchanged"


def test_a_benchmark_that_is_gone_is_said(study: Study) -> None:
    comparison = study.chapters[0].comparisons[0]
    gone = replace(comparison, afters=(replace(comparison.after, version="0"),))
    chapters = (replace(study.chapters[0], comparisons=(gone,)), study.chapters[1])
    (row,) = method_pairs(replace(study, chapters=chapters)).to_dict("records")
    assert "version" in row["reason"]
    assert math.isnan(row["difference"])


def test_matrix_of_numbers(study: Study) -> None:
    lines = rows(export(study, "methods", "csv", layout="matrix", metrics=["share", "fluency"]))
    assert [line["method"] for line in lines] == ["as it is", "halve", "flip"]
    assert [line[f"{TOY} share"] for line in lines] == [
        "90.0", "50.0", "10.0",
    ]  # fmt: skip
    low, high = (float(lines[0][f"{TOY} share_{end}"]) for end in ("low", "high"))
    assert low < 90.0 < high
    assert f"{TOY} fluency" in lines[0]
    first_alone = rows(export(study, "methods", "csv", layout="matrix"))
    assert f"{TOY} fluency" not in first_alone[0]


def test_paper_marks_what_is_shown_and_says_what_it_rests_on(study: Study) -> None:
    text = export(study, "methods", "markdown", layout="paper")
    halve = next(line for line in text.splitlines() if line.startswith("| halve"))
    assert re.search(r"\*\*50\.0\*\* <sub>\[\d.*\]</sub> \(-40\.0\) †", halve)
    for other in ("as it is", "flip"):
        line = next(line for line in text.splitlines() if line.startswith(f"| {other}"))
        assert "**" not in line
    assert "†" not in next(line for line in text.splitlines() if line.startswith("| as it is"))
    caption = caption_of(study)
    for part in (
        "A study: value [95 % interval]", "version 1, test", "n = 60", "share 50", "50 draws",
        "data toy_$1.csv (CC BY-SA 4.0)", "A single seed of each method",
        "Measured with equipoise", "after Holm's correction",
    ):  # fmt: skip
        assert part in caption, part
    latex = export(study, "methods", "latex", layout="paper")
    assert latex.startswith("% \\usepackage{booktabs}")
    assert latex.index(r"\begin{table}") < latex.index(r"\begin{tabular}")
    assert r"toy\_\$1.csv" in latex
    assert r"\dag{}" in latex.partition(r"\caption{")[2]
    assert re.search(r"\\textbf\{50\.0\} \{\\scriptsize \[.*\]\} \(\$-\$40\.0\) \\dag", latex)
    assert r"\begin{tabular}{lr}" in latex
    assert latex.rstrip().endswith(r"\end{table}")


def test_types_are_columns_of_a_paper(study: Study) -> None:
    options = {"layout": "paper", "metric": f"{TOY}.share", "by": "kind"}
    head, *lines = export(study, "methods", "markdown", **options).splitlines()
    assert [cell.strip() for cell in head.split("|")[1:-1]] == [
        "method", "even&#124;kind", "odd", "overall",
    ]  # fmt: skip
    assert "n of groups: even" in lines[-1]
    (_, halve, _) = rows(export(study, "methods", "csv", **options))
    assert (halve["method"], halve["odd"], halve["odd_n"]) == ("halve", "50.0", "30")
    assert (halve["odd_difference"], halve["odd_moved"]) == ("-40.0", "true")
    assert float(halve["odd_low"]) < 50.0 < float(halve["odd_high"])


def test_the_best_is_marked_only_where_a_test_against_each_row_says_so(study: Study) -> None:
    def best(known: Study) -> dict[str, str]:
        lines = rows(export(known, "methods", "csv", layout="paper"))
        return {line["method"]: line[f"{TOY} share_best"] for line in lines}

    assert best(study) == {"as it is": "false", "halve": "true", "flip": "false"}
    halve, flip = study.chapters
    twin = replace(halve, mitigation="twin")
    # equal values: neither is the best
    assert set(best(replace(study, chapters=(halve, flip, twin))).values()) == {"false"}
    (comparison,) = halve.comparisons
    outcomes = list(comparison.after.outcomes)
    outcomes[0] = replace(outcomes[0], values={"x": -0.5})
    near = replace(comparison.after, outcomes=tuple(outcomes))
    changes = tuple(
        replace(change, after=change.after + 1) if change.metric == "share" else change
        for change in comparison.changes
    )
    rival = replace(
        halve, mitigation="rival",
        comparisons=(replace(comparison, afters=(near,), changes=changes),),
    )  # fmt: skip
    # nearer to the ideal than a rival by a single item, which no test shows
    assert set(best(replace(study, chapters=(halve, flip, rival))).values()) == {"false"}
    # a rival that cannot be compared leaves it open
    gone = replace(rival.comparisons[0], afters=(replace(near, version="0"),))
    apart = replace(rival, comparisons=(gone,))
    assert set(best(replace(study, chapters=(halve, flip, apart))).values()) == {"false"}


def test_a_caption_is_text() -> None:
    assert latex_text(r"50 % & \x {a_b} -- †") == (
        r"50 \% \& \textbackslash x \{a\_b\} -{}- \dag{}"
    )


def test_chosen_benchmarks_and_metrics(study: Study) -> None:
    for chosen in ({"metrics": ["share"]}, {"metrics": [f"{TOY}.share"], "benchmarks": [TOY]}):
        assert {row["metric"] for row in rows(export(study, "changes", "csv", **chosen))} == {
            "share"
        }
        assert {row["metric"] for row in rows(export(study, "estimates", "csv", **chosen))} == {
            "share"
        }
    assert choose(study) is study


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": ["shar"]}, "no metric 'shar'; did you mean 'share'"),
        ({"benchmarks": [f"{TOY}s"]}, f"did you mean '{TOY}'"),
        ({"layout": "matrx"}, "layout 'matrx' is not known; did you mean 'matrix'"),
        ({"layout": "matrix", "table": "changes"}, "is of the table methods"),
        ({"layout": "matrix", "metric": f"{TOY}.share"}, "choose with --metrics and --benchmarks"),
    ],
)
def test_what_cannot_be_chosen(study: Study, options: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"table": "methods", "fmt": "markdown"} | options
    with pytest.raises(RecipeError, match=message):
        export(study, **arguments)  # type: ignore[arg-type]


@pytest.mark.thorough
def test_the_command(
    reduced: Comparison, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_results(tmp_path / "out", [reduced.before])
    command = ["export", str(folder), "--metrics", "share, fluency"]
    assert cli.run([*command, "--csv", "--layout", "matrix"]) == 0
    assert capsys.readouterr().out.startswith(f"model,method,{TOY} share,")
    assert cli.run([*command, "--latex", "--layout", "paper"]) == 0
    assert r"\caption{out: value" in capsys.readouterr().out
    assert cli.run([*command, "--csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + 2
