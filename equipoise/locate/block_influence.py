"""Which blocks turn the residual stream most on these prompts? LFTF's BMI.

Paper: LFTF (anonymous ACL submission, "Locating First and Then Fine-Tuning"), equation 4; it is
ShortGPT's block influence on prompts that ask for a pronoun. Nothing in it knows of gender: other
prompts would rank much the same, which is why `random_block` and other locators exist.
"""

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from equipoise.conclusions import Ranking
from equipoise.errors import ModelError, RecipeError
from equipoise.inference.batches import run_in_batches
from equipoise.inference.forward import pad
from equipoise.inference.language_model import LanguageModel
from equipoise.locate.base import Locator, Table, bootstrap_scores
from equipoise.models.anatomy import base, blocks, final_norm
from equipoise.models.hooks import block_states
from equipoise.models.kernels import exact_sum
from equipoise.models.tokenization import pad_token_id
from equipoise.processes.torch_group import join_rows
from equipoise.records import OPTIONS, Prompt
from equipoise.training.next_token_logits import prompt_ids

_INCLUDED = "the first token is included, whose massive activations may hide the rest"
_UNITS = {
    "sum": "1 - cosine, summed over tokens",
    "prompt_sum": "1 - cosine, summed over a prompt's tokens",
}
_NORMED = "the last block is measured with the final norm, whose gain turns the stream too"


def block_influence(
    before: Float[Tensor, "*token feature"], after: Float[Tensor, "*token feature"]
) -> Float[Tensor, "*token"]:
    """How much a block turns the residual stream: 1 - cosine(before, after) of each token.

    In [0, 2]; 0: the block only rescales. Computed in float32 whatever the model's dtype; nan
    where a state is zero.
    Source: LFTF, equation 4.
    """
    first, second = before.float(), after.float()
    lengths = first.norm(dim=-1) * second.norm(dim=-1)
    turn: Tensor = 1.0 - (first * second).sum(-1) / lengths
    # a cosine may be rounded to a value above 1
    return turn.clamp(0.0, 2.0)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class BlockInfluence(Locator):
    """Mean turn of the residual stream by each block, in [0, 2] (sums: without upper bound).

    Differs from the paper, whose tables are sums over all tokens of all prompts: means compare
    between prompts of unequal length and samples of unequal size, and the first token is left out.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "LFTF (anonymous ACL submission), equation 4"

    #: over tokens; "sum": over all tokens of all prompts, as the paper's tables; "prompt_sum": over
    #: the tokens of a prompt, the mean over prompts, as the size of its variances suggests;
    #: "last_token": the position before the pronoun
    reduce: Literal["mean", "sum", "prompt_sum", "last_token"] = "mean"
    #: read the last block after the final norm, as a library's list of hidden states does
    post_norm_last: bool = False
    #: count the start token (or the first), whose massive activations may hide the rest
    first_token: bool = False
    #: bootstrap resamples of the prompts, for the interval of each score
    draws: Annotated[int, Field(ge=1)] = 1000

    def locate(self, model: LanguageModel, prompts: Sequence[Prompt], *, seed: int) -> Ranking:
        """Score every block; the interval is a percentile bootstrap over prompts."""
        if not prompts:
            raise RecipeError(
                f"block_influence must have prompts, got {len(prompts)}; give it a supply"
            )
        turns, counts = self._measure(model, prompts)
        summed = self.reduce in ("sum", "prompt_sum")
        divisors = {"sum": None, "prompt_sum": np.ones_like(counts)}  # else by tokens
        scores, low, high = bootstrap_scores(
            turns, divisors.get(self.reduce, counts), draws=self.draws, seed=seed,
            within=(0.0, math.inf if summed else 2.0),
        )  # fmt: skip
        return Ranking(
            locator="block_influence",
            scores=scores,
            low=low,
            high=high,
            prompts=len(prompts),
            unit=_UNITS.get(self.reduce, "1 - cosine"),
            notes=(_INCLUDED,) * self.first_token + (_NORMED,) * self.post_norm_last,
        )

    def _measure(self, model: LanguageModel, prompts: Sequence[Prompt]) -> tuple[Table, Table]:
        """Summed turns [prompt, block] and the tokens that were counted [prompt, 1]."""
        ids = prompt_ids(model, [prompt.text for prompt in prompts])
        parts = list(blocks(model.module))
        turns, counts = np.zeros((len(ids), len(parts))), np.zeros((len(ids), 1))

        def run(batch: list[int]) -> None:
            tokens, real = pad([ids[row] for row in batch], pad_token_id(model.tokenizer))
            tokens, real = tokens.to(model.module.device), real.to(model.module.device)
            # without the head: no logits are needed
            base(model.module)(input_ids=tokens, attention_mask=real.long(), use_cache=False)
            places = torch.arange(real.shape[1], device=real.device)  # rows end with padding
            if self.reduce == "last_token":
                counted = places == real.sum(1, keepdim=True) - 1
            else:
                counted = real & (places >= (0 if self.first_token else 1))
            counts[batch] = counted.sum(-1, keepdim=True).cpu().numpy()
            for block in range(len(parts)):
                after = states.after[block]
                if self.post_norm_last and block == len(parts) - 1:
                    after = final_norm(model.module)(after)
                turn = block_influence(states.before[block], after)
                # what padding gives is never read, and may be anything
                broken = int((~torch.isfinite(turn[counted])).sum())
                if broken:
                    raise ModelError(
                        f"hidden states must be finite and not zero, got {broken} that are not at "
                        f"block {block} of {model.identity}; check the model's weights and number "
                        "format"
                    )
                turns[batch, block] = exact_sum(turn, counted).cpu().numpy()

        with block_states(parts) as states:
            done = run_in_batches(model, list(map(len, ids)), run, share=True)
        join_rows(turns, done)
        join_rows(counts, done)
        if not counts.sum():
            raise RecipeError(
                f"block_influence must have a token to read, got {len(ids)} prompts that have none "
                "but their first; set first_token or give longer prompts"
            )
        return turns, counts
