"""BiasEdit: a hyper-network, the editor, learns to turn contrasts into a shift of a few weights.

Paper: Xu et al. 2025, "BiasEdit: Debiasing Stereotyped Language Models via Model Editing". It
states a symmetric KL divergence between a stereotype and its anti-stereotype, and a KL divergence
on the unrelated text of the same context. Its code (`editor/base.py`) takes the mean probability of
a text's tokens for a distribution, which it is not; `reference_debias` and `reference_retention`
are that code, kept for comparison, and each says what is wrong with it. `losses="fixed"` is our
own repair: `squared_margin`, and a KL divergence of distributions.
"""

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, ClassVar, Literal, TypeAlias, TypeVar

import torch
from jaxtyping import Float
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from equipoise.contrast_training.packed_forward import PackedForward
from equipoise.contrast_training.tokenized import (
    TokenizedContrast,
    TokenizedText,
    tokenize_contrasts,
    tokenize_texts,
)
from equipoise.edits.weights import WeightEdit
from equipoise.errors import ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.prompting import before_text, prompted
from equipoise.inference.scoring import the_prompt
from equipoise.mitigate.base import Mitigation
from equipoise.model_editing.hypernetwork import Editor, solve_shifts, train_editor
from equipoise.model_editing.target_modules import (
    Rows,
    TargetModules,
    gradient_rows,
    select_target_modules,
    shifted,
)
from equipoise.models.hooks import frozen
from equipoise.models.kernels import evaluating, exact, exact_device, matmul_path
from equipoise.models.quantization import refuse_quantized
from equipoise.records import JSON, OPTIONS, Contrast, ModelKind, Supply
from equipoise.training.loss_curves import record_parts
from equipoise.training.pronoun_training import tuned_edit
from equipoise.training.schedule import Schedule
from equipoise.training.weight_checks import check_weights

_TEXTS = 32  # in a forward pass: memory only

