"""`equipoise compare` where settings differ: nothing is concluded, unless `--across` names them."""

import json
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest
from worlds import in_world

from equipoise.benchmarks.genbias import GenBias
from equipoise.benchmarks.stereoset import StereoSet
from equipoise.measure import measure
from equipoise.study.results import write_results
from equipoise.testing import FakeScorer

from .conftest import Asked, Refused

Written = Callable[..., Path]
TEXT = "start token '<s>' against none"


@pytest.fixture
def results(tmp_path: Path) -> Written:
    """Results of a model with a lean to "he", by start token and dtype; gives their folder."""

    def write(start: str | None, lean: float, dtype: str = "float32") -> Path:
        fake = FakeScorer(
            nats={" he": -1.0, " she": -1.0 - lean},
            identity=f"model{lean}",
            info={"kind": "causal", "dtype": dtype, "start_token": start},
        )
        with in_world():
            measured = [measure(fake, GenBias(), limit=40, draws=0)]
            measured += [measure(fake, StereoSet(), limit=10, draws=0)]
        return write_results(tmp_path / f"{start}-{lean}-{dtype}".strip("<>"), measured)

    return write


@pytest.mark.thorough
def test_what_differs_stands_in_the_head_and_nothing_is_concluded(
    results: Written, tmp_path: Path, ask: Asked
) -> None:
    sides, html = (results("<s>", 1.0), results(None, 0.2)), tmp_path / "page.html"
    status, out, err = ask("compare", *sides, "--draws", 40, "--html", html)
    assert status == 0
    assert f"\nnot comparable: {TEXT}\n" in out
    assert "genbias afgb: " in out
    assert "reduced" not in out
    assert "start_token" not in err  # not said twice
    assert "or name what may differ: --across start\n" in err
    page = html.read_text()
    assert page.count("not comparable: start token") >= 2
    assert 'class="badge reduced">reduced</b></td>' not in page
    status, out, _ = ask("compare", *sides, "--draws", 40, "--json")
    document = json.loads(out)["comparisons"]
    for item in document:
        (difference,) = item["differences"]
        assert (difference["name"], difference["across"]) == ("start", False)
        assert (difference["before"], difference["after"]) == ("'<s>'", "none")
        assert {change["direction"] for change in item["changes"]} == {"not comparable"}
        assert {change["p"] for change in item["changes"]} == {None}


@pytest.mark.thorough
def test_across_gives_the_direction_with_the_setting_in_the_sentence(
    results: Written, tmp_path: Path, ask: Asked
) -> None:
    sides, html = (results("<s>", 1.0), results(None, 0.2, "bfloat16")), tmp_path / "page.html"
    status, out, _ = ask("compare", *sides, "--draws", 40, "--across", "start")
    assert status == 0
    assert "not comparable: dtype float32 against bfloat16" in out
    both = ("--across", "start", "--across", "dtype", "--html", html)
    status, out, err = ask("compare", *sides, "--draws", 40, *both)
    assert f"reduced across {TEXT}; dtype float32 against bfloat16" in out
    assert "not comparable" not in out
    assert "changes nothing" not in err
    assert f"Compared across {TEXT}" in unescape(html.read_text())


@pytest.mark.thorough
def test_names_that_are_no_setting_or_do_not_differ(
    results: Written, ask: Asked, refused: Refused
) -> None:
    sides = results("<s>", 1.0), results("<s>", 0.2)
    status, out, err = ask("compare", *sides, "--draws", 40, "--across", "dtype")
    assert status == 0
    assert "--across dtype changes nothing" in err
    assert ", reduced, " in out
    assert "across" not in out
    said = refused("compare", *sides, "--across", "prefix", "--draws", 40)
    assert (
        "got 'prefix'; name any of start, chat, decision, dtype, tokenizer, judge, scorers, "
        "options, data" in said
    )
