"""BiasUnlearn's loss: which texts a step takes, and what it asks of them.

Liu et al. 2025, section 3. After a type is turned round its batches keep their sizes and their
share of adversarial texts; only the labels change roles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from equipoise.contrast_training.adapter_fitting import Adapter
from equipoise.contrast_training.controllers import Controller, Fixed, Mix, from_stereotypes
from equipoise.contrast_training.early_stopping import BiasEarlyStopping, Phase
from equipoise.contrast_training.losses import Reduction, likelihood, npo
from equipoise.contrast_training.packed_forward import (
    PackedForward,
    ReferenceOutputs,
    reference_outputs,
)
from equipoise.contrast_training.retention import Divergence, Holding, Places, Texts
from equipoise.contrast_training.sampling import drawn
from equipoise.contrast_training.session import Lesson
from equipoise.contrast_training.tokenized import TokenizedContrast, TokenizedText
from equipoise.edits.adapter import AdapterEdit
from equipoise.edits.maker import Maker
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.records import Supply


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlearning:
    """The options of `mitigate.bias_unlearn`, which says what each means."""

    weights: tuple[float, float, float]
    beta: float
    reduction: Reduction
    retain_by_token: bool
    kl: Divergence
    kl_on: Texts
    kl_places: Places
    adversarial: float
    adversarial_from: Literal["stratified", "head"]
    batches: tuple[int, int]  # texts a step: forget, retain
    kl_batch: int
    controller: Controller
    look_every: int
    first_look: int
    longest: int


def unlearn(
    model: LanguageModel, adapter: Adapter, options: Unlearning, maker: Maker, *, supply: Supply
) -> AdapterEdit:
    """Train the adapter. Raises what `mitigate.bias_unlearn.BiasUnlearn.fit` says."""
    lesson = Lesson.of(model, supply, longest=options.longest, bounds=adapter.bounds)
    if not lesson.dev and not isinstance(options.controller, Fixed):
        raise RecipeError(
            f"the supply must have held-out contrasts to stop on, got {len(lesson.dev)} from "
            f"'{supply.origin}'; supply some, or use controller 'none'"
        )
    holding = lesson.holding(
        options.kl_on,
        places=options.kl_places,
        batch=options.kl_batch if options.weights[2] > 0 else 0,
        kind=options.kl,
        seed=adapter.seed,
    )
    pools = Pools.of(lesson.items, options, seed=adapter.seed)
    before = reference_outputs(lesson.reader, scored=lesson.pairs, compared=holding.texts)
    watch = lesson.watch(
        options.controller,
        every=options.look_every,
        first_look=options.first_look,
        seed=adapter.seed,
    )
    decides = watch if lesson.dev else None  # passages alone have no types to turn
    loss = _Loss(lesson.reader, options, pools, holding, before, decides, seed=adapter.seed)
    return lesson.fit(adapter, maker, loss=loss, watch=watch, others=holding.texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pools:
    """Items by type, and those of which both texts are forgotten."""

    items: Mapping[str, Sequence[TokenizedContrast]]
    adversarial: Mapping[str, Sequence[TokenizedContrast]]

    @classmethod
    def of(cls, items: Sequence[TokenizedContrast], options: Unlearning, *, seed: int) -> "Pools":
        """Sort the items by type and draw the adversarial ones.

        "head" takes the first share of all items in the order gender, profession, race, religion,
        so that the later types have none, as in the released code.
        """
        axes = sorted({item.axis for item in items})
        by_type = {axis: [item for item in items if item.axis == axis] for axis in axes}
        if options.adversarial_from == "head":
            first = [one for axis in axes for one in by_type[axis]]
            first = first[: int(options.adversarial * len(items))]
            chosen = {axis: [one for one in first if one.axis == axis] for axis in axes}
        else:
            chosen = {
                axis: _sample(own, options.adversarial, seed=(seed, index))
                for index, (axis, own) in enumerate(by_type.items())
            }
        return cls(items=by_type, adversarial=chosen)

    def forget(self, mix: Mix) -> dict[str, list[TokenizedText]]:
        """What is forgotten, by active type: the text leant to, and some of the other."""
        return {
            axis: [
                *(_role(one, mix.directions[axis]) for one in self.items[axis]),
                *(_role(one, -mix.directions[axis]) for one in self.adversarial[axis]),
            ]
            for axis in mix.active
        }

    def retain(self, mix: Mix) -> dict[str, list[TokenizedText]]:
        """What is retained, by active type."""
        return {
            axis: [_role(one, -mix.directions[axis]) for one in self.items[axis]]
            for axis in mix.active
        }


def _role(item: TokenizedContrast, direction: int) -> TokenizedText:
    return item.stereotype if direction > 0 else item.antistereotype


def _sample(
    items: Sequence[TokenizedContrast], share: float, *, seed: tuple[int, ...]
) -> list[TokenizedContrast]:
    size = int(share * len(items))
    chosen = np.random.default_rng([*seed, 1]).choice(len(items), size=size, replace=False)
    return [items[at] for at in sorted(chosen.tolist())]


class _Loss:
    """The loss of a step, by its number."""

    def __init__(
        self,
        reader: PackedForward,
        options: Unlearning,
        pools: Pools,
        holding: Holding,
        before: ReferenceOutputs,
        watch: BiasEarlyStopping | None,
        *,
        seed: int,
    ) -> None:
        self.reader = reader
        self.options = options
        self.pools = pools
        self.holding = holding
        self.before = before
        self.watch = watch
        self.seed = seed
        self.unwatched = Phase(number=0, start=0, mix=from_stereotypes(pools.items))

    def __call__(self, _: nn.Module, __: Tensor, step: int) -> Tensor:
        phase = self.unwatched if self.watch is None else self.watch.phase
        forget, retain, kl = self._texts(phase, step)
        several = [*forget, *retain, *kl]
        places = [one.target_positions for one in (*forget, *retain)]
        places += [self.holding.places_of(one) for one in kl]
        read = self.reader.read(several, places)
        scored = read.first(len(forget) + len(retain))
        sums = torch.stack([one.sum() for one in scored.split(self.reader.logprobs(scored))])
        sizes = torch.tensor(scored.counts, dtype=sums.dtype, device=sums.device)
        a, b, c = self.options.weights
        rest = read.after(len(scored.counts))
        value = c * self.holding.loss(self.reader, rest, kl, self.before)
        strength = phase.mix.strength
        cut = len(forget)
        if forget:
            value = value + a * strength * self._forgotten(sums[:cut], sizes[:cut], forget)
        if retain:
            kept = likelihood(sums[cut:], sizes[cut:], by_token=self.options.retain_by_token)
            value = value + b * strength * kept
        return value

    def _texts(
        self, phase: Phase, step: int
    ) -> tuple[list[TokenizedText], list[TokenizedText], list[TokenizedText]]:
        """Texts to forget, to retain and to be held; a weight of 0 leaves its texts out."""
        sizes = [
            size if weight > 0 else 0
            for size, weight in zip(self.options.batches, self.options.weights[:2], strict=True)
        ]
        turn = step - phase.start
        seed = (self.seed, phase.number)
        mix = phase.mix
        forget = drawn(self.pools.forget(mix), mix.weights, sizes[0], turn=turn, seed=(*seed, 0))
        retain = drawn(self.pools.retain(mix), mix.weights, sizes[1], turn=turn, seed=(*seed, 1))
        return forget, retain, self.holding.taken(step)

    def _forgotten(self, sums: Tensor, sizes: Tensor, texts: Sequence[TokenizedText]) -> Tensor:
        was = self.before.target_logprobs(texts)
        gap = was.to(sums.device) - sums
        return npo(gap, sizes, beta=self.options.beta, reduction=self.options.reduction)
