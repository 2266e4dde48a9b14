"""Train again without the rows that taught the bias: BiasDiff's "Retrain".

BiasDiff, section 3.4: a fresh adapter on the original model, on the training set without the
selected rows. The paper retrains for 50 epochs what 5 epochs had made biased; here both trainings
have the same number of steps, so that what is compared is the rows.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass as plain_dataclass
from itertools import islice
from typing import Annotated, ClassVar, Final

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.attribute.base import Attributor
from equipoise.attribute.influence import Influence
from equipoise.attributions import Attribution
from equipoise.edits.adapter import AdapterEdit
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.influence.once import attribute_once
from equipoise.mitigate.base import Mitigation
from equipoise.plugins import name_of
from equipoise.records import JSON, OPTIONS, ModelKind, Supply
from equipoise.rows import TrainingRow
from equipoise.training.learnable_rows import ChosenRows
from equipoise.training.row_edits import count_biased, refuse_no_rows, rows_edit
from equipoise.training.text_training import TextTraining, train_once

#: In an edit's report.
SAME_STEPS: Final = "as many steps as the fine-tuning on all rows, of batches of the same size"

_NEUTRAL = 64  # texts at most


@plain_dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Rows that an attributor ranks first, and the others."""

    rows: Sequence[TrainingRow]
    attribution: Attribution
    selected: tuple[int, ...]  # places, from the highest score
    kept: tuple[int, ...]  # all other places, in order

    def neutral(self, supply: Supply) -> tuple[str, ...]:
        """Texts that must stay likely: the supply's own, else kept rows that are not biased."""
        if supply.texts:
            return supply.texts[:_NEUTRAL]
        kept = (self.rows[place] for place in self.kept)
        texts = (row.content for row in kept if not row.biased)
        return tuple(islice(texts, _NEUTRAL))

    def looked_at(self, supply: Supply, neutral: Sequence[str] = ()) -> tuple[str, ...]:
        """Texts beside the rows that decided: those of the probes, and neutral texts."""
        probes = supply.probes if self.attribution.probes else ()
        return (*(text for probe in probes for text in probe.texts), *neutral)

    @property
    def record(self) -> dict[str, JSON]:
        """For an edit's report."""
        scores = self.attribution.scores.tobytes()
        return {
            "attributor": self.attribution.attributor,
            "rows_of_set": len(self.rows),
            "biased_of_set": count_biased(self.rows, range(len(self.rows))),
            "selected": len(self.selected),
            "selected_biased": count_biased(self.rows, self.selected),
            "rows_without_score": len(self.attribution.skipped),
            "scores_sha256": hashlib.sha256(scores).hexdigest(),
            "attribution_notes": list(self.attribution.notes),
        }


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class SelectsRows:
    """Which rows of a training set a method acts on; `data_filtering`, `npo` and others have it."""

    #: ranks the rows; null: influence, whose warm-up is the training below
    attributor: Attributor | None = None
    #: of all rows, those of the highest scores; BiasDiff's tables have 0.05 to 0.35
    share: Annotated[float, Field(gt=0, lt=1)] = 0.35
    #: what made the model biased: the same as of `finetune`, whose training it shares
    training: TextTraining = TextTraining()

    @property
    def chosen_attributor(self) -> Attributor:
        """What ranks the rows."""
        return Influence(training=self.training) if self.attributor is None else self.attributor

    @property
    def required(self) -> tuple[str, ...]:
        """Rows, and probes where the attributor looks at them."""
        return ("rows", *(["probes"] if self.chosen_attributor.reads_probes else []))

    def select(self, model: LanguageModel, supply: Supply, *, seed: int) -> Selection:
        """The rows of the highest scores, by an attribution that is made once for all methods.

        Raises `RecipeError` without rows, for a share of less than a row, and where no row has a
        score; and as the attributor.
        """
        refuse_no_rows(supply)
        rows, attributor = supply.rows, self.chosen_attributor
        attribution = attribute_once(attributor, model, rows, supply.probes, seed=seed)
        selected = attribution.select(self.share)
        if not selected or len(selected) == len(rows):
            raise RecipeError(
                f"a selection must have a row or more and leave one, got {len(selected)} of "
                f"{len(rows)} by {name_of(attributor)} with share {self.share:g}; change share, or "
                "give more rows"
            )
        chosen = set(selected)
        return Selection(
            rows=rows,
            attribution=attribution,
            selected=selected,
            kept=tuple(place for place in range(len(rows)) if place not in chosen),
        )


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class DataFiltering(SelectsRows, Mitigation):
    """Train the original model on the rows without those that an attributor ranks first.

    The edit takes the place of the biased fine-tuning, and is compared with `finetune`. BiasDiff's
    "subset" is its `share: 0.35` (65 % of the rows kept), or `training: {share: 0.05}` (a few rows
    are learnt). Its own number of steps, 50 epochs, is `steps`.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "BiasDiff, section 3.4, Retrain"
    kinds: ClassVar[tuple[ModelKind, ...]] = ("causal",)
    taught_by: ClassVar[str] = "mix"

    #: of the training; null: as many as the fine-tuning on all rows has
    steps: Annotated[int, Field(ge=1)] | None = None

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> AdapterEdit:
        """Select, and train on what is left; raises as `select` and `TextTraining.fit`."""
        selection = self.select(model, supply, seed=seed)
        whole = self.training.learnable(model, supply.rows, seed=seed)
        usual = self.training.schedule(len(whole.index), seed=seed)
        kept = ChosenRows(supply.rows, selection.kept)
        steps = usual.total(len(whole.index)) if self.steps is None else self.steps
        trained = train_once(self.training, model, kept, seed=seed, steps=steps)
        learnt = [selection.kept[int(place)] for place in trained.index]
        report: dict[str, JSON] = {
            **selection.record,
            "rows_biased": count_biased(supply.rows, learnt),
            "finetune_steps": usual.total(len(whole.index)),
            "finetune_tokens": whole.tokens_of(usual),
            "budget": SAME_STEPS if self.steps is None else f"{steps} steps, as asked",
        }
        beside = selection.looked_at(supply)
        return rows_edit(model, self, supply, trained, seed=seed, report=report, beside=beside)
