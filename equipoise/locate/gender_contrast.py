"""Which blocks make the model prefer a pronoun? Its log-odds against the other's, by block.

Source: own (methods-lftf 2.1): what LFTF looks for with a measure that knows nothing of gender.
The attribution is that of activation patching to first order (Nanda 2023, "Attribution Patching"):
the gradient of the log-odds at the residual stream times what a block adds to it. At a block's
output that estimates by how much the log-odds would fall were the block left out.
"""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass
from torch import Tensor

from equipoise.conclusions import Ranking
from equipoise.errors import ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.locate.base import Locator, Table, bootstrap_scores
from equipoise.models.anatomy import blocks
from equipoise.models.hooks import differentiable_states, frozen
from equipoise.models.kernels import exact_sum
from equipoise.records import OPTIONS, Prompt
from equipoise.training.answer_words import why_not_asked, words_of
from equipoise.training.next_token_logits import NextLogits, prompt_ids, word_tree

_AT_INPUT = "read at the blocks' inputs: it does not estimate what leaving a block out would do"
_WITHOUT_FIRST = "what blocks add at the first token is left out"


def attribution(
    gradient: Float[Tensor, "row token feature"],
    before: Float[Tensor, "row token feature"],
    after: Float[Tensor, "row token feature"],
) -> Float[Tensor, "row token"]:
    """What a block adds to the log-odds at each token, to first order: gradient · (after - before).

    In nats; 0: the block adds nothing that the log-odds feel. Computed in float32 whatever the
    model's dtype.
    """
    return (gradient.float() * (after.float() - before.float())).sum(-1)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class GenderContrast(Locator):
    """How much each block moves log P(he) - log P(she) after a prompt, in nats; mean over prompts.

    Of more than two words it is the mean over pairs of what the block does to their log-odds.
    0: the block does not move it. An estimate of first order: large for a block that matters, but
    too small where the stream cannot do without the block, above all for the first block.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "own (methods-lftf 2.1); Nanda 2023, attribution patching"

    #: whose log-odds; a word of several tokens counts as the product of their probabilities;
    #: None: those that the supply asks for, "he" and "she" where it does not say
    words: tuple[str, ...] | None = None
    #: where the gradient is taken; "input": at what goes into the block
    gradient: Literal["output", "input"] = "output"
    #: of a prompt; "signed": above 0 the block moves lo to the first word of two
    effect: Literal["absolute", "signed"] = "absolute"
    first_token: bool = True  # count what a block adds at the start token (or the first)
    #: bootstrap resamples of the prompts, for the interval of each score
    draws: Annotated[int, Field(ge=1)] = 1000

    @model_validator(mode="after")
    def _check_words(self) -> "GenderContrast":
        words = self.words
        if words is not None and (len(words) < 2 or len(set(words)) < len(words) or not all(words)):
            raise ValueError(f"words must be two different ones or more, got {list(words)}")
        if words is not None and self.effect == "signed" and len(words) > 2:
            raise ValueError(f"effect=signed must be of two words, got {list(words)}")
        return self

    def refuses(self, prompts: Sequence[Prompt]) -> str | None:
        """Why these words do not fit the prompts; None: they do."""
        reason = why_not_asked(self.words, prompts)
        if reason is None and self.effect == "signed":
            words = words_of(self.words, prompts)
            if len(words) > 2:
                return f"effect=signed must be of two words, got {list(words)}; name two in words"
        return reason

    def locate(self, model: LanguageModel, prompts: Sequence[Prompt], *, seed: int) -> Ranking:
        """Score every block; the interval is a percentile bootstrap over prompts.

        Raises `RecipeError` without prompts or when a word is spelt differently after a prompt
        than after another, and `ModelError` for a masked model or a state that is not finite.
        """
        if not prompts:
            raise RecipeError(
                f"gender_contrast must have prompts, got {len(prompts)}; give it a supply"
            )
        reason = self.refuses(prompts)
        if reason is not None:
            raise RecipeError(f"gender_contrast cannot rank on these prompts: {reason}")
        words = words_of(self.words, prompts)
        effects = self._effects(model, [prompt.text for prompt in prompts], words)
        effects = _over_pairs(effects) if self.effect == "absolute" else effects[0]
        signed = (
            f"signed: above 0 the block moves the log-odds to {words[0]!r}, below 0 to {words[1]!r}"
        )
        scores, low, high = bootstrap_scores(
            effects, np.ones((len(prompts), 1)), draws=self.draws, seed=seed,
            within=(0.0 if self.effect == "absolute" else -math.inf, math.inf),
        )  # fmt: skip
        return Ranking(
            locator="gender_contrast",
            scores=scores,
            low=low,
            high=high,
            prompts=len(prompts),
            unit=f"{'|nats|' if self.effect == 'absolute' else 'nats'} of log-odds",
            notes=(
                (signed,) * (self.effect == "signed")
                + (_AT_INPUT,) * (self.gradient == "input")
                + (_WITHOUT_FIRST,) * (not self.first_token)
            ),
        )

    def _effects(
        self, model: LanguageModel, texts: Sequence[str], named: Sequence[str]
    ) -> NDArray[np.float64]:
        """What each block adds to the log-odds of the first word against each of the others.

        In nats: [other word, prompt, block].
        """
        tree = word_tree(model.tokenizer, texts, named)
        reader = NextLogits(model, prompt_ids(model, texts), tree.contexts)
        parts = list(blocks(model.module))
        effects = np.zeros((len(named) - 1, len(texts), len(parts)))
        lengths = reader.lengths.view(reader.prompts, -1)  # [prompt, context]
        longest = lengths.amax(-1).cpu()
        # a graph keeps the states of every block, where a forward pass keeps a single block's
        tokens = model.batch_tokens // len(parts)
        size = max(1, tokens // (int(longest.max()) * reader.contexts))
        with frozen(model.module), differentiable_states(parts) as states:
            for prompts in torch.split(torch.argsort(longest, stable=True), size):
                words = tree.logprobs(reader(prompts).log_softmax(-1))  # [prompt, word]
                where = states.after if self.gradient == "output" else states.before
                ends = lengths[prompts].flatten()[:, None]
                places = torch.arange(int(ends.max()), device=ends.device)
                counted = (places < ends) & (places >= (0 if self.first_token else 1))
                for other in range(1, len(named)):
                    # prompts do not touch each other: the sum's gradient is each prompt's own
                    gradients = torch.autograd.grad(
                        (words[:, 0] - words[:, other]).sum(),
                        [where[block] for block in sorted(where)],
                        retain_graph=other + 1 < len(named),
                    )
                    for block, gradient in enumerate(gradients):
                        added = attribution(
                            gradient, states.before[block].detach(), states.after[block].detach()
                        )
                        total = exact_sum(added, counted).view(len(prompts), -1).sum(-1)
                        effects[other - 1, prompts.numpy(), block] = total.cpu()
        broken = ~np.isfinite(effects)
        if broken.any():
            first = int(broken.any((0, 1)).argmax())
            raise ModelError(
                f"log-odds and their gradients must be finite, got {int(broken.sum())} that are "
                f"not, first at block {first} of {model.identity}; check the "
                "model's weights and number format"
            )
        return effects


def _over_pairs(effects: NDArray[np.float64]) -> Table:
    """Mean over pairs of words of |what a block adds to their log-odds|: [prompt, block].

    `effects`: of the first word against each other, [other word, prompt, block]. To first order
    what is added to the log-odds of two others is the difference of theirs.
    """
    added = [np.zeros_like(effects[0]), *effects]
    apart = np.array([np.abs(second - first) for first, second in combinations(added, 2)])
    return np.asarray(apart.mean(axis=0))
