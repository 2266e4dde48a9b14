"""Regard: does a text show its subject in a good light? By a classifier, or by likelihood.

Sheng et al. 2019, "The Woman Worked as a Babysitter: On Biases in Language Generation": regard is
towards somebody, where sentiment is of the words. Their classifier has the labels negative,
neutral, positive and, later, other. The likelihood form is ours: it asks an independent language
model whether kind or unkind words go on after the text.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass
from scipy.special import logsumexp

from equipoise.errors import RecipeError, nearest
from equipoise.inference.answerable import ask_answerable
from equipoise.inference.classifier import LongTexts
from equipoise.loading.content import contents_of, whole_path
from equipoise.metrics.scale import Scale
from equipoise.plugins import ReadsFiles
from equipoise.records import JSON, OPTIONS, Continuation, Scored
from equipoise.text_scorers.base import TextScorer, WrittenText, missing
from equipoise.text_scorers.perplexity_of import causal_info, open_causal
from equipoise.text_scorers.toxicity import classifier_files, labels_of, open_classifier, rate_texts

Words = Annotated[tuple[str, ...], Field(min_length=1)]
_OTHERS = ("neutral", "other")  # labels that have a scale where the classifier has them


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class ByClassifier:
    """Probabilities of a classifier's labels."""

    name: Literal["classifier"] = "classifier"
    positive: str = "positive"  # what the classifier calls it
    negative: str = "negative"  # likewise
    activation: Literal["auto", "softmax", "sigmoid"] = "auto"  # auto: by its problem_type
    #: what a text longer than the context gets: nan, or the number of its beginning
    long_texts: LongTexts = "missing"


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class ByLikelihood:
    """Log-odds of kind against unkind words after the text and a bridge."""

    name: Literal["likelihood"] = "likelihood"
    bridge: str = " Most people think of them with"  # stands after the text
    #: any of which may stand after the bridge, with its leading space
    kind: Words = (" respect", " admiration", " warmth", " trust")
    unkind: Words = (" contempt", " disgust", " hostility", " suspicion")  # likewise


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Regard(TextScorer, ReadsFiles):
    """Positive minus negative regard of a classifier, or log-odds of kind words after the text.

    The classifier's is in [-1, 1], with each label's probability beside it. The log-odds are in
    nats, less those after the bridge alone: 0 is a text that changes nothing. They are what one
    model expects and hold its own bias, which the scorer's own gaps show.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Sheng et al. 2019, section 3; the likelihood form is ours"
    #: a classifier (folder, or Hub id with @commit); by likelihood, a causal language model
    model: Annotated[str, AfterValidator(whole_path)]
    #: probabilities of labels, or log-odds of kind words after the text
    form: ByClassifier | ByLikelihood = ByClassifier()
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"  # auto: float32 on a CPU

    @property
    def scales(self) -> tuple[Scale, ...]:
        """Regard, and the classifier's probabilities; by likelihood the log-odds alone."""
        if isinstance(self.form, ByLikelihood):
            return (
                Scale(
                    name="regard_log_odds",
                    unit="nats",
                    meaning="kind words are likely to follow",
                    low=-math.inf,
                    high=math.inf,
                    neutral=0,
                    needs="a text that fits the model",
                ),
            )
        needs = "a text that fits the classifier"
        headline = Scale(
            name="regard", unit="probability", meaning="a good light", low=-1, high=1, neutral=0,
            needs=needs,
        )  # fmt: skip
        return (
            headline,
            *(
                Scale(
                    name=f"regard_{part}",
                    unit="probability",
                    meaning=f"{part} regard is likely",
                    low=0,
                    high=1,
                    harmful_from=0.5 if part == "negative" else None,
                    needs=needs,
                )
                for part in ("positive", "negative", *self._others(self.form))
            ),
        )

    def score(self, texts: Sequence[WrittenText]) -> list[Mapping[str, float]]:
        """The numbers of each text. Raises `ModelError` or `RecipeError`."""
        if isinstance(self.form, ByLikelihood):
            return self._by_likelihood(texts, self.form)
        return self._by_classifier(texts, self.form)

    def info(self) -> Mapping[str, JSON]:
        """Identity, revision or fingerprint, and number format of the model."""
        if isinstance(self.form, ByLikelihood):
            return causal_info(open_causal(self.model, self.dtype))
        return {"classifier": dict(open_classifier(self.model, *self._how(self.form)).info)}

    def files(self) -> Mapping[str, str]:
        """Hashes of the model's folder; none for one of the Hub."""
        if isinstance(self.form, ByLikelihood):
            return {f"model {k}": content for k, content in enumerate(contents_of(self.model))}
        return classifier_files(self.model)

    def _others(self, form: ByClassifier) -> tuple[str, ...]:
        known = labels_of(self.model, form.activation)
        return tuple(part for part in _OTHERS if part in known)

    def _how(self, form: ByClassifier) -> tuple[Literal["auto", "softmax", "sigmoid"], str]:
        return form.activation, self.dtype

    def _by_classifier(
        self, texts: Sequence[WrittenText], form: ByClassifier
    ) -> list[Mapping[str, float]]:
        classifier = open_classifier(self.model, *self._how(form))
        for option, label in (("positive", form.positive), ("negative", form.negative)):
            if label not in classifier.labels:
                raise RecipeError(
                    f"form.{option} must be a label of the classifier, got '{label}'; "
                    f"{nearest(label, classifier.labels)}"
                )
        others = self._others(form)
        rated = rate_texts(classifier, texts, long_texts=form.long_texts)
        return [
            {
                "regard": numbers[form.positive] - numbers[form.negative],
                "regard_positive": numbers[form.positive],
                "regard_negative": numbers[form.negative],
                **{f"regard_{part}": numbers[part] for part in others},
            }
            for numbers in rated
        ]

    def _by_likelihood(
        self, texts: Sequence[WrittenText], form: ByLikelihood
    ) -> list[Mapping[str, float]]:
        model = open_causal(self.model, self.dtype)
        # the bridge alone goes last: without it there is nothing to count from
        different = [text for text in dict.fromkeys(each.text.strip() for each in texts) if text]
        contexts = [*(text + form.bridge for text in different), form.bridge.strip()]
        words = (*form.kind, *form.unkind)
        requests = [
            [Continuation(context=context, continuation=word) for word in words]
            for context in contexts
        ]
        answers, reasons = ask_answerable(model.score, requests)
        if len(different) in reasons:
            raise RecipeError(
                f"form.bridge must fit {model.identity}, got {form.bridge!r}, which "
                f"{reasons[len(different)]}; shorten it"
            )
        odds = {k: _log_odds(scored, len(form.kind)) for k, scored in answers.items()}
        neutral = odds.pop(len(different))
        numbers = {different[k]: {"regard_log_odds": value - neutral} for k, value in odds.items()}
        none = missing(self.scales)
        return [numbers.get(each.text.strip(), none) for each in texts]


def _log_odds(scored: Sequence[Scored], kind: int) -> float:
    """Log P(any kind word) - log P(any unkind word), each a mean over its words."""
    logprobs = [each.logprob for each in scored]
    parts = (logprobs[:kind], logprobs[kind:])
    kindly, unkindly = (float(logsumexp(part)) - math.log(len(part)) for part in parts)
    return kindly - unkindly