T = TypeVar("T")
Texts: TypeAlias = Float[Tensor, " text"]


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class BiasEdit(Mitigation):
    """Train an editor on the supply's contrasts, and shift the weights once by these contrasts.

    The inductive use: an edited model for everything, learnt from the supply alone. The paper's
    own use makes a shift from the labelled items it is measured on: `bias_edit_transductive`.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Xu et al. 2025, BiasEdit, TrustNLP"
    requires: ClassVar[tuple[str, ...]] = ("contrasts",)
    kinds: ClassVar[tuple[ModelKind, ...]] = ("causal",)
    taught_by: ClassVar[str] = "stereoset"

    losses: Literal["fixed", "reference"] = "fixed"  # "reference": as the released code, below
    #: from 0, or below 0 from the last; None: the last three, as the paper for GPT-2 medium
    blocks: tuple[int, ...] | None = None
    #: hidden features of the editor's 2 layers, as the paper
    rank: Annotated[int, Field(ge=1)] = 1920
    #: initial scale of the shifts, learnt per module; paper: 1e-7 to 1e-6
    edit_rate: Annotated[float, Field(gt=0)] = 1e-5
    learning_rate: Annotated[float, Field(gt=0, le=1e30)] = (
        1e-5  # of the editor (Adam); paper: 1e-6 to 1e-5
    )
    epochs: Annotated[int, Field(ge=1)] = 10  # over the contrasts; paper: up to 100, stopped early
    #: contrasts per step, which make one shift; paper: 64 or 128
    batch_size: Annotated[int, Field(ge=1)] = 64
    #: of the retention loss; 0: none; paper: 1 to 5, of another loss
    retention_weight: Annotated[float, Field(ge=0)] = 10.0

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> WeightEdit:
        """Train the editor, and return the shifted weights of the edited modules.

        Raises `RecipeError` when the supply lacks contrasts or texts to retain, and `ModelError`
        for a masked model, for a loss that is not finite (naming the step), or for weights that
        are not finite or did not change.
        """
        return self.fit_shift(model, supply, supply.contrasts, seed=seed)

    def fit_shift(
        self, model: LanguageModel, supply: Supply, contrasts: Sequence[Contrast], *, seed: int
    ) -> WeightEdit:
        """Train the editor on the supply, and shift the weights by these contrasts; as `fit`."""
        refuse_quantized(model, "bias_edit")
        if model.kind != "causal":
            raise ModelError(f"bias_edit needs a causal model, {model.identity} is {model.kind}")
        if not supply.contrasts:
            raise RecipeError(
                f"the supply must have contrasts, got none from '{supply.origin}'; "
                "name a supply that has them, such as stereoset"
            )
        neutral = bool(supply.texts) and self.losses == "fixed"
        unrelated = any(contrast.unrelated is not None for contrast in supply.contrasts)
        if self.retention_weight and not (unrelated or neutral):
            raise RecipeError(
                f"retention needs unrelated texts, or neutral ones with fixed losses, got none "
                f"for {self.losses} losses from '{supply.origin}'; set retention_weight to 0 or "
                "name a supply that has them"
            )
        with evaluating(model.module), frozen(model.module):
            targets = select_target_modules(model, self.blocks)
            objective = _Objective(self, model, targets, supply, seed=seed)
            editor = Editor(targets.shapes, rank=self.rank, rate=self.edit_rate, seed=seed)
            trained = train_editor(
                # its statistics and regressions are float64
                editor.to(exact_device(model.module.device)),
                lambda batch: objective.rows([objective.contrasts[index] for index in batch]),
                objective.loss_parts,
                examples=len(objective.contrasts),
                schedule=Schedule(
                    learning_rate=self.learning_rate,
                    epochs=self.epochs,
                    batch_size=self.batch_size,
                    seed=seed,
                    max_gradient=1.0,  # as the released code
                ),
                device=model.module.device,
                key=f"{model.identity} {matmul_path(model.module)} {self} {seed} {objective.texts}",
            )
            pairs = _tokenize(model, contrasts)
            shifts = solve_shifts(editor, objective.rows(pairs), device=model.module.device)
            weights = targets.weights(shifts)
            before = {name: model.module.get_parameter(name) for name in weights}
            rates = f"edit_rate ({self.edit_rate:g}) and learning_rate ({self.learning_rate:g})"
            check_weights(weights, before, rates=rates)
            none = [torch.zeros_like(shift) for shift in shifts]
            report: dict[str, JSON] = {
                "blocks": list(targets.blocks),
                "modules": list(targets.names),
                "contrasts": len(pairs),
                "root_mean_square_margin_before": objective.root_mean_square_margin(pairs, none),
                "root_mean_square_margin_after": objective.root_mean_square_margin(pairs, shifts),
                "shift_share": [*targets.shares(shifts)],
            }
        if self.item_info:
            report["item_info"] = list(self.item_info)
        # the edit is the shift, not the editor that was trained
        trained = replace(trained, weights=weights)
        return tuned_edit(model, supply, trained, method=self, seed=seed, report=report)


class Scores:
    """What a model says of some texts, [text] each, from the log-probabilities of their tokens."""

    def __init__(self, logprobs: Sequence[Float[Tensor, " _"]]) -> None:
        self.total: Texts = torch.stack([values.sum() for values in logprobs])
        self.mean: Texts = torch.stack([values.mean() for values in logprobs])
        #: The mean of the probabilities, in [0, 1].
        self.mean_probability: Texts = torch.stack([values.exp().mean() for values in logprobs])


def squared_margin(stereotype: Scores, antistereotype: Scores) -> Texts:
    """(log p(stereotype) - log p(antistereotype))^2, in nats^2; 0 exactly at parity.

    Tokens before the first difference cancel, so it does not depend on how much the texts share.
    Source: our own repair of `reference_debias`.
    """
    return (stereotype.total - antistereotype.total).square()


def reference_debias(stereotype: Scores, antistereotype: Scores) -> Texts:
    """m(s) (log m(s) - l(a)) + m(a) (log m(a) - l(s)), as the released code has it.

    m is the mean probability of a text's tokens, l the mean log-probability, s and a the two
    texts. No divergence: it is above 0 for equal texts (log m >= l by Jensen), it shrinks in
    proportion when every token of both texts becomes less likely, and tokens that the two texts
    share weigh as much as those that differ.
    """
    toward = reference_retention(stereotype, antistereotype)
    return toward + reference_retention(antistereotype, stereotype)


def reference_retention(before: Scores, after: Scores) -> Texts:
    """m(before) (log m(before) - l(after)) of an unrelated text, as the released code has it.

    No divergence: without an edit it is above 0, and it falls without bound as the meaningless
    text becomes likelier, which is what a language-modeling score counts as an error.
    """
    return before.mean_probability * (before.mean_probability.log() - after.mean)


class _Objective:
    """The rows that shifts are made from, and the loss of a shifted model, for a supply.

    The loss is the mean debiasing loss of a step's contrasts, plus the retention weight times the
    mean retention loss: of their unrelated texts and as many neutral texts, per token (KL) or per
    text (the released code).
    """

    def __init__(
        self,
        method: BiasEdit,
        model: LanguageModel,
        targets: TargetModules,
        supply: Supply,
        *,
        seed: int,
    ) -> None:
        self.method = method
        self.targets = targets
        self.forward = PackedForward(model)
        self.forward_apart = PackedForward(model, share=False)
        self.contrasts = _tokenize(model, supply.contrasts, unrelated=method.retention_weight > 0)
        retained = supply.texts if method.retention_weight and method.losses == "fixed" else ()
        prompt = before_text(the_prompt(model))
        neutral = tokenize_texts(model, [prompt + text for text in retained], longest=sys.maxsize)
        order = torch.randperm(len(neutral), generator=torch.Generator().manual_seed(seed))
        self.neutral = [neutral[index] for index in order.tolist()]

    @property
    def texts(self) -> list[tuple[int, ...]]:
        """The ids of all that is learnt from."""
        texts = [text for item in self.contrasts for text in item.texts] + self.neutral
        return [text.ids for text in texts]

    def rows(self, contrasts: Sequence[TokenizedContrast]) -> Iterator[list[Rows]]:
        """Each module's inputs and gradients where the contrasts' tokens are predicted.

        The gradient is of a sum of losses: the rows of a contrast do not depend on the others.
        """
        for part in _batches(contrasts, _TEXTS // 2):
            _, positions = self._pairs(part)
            places = (
                [text for text, places in enumerate(positions) for _ in places],
                [position - 1 for places in positions for position in places],
            )
            loss = partial(self._debias, self.forward_apart, part)
            yield gradient_rows(self.targets, loss, places)

    def loss_parts(
        self, shifts: Sequence[Tensor], batch: Sequence[int], step: int
    ) -> Iterator[Tensor]:
        """The whole loss of a shifted model, in parts that add up to it."""
        contrasts = [self.contrasts[index] for index in batch]
        for part in _batches(contrasts, _TEXTS // 2):
            with torch.enable_grad(), shifted(self.targets, shifts):
                loss = self._debias(self.forward, part) / len(contrasts)
            record_parts(debiasing=loss)
            yield loss
        # Retained are the contrasts' unrelated texts, and as many neutral texts in turn.
        retained = [item.unrelated for item in contrasts if item.unrelated is not None]
        if self.neutral:
            first = step * self.method.batch_size
            turns = range(first, first + len(contrasts))
            retained += [self.neutral[turn % len(self.neutral)] for turn in turns]
        fixed = self.method.losses == "fixed"
        count = sum(len(text.positions) for text in retained) if fixed else len(retained)
        for texts in _batches(retained, _TEXTS):
            positions = [text.positions for text in texts]
            with torch.no_grad():
                before = self.forward.read(texts, positions)
            with torch.enable_grad(), shifted(self.targets, shifts):
                after = self.forward.read(texts, positions)
                if fixed:
                    loss = self.forward.divergence(after, before.states, "forward").sum()
                else:
                    scores = [
                        Scores(readout.split(self.forward.logprobs(readout)))
                        for readout in (before, after)
                    ]
                    loss = reference_retention(*scores).sum()
            record_parts(retention=loss / count)
            yield self.method.retention_weight * loss / count

    @torch.no_grad()
    def root_mean_square_margin(
        self, contrasts: Sequence[TokenizedContrast], shifts: Sequence[Tensor]
    ) -> float:
        """How far from parity the shifted model is on contrasts, in nats."""
        total = 0.0
        with shifted(self.targets, shifts):
            for part in _batches(contrasts, _TEXTS // 2):
                total += float(exact(squared_margin(*self._scores(self.forward, part))).sum())
        return math.sqrt(total / len(contrasts))

    def _debias(self, forward: PackedForward, contrasts: Sequence[TokenizedContrast]) -> Tensor:
        """The sum of the contrasts' debiasing losses."""
        loss = squared_margin if self.method.losses == "fixed" else reference_debias
        return loss(*self._scores(forward, contrasts)).sum()

    def _scores(
        self, forward: PackedForward, contrasts: Sequence[TokenizedContrast]
    ) -> tuple[Scores, Scores]:
        """Of the stereotypes, and of the anti-stereotypes."""
        readout = forward.read(*self._pairs(contrasts))
        logprobs = readout.split(forward.logprobs(readout))
        return Scores(logprobs[: len(contrasts)]), Scores(logprobs[len(contrasts) :])

    def _pairs(
        self, contrasts: Sequence[TokenizedContrast]
    ) -> tuple[list[TokenizedText], list[tuple[int, ...]]]:
        """All stereotypes, then all anti-stereotypes, and the positions that are scored."""
        texts = [item.stereotype for item in contrasts]
        texts += [item.antistereotype for item in contrasts]
        if self.method.losses == "reference":
            return texts, [text.positions for text in texts]
        # Those from the first difference on, or all of both texts where either begins the other.
        starts = []
        for item in contrasts:
            pairs = zip(item.stereotype.ids[1:], item.antistereotype.ids[1:], strict=False)
            starts.append(next((start for start, (a, b) in enumerate(pairs) if a != b), 0))
        return texts, [
            text.positions[start:] for text, start in zip(texts, starts * 2, strict=True)
        ]


