"""Values: what a layer must put out at the subject for its prompts to have their targets.

For all requests together: a delta is added to the output of a module at the last token of each
subject, and Adam moves all deltas at once, each by its own loss alone; a request whose loss is low
enough stops there. Paper: Meng et al. 2022 (ROME), section 3.1, and 2023 (MEMIT), equation 16.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from equipoise.errors import ModelError
from equipoise.inference.language_model import LanguageModel
from equipoise.model_editing.context_templates import Prefixes
from equipoise.model_editing.edit_rows import Batch, EditRows, at_least_float32, hooked
from equipoise.model_editing.request_units import Picks, Unit, units_of
from equipoise.model_editing.requests import EditRequest
from equipoise.models.hooks import frozen
from equipoise.progress.bars import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueSettings:
    """How values are optimized; the defaults are those of ROME's paper for GPT-2.

    The loss of a request is the mean over prefixes of its target loss, plus `kl` times the KL
    divergence of the next token after "{subject} is a" from the model before, plus
    `weight_decay` times ||delta||^a / ||initial||^b with (a, b) = `norms`.
    """

    steps: int = 20  # losses computed; the deltas move one time less, as the released code
    learning_rate: float = 0.5
    weight_decay: float = 0.5
    norms: tuple[int, int] = (1, 2)  # powers of the lengths of delta and of the initial value
    kl: float = 0.0625
    clamp: float = 4.0  # longest delta, in lengths of the initial value
    stop: float = 0.05  # a request is finished below this loss
    #: of the KL divergence of what else may follow the plain prompt; with two targets alone
    rest: float = 1.0
    position: Literal["subject", "last"] = "subject"  # where deltas are added


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """What was found for each request, in its order; at least float32, on the model's device."""

    initial: Float[Tensor, "request feature"]  # the module's output after the plain prompt
    delta: Float[Tensor, "request feature"]
    losses: tuple[float, ...]  # the last that was computed, in nats
    steps: tuple[int, ...]  # losses that were computed

    @property
    def wanted(self) -> Float[Tensor, "request feature"]:
        """The values: initial + delta."""
        return self.initial + self.delta


def optimize_values(
    model: LanguageModel,
    requests: Sequence[EditRequest],
    prefixes: Prefixes,
    *,
    block: int,
    module: nn.Module,
    settings: ValueSettings,
) -> Values:
    """Optimize a delta for the output of `module`, which is the block or a part of it.

    Only this block and later ones are run, on the residual stream that goes into it. Raises
    `ModelError` naming the request when a loss is not finite.
    """
    units = units_of(model, requests, prefixes, last=settings.position == "last")
    with frozen(model.module):
        return _Optimization(model, units, block, module, settings, len(prefixes)).run(requests)


