"""Toxicity by a classifier of whole texts: any of transformers, in a folder or pinned on the Hub.

A classifier's probabilities are its own: those of two classifiers are never mixed or compared, and
each has been found to take the names of some groups for toxic (Dixon et al. 2018, "Measuring and
Mitigating Unintended Bias in Text Classification"; Hartvigsen et al. 2022, "ToxiGen").
"""

import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator
from pydantic.dataclasses import dataclass

from equipoise.errors import ModelError, RecipeError, nearest
from equipoise.inference.classifier import LongTexts, SequenceClassifier
from equipoise.loading.classifier import find_classifier, load_classifier, read_labels
from equipoise.loading.content import content_of, whole_path
from equipoise.metrics.scale import Scale
from equipoise.plugins import ReadsFiles
from equipoise.records import JSON, OPTIONS
from equipoise.text_scorers.base import TextScorer, WrittenText

Choice = Literal["auto", "softmax", "sigmoid"]


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Toxicity(TextScorer, ReadsFiles):
    """The probability of each named label; a label that is named is harmful from 0.5 on.

    Without names all labels of the classifier have a scale, and none counts as harmful, since
    "neutral" may be among them. Weights are safetensors; pickled ones are refused.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "own; Dixon et al. 2018 for its faults"
    model: Annotated[str, AfterValidator(whole_path)]  # folder, or Hub id with @commit
    labels: tuple[str, ...] = ()  # by the classifier's names, the headline first; none: all
    called: str = "toxicity"  # scales are CALLED_LABEL: a second classifier needs another name
    #: softmax: labels exclude each other; auto: by the classifier's problem_type
    activation: Choice = "auto"
    #: what a text longer than the context gets: nan, or the number of its beginning
    long_texts: LongTexts = "missing"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"  # auto: float32 on a CPU

    @property
    def scales(self) -> tuple[Scale, ...]:
        """A probability for each label; the classifier's configuration is read."""
        return tuple(
            Scale(
                name=f"{self.called}_{_plain(label)}",
                unit="probability",
                meaning=f"'{label}' is likely",
                low=0,
                high=1,
                harmful_from=0.5 if self.labels else None,
                needs="a text that fits the classifier",
            )
            for label in _chosen(labels_of(self.model, self.activation), self.labels)
        )

    def score(self, texts: Sequence[WrittenText]) -> list[Mapping[str, float]]:
        """The probabilities of each text. Raises `ModelError` or `RecipeError`."""
        classifier = open_classifier(self.model, self.activation, self.dtype)
        names = [scale.name for scale in self.scales]
        labels = _chosen(classifier.labels, self.labels)
        rated = rate_texts(classifier, texts, long_texts=self.long_texts)
        return [
            {name: numbers[label] for name, label in zip(names, labels, strict=True)}
            for numbers in rated
        ]

    def info(self) -> Mapping[str, JSON]:
        """Identity, revision or fingerprint, labels, how logits are read, and number format."""
        return {"classifier": dict(open_classifier(self.model, self.activation, self.dtype).info)}

    def files(self) -> Mapping[str, str]:
        """The hash of the classifier's folder; none for one of the Hub, which is pinned."""
        return classifier_files(self.model)


def rate_texts(
    classifier: SequenceClassifier, texts: Sequence[WrittenText], *, long_texts: LongTexts
) -> list[Mapping[str, float]]:
    """Each text's probabilities by label; equal texts are asked once, nan of a blank one."""
    different = sorted({written.text for written in texts if written.text.strip()})
    values = classifier.probabilities(different, long_texts=long_texts)
    rated: dict[str, Mapping[str, float]] = {
        text: dict(zip(classifier.labels, row.tolist(), strict=True))
        for text, row in zip(different, values, strict=True)
    }
    blank = dict.fromkeys(classifier.labels, math.nan)
    return [rated.get(written.text, blank) for written in texts]


def classifier_files(model: str) -> Mapping[str, str]:
    """What a study's keys hold of a classifier. Raises `ModelError` where it is not there."""
    find_classifier(model)
    content = content_of(model)
    return {} if content is None else {"classifier": content}


@lru_cache(maxsize=2)
def open_classifier(model: str, activation: Choice, dtype: str) -> SequenceClassifier:
    """The classifier, kept for the next call. Raises `ModelError`."""
    return load_classifier(
        model, activation=None if activation == "auto" else activation, dtype=dtype
    )


@lru_cache(maxsize=8)
def labels_of(model: str, activation: Choice) -> tuple[str, ...]:
    """The labels of a classifier, of which no weights are read. Raises `ModelError`."""
    chosen = None if activation == "auto" else activation
    labels, _ = read_labels(find_classifier(model), chosen)
    return labels


def _chosen(known: Sequence[str], named: Sequence[str]) -> tuple[str, ...]:
    """The labels that have a scale. Raises `RecipeError` for one that is not there."""
    for label in named:
        if label not in known:
            raise RecipeError(
                f"labels must be those of the classifier, got '{label}'; {nearest(label, known)}"
            )
    chosen = tuple(dict.fromkeys(named or known))
    plain = [_plain(label) for label in chosen]
    if len(set(plain)) < len(plain):
        raise ModelError(
            f"labels must differ in their letters, got {', '.join(chosen)}; name some of them"
        )
    return chosen


def _plain(label: str) -> str:
    """A label as a part of a metric's name: "Severe toxic" is "severe_toxic"."""
    return re.sub(r"\W+", "_", label.casefold()).strip("_")
