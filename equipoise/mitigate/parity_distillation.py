"""Parity by counterfactual self-distillation: learn what one would say if groups were no evidence.

Ours. No item of a benchmark and no label is learnt. In plain texts that mention groups, the groups
change places; the target of each next token is what the frozen model says on average over such
texts, words that name a group changing places with them (`training.exchange_targets`). An adapter
is trained to say so of every text of the set:

    mean over rows of the mean over places of KL(target || model)

and to say what it said of texts without a group, but for he and she.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from equipoise.data.partition import shuffled
from equipoise.edits.adapter import AdapterEdit, sits_on
from equipoise.edits.edit import info_of
from equipoise.errors import ModelError, RecipeError
from equipoise.exchange.texts import (
    Axis,
    ExchangedText,
    as_it_is,
    exchange_lists,
    exchanged_texts,
)
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation
from equipoise.records import JSON, OPTIONS, ModelKind, Supply
from equipoise.rows import text_sha256
from equipoise.training.exchange_targets import (
    Mean,
    TargetRule,
    divergences,
    exchange_targets,
)
from equipoise.training.group_tokens import GroupTokens
from equipoise.training.held_out_targets import HeldOutTargets, mean_surprise
from equipoise.training.lora import adapter_edit, lora_in_training
from equipoise.training.row_forward import RowForward
from equipoise.training.schedule import Rows
from equipoise.training.text_training import Objective, TextTraining


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class DistilledAdapter(TextTraining):
    """How the adapter is trained: as others on rows, in many small steps at a high rate."""

    learning_rate: Annotated[float, Field(gt=0, le=1e30)] = 1.5e-3  # highest of AdamW
    batch_size: Annotated[int, Field(ge=1)] = 4  # rows per step
    epochs: Annotated[int, Field(ge=1)] = 1  # over the texts
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0  # of the adapter alone
    weight_decay: Annotated[float, Field(ge=0)] = 0.0  # of AdamW
    #: ends of module names, "all-linear", or "auto": the attention of the architecture
    targets: Annotated[tuple[str, ...], Field(min_length=1)] = ("all-linear",)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class ParityDistillation(Mitigation):
    """Self-distillation towards what is said alike of groups that have changed places.

    Learns from the supply's plain texts alone. Of texts that mention a group it takes `sets`, as
    evenly over the axes as there are; the rest hold the model in place.
    """

    version: ClassVar[str] = "2"
    paper: ClassVar[str] = "ours; see docs/methods/parity_distillation.md"
    requires: ClassVar[tuple[str, ...]] = ("texts",)
    kinds: ClassVar[tuple[ModelKind, ...]] = ("causal",)
    taught_by: ClassVar[str] = "corpus"

    #: whose words change places; first names go with "gender"
    axes: Annotated[tuple[Axis, ...], Field(min_length=1)] = (
        "gender", "profession", "race", "religion", "nationality",
    )  # fmt: skip
    sets: Annotated[int, Field(ge=1)] = 600  # texts with a group at most, each with its others
    others: Annotated[int, Field(ge=1)] = 3  # texts about other groups for each, at most
    neutral: Annotated[float, Field(ge=0)] = 0.5  # texts without a group, for each with one
    #: how far the target goes from what the model says to what it would say of all groups alike;
    #: 0: nothing is changed
    strength: Annotated[float, Field(ge=0, le=1)] = 1.0
    #: over the texts of a set, of words that name no group; null: they stay as they are
    mean: Mean | None = "geometric"
    #: words that name a group move with the texts, or are words like others
    group_words: Literal["moved", "alike"] = "moved"
    #: nats of divergence above which a text is taken to depend on its group; null: none is
    settled: Annotated[float, Field(gt=0)] | None = 0.2
    top: Annotated[int, Field(ge=1)] = 64  # tokens of a target that are kept apart
    training: DistilledAdapter = DistilledAdapter()  # of the adapter
    held_out: Annotated[float, Field(ge=0, lt=1)] = 0.1  # of the texts, to stop and to choose on
    evaluate_every: Annotated[int, Field(ge=1)] = 100  # steps between two looks at them
    #: relative rise of their perplexity that ends the training; null: none does
    most_rise: Annotated[float, Field(gt=0)] | None = 0.02

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> AdapterEdit:
        """Make the targets and train an adapter.

        Raises `RecipeError` when no text of the supply mentions a group of the axes, or all are too
        long; `ModelError` for a masked model, where held-out texts come no nearer to their
        targets, and as `TextTraining.fit_loss`.
        """
        if model.kind != "causal":
            raise ModelError(
                f"next words are distilled from a causal model, {model.identity} is {model.kind}; "
                "use a causal model"
            )
        sets, neutral = self.choose(supply, seed=seed)
        rule = self.rule(model)
        learning = exchange_targets(
            model,
            [*sets, *((as_it_is(text),) for text in neutral)],
            rule,
            max_tokens=self.training.max_tokens,
        )
        if not any(number < len(sets) for number in learning.sets):
            raise RecipeError(
                f"texts must have at most {self.training.max_tokens} tokens with their exchanges, "
                f"got {len(sets)} longer ones from '{supply.origin}'; raise training.max_tokens"
            )
        learnt, held_out = learning.split(self.held_out, seed=seed)
        texts = [each.text for group in sets for each in group] + neutral
        report: dict[str, JSON] = {
            "sets": len(sets),
            "texts": len(learning.ids),
            "neutral_texts": len(neutral),
            "left_out": dict(learning.left_out),
            "held_out": len(held_out.ids),
            "group_tokens": {**rule.groups.counts},
            "divergence": learnt.divergence,
        }
        if not self.strength:
            return self._edit(model, supply, texts, *self._untrained(model, seed), report, seed)
        forward = RowForward(model)
        monitor = HeldOutTargets(
            forward=forward,
            targets=held_out,
            every=self.evaluate_every,
            most_rise=self.most_rise,
            values=[(held_out.divergence, mean_surprise(forward, held_out))],
        )

        def loss(module: nn.Module, numbers: Rows, step: int) -> Tensor:
            del module, step
            return divergences(forward, learnt, numbers.tolist()).mean()

        try:
            trained = self.training.fit_loss(
                model,
                learnt.rows(),
                Objective(name=f"parity_distillation {self}", loss=loss),
                seed=seed,
                monitor=monitor if held_out.ids else None,
            )
        except ModelError as error:
            if len(monitor.values) == 1 or monitor.ever_best:
                raise
            raise ModelError(monitor.why_not) from error
        report |= trained.report | (monitor.record if held_out.ids else {})
        return self._edit(model, supply, texts, trained.config, trained.weights, report, seed)

    def choose(
        self, supply: Supply, *, seed: int
    ) -> tuple[list[tuple[ExchangedText, ...]], list[str]]:
        """The sets to learn, and the texts without a group.

        Raises `RecipeError` when no text mentions a group.
        """
        lists = exchange_lists(self.axes)
        quota: dict[str, int] = dict.fromkeys(self.axes, math.ceil(self.sets / len(self.axes)))
        sets: list[tuple[ExchangedText, ...]] = []
        neutral: list[str] = []
        for text in shuffled(list(dict.fromkeys(supply.texts)), seed=f"parity {seed}"):
            group = exchanged_texts(text, lists, most=self.others, seed=seed)
            if not group:
                neutral.append(text)
            elif len(sets) < self.sets and any(quota[axis] > 0 for axis in group[0].moves):
                sets.append(group)
                for axis in group[0].moves:
                    quota[axis] -= 1
        if not sets:
            raise RecipeError(
                f"the supply must have texts that mention a group of {', '.join(self.axes)}, got "
                f"{len(supply.texts)} texts without any from '{supply.origin}'; name a larger "
                "corpus, or other axes"
            )
        return sets, neutral[: math.ceil(self.neutral * len(sets))]

    def rule(self, model: LanguageModel) -> TargetRule:
        """How targets are made of what this model says."""
        moving = exchange_lists(self.axes if self.group_words == "moved" else ())
        return TargetRule(
            groups=GroupTokens.of_model(model, moving),
            mean=self.mean,
            settled=math.inf if self.settled is None else self.settled,
            strength=self.strength,
            top=self.top,
        )

    def _untrained(
        self, model: LanguageModel, seed: int
    ) -> tuple[dict[str, JSON], dict[str, Tensor]]:
        """An adapter that changes nothing, since its factors B are 0."""
        config = self.training.lora(model)
        with lora_in_training(model, config, seed=seed) as parameters:
            return config, {name: value.detach().cpu() for name, value in parameters.items()}

    def _edit(
        self,
        model: LanguageModel,
        supply: Supply,
        texts: Sequence[str],
        config: Mapping[str, JSON],
        weights: Mapping[str, Tensor],
        report: Mapping[str, JSON],
        seed: int,
    ) -> AdapterEdit:
        info = info_of(
            model,
            self,
            seed=seed,
            names=sits_on(model, config),
            supply=supply,
            trained_on=frozenset(map(text_sha256, texts)).union(supply.documents),
            report=report,
        )
        return adapter_edit(model, info, config, weights)
