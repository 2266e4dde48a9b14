"""Gradient norm: how large a training step each row asks for. A baseline of influence."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass

from equipoise.attribute.base import Attributor
from equipoise.attributions import Attribution
from equipoise.inference.batches import Batches
from equipoise.inference.language_model import LanguageModel
from equipoise.influence.adapter_gradients import CPU_TOKENS, AdapterGradients
from equipoise.influence.learnt_texts import LearntText
from equipoise.influence.row_scores import score_rows
from equipoise.influence.score_files import ScoreFiles, scores_wanted
from equipoise.influence.warm_up import job_key, warm_up_of
from equipoise.records import OPTIONS
from equipoise.rows import Probe, TrainingRow
from equipoise.training.text_training import TextTraining, train_once


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class GradientNorm(Attributor):
    """Norm of a row's gradient with respect to the warm-up's adapter; it looks at no probe."""

    version: ClassVar[str] = "1"
    reads_probes: ClassVar[bool] = False
    paper: ClassVar[str] = "baseline"
    baseline: ClassVar[bool] = True

    training: TextTraining = TextTraining()  # the warm-up, at whose end the gradient is taken

    def attribute(
        self,
        model: LanguageModel,
        rows: Sequence[TrainingRow],
        probes: Sequence[Probe],
        *,
        seed: int,
    ) -> Attribution:
        """Score every row by its gradient's norm. Raises as `Influence.attribute`."""
        del probes
        trained = train_once(self.training, model, rows, seed=seed)
        job = ""
        if scores_wanted():
            about = f"gradient_norm {self.version}".encode()
            parts = (about, *warm_up_of(model, trained, last=True).parts())
            job = job_key(model, iter(parts))
        with trained.attached(model):
            gradients = AdapterGradients(model)
            scored = score_rows(
                model,
                rows,
                lambda texts: _norms(gradients, texts),
                tokenize=lambda window: self.training.tokenize(model, window),
                files=ScoreFiles(job=job, groups=("norm",)),
            )
        return Attribution(
            attributor="gradient_norm",
            ids=scored.ids,
            scores=scored.scores[:, 0],
            unit="nats",
            probes=0,
            skipped=scored.skipped,
            notes=trained.notes,
        )


def _norms(gradients: AdapterGradients, texts: Sequence[LearntText]) -> NDArray[np.float64]:
    """[text, 1]."""
    norms = np.zeros((len(texts), 1))
    lengths = [text.length for text in texts]
    batches = Batches(gradients.model, lengths, most_cpu_tokens=CPU_TOKENS)
    for batch in batches:
        with batches.retry_smaller():
            computed = gradients.compute([texts[index] for index in batch])
            parts = [
                torch.linalg.vector_norm(values, dim=1).double()
                for _, values in computed.matrices()
            ]
            norms[batch] = torch.stack(parts).norm(dim=0)[:, None].cpu().numpy()
    return norms
