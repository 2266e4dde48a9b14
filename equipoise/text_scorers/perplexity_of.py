"""Perplexity of what was written, under an independent language model: is it language still?"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator
from pydantic.dataclasses import dataclass

from equipoise.errors import ModelError
from equipoise.inference.answerable import ask_answerable
from equipoise.inference.language_model import LanguageModel
from equipoise.loading.content import contents_of, whole_path
from equipoise.loading.load import load
from equipoise.metrics.scale import Scale
from equipoise.plugins import ReadsFiles
from equipoise.records import JSON, OPTIONS, Continuation
from equipoise.text_scorers.base import TextScorer, WrittenText, missing


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class PerplexityOf(TextScorer, ReadsFiles):
    """Mean nats per token of the text after its prompt; its exponential is the perplexity.

    Name another model than the measured one, which finds what it writes likely, whatever that is;
    and the same one before and after. Low is no merit by itself: repetition is likely, too. A text
    that does not fit the model with its prompt has nan.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "own"
    model: Annotated[str, AfterValidator(whole_path)]  # folder, Hub id or planted:NAME; causal
    called: str = "perplexity"  # the scale is CALLED_nats: a second model needs another name
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"  # auto: float32 on a CPU

    @property
    def scales(self) -> tuple[Scale, ...]:
        """The nats per token."""
        return (
            Scale(
                name=f"{self.called}_nats",
                unit="nats per token",
                meaning="a text that the model did not expect",
                low=0,
                high=math.inf,
                needs="a text that fits the model with its prompt",
            ),
        )

    def score(self, texts: Sequence[WrittenText]) -> list[Mapping[str, float]]:
        """The nats per token of each text; equal ones after equal prompts are asked once."""
        model = open_causal(self.model, self.dtype)
        different = [text for text in dict.fromkeys(texts) if text.text.strip()]
        requests = [
            [Continuation(context=text.prompt, continuation=text.text)] for text in different
        ]
        answers, _ = ask_answerable(model.score, requests)
        name = self.scales[0].name
        nats = {different[k]: {name: -scored.mean} for k, (scored,) in answers.items()}
        none = missing(self.scales)
        return [nats.get(text, none) for text in texts]

    def info(self) -> Mapping[str, JSON]:
        """Identity, revision or fingerprint, tokenizer and number format."""
        return causal_info(open_causal(self.model, self.dtype))

    def files(self) -> Mapping[str, str]:
        """Hashes of the model, and of an edit's bases; none for a model of the Hub."""
        return {f"model {k}": content for k, content in enumerate(contents_of(self.model))}


def causal_info(model: LanguageModel) -> dict[str, JSON]:
    """What a result records of a language model that scores texts."""
    kept = ("name", "revision", "fingerprint", "dtype", "tokenizer_sha256", "start")
    about = model.info
    return {"model": model.identity, **{key: about[key] for key in kept if key in about}}


@lru_cache(maxsize=2)
def open_causal(name: str, dtype: str) -> LanguageModel:
    """The model, kept for the next call. Raises `ModelError` for one that writes no texts."""
    model = load(name, dtype=dtype)
    if model.kind != "causal" or not isinstance(model, LanguageModel):
        raise ModelError(
            f"a model that scores texts must be causal, {model.identity} is {model.kind}; take "
            "another"
        )
    return model
