"""An adapter that was trained on rows, as an edit of the model that it was trained on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from equipoise.edits.adapter import AdapterEdit, sits_on
from equipoise.edits.edit import Method, info_of
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.models.tokenization import vocabulary_of
from equipoise.records import JSON, Supply, text_sha256
from equipoise.rows import TrainingRow
from equipoise.training.lora import adapter_tensors
from equipoise.training.text_training import TrainedText


def refuse_no_rows(supply: Supply) -> None:
    """Raise `RecipeError` for a supply without a training set."""
    if not len(supply.rows):
        raise RecipeError(
            f"the supply must have training rows, got 0 from '{supply.origin}'; name a supply that "
            "has them, such as mix, or rows with a file of your own"
        )


def count_biased(rows: Sequence[TrainingRow], places: Iterable[int]) -> int | None:
    """How many of the rows at these places are labelled biased; None: none has a label."""
    labels = [rows[int(place)].biased for place in places]
    if all(label is None for label in labels):
        return None
    return sum(map(bool, labels))


def rows_edit(
    model: LanguageModel,
    method: Method,
    supply: Supply,
    trained: TrainedText,
    *,
    seed: int,
    report: Mapping[str, JSON],
    beside: Iterable[str] = (),
) -> AdapterEdit:
    """The edit, with all rows of the supply among what it learnt.

    Rows that were left out of a training or unlearnt were looked at, too. `beside`: texts that were
    used beside the rows; the supply's other probes are there to judge on, and may be measured.
    """
    texts = tuple(beside)
    said = (text for row in supply.rows for text in row.texts)  # a few rows at a time
    learnt = frozenset(map(text_sha256, chain(said, texts)))
    if not set(texts).isdisjoint(supply.texts):
        learnt = learnt.union(supply.documents)
    info = info_of(
        model,
        method,
        seed=seed,
        names=sits_on(model, trained.config),
        supply=supply,
        trained_on=learnt,
        report={**trained.report, **report},
    )
    return AdapterEdit(
        info=replace(info, base_vocabulary=str(vocabulary_of(model.tokenizer))),
        config=trained.config,
        tensors=adapter_tensors(trained.weights),
    )
