"""Influence: how much a training step on each row would lower the loss of biased probes.

A LoRA warm-up learns the rows. At each of its checkpoints a row's feature is what the row adds to
Adam's step, a probe's is its gradient, and the score is their cosine, a mean over probes of a kind,
summed over checkpoints by their learning rates. Scores are exact: nothing is projected.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.attribute.base import Attributor
from equipoise.attributions import MOST_BY_PROBE, Attribution
from equipoise.inference.language_model import LanguageModel
from equipoise.influence.adam_features import Preconditioning
from equipoise.influence.learnt_texts import learnt_texts
from equipoise.influence.probe_directions import (
    ProbeForm,
    ProbeLoss,
    ProbeTexts,
    prepare_probes,
)
from equipoise.influence.row_scores import score_rows
from equipoise.influence.score_files import ScoreFiles, scores_wanted
from equipoise.influence.text_scores import ScoreSettings, TextScores, text_scores
from equipoise.influence.warm_up import WarmUp, job_key, warm_up_of
from equipoise.records import OPTIONS
from equipoise.rows import Probe, TrainingRow
from equipoise.training.text_training import TextTraining, TrainedText, train_once

_UNMOVED = 1e-3  # of the probes' gradients of A beside those of B: half of a feature says nothing
_SAMPLE = 16  # rows on which the error of a frozen second moment is measured


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Influence(Attributor):
    """Agreement of a row's Adam step with the gradient of biased probes, on a LoRA warm-up.

    By default every checkpoint counts by the mean learning rate of its epoch (BiasDiff's equation
    5), a probe is the gradient of its stereotype minus that of its anti-stereotype, which cancels
    what both sentences share (BiasDiff: `probe: stereotype`), and the last checkpoint alone
    (equation 6) is `checkpoints: last`. Dropout is off when gradients are taken.

    Stereotypes of the two directions, such as of women and of men, pull what the model says of
    anybody opposite ways. In a mean over probes the direction with more or steeper probes outvotes
    the other, and rows that teach the other score below neutral rows; a training has rows of both,
    and what each does to all alike does not last. So a row's score is the largest of its mean
    cosines with the probes of a type of bias and a direction ("direction" and "axis" of a probe's
    groups), as LESS takes the maximum over subtasks (BiasDiff: `reduce: mean`, `features: adam`).
    On planted worlds sums of such scores foretell what models show that are trained on parts of
    the rows, those of the mean do not (docs/methods/biasdiff.md).
    """

    version: ClassVar[str] = "2"
    paper: ClassVar[str] = "BiasDiff, equations 5 and 6; Xia et al. 2024, LESS, section 4"

    #: the warm-up; BiasDiff's has `learning_rate: 1.5e-6`, at which an adapter hardly moves, and
    #: `share: 0.05` where it learns a few of the rows
    training: TextTraining = TextTraining()
    checkpoints: Literal["all", "last"] = "all"  # of the warm-up, a checkpoint per epoch
    #: what a row's gradient becomes: what it adds to Adam's step ("scaled"); Adam's step with the
    #: momentum of the rows before ("adam", of BiasDiff and LESS), or with a second moment that
    #: leaves the row out ("frozen"); the gradient itself ("sgd"); Adam's step as LESS's program
    #: computes it ("less-code": eps inside the root, without correction of the bias)
    features: Preconditioning = "scaled"
    probe: ProbeForm = "contrastive"  # stereotype minus anti-stereotype; or the stereotype alone
    loss_on: ProbeLoss = "all"  # of a probe: all its tokens, or those that its sentences differ in
    #: "dot": inner products, in which rows of few tokens, whose gradients are large, count more
    similarity: Literal["cosine", "dot"] = "cosine"
    #: over probes; "max": of the means over the probes of a type of bias and a direction
    reduce: Literal["mean", "max"] = "max"
    #: that probes are dealt into, each with a vector of gradients at every checkpoint, so that
    #: intervals and tests of a mean are over probes; 0: a vector for each type and direction
    parts: Annotated[int, Field(ge=0)] = 16
    #: numbers that gradients are projected to by random signs, 8192 in LESS; 0: none. For
    #: comparison: it takes far longer and adds noise
    projection: Annotated[int, Field(ge=0)] = 0
    #: rows that share a score, that of the gradient of their mean loss. For BiasDiff's tables 3
    #: and 10, in which it is above 1: a batch hides what its rows are
    batch: Annotated[int, Field(ge=1)] = 1

    def attribute(
        self,
        model: LanguageModel,
        rows: Sequence[TrainingRow],
        probes: Sequence[Probe],
        *,
        seed: int,
    ) -> Attribution:
        """Score every row by the warm-up on all of them; high scores support the bias.

        In `influence.score_files.scores_in` scores are written as they come, and resumed. Raises
        `RecipeError` without rows or probes and for probes that do not suit the options,
        `DataError` for a probe that is empty or too long, and `ModelError` for a model or an
        adapter whose gradients cannot be taken apart.
        """
        texts = prepare_probes(
            model,
            probes,
            form=self.probe,
            loss=self.loss_on,
            max_tokens=self.training.max_tokens,
            parts=self.parts,
        )
        trained = train_once(self.training, model, rows, seed=seed)
        warm_up = warm_up_of(model, trained, last=self.checkpoints == "last")
        settings = ScoreSettings(
            features=self.features,
            cosine=self.similarity == "cosine",
            projection=self.projection,
            batch=self.batch,
            seed=seed,
        )
        job = job_key(model, self._parts(warm_up, texts, settings)) if scores_wanted() else ""
        with text_scores(model, warm_up, texts, settings) as scorer:
            scored = score_rows(
                model,
                rows,
                scorer.score,
                tokenize=lambda window: self.training.tokenize(model, window),
                files=ScoreFiles(job=job, groups=texts.groups),
                batch=self.batch,
            )
            facts = self._facts(model, rows, scorer)
        columns, sides = texts.parts.by_axis(scored.scores), texts.parts.by_side(scored.scores)
        is_mean = self.reduce == "mean" or len(sides) == 1
        return Attribution(
            attributor="influence",
            ids=scored.ids,
            scores=texts.parts.mean(scored.scores)
            if is_mean
            else np.max([*sides.values()], axis=0),
            unit="cosine" if settings.cosine else "inner product",
            probes=len(probes),
            by_group=columns if len(columns) > 1 else {},
            by_probe=self._by_part(texts, scored.scores) if is_mean else None,
            contrastive=self.probe == "contrastive",
            skipped=scored.skipped,
            notes=(*texts.notes, *trained.notes, *self._notes(facts, texts)),
            facts=facts | self._training_facts(trained),
        )

    def _parts(
        self, warm_up: WarmUp, texts: ProbeTexts, settings: ScoreSettings
    ) -> Iterator[bytes]:
        limits = (self.version, self.training.max_tokens, self.training.eos)
        yield repr((settings, texts, limits)).encode()
        yield from warm_up.parts()

    def _by_part(
        self, texts: ProbeTexts, scores: NDArray[np.float64]
    ) -> NDArray[np.float64] | None:
        """What each part adds to the scores, unless there are too many to keep."""
        few = self.parts > 0 and scores.size <= MOST_BY_PROBE
        return texts.parts.shares(scores) if few else None

    def _facts(
        self, model: LanguageModel, rows: Sequence[TrainingRow], scorer: TextScores
    ) -> dict[str, float]:
        facts = {"norm_b": scorer.b_norm, "gradient_ratio": scorer.ratio}
        if self.features == "frozen":
            sample = learnt_texts(self.training.tokenize(model, list(islice(rows, _SAMPLE))))
            if sample:
                error = scorer.frozen_error(sample)
                facts |= {"frozen_error": error.relative, "frozen_cosine": error.cosine}
        return facts

    def _training_facts(self, trained: TrainedText) -> dict[str, float]:
        return {
            "warm_up_steps": float(trained.steps),
            "warm_up_first_loss": trained.losses[0],
            "warm_up_last_loss": trained.losses[-1],
        }

    def _notes(self, facts: dict[str, float], texts: ProbeTexts) -> Iterator[str]:
        if self.reduce == "max" and not texts.parts.direction and len(texts.texts) > 1:
            yield (
                "probes name no direction: those whose stereotypes pull the other way than most "
                'are outvoted; give probes a group "direction" if there are such'
            )
        ratio = facts["gradient_ratio"]
        if ratio < _UNMOVED:
            yield (
                f"the warm-up hardly moved the adapter (norm of B {facts['norm_b']:.2g}; gradients "
                f"of A have {ratio:.2g} times the norm of those of B), so that half of each "
                "feature says nothing: raise training.learning_rate or train longer"
            )
        if "frozen_error" in facts:
            yield (
                "with a frozen second moment a feature is off by "
                f"{100 * facts['frozen_error']:.0f} % (median of {_SAMPLE} rows), its cosine with "
                f"the exact feature is {facts['frozen_cosine']:.3f} or more"
            )
        if self.batch > 1:
            yield (
                f"{self.batch} rows that follow each other share a score: rows are not told apart "
                "within a batch, and scores depend on the order of the rows"
            )
        if self.projection:
            yield (
                f"scores are of random projections to {self.projection} numbers, a cosine is off "
                f"by about {self.projection**-0.5:.2g}"
            )