def _tokenize(
    model: LanguageModel, contrasts: Sequence[Contrast], *, unrelated: bool = False
) -> list[TokenizedContrast]:
    """The contrasts with the model's prompt before their contexts, unrelated texts if wanted.

    Raises `RecipeError` naming a contrast that is too long or has two equal texts.
    """
    prompt = the_prompt(model)
    for contrast in contrasts:
        if contrast.stereotype == contrast.antistereotype:
            raise RecipeError(
                f"contrast '{contrast.id}' must have two different texts, "
                f"got {contrast.stereotype!r} twice; leave it out"
            )
    with_prompt = [
        replace(
            contrast,
            context=prompted(prompt, contrast.context),
            unrelated=contrast.unrelated if unrelated else None,
        )
        for contrast in contrasts
    ]
    # no limit but the context, and what exceeds that is an error here
    tokenized = tokenize_contrasts(model, with_prompt, longest=sys.maxsize)
    if len(tokenized) < len(contrasts):
        fitting = {item.id for item in tokenized}
        long = next(contrast.id for contrast in contrasts if contrast.id not in fitting)
        raise RecipeError(
            f"contrast '{long}' must fit the context of {model.identity}; shorten or leave it out"
        )
    return tokenized


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[index : index + size] for index in range(0, len(items), size))
