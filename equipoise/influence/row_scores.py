"""Scores of a training set of any length: rows are read in windows, and a window is a file.

Memory holds a window's texts, and a number per row and group. Under torchrun or
`accelerate launch` the processes take windows in turn, and all get all scores; batches are cut
within a window, so that scores do not depend on the number of processes.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from accelerate.utils import gather_object
from numpy.typing import NDArray

from equipoise.errors import DataError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.influence.learnt_texts import LearntText, learnt_texts
from equipoise.influence.score_files import ScoreFiles, WindowScores, window_key
from equipoise.processes.together import alone
from equipoise.progress.bars import counted
from equipoise.rows import TrainingRow, blocks_of
from equipoise.training.data_parallel import accelerator_for
from equipoise.training.row_tokens import TokenizedRows

WINDOW = 512  # rows: enough to sort by length in, few enough to be shared among processes


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupScores:
    """The scores of all rows, in their order, by group of probes."""

    ids: tuple[str, ...]
    scores: NDArray[np.float64]  # [row, group]; nan where a row has none
    skipped: Mapping[str, str]  # id of a row without scores, and why


def score_rows(
    model: LanguageModel,
    rows: Sequence[TrainingRow],
    score: Callable[[Sequence[LearntText]], NDArray[np.float64]],
    *,
    tokenize: Callable[[Sequence[TrainingRow]], TokenizedRows],
    files: ScoreFiles,
    batch: int = 1,
) -> GroupScores:
    """Score every row; `score` maps texts to [text, group].

    `tokenize`: as the rows are learnt. `batch`: rows that share a score stay in a window.
    Raises `RecipeError` without rows, `DataError` when two have the same id, `StoreError` when
    scores cannot be written.
    """
    if not len(rows):
        raise RecipeError(f"rows to score must be given, got {len(rows)}; give a training set")
    accelerator = accelerator_for(model.module.device, bf16=False)
    size = max(1, WINDOW // batch) * batch
    scores = np.zeros((len(rows), len(files.groups)))
    ids: list[str] = []
    seen: set[str] = set()
    skipped: dict[str, str] = {}
    windows = counted(
        blocks_of(rows, size), "scoring rows", math.ceil(len(rows) / size), unit="window"
    )
    for number, window in enumerate(windows):
        start = len(ids)
        ids += [row.id for row in window]
        _check_new(ids[start:], seen)
        if number % accelerator.num_processes != accelerator.process_index:
            continue
        key = window_key(ids[start:], [repr((row.text, row.messages)) for row in window])
        part = files.read(number, key)
        if part is None:
            with alone():  # other processes are at windows of their own
                part = _score_window(window, score, tokenize, groups=len(files.groups))
            files.write(number, key, part)
        scores[start : len(ids)] = part.scores
        skipped |= part.skipped
    if accelerator.num_processes > 1:
        # rows of other processes are 0 here; a nan stays nan in the sum
        total = accelerator.reduce(torch.from_numpy(scores).to(accelerator.device), "sum")
        scores = total.cpu().numpy()
        skipped = dict(gather_object(list(skipped.items())))
    in_order = {name: skipped[name] for name in ids if name in skipped}
    return GroupScores(ids=tuple(ids), scores=scores, skipped=in_order)


def _score_window(
    window: Sequence[TrainingRow],
    score: Callable[[Sequence[LearntText]], NDArray[np.float64]],
    tokenize: Callable[[Sequence[TrainingRow]], TokenizedRows],
    *,
    groups: int,
) -> WindowScores:
    tokens = tokenize(window)
    texts = learnt_texts(tokens)
    scores = np.full((len(window), groups), np.nan)
    if texts:
        scores[tokens.index] = score(texts)
    return WindowScores(
        ids=tuple(row.id for row in window), scores=scores, skipped=dict(tokens.skipped)
    )


def _check_new(ids: Sequence[str], seen: set[str]) -> None:
    """Add ids to those seen."""
    for name in ids:
        if name in seen:
            raise DataError(f"ids of rows must differ, got '{name}' twice; rename or remove a row")
        seen.add(name)
