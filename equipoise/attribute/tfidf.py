"""TF-IDF: rows that a linear classifier of words, or plain likeness of words, calls probes.

Nobody labels the rows, so that the classifier learns to tell probes from rows: learning from
positive and unlabelled examples (Elkan and Noto 2008), which orders rows as a classifier with
labels does wherever probes are drawn as the biased rows are. TF-IDF and logistic regression are
scikit-learn's.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.attribute.base import Attributor, RowScores, check_ids, check_probes
from equipoise.attributions import Attribution
from equipoise.errors import DataError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.records import OPTIONS
from equipoise.rows import Probe, TrainingRow

_BLOCK = 1024  # rows at a time
_NOTES = {
    "rows": "learnt to tell the biased sentences of the probes from the rows, whose labels it does "
    "not see: positive and unlabelled examples",
    "antistereotypes": "learnt to tell biased sentences of the probes from unbiased; no row is "
    "learnt from",
}


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class TfIdf(Attributor):
    """The logit of a logistic regression on TF-IDF of words, or the cosine of TF-IDF with probes.

    Higher: more like the biased sentences; 0: as like the others, where classes are weighted to be
    equally frequent. A row is scored by a classifier that did not learn from it. All rows' words
    are in memory.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Elkan and Noto 2008, learning from positive and unlabeled data"
    baseline: ClassVar[bool] = True
    uses_model: ClassVar[bool] = False
    needs: ClassVar[tuple[str, str] | None] = ("sklearn", "attribution")

    #: "classifier": logistic regression; "cosine": mean over probes of the likeness of words
    score: Literal["classifier", "cosine"] = "classifier"
    #: what the biased sentences are told from: the rows themselves, or the unbiased sentences of
    #: the probes, whose cosine is then taken off
    against: Literal["rows", "antistereotypes"] = "rows"
    folds: Annotated[int, Field(ge=2)] = (
        5  # parts of the rows, each scored by what the others teach
    )
    inverse_penalty: Annotated[float, Field(gt=0)] = 1.0  # C of the logistic regression
    words: Annotated[int, Field(ge=1, le=5)] = 1  # in the longest sequence that counts as a term

    def attribute(
        self,
        model: LanguageModel,
        rows: Sequence[TrainingRow],
        probes: Sequence[Probe],
        *,
        seed: int,
    ) -> Attribution:
        """Score every row; the model does not matter, the seed draws the folds.

        Raises `RecipeError` without scikit-learn, and for fewer probes or rows than folds.
        """
        del model
        contrastive = self.against == "antistereotypes"
        check_probes(probes, contrastive=contrastive)
        try:
            from sklearn.feature_extraction.text import TfidfVectorizer
        except ImportError as error:
            raise RecipeError(
                f"tfidf takes the extra 'attribution', {error.name} is not installed; "
                "pip install 'equipoise[attribution]', or take bm25"
            ) from error
        sides = [[probe.stereotype for probe in probes]]
        if contrastive:
            sides.append([probe.antistereotype or "" for probe in probes])
        ids = [row.id for row in rows]
        check_ids(ids)
        vectorizer = TfidfVectorizer(
            token_pattern=r"\w+", ngram_range=(1, self.words), dtype=np.float64
        )
        try:
            vectorizer.fit(chain(*sides, (row.content for row in rows)))
        except ValueError as error:
            raise DataError(f"rows and probes must hold words, got: {error}; check them") from error
        vectors = vectorizer.transform(row.content for row in rows)
        queries = [vectorizer.transform(side) for side in sides]
        if self.score == "classifier":
            return self._classify(ids, vectors, queries, seed=seed)
        collected = RowScores(probes, contrastive=contrastive)
        asked = queries[0] - queries[1] if contrastive else queries[0]
        for start in range(0, len(ids), _BLOCK):
            block = vectors[start : start + _BLOCK]
            names = ids[start : start + _BLOCK]
            collected.add(names, (block @ asked.T).toarray(), skipped=_without_words(names, block))
        return collected.attribution("tfidf", unit="cosine", facts={"terms": vectors.shape[1]})

    def _classify(
        self, ids: Sequence[str], vectors: Any, queries: Sequence[Any], *, seed: int
    ) -> Attribution:
        """The logit of each row."""
        from scipy.sparse import vstack
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedKFold, cross_val_predict

        classifier = LogisticRegression(
            C=self.inverse_penalty, class_weight="balanced", max_iter=1000
        )
        others = vectors if len(queries) == 1 else queries[1]
        fewest = min(queries[0].shape[0], others.shape[0])
        if len(queries) == 1 and fewest < self.folds:
            raise RecipeError(
                f"probes and rows must be at least as many as folds, {self.folds}, got "
                f"{queries[0].shape[0]} and {len(ids)}; lower folds, or set score=cosine"
            )
        labels = np.repeat([1, 0], [queries[0].shape[0], others.shape[0]])
        learnt = vstack([queries[0], others]).tocsr()
        if len(queries) == 1:
            folds = StratifiedKFold(self.folds, shuffle=True, random_state=seed)
            predicted = cross_val_predict(
                classifier, learnt, labels, cv=folds, method="decision_function"
            )
            scores = predicted[queries[0].shape[0] :]
        else:
            scores = classifier.fit(learnt, labels).decision_function(vectors)
        collected = RowScores()
        collected.add(ids, scores, skipped=_without_words(ids, vectors))
        attribution = collected.attribution(
            "tfidf",
            unit="logit",
            notes=(_NOTES[self.against],),
            facts={"terms": float(vectors.shape[1])},
        )
        return replace(attribution, probes=queries[0].shape[0])


def _without_words(ids: Sequence[str], vectors: Any) -> dict[str, str]:
    """Rows in which there is no term."""
    terms = np.diff(vectors.tocsr().indptr)
    return {name: "no words" for name, count in zip(ids, terms, strict=True) if not count}
