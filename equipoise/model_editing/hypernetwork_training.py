"""Train BiasEdit's editor on contrasts, and take one shift from it.

The edited model is never a step from the last edited one: each step shifts the base anew, so that
the rows (input, gradient) of a contrast are the same in every epoch, and the statistics that
normalize them are those of one pass made before.
Paper: Xu et al. 2025 (BiasEdit), section 3 and the released code, with its faults mended.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from equipoise.errors import ModelError
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.queries import Query
from equipoise.model_editing import bias_edit_losses as losses
from equipoise.model_editing.bias_edit_reading import Pair, logprobs, places, reduced, scores_of
from equipoise.model_editing.hypernetwork import Editor, EditorSize, regressed
from equipoise.model_editing.target_modules import Sites, shifted, watched
from equipoise.models.kernels import exact, exact_device, matmul_path
from equipoise.training.loop import Schedule, Trained, train

Losses: TypeAlias = Literal["fixed", "reference"]
Judged: TypeAlias = Literal["same", "other"]

_MAX_GRADIENT = 1.0  # of the editor's gradient, as the released code


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What the editor is trained for, and in what portions."""

    losses: Losses = "fixed"
    judged: Judged = "same"  # the contrasts that a shift is made from; "other": those after them
    retention: float = 1.0  # weight of the retention loss; 0: none
    edits: int = 64  # contrasts a step, from which one shift is made
    texts: int = 32  # a forward pass: memory only
    epochs: int = 1
    meta_rate: float = 1e-5
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Lesson:
    """What the editor learns from: contrasts, and texts on which the model must not change."""

    pairs: tuple[Pair, ...]
    unrelated: tuple[Query | None, ...]  # of each pair; None where it has none
    neutral: tuple[Query, ...] = field(default=())


def learn(
    model: LanguageModel, found: Sites, lesson: Lesson, *, size: EditorSize, aim: Aim
) -> tuple[Editor, Trained]:
    """An editor trained on the lesson; the model is left as it was.

    Raises `ModelError` naming the step when a loss or a gradient is not finite.
    """
    editor = Editor(found.shapes, size, seed=aim.seed).to(exact_device(model.module.device))
    work = _Work(model, found, aim)
    for rows in work.rows(lesson.pairs, when="before training"):
        for number, (keys, gradients) in enumerate(rows):
            editor.observe(number, keys, gradients)
    trained = train(
        editor,
        dict(editor.named_parameters()),
        examples=len(lesson.pairs),
        loss=_EditorLoss(work, lesson),
        schedule=Schedule(
            learning_rate=aim.meta_rate,
            epochs=aim.epochs,
            batch_size=aim.edits,
            seed=aim.seed,
            max_gradient=_MAX_GRADIENT,
        ),
        key=f"{model.identity} {matmul_path(model.module)} {found.names} {size} {aim} {lesson}",
    )
    with torch.no_grad():
        for name, one in editor.named_parameters():
            one.copy_(trained.weights[name])
    return editor, trained


@torch.no_grad()
def shifts_of(
    model: LanguageModel, found: Sites, editor: Editor, pairs: Sequence[Pair], *, aim: Aim
) -> list[Tensor]:
    """One shift of each module, [input, output], from all these contrasts at once.

    The ridge regression over all their rows, which are summed up in float64 as they come.
    """
    device = exact_device(model.module.device)
    sums = [
        (
            torch.zeros(inputs, inputs, dtype=torch.float64, device=device),
            torch.zeros(inputs, outputs, dtype=torch.float64, device=device),
        )
        for inputs, outputs in found.shapes
    ]
    for rows in _Work(model, found, aim).rows(pairs, when="after training"):
        for number, (keys, gradients) in enumerate(rows):
            gram, cross = sums[number]
            gram += keys.double().T @ keys.double()
            cross += keys.double().T @ editor.values(number, keys, gradients).double()
    return [
        regressed(gram, cross, editor.ridge(number)).float().to(model.module.device)
        for number, (gram, cross) in enumerate(sums)
    ]


