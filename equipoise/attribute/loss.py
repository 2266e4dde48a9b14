"""Loss: how unexpected each row is to the model. A baseline of influence."""

from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.attribute.base import Attributor
from equipoise.attributions import Attribution
from equipoise.inference.language_model import LanguageModel
from equipoise.influence.learnt_texts import LearntText
from equipoise.influence.row_scores import score_rows
from equipoise.influence.score_files import ScoreFiles, scores_wanted
from equipoise.influence.warm_up import job_key
from equipoise.records import OPTIONS
from equipoise.rows import Probe, TrainingRow
from equipoise.training.row_forward import RowForward
from equipoise.training.row_tokens import TokenizedRows, tokenize_rows


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Loss(Attributor):
    """Mean loss over a row's learnt tokens, by the model as it is; it looks at no probe."""

    version: ClassVar[str] = "1"
    reads_probes: ClassVar[bool] = False
    paper: ClassVar[str] = "baseline"
    baseline: ClassVar[bool] = True

    max_tokens: Annotated[int, Field(ge=2)] = 256  # tokens of a row; a longer row has no score

    def attribute(
        self,
        model: LanguageModel,
        rows: Sequence[TrainingRow],
        probes: Sequence[Probe],
        *,
        seed: int,
    ) -> Attribution:
        """Score every row by its loss. Raises as `tokenize_rows`, and without rows."""
        del probes, seed
        forward = RowForward(model)
        about = f"loss {self.version} {self.max_tokens}".encode()
        scored = score_rows(
            model,
            rows,
            lambda texts: _losses(forward, texts),
            tokenize=lambda window: tokenize_rows(model, window, max_tokens=self.max_tokens),
            files=ScoreFiles(
                job=job_key(model, iter([about])) if scores_wanted() else "", groups=("loss",)
            ),
        )
        return Attribution(
            attributor="loss",
            ids=scored.ids,
            scores=scored.scores[:, 0],
            unit="nats per token",
            probes=0,
            skipped=scored.skipped,
        )


def _losses(forward: RowForward, texts: Sequence[LearntText]) -> NDArray[np.float64]:
    """[text, 1]."""
    learnt = [set(text.positions) for text in texts]
    rows = TokenizedRows(
        ids=[list(text.ids) for text in texts],
        scored=[
            [place in places for place in range(len(text.ids))]
            for text, places in zip(texts, learnt, strict=True)
        ],
    )
    return np.array([[-float(values.double().mean())] for values in forward.measured(rows)])
