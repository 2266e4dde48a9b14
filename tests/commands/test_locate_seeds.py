"""`equipoise locate --seeds`: how well rankings on several samples of prompts agree."""

import json
from pathlib import Path

import numpy as np
import pytest

from .conftest import Asked

WORLD = ("--data", "planted:default")


def located(model: Path, *more: object) -> tuple[object, ...]:
    return ("locate", model, "random_block", *WORLD, *more)


@pytest.mark.thorough
def test_several_seeds_print_mean_range_and_agreement(
    model: Path, tmp_path: Path, ask: Asked
) -> None:
    page = tmp_path / "new" / "page.html"
    status, out, err = ask(*located(model, "--seeds", 3, "--sample", 8, "--html", page))
    assert (status, err) == (0, f"the page is {page}\n")
    header, _, *lines = out.splitlines()
    assert "random_block" in header
    assert [item for item in ("mean", "range over seeds", "times first") if item in header] == [
        "mean",
        "range over seeds",
        "times first",
    ]
    rows = [line.split() for line in lines if not line.startswith("note: ")]
    assert sorted(row[0] for row in rows) == ["0", "1"]
    assert sum(int(row[-1]) for row in rows) == 3  # one block comes first each time
    assert float(rows[0][1]) >= float(rows[1][1])
    assert "note: 3 seeds, 8 prompts each" in lines
    assert any(line.startswith("note: variance over seeds, mean over blocks: ") for line in lines)
    assert any(line.startswith("note: rank correlation between seeds (Spea") for line in lines)
    text = page.read_text()
    assert "random_block on tiny@" in text
    assert "<svg" in text


@pytest.mark.thorough
def test_json_has_every_ranking(model: Path, ask: Asked) -> None:
    status, out, _ = ask(*located(model, "--seeds", 2, "--seed", 5, "--sample", 4, "--json"))
    assert status == 0
    result = json.loads(out)
    assert (result["seeds"], result["sample"]) == ([5, 6], 4)
    assert [entry["prompts"] for entry in result["rankings"]] == [4, 4]
    first = [max(range(2), key=entry["scores"].__getitem__) for entry in result["rankings"]]
    assert result["first"] == {str(entry): first.count(entry) for entry in first}
    agree = 1.0 if first[0] == first[1] else -1.0  # two blocks: alike or the other way round
    assert result["spearman"] == pytest.approx(agree)
    assert result["spearman_low"] == pytest.approx(agree)
    columns = np.array([entry["scores"] for entry in result["rankings"]])
    assert result["variances"] == pytest.approx(columns.var(axis=0, ddof=1).tolist())
    assert result["mean_variance"] == pytest.approx(float(np.mean(result["variances"])))


@pytest.mark.thorough
def test_single_seed_has_no_agreement(model: Path, tmp_path: Path, ask: Asked) -> None:
    page = tmp_path / "page.html"
    status, out, _ = ask(*located(model, "--html", page, "--json"))
    assert status == 0
    actual = json.loads(out)
    # the page changes no number
    status, out, _ = ask(*located(model, "--json"))
    assert status == 0
    alone = json.loads(out)
    assert actual["rankings"][0]["scores"] == alone["scores"]
    assert actual["rankings"][0]["prompts"] == alone["prompts"] == actual["sample"]
    assert len(actual["rankings"]) == 1
    assert actual["spearman"] == "NaN"
    assert actual["reason"]
    assert page.is_file()


@pytest.mark.thorough
@pytest.mark.parametrize("flag", ["--sample", "--top"])
def test_a_sample_or_top_of_a_single_ranking_is_refused(model: Path, ask: Asked, flag: str) -> None:
    status, out, err = ask(*located(model, flag, 1))
    assert (status, out) == (2, "")
    assert "must stand with --seeds of 2 at least" in err
    assert ask(*located(model, flag, 1, "--seeds", 2))[0] == 0  # the remedy


@pytest.mark.parametrize("flags", [("--seeds", 0), ("--seeds", 2, "--sample", 0)])
def test_no_seeds_or_prompts_are_refused(
    model: Path, ask: Asked, flags: tuple[object, ...]
) -> None:
    status, out, err = ask(*located(model, *flags))
    assert (status, out) == (2, "")
    assert f"{flags[-2]}" in err