def root_mean_square_margin(
    model: LanguageModel, found: Sites, shifts: Sequence[Tensor], pairs: Sequence[Pair], aim: Aim
) -> float:
    """How far from parity a shifted model is on these contrasts, in nats; 0 at parity."""
    work, total = _Work(model, found, aim), 0.0
    with torch.no_grad(), shifted(found, shifts):
        for some in work.portions(pairs):
            one = scores_of(model, [pair.stereotype for pair in some])
            other = scores_of(model, [pair.antistereotype for pair in some])
            total += float(exact(losses.squared_margin(one, other)).sum())
    return math.sqrt(total / len(pairs))


@dataclass(frozen=True, slots=True)
class _Work:
    """The model, what of it is edited, and what for."""

    model: LanguageModel
    sites: Sites
    aim: Aim

    def portions(self, pairs: Sequence[Pair]) -> Iterator[Sequence[Pair]]:
        """As many pairs at a time as make a forward pass."""
        size = max(1, self.aim.texts // 2)
        return (pairs[index : index + size] for index in range(0, len(pairs), size))

    def rows(self, pairs: Sequence[Pair], *, when: str) -> Iterator[list[tuple[Tensor, Tensor]]]:
        """Of each portion, each module's (inputs, gradients): [row, feature], float32.

        Where the editor is: on the model's device unless that has no float64.
        The gradient is that of the sum of the pairs' losses and not of a mean: the rows of a pair
        do not depend on its company.
        """
        for some in self.portions(pairs):
            with watched(self.sites) as seen:
                loss, flat = self._debias(some)
                zeros = [seen.zeros[index] for index in range(len(self.sites.modules))]
                gradients = torch.autograd.grad(loss, zeros)
            _check_finite([loss, *gradients], when)
            yield [
                (self._of(seen.keys[index], flat), self._of(gradient, flat))
                for index, gradient in enumerate(gradients)
            ]

    def _of(self, values: Tensor, flat: Tensor) -> Tensor:
        """Rows of [text, place, feature] at these places of the batch."""
        rows = values.flatten(0, 1)[flat].float()
        return rows.to(exact_device(rows.device))

    def judged(
        self, shifts: Sequence[Tensor], pairs: Sequence[Pair], kept: Sequence[Query]
    ) -> tuple[Tensor, list[Tensor]]:
        """The whole loss of a shifted model, and its gradient by each shift.

        A mean over the pairs, plus the retention weight times a mean over the kept texts' tokens
        (the released code: over the texts).
        """
        total = torch.zeros((), device=shifts[0].device)
        gradients = [torch.zeros_like(shift) for shift in shifts]
        for loss in self._parts(shifts, pairs, kept):
            total = total + loss.detach()
            for gradient, one in zip(gradients, torch.autograd.grad(loss, shifts), strict=True):
                gradient += one
        return total, gradients

    def _parts(
        self, shifts: Sequence[Tensor], pairs: Sequence[Pair], kept: Sequence[Query]
    ) -> Iterator[Tensor]:
        """The loss in parts that add up to it, each with a graph of its own."""
        for some in self.portions(pairs):
            with torch.enable_grad(), shifted(self.sites, shifts):
                yield self._debias(some)[0] / len(pairs)
        reference = self.aim.losses == "reference"
        count = len(kept) if reference else sum(len(one.reads) for one in kept)
        for index in range(0, len(kept), self.aim.texts):
            texts = kept[index : index + self.aim.texts]
            with torch.no_grad():
                before = logprobs(self.model, texts)
            with torch.enable_grad(), shifted(self.sites, shifts):
                after = logprobs(self.model, texts)
                found = (
                    losses.reference_retention(reduced(texts, before), reduced(texts, after))
                    if reference
                    else losses.divergence(before, after)
                )
                yield self.aim.retention * found.sum() / count

    def _debias(self, pairs: Sequence[Pair]) -> tuple[Tensor, Tensor]:
        """The sum of the pairs' losses, and the places in the batch that were read."""
        queries = [pair.stereotype for pair in pairs] + [pair.antistereotype for pair in pairs]
        found = scores_of(self.model, queries)
        first, second = found.halves()
        of = losses.reference_debias if self.aim.losses == "reference" else losses.squared_margin
        return of(first, second).sum(), places(queries).to(self.model.module.device)


class _EditorLoss:
    """The loss of a step: of the model shifted by what the editor makes of the step's contrasts.

    The gradient is taken first by the shifts and from there through the editor, so that the graphs
    of the model and of the editor are never there together.
    """

    def __init__(self, work: _Work, lesson: Lesson) -> None:
        self.work = work
        self.lesson = lesson
        generator = torch.Generator().manual_seed(work.aim.seed)
        self.order = torch.randperm(len(lesson.neutral), generator=generator).tolist()
        self.others = torch.randperm(len(lesson.pairs), generator=generator).tolist()
        self.places = {pair: index for index, pair in enumerate(self.others)}

    def __call__(self, editor: nn.Module, rows: Tensor, step: int) -> Tensor:
        if not isinstance(editor, Editor):
            raise TypeError(f"an editor is trained, got {type(editor).__name__}")
        numbers = rows.tolist()
        made = self._rows(numbers, step)
        shifts = [
            editor.shift(index, keys, gradients) for index, (keys, gradients) in enumerate(made)
        ]
        _check_finite([shift.detach() for shift in shifts], f"step {step}")
        there = self.work.model.module.device
        leaves = [shift.detach().to(there).requires_grad_() for shift in shifts]
        judged = numbers if self.work.aim.judged == "same" else self._after(numbers)
        value, gradients = self.work.judged(
            leaves, [self.lesson.pairs[at] for at in judged], self._kept(judged, step)
        )
        carried = torch.stack(
            [
                (shift * by.to(shift.device)).sum()
                for shift, by in zip(shifts, gradients, strict=True)
            ]
        ).sum()
        return carried + (value.to(carried.device) - carried.detach())

    def _rows(self, numbers: Sequence[int], step: int) -> list[tuple[Tensor, Tensor]]:
        pairs = [self.lesson.pairs[at] for at in numbers]
        parts = list(self.work.rows(pairs, when=f"step {step}"))
        return [
            (torch.cat([keys for keys, _ in module]), torch.cat([by for _, by in module]))
            for module in zip(*parts, strict=True)
        ]

    def _after(self, numbers: Sequence[int]) -> list[int]:
        """As many other contrasts: those that follow, in an order drawn once; fewer if they end."""
        taken, found = set(numbers), []
        first = self.places[numbers[0]]
        for index in range(1, len(self.others)):
            one = self.others[(first + index) % len(self.others)]
            if one not in taken:
                found.append(one)
            if len(found) == len(numbers):
                break
        return found or list(numbers)

    def _kept(self, numbers: Sequence[int], step: int) -> list[Query]:
        """The contrasts' unrelated texts, and as many neutral ones of a seeded order in turn."""
        if not self.work.aim.retention:
            return []
        own = [self.lesson.unrelated[at] for at in numbers]
        found = [one for one in own if one is not None]
        if self.order:
            first = step * self.work.aim.edits
            turns = [(first + index) % len(self.order) for index in range(len(numbers))]
            found += [self.lesson.neutral[self.order[at]] for at in turns]
        return found


def _check_finite(tensors: Sequence[Tensor], when: str) -> None:
    for tensor in tensors:
        if not bool(torch.isfinite(tensor).all()):
            worst = float(tensor.detach().float().abs().max())
            raise ModelError(
                f"{when}: the loss and its gradients must be finite, got {worst}; "
                "lower the rates or check the model's weights"
            )
