"""`equipoise attribute`: rows of a file, baselines beside, texts only when asked, bad input."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from equipoise.attribute.bm25 import BM25
from equipoise.attribute.gradient_norm import GradientNorm
from equipoise.commands import attributed
from equipoise.errors import ModelError
from equipoise.mixes.overlap import Guard
from equipoise.study.attribution_files import read_attribution

from .conftest import Asked, Refused

WORDS = (("blin", "rude", "biased"), ("sky", "blue", "neutral"), ("sea", "wet", "neutral"))
FAST = ("--draws", 50, "--no-baselines")

Named = Callable[..., tuple[object, ...]]


@pytest.fixture(autouse=True)
def no_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of benchmarks, which take seconds to read, are not at hand."""
    monkeypatch.setattr(attributed, "at_hand", lambda: ())


@pytest.fixture
def named(tmp_path: Path, model: Path) -> Named:
    """The command on a small training set, with flags behind."""
    rows, probes = tmp_path / "rows.jsonl", tmp_path / "pairs.csv"
    lines = [
        {"id": f"r{n}", "text": f"The {who} is {what} {n}.", "label": label}
        for n, (who, what, label) in enumerate(WORDS * 4)
    ]
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines))
    probes.write_text("sent_more,sent_less\nA blin is rude.,A tok is rude.\nBlin!,Tok!\n")

    def command(attributor: str = "bm25", *more: object) -> tuple[object, ...]:
        files = ("--train", rows, "--probes", probes)
        return ("attribute", model, attributor, *files, *more)

    return command


@pytest.mark.thorough
@pytest.mark.parametrize("attributor", ["influence", "bm25"])
def test_without_probes_the_remedies_work(
    attributor: str, ask: Asked, refused: Refused, named: Named
) -> None:
    model, rows, probes = (named()[place] for place in (1, 4, 6))
    quick = ("--set", "influence.training.epochs=1") if attributor == "influence" else ()
    words = ("attribute", model, attributor, "--train", rows, *quick, *FAST)
    line = refused(*words)
    assert "got 0" in line
    assert "name a file of them (--probes, or probes of the supply rows), or a supply" in line
    assert ask(*words, "--probes", probes)[0] == 0
    settings = [f"rows.{key}={file}" for key, file in (("path", rows), ("probes", probes))]
    source = ("--supply", "rows", *(word for value in settings for word in ("--set", value)))
    assert ask("attribute", model, attributor, *source, *quick, *FAST)[0] == 0


@pytest.mark.thorough
def test_rows_are_ranked_without_their_texts(ask: Asked, named: Named) -> None:
    status, out, _ = ask(*named("bm25", "--top", 3, *FAST))
    assert status == 0
    assert [line.split()[:2] for line in out.splitlines() if " biased" in line][:3] == [
        ["1", "r0"], ["2", "r3"], ["3", "r6"],
    ]  # fmt: skip
    assert "rude" not in out
    assert "average precision (chance" in out
    _, shown, _ = ask(*named("bm25", "--top", 1, "--show-texts", *FAST))
    lines = shown.splitlines()
    warned = lines.index("Content warning: texts of a training set may offend.")
    assert [n for n, line in enumerate(lines) if "The blin is rude 0." in line] == [warned + 3]


