"""Scores are written as they come; killed runs resume; processes share rows; few are in memory."""

import json
import random
import signal
import socket
from collections.abc import Iterator, Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, overload

import numpy as np
import pytest

from equipoise.attribute.loss import Loss
from equipoise.errors import DataError, RecipeError, StoreError
from equipoise.influence import row_scores
from equipoise.influence.learnt_texts import LearntText
from equipoise.influence.row_scores import score_rows
from equipoise.influence.score_files import ScoreFiles, read_scores, scores_in
from equipoise.rows import TrainingRow
from equipoise.training.row_tokens import TokenizedRows, tokenize_rows

from .making import make_rows, small
from .processes import ROWS, WINDOW, attribute_and_die, attribute_together


def run(
    server: ForkServerContext, folder: Path, *, moment: int | None = None
) -> tuple[int | None, Any]:
    out = folder.with_suffix(".json")
    process = server.Process(target=attribute_and_die, args=(str(folder), moment, str(out)))
    process.start()
    process.join()
    return process.exitcode, json.loads(out.read_text()) if out.exists() else None


def files_in(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.rglob("*.parquet")}


@pytest.mark.parametrize("kills", [1, pytest.param(6, marks=pytest.mark.slow)])
def test_killed_at_a_random_write_it_resumes_to_the_same_bytes(
    server: ForkServerContext, tmp_path: Path, kills: int
) -> None:
    status, whole = run(server, tmp_path / "whole")
    assert status == 0
    events, scores = whole
    assert len(files_in(tmp_path / "whole")) == -(-ROWS // WINDOW)
    assert events >= 3 * len(files_in(tmp_path / "whole"))
    for _ in range(kills):
        status, _ = run(
            server, tmp_path / "killed", moment=random.SystemRandom().randint(1, events)
        )
        assert status in (-signal.SIGKILL, 0)
    kept = len(files_in(tmp_path / "killed"))
    status, resumed = run(server, tmp_path / "killed")
    assert (status, resumed[1]) == (0, scores)
    assert files_in(tmp_path / "killed") == files_in(tmp_path / "whole")
    assert resumed[0] <= events - 3 * kept  # no file that was there is written again


def together(server: ForkServerContext, folder: Path, count: int) -> list[Any]:
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [
        server.Process(target=attribute_together, args=(str(folder), rank, count, port))
        for rank in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(count)]


def test_several_processes_split_the_rows_and_have_the_same_scores(
    server: ForkServerContext, tmp_path: Path
) -> None:
    ((scores, by_group, skipped),) = together(server, tmp_path / "alone", 1)
    both = together(server, tmp_path / "both", 2)
    assert list(skipped) == ["row3", "row20"]
    for theirs, their_groups, their_skipped in both:
        # the warm-up sums gradients of two processes in another order
        np.testing.assert_allclose(theirs, scores, rtol=0, atol=1e-4)
        assert np.isnan(theirs)[[3, 20]].all()
        assert np.isnan(theirs).sum() == 2
        assert (their_groups.keys(), their_skipped) == (by_group.keys(), skipped)
    assert json.dumps(both[0][0]) == json.dumps(both[1][0])


def sums(texts: Sequence[LearntText]) -> np.ndarray[Any, Any]:
    """Stands in for a model: [text, 2]."""
    return np.array([[sum(text.ids), len(text.ids)] for text in texts], dtype=np.float64)


class OnceThrough(Sequence[TrainingRow]):
    """A training set that counts how many of its rows are in use, as a file would have them."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.read = 0

    def __len__(self) -> int:
        return self.count

    @overload
    def __getitem__(self, index: int) -> TrainingRow: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[TrainingRow]: ...
    def __getitem__(self, index: int | slice) -> Any:
        raise AssertionError(f"rows are gone through in order, got {index}")

    def __iter__(self) -> Iterator[TrainingRow]:
        for number in range(self.count):
            self.read += 1
            yield TrainingRow(id=f"r{number}", text=f"text {number}")


def score(rows: Sequence[TrainingRow], files: ScoreFiles, **how: Any) -> Any:
    model = small()

    def tokenize(window: Sequence[TrainingRow]) -> TokenizedRows:
        return tokenize_rows(model, window, max_tokens=30)

    return score_rows(
        model, rows, how.get("score", sums), tokenize=how.get("tokenize", tokenize), files=files
    )


FILES = ScoreFiles(job="j" * 64, groups=("a", "b"))


@pytest.mark.thorough
def test_rows_are_read_window_by_window_and_written_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_scores, "WINDOW", 100)
    rows = OnceThrough(950)
    states: list[tuple[int, int]] = []

    def watched(texts: Sequence[LearntText]) -> np.ndarray[Any, Any]:
        states.append((rows.read, len(files_in(tmp_path))))
        return sums(texts)

    with scores_in(tmp_path):
        result = score(rows, FILES, score=watched)
    assert states == [(min(950, 100 * n + 100), n) for n in range(10)]
    windows = list(read_scores(tmp_path / FILES.job[:32]))
    assert [len(window.ids) for window in windows] == [100] * 9 + [50]
    np.testing.assert_array_equal(np.concatenate([w.scores for w in windows]), result.scores)
    assert tuple(name for window in windows for name in window.ids) == result.ids


@pytest.mark.thorough
def test_files_of_other_rows_and_damaged_files_are_computed_again(tmp_path: Path) -> None:
    with scores_in(tmp_path):
        before = score(make_rows(6), FILES)
        (file,) = tmp_path.rglob("*.parquet")
        content = file.read_bytes()
        other = score(make_rows(6, seed=1), FILES)
        assert file.read_bytes() != content
        assert not np.array_equal(other.scores, before.scores)
        for damaged in (content[:-20], b"", content[:40] + b"\0" * 40 + content[80:]):
            file.write_bytes(damaged)
            np.testing.assert_array_equal(score(make_rows(6), FILES).scores, before.scores)
            assert file.read_bytes() == content
        # those of another job lie elsewhere
        score(make_rows(6), ScoreFiles(job="k" * 64, groups=("a", "b")))
        assert file.read_bytes() == content


def test_a_stored_window_is_not_computed_again(tmp_path: Path) -> None:
    def never(texts: Sequence[LearntText]) -> np.ndarray[Any, Any]:
        raise AssertionError(f"got {len(texts)} texts")

    with scores_in(tmp_path):
        rows = [*make_rows(5), TrainingRow(id="empty")]
        first = score(rows, FILES)
        again = score(rows, FILES, score=never)
    np.testing.assert_array_equal(first.scores, again.scores)
    assert first.skipped == again.skipped == {"empty": "has no text"}
    assert np.isnan(first.scores[-1]).all()


def test_a_full_disk_is_an_error_that_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with scores_in(tmp_path), pytest.raises(StoreError, match="No space left"):
        score(make_rows(5), FILES)
    assert list(tmp_path.rglob("*.parquet")) == []


def test_bad_rows() -> None:
    with pytest.raises(RecipeError, match="got 0"):
        score([], FILES)
    with pytest.raises(DataError, match="'row1' twice"):
        score([*make_rows(3), *make_rows(2)[1:]], FILES)
    with pytest.raises(RecipeError, match="got 0"):
        Loss().attribute(small(), (), (), seed=0)


def test_rows_that_are_all_empty_have_no_score() -> None:
    result = score([TrainingRow(id="a"), TrainingRow(id="b", text="  ")], FILES)
    assert np.isnan(result.scores).all()
    assert list(result.skipped) == ["a", "b"]