class _Optimization:
    """The rows of all requests with the stream that goes into the block, and their losses."""

    def __init__(
        self,
        model: LanguageModel,
        units: Sequence[Sequence[Unit]],
        block: int,
        module: nn.Module,
        settings: ValueSettings,
        prefixes: int,
    ) -> None:
        self.settings, self.block, self.module = settings, block, module
        self.count, self.prefixes = len(units[-1]), prefixes
        self.rows = EditRows(
            model, [[row for unit in group for row in unit.rows] for group in units]
        )
        device = model.module.device
        self.parts: list[tuple[Batch, Picks, Tensor]] = []
        self.references: list[Tensor] = []  # log-probabilities before, where they are held
        states: dict[int, Tensor] = {}  # a request to its initial value
        for batch, group in zip(
            self.rows.batches, [group for group in units if group], strict=True
        ):
            for part, picks in _split(batch, group, self.rows.most):
                hidden = self.rows.inputs_of_block(part, block)
                picks = picks.to(device)
                self.parts.append((part, picks, hidden))
                self.references.append(self._look(part, picks, hidden, states))
        self.initial = torch.stack([states[index] for index in range(self.count)])

    @torch.no_grad()
    def _look(self, part: Batch, picks: Picks, hidden: Tensor, states: dict[int, Tensor]) -> Tensor:
        """The distributions that are held, before; and the initial values, of plain prompts."""
        seen: list[Tensor] = []

        def look(output: Tensor) -> Tensor:
            seen.append(output)
            return output

        with hooked(self.module, look):
            logits = self.rows.logits(part, start=self.block, hidden=hidden)
        if picks.plain:
            places = (torch.arange(len(part.rows)), part.subjects)
            values = at_least_float32(part.by_position(seen[0])[places])
            for row, request in enumerate(picks.request_of_row.tolist()):
                states.setdefault(request, values[row])
        held = picks.held or (picks.plain and picks.targets == 2 and self.settings.rest > 0)
        return logits[picks.first_row, 0].log_softmax(-1) if held else logits[:0, 0]

    def run(self, requests: Sequence[EditRequest]) -> Values:
        """Adam until every request is finished or all steps are done."""
        settings = self.settings
        delta = torch.zeros_like(self.initial, requires_grad=True)
        optimizer = torch.optim.Adam([delta], lr=settings.learning_rate)
        lengths = self.initial.norm(dim=-1)
        active = torch.ones(self.count, dtype=torch.bool, device=delta.device)
        losses = torch.full_like(lengths, math.nan)
        steps = torch.zeros(self.count, dtype=torch.long, device=delta.device)
        for step in counted(range(settings.steps), "values", settings.steps, unit="step"):
            optimizer.zero_grad()
            now = torch.zeros_like(lengths)
            for index in range(len(self.parts)):
                now += self._part_loss(index, delta, active)
            power, against = settings.norms
            # a length has no gradient at 0, and the square's is 0 there
            size = delta.square().sum(-1).clamp_min(1e-24).sqrt()
            penalty = settings.weight_decay * size**power / lengths**against
            penalty[active].sum().backward()
            now = torch.where(active, now + penalty.detach(), losses)
            if not bool(torch.isfinite(now).all()):
                index = int((~torch.isfinite(now)).nonzero()[0])
                raise ModelError(
                    f"the loss of request '{requests[index].id}' must be finite, got "
                    f"{float(now[index])} at step {step}; lower the learning rate of values"
                )
            losses, steps = now, steps + active
            active = active & (losses >= settings.stop)
            if step == settings.steps - 1 or not bool(active.any()):
                break
            before = delta.detach().clone()
            optimizer.step()
            with torch.no_grad():
                longest = settings.clamp * lengths
                scale = (longest / delta.norm(dim=-1).clamp_min(1e-12)).clamp(max=1.0)
                # finished deltas stay, although Adam's momentum would move them
                delta.copy_(torch.where(active[:, None], delta * scale[:, None], before))
        return Values(
            initial=self.initial,
            delta=delta.detach(),
            losses=tuple(losses.tolist()),
            steps=tuple(steps.tolist()),
        )

    def _part_loss(self, index: int, delta: Tensor, active: Tensor) -> Tensor:
        """The losses of a part's requests; their gradients are added to the delta's."""
        part, picks, hidden = self.parts[index]
        kept_units = active[picks.request_of_unit]
        losses = delta.new_zeros(self.count)
        if not bool(kept_units.any()):
            return losses
        reference = self.references[index]
        if not bool(kept_units.all()):
            rows = kept_units[picks.unit_of_row].nonzero()[:, 0]
            part, hidden = part.select(rows), hidden[rows]
            reference = reference[kept_units] if len(reference) else reference
            picks = picks.select(kept_units)

        def add(output: Tensor) -> Tensor:
            places = (torch.arange(len(part.rows), device=delta.device), part.subjects)
            change = delta[picks.request_of_row].to(output.dtype)
            added = part.by_position(output).index_put(places, change, accumulate=True)
            return added.view_as(output)

        with torch.enable_grad(), hooked(self.module, add):
            logprobs = self.rows.logits(part, start=self.block, hidden=hidden).log_softmax(-1)
            by_unit = self._unit_losses(logprobs, picks, reference)
            by_unit.sum().backward()  # type: ignore[no-untyped-call]
        return losses.index_add(0, picks.request_of_unit, by_unit.detach())

    def _unit_losses(self, logprobs: Tensor, picks: Picks, reference: Tensor) -> Tensor:
        """What each unit adds to its request's loss."""
        settings = self.settings
        first = logprobs[picks.first_row, 0]  # [unit, vocabulary]
        if picks.held:  # KL(now || before), as the released code
            return settings.kl * (first.exp() * (first - reference)).sum(-1)
        targets = picks.logprobs(logprobs)  # [unit, target]
        if picks.targets == 1:
            return -(targets / picks.lengths).sum(-1) / self.prefixes
        loss = (targets[:, 0] - targets[:, 1]).square() / self.prefixes
        if len(reference):
            loss = loss + settings.rest * picks.rest_divergence(first, reference)
        return loss


def _split(batch: Batch, units: Sequence[Unit], most: int) -> list[tuple[Batch, Picks]]:
    """Parts of at most `most` rows, or of a unit's, with whole units in each."""
    parts: list[tuple[Batch, Picks]] = []
    start = 0
    begin = 0  # row of the first unit of the part
    while start < len(units):
        stop, size = start + 1, len(units[start].rows)
        while stop < len(units) and size + len(units[stop].rows) <= most:
            size += len(units[stop].rows)
            stop += 1
        rows = torch.arange(begin, begin + size, device=batch.tokens.device)
        parts.append((batch.select(rows), Picks.of(units[start:stop])))
        start, begin = stop, begin + size
    return parts
