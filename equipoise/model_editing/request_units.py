"""What a value's loss is summed from: a request after one prefix, or its held text.

A unit has one row for each target that needs tokens of its own before its last one; targets of a
single token share the prompt's row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from equipoise.inference.language_model import LanguageModel
from equipoise.model_editing.context_templates import Prefixes
from equipoise.model_editing.edit_rows import EditRow, prompt_row, subject_rows
from equipoise.model_editing.requests import EditRequest
from equipoise.models.tokenization import Ids

TOGETHER: Final = 32  # units whose prefixes differ that are run together, at most

Rows = Int[Tensor, " row"]
UnitLogprobs = Float[Tensor, "unit vocabulary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Rows of one request after one prefix; targets are tokens read in a row."""

    request: int
    rows: tuple[EditRow, ...]
    targets: tuple[tuple[int, Ids], ...]  # its row in the unit, and its tokens
    plain: bool  # after no prefix
    held: bool = False  # its first read's distribution is held; it has no target


def units_of(
    model: LanguageModel,
    requests: Sequence[EditRequest],
    prefixes: Prefixes,
    *,
    last: bool = False,
) -> list[list[Unit]]:
    """The units after each prefix, then those whose distribution after the subject is held.

    The released code holds what follows the subject in "{subject} is a"; here it has its prompt's
    beginning before it ("The nurse"), so that its tokens are the same.
    `last`: deltas are added at the prompt's last token in place of the subject's.
    """
    groups = [
        [
            _prompt_unit(model, number, request, prefix, last=last)
            for number, request in enumerate(requests)
        ]
        for prefix in prefixes
    ]
    held = [
        Unit(request=number, rows=(row,), targets=(), plain=False, held=True)
        for number, (row,) in enumerate(subject_rows(model, requests, ("",)))
    ]
    if len(requests) * len(prefixes) <= TOGETHER:  # few: in one pass, whatever stands before
        groups = [groups[0], [unit for group in groups[1:] for unit in group]]
    return [*groups, held]


def _prompt_unit(
    model: LanguageModel, number: int, request: EditRequest, prefix: str, *, last: bool
) -> Unit:
    rows: list[EditRow] = []
    targets = []
    for target in request.targets:
        row, answer = prompt_row(model, request, prefix, target)
        if last:
            row = EditRow(ids=row.ids, subject=row.reads[0], reads=row.reads)
        if row not in rows:
            rows.append(row)
        targets.append((rows.index(row), answer))
    return Unit(request=number, rows=tuple(rows), targets=tuple(targets), plain=not prefix)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picks:
    """Where the targets of a batch's units are read, as indices into its log-probabilities."""

    targets: int  # of each unit; 0: held
    plain: bool
    request_of_unit: Int[Tensor, " unit"]
    unit_of_row: Rows
    first_row: Int[Tensor, " unit"]  # of each unit
    row: Int[Tensor, " pick"]
    read: Int[Tensor, " pick"]
    token: Int[Tensor, " pick"]
    slot: Int[Tensor, " pick"]  # unit times `targets` plus the target's number

    @classmethod
    def of(cls, units: Sequence[Unit]) -> "Picks":
        """Of units of the same kind, whose rows follow one another."""
        first_row, unit_of_row, picks = [], list[int](), list[tuple[int, int, int, int]]()
        count = len(units[0].targets)
        for number, unit in enumerate(units):
            first_row.append(len(unit_of_row))
            for target, (row, answer) in enumerate(unit.targets):
                picks += [
                    (first_row[-1] + row, read, token, number * count + target)
                    for read, token in enumerate(answer)
                ]
            unit_of_row += [number] * len(unit.rows)
        row, read, token, slot = torch.tensor(picks, dtype=torch.long).reshape(-1, 4).T
        return cls(
            targets=count,
            plain=units[0].plain,
            request_of_unit=torch.tensor([unit.request for unit in units]),
            unit_of_row=torch.tensor(unit_of_row),
            first_row=torch.tensor(first_row),
            row=row,
            read=read,
            token=token,
            slot=slot,
        )

    @property
    def held(self) -> bool:
        """Whether the units have no target, and their distribution is held."""
        return self.targets == 0

    @property
    def request_of_row(self) -> Rows:
        """The request of each row."""
        return self.request_of_unit[self.unit_of_row]

    @property
    def lengths(self) -> Float[Tensor, "unit target"]:
        """Tokens of each target."""
        size = len(self.request_of_unit) * self.targets
        return torch.bincount(self.slot, minlength=size).view(-1, self.targets).float()

    def to(self, device: torch.device) -> "Picks":
        """The same on a device."""
        moved = {name: index.to(device) for name, index in self._indices().items()}
        return Picks(targets=self.targets, plain=self.plain, **moved)

    def select(self, kept: Tensor) -> "Picks":
        """Of some of the units, with their rows and no others."""
        rows = kept[self.unit_of_row]
        new_row, new_unit = rows.cumsum(0) - 1, kept.cumsum(0) - 1
        if self.held:
            picks = torch.zeros(0, dtype=torch.bool, device=kept.device)
            slot = self.slot
        else:
            unit = self.slot // self.targets
            picks = kept[unit]
            slot = new_unit[unit] * self.targets + self.slot % self.targets
        return Picks(
            targets=self.targets,
            plain=self.plain,
            request_of_unit=self.request_of_unit[kept],
            unit_of_row=new_unit[self.unit_of_row[rows]],
            first_row=new_row[self.first_row[kept]],
            row=new_row[self.row[picks]],
            read=self.read[picks],
            token=self.token[picks],
            slot=slot[picks],
        )

    def logprobs(
        self, logprobs: Float[Tensor, "row read vocabulary"]
    ) -> Float[Tensor, "unit target"]:
        """The log-probability of each target: the sum over its tokens, in nats."""
        picked = logprobs[self.row, self.read, self.token]
        sums = logprobs.new_zeros(len(self.request_of_unit) * self.targets)
        return sums.index_add(0, self.slot, picked).view(-1, self.targets)

    def rest_divergence(self, now: UnitLogprobs, before: UnitLogprobs) -> Float[Tensor, " unit"]:
        """KL(before || now) of what follows the prompt, the targets' first tokens merged.

        So the targets may share their common mass otherwise, and nothing else may move.
        """
        unit = self.slot // self.targets
        starts = self.read == 0  # picks of the targets' first tokens
        taken = torch.zeros_like(now, dtype=torch.bool)
        taken[unit[starts], self.token[starts]] = True
        others = (before.exp() * (before - now)).masked_fill(taken, 0.0).sum(-1)
        mass_now, mass_before = (
            logprobs.masked_fill(~taken, -torch.inf).logsumexp(-1) for logprobs in (now, before)
        )
        return others + mass_before.exp() * (mass_before - mass_now)

    def _indices(self) -> dict[str, Tensor]:
        names = ("request_of_unit", "unit_of_row", "first_row", "row", "read", "token", "slot")
        return {name: getattr(self, name) for name in names}