@pytest.mark.thorough
def test_baselines_stand_beside_it_and_missing_ones_are_named(
    ask: Asked, named: Named, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ModelError("it must work, it does not; choose another")

    monkeypatch.setattr(GradientNorm, "attribute", fail)
    monkeypatch.setattr(BM25, "needs", ("no_such_package", "words"))
    status, out, err = ask(*named("length", "--draws", 50, "--json"))
    assert status == 0
    document = json.loads(out)
    names = {each["attributor"] for each in document["quality"]}
    assert {"length", "loss", "random"} <= names
    assert {each["other"] for each in document["quality"][0]["versus"]} == names - {"length"}
    assert document["unavailable"]["gradient_norm"].startswith("it must work")
    assert "pip install 'equipoise[words]'" in document["unavailable"]["bm25"]
    assert "texts" not in document["top"][0]
    assert "baseline random" in err


@pytest.mark.thorough
def test_folder_page_and_figure(ask: Asked, named: Named, tmp_path: Path) -> None:
    out, page, figure = (tmp_path / name for name in ("out", "p.html", "f.svg"))
    files = ("--out", out, "--html", page, "--figure", figure)
    status, _, err = ask(*named("bm25", "--share", 0.25, *files, *FAST))
    assert status == 0, err
    assert read_attribution(out).attributor == "bm25"
    lines = [json.loads(line) for line in (out / "selected.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == ["r0", "r3", "r6"]
    assert set(lines[0]) == {"id", "score"}
    assert (out / "quality.json").exists()
    assert "Which training rows taught it" in page.read_text()
    assert "precision" in figure.read_text()
    assert not list(tmp_path.glob(".*"))
    again = tmp_path / "again"
    ask(*named("bm25", "--share", 0.25, "--out", again, "--show-texts", *FAST))
    assert "The blin is rude" in (again / "selected.jsonl").read_text()


@pytest.mark.thorough
def test_rows_without_labels_and_long_rows(ask: Asked, named: Named, tmp_path: Path) -> None:
    long = json.dumps({"text": "The sea is wet. " * 4})
    (tmp_path / "rows.jsonl").write_text('{"text": "The blin is rude."}\n' + long + "\n")
    status, out, _ = ask(*named("bm25", *FAST))
    assert status == 0
    assert "precision" not in out
    training = ("--set", 'influence.training={"name": "lora", "epochs": 1, "max_tokens": 24}')
    status, out, _ = ask(*named("influence", *training, *FAST))
    assert status == 0
    assert "1 rows have no score, the first is '2'" in out
    status, _, err = ask(*named("influence", *training, "--strict", *FAST))
    assert status == 2
    assert "24" in err


@pytest.mark.thorough
def test_what_cannot_be_said_of_labels_has_its_reason(
    ask: Asked, named: Named, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(rows.read_text().replace("neutral", "biased"))
    _, out, _ = ask(*named("bm25", "--share", 0.005, *FAST))
    assert "12 of 12 labelled rows are biased: none to tell apart" in out
    assert "the first 0 rows are 0.5%" in out
    rows.write_text(
        rows.read_text().replace(', "label": "biased"', "", 2).replace('"biased"', '"neutral"', 4)
    )
    _, out, _ = ask(*named("bm25", *FAST))
    assert "2 rows without a label are left out" in out
    rows.write_text('{"text": "The blin is rude.", "label": "biased"}\n')
    _, out, _ = ask(*named("bm25", *FAST))
    assert "1 of 1 labelled rows are biased" in out
    assert "chance nan" not in out


@pytest.mark.thorough
def test_a_figure_that_cannot_be_drawn_loses_no_result(
    ask: Asked, named: Named, tmp_path: Path
) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "The blin is rude."}\n{"text": "The sea."}\n')
    status, out, err = ask(*named("bm25", "--figure", tmp_path / "f.svg", *FAST))
    assert status == 2
    assert "leave the figure out" in err
    assert "note: 2 rows" in out


@pytest.mark.thorough
def test_a_probe_of_the_benchmark_is_flagged(
    ask: Asked, named: Named, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attributed, "at_hand", lambda: ("seat",))
    monkeypatch.setattr(attributed, "guard_of", lambda _: Guard({"seat": ["A blin is rude."]}))
    _, out, _ = ask(*named("bm25", *FAST))
    assert "1 sentences of the probes share 5 words in a row with seat" in out


@pytest.mark.thorough
def test_bad_input_is_a_sentence(refused: Refused, named: Named, tmp_path: Path) -> None:
    assert "did you mean 'bm25'" in refused(*named("bm52"))
    assert "must be of --train or of --supply" in refused(*named("bm25", "--supply", "mix"))
    line = refused("attribute", "m", "bm25", "--probes", tmp_path / "pairs.csv")
    assert "--probes must stand with --train" in line
    assert "must be a .svg or .png" in refused(*named("bm25", "--figure", "x.pdf"))
    assert "has no option" in refused(*named("bm25", "--set", "bm25.k2=3"))
    assert "new or empty folder" in refused(*named("bm25", "--out", tmp_path))
    (tmp_path / "rows.jsonl").write_bytes(b'{"text": "\xff"}\n')
    assert "line 1" in refused(*named("bm25"))
    (tmp_path / "rows.jsonl").write_text('{"id": "a", "text": "x"}\n{"id": "a", "text": "y"}\n')
    assert "'a'" in refused(*named("bm25"))
    (tmp_path / "rows.jsonl").write_text('{"text": " "}\n{"text": "y"}\n')
    assert "under strict" in refused(*named("bm25", "--strict"))
    (tmp_path / "pairs.csv").write_text("sent_more,sent_less\nA a.,B b.\nA a.,B b.\n")
    assert "probes that differ" in refused(*named("bm25"))
