"""What was trained on rows, as an edit of the model that it was trained on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from equipoise.edits.adapter import AdapterEdit, sits_on
from equipoise.edits.edit import Method, info_of
from equipoise.edits.weights import WeightEdit
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.records import JSON, Supply
from equipoise.rows import TrainingRow, text_sha256
from equipoise.training.full_training import FullyTrained
from equipoise.training.lora import adapter_edit
from equipoise.training.text_training import TrainedText


def refuse_no_rows(supply: Supply) -> None:
    """Raise `RecipeError` for a supply without a training set."""
    if not len(supply.rows):
        raise RecipeError(
            f"the supply must have training rows, got 0 from '{supply.origin}'; name a supply that "
            "has them, such as mix, hellaswag, or rows with a file of your own"
        )


def with_rows(supply: Supply) -> Supply:
    """The supply with a training set: its own, else its neutral texts, a row each."""
    if len(supply.rows) or not supply.texts:
        return supply
    documents = supply.documents or ("",) * len(supply.texts)
    rows = tuple(
        TrainingRow(id=f"text {number}", text=text, document=document)
        for number, (text, document) in enumerate(zip(supply.texts, documents, strict=True), 1)
    )
    return replace(supply, rows=rows, texts=(), documents=())


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
    """The adapter's edit, with all rows of the supply among what it learnt.

    Rows that were left out of a training or unlearnt were looked at, too. `beside`: texts that were
    used beside the rows; the supply's other probes are there to judge on, and may be measured.
    """
    info = info_of(
        model,
        method,
        seed=seed,
        names=sits_on(model, trained.config),
        supply=supply,
        trained_on=_learnt(supply, tuple(beside)),
        report={**trained.report, **report},
    )
    return adapter_edit(model, info, trained.config, trained.weights)


def full_edit(
    model: LanguageModel,
    method: Method,
    supply: Supply,
    trained: FullyTrained,
    *,
    seed: int,
    report: Mapping[str, JSON],
) -> WeightEdit:
    """The edit of all weights that changed, with all rows of the supply among what it learnt."""
    info = info_of(
        model,
        method,
        seed=seed,
        names=trained.weights,
        supply=supply,
        trained_on=_learnt(supply, ()),
        report={**trained.report, **report},
    )
    return WeightEdit(info=info, tensors=trained.weights)


def _learnt(supply: Supply, beside: Sequence[str]) -> frozenset[str]:
    """Hashes of what rows say and of what they are passages of, and of texts beside them."""
    learnt = set(map(text_sha256, beside))
    for row in supply.rows:  # a few rows at a time
        learnt.update(map(text_sha256, row.texts))
        if row.document:
            learnt.add(row.document)
    if not set(beside).isdisjoint(supply.texts):
        learnt.update(supply.documents)
    return frozenset(learnt)
