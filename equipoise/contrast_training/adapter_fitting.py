"""Train an adapter on contrasts: what every method of the family shares but its loss.

One set of weights: the model with the adapter off is the reference, and what it says is computed
once. The result is an edit of a few megabytes that PEFT reads, too.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Annotated

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass as options
from torch import Tensor, nn

from equipoise.contrast_training.side_effects import LMS, PERPLEXITY, Bounds
from equipoise.contrast_training.tokenized import (
    TokenizedContrast,
    TokenizedText,
    tokenize_contrasts,
)
from equipoise.edits.adapter import AdapterEdit, refuse_adapter, sits_on
from equipoise.edits.maker import Maker, info_of
from equipoise.errors import ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.models.kernels import matmul_path
from equipoise.models.vocabulary import vocabulary_of
from equipoise.records import JSON, OPTIONS, Contrast, Supply, target_terms, text_sha256
from equipoise.training.loop import Loss, Schedule, train
from equipoise.training.lora import (
    adapter_dropout,
    adapter_tensors,
    lora_config,
    lora_in_training,
)
from equipoise.training.monitor import TrainingMonitor

_PAPER_RATE, _PAPER_WIDTH = 5e-5, 1024
_STEPS_APART = 1_000_003  # of the seeds of two trainings' dropout


@options(frozen=True, kw_only=True, config=OPTIONS)
class AdapterOptions:
    """What adapter a method trains, and how; the methods inherit it and override nothing.

    Defaults are BiasUnlearn's.
    """

    rank: Annotated[int, Field(ge=1)] = 8  # of LoRA
    alpha: Annotated[float, Field(gt=0)] = 16.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1  # of the adapter alone
    #: Ends of module names, "auto" or "all-linear".
    targets: Annotated[tuple[str, ...], Field(min_length=1)] = ("auto",)
    learning_rate: Annotated[float, Field(gt=0)] | None = None  # None: 5e-5 * 1024 / width
    steps: Annotated[int, Field(ge=1)] = 1000
    warmup: Annotated[int, Field(ge=0)] = 10  # steps
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_gradient: Annotated[float, Field(ge=0)] = 1.0  # its norm is clipped to this; 0: never
    bf16: bool = False  # compute in bfloat16; the adapter is float32 in any case
    #: Points of held-out LMS that may be lost; more are undone, and end training. None: any.
    keep_lms: Annotated[float, Field(ge=0, lt=100)] | None = None
    #: Percent by which perplexity may rise on plain texts kept apart for it; likewise.
    keep_perplexity: Annotated[float, Field(ge=0)] | None = None

    @property
    def bounds(self) -> Bounds:
        """The most that training may cost, of what is bounded."""
        asked = {LMS: self.keep_lms, PERPLEXITY: self.keep_perplexity}
        return {of: most for of, most in asked.items() if most is not None}


@options(frozen=True, kw_only=True, config=OPTIONS)
class Adapter(AdapterOptions):
    """The adapter that is trained with one seed."""

    seed: int = 0

    def config(self, model: LanguageModel) -> dict[str, JSON]:
        """PEFT's own; raises `ModelError` when a target is not in the model."""
        return lora_config(
            model.module,
            rank=self.rank,
            alpha=self.alpha,
            dropout=self.dropout,
            targets=self.targets,
        )

    def schedule(self, model: LanguageModel) -> Schedule:
        """Linear, with a horizon of 1.2 times the steps (methods-unlearning 1.4)."""
        return Schedule(
            learning_rate=self.learning_rate or default_rate(model),
            epochs=1,
            batch_size=1,  # an example is the number of a step; the loss makes the batch
            seed=self.seed,
            weight_decay=self.weight_decay,
            max_gradient=self.max_gradient,
            bf16=self.bf16,
            warmup=min(self.warmup, self.steps),
            horizon=math.ceil(1.2 * self.steps),
        )


def adapter_of(method: AdapterOptions, *, seed: int) -> Adapter:
    """The adapter that a method's options ask for."""
    chosen = {field.name: getattr(method, field.name) for field in fields(AdapterOptions)}
    return Adapter(**chosen, seed=seed)


def default_rate(model: LanguageModel) -> float:
    """BiasUnlearn's 5e-5 for GPT-2 medium (width 1024), carried over: 5e-5 * 1024 / width.

    It gives 4e-5 for GPT-2 large, as the released script has it, and 1.25e-5 at width 4096, where
    the paper has 2e-5.
    """
    return _PAPER_RATE * _PAPER_WIDTH / int(model.module.config.get_text_config().hidden_size)


def items_of(
    model: LanguageModel, contrasts: Sequence[Contrast], supply: Supply, *, longest: int
) -> list[TokenizedContrast]:
    """The contrasts as token ids.

    Raises `RecipeError` when there are none at all, or none short enough of a type; `ModelError`
    when the model is a masked one.
    """
    check_causal(model)
    found = tokenize_contrasts(model, contrasts, longest=longest) if contrasts else []
    if not found:
        remedy = (
            "raise 'longest'"
            if contrasts
            else "name a benchmark that teaches them, such as stereoset"
        )
        raise RecipeError(
            f"the supply must have contrasts of at most {longest} tokens, got {len(contrasts)} of "
            f"any length from '{supply.origin}'; {remedy}"
        )
    lost = {contrast.groups.get("axis", "") for contrast in contrasts} - {one.axis for one in found}
    if lost:
        raise RecipeError(
            f"every type must have contrasts of at most {longest} tokens, '{supply.origin}' has "
            f"only longer ones of {sorted(lost)}; raise 'longest', or leave the type out"
        )
    return found


def check_causal(model: LanguageModel) -> None:
    """Refuse a masked model, which has no log-probability of a whole text, and an adapter's.

    Raises `ModelError` naming it.
    """
    refuse_adapter(model.module)
    if model.kind != "causal":
        raise ModelError(
            f"contrasts and texts are learnt by a causal model; {model.identity} is {model.kind}: "
            "use a causal model"
        )


def check_apart(supply: Supply) -> None:
    """Refuse held-out contrasts about target terms that are learnt from.

    Raises `RecipeError` listing the terms.
    """
    shared = sorted(target_terms(supply.contrasts) & target_terms(supply.dev_contrasts))
    if shared:
        shown = ", ".join(f"{axis}/{term}" for axis, term in shared[:10])
        raise RecipeError(
            f"contrasts to stop on must be about other terms than those to learn from, "
            f"'{supply.origin}' shares {len(shared)}: {shown}; leave them out of one"
        )


def held_out(
    model: LanguageModel, items: Sequence[TokenizedContrast], supply: Supply, *, longest: int
) -> list[TokenizedContrast]:
    """The supply's held-out contrasts as token ids; none when it has none.

    Raises `RecipeError` naming the types that are only learnt, or only held out.
    """
    if not supply.dev_contrasts:
        return []
    dev = items_of(model, supply.dev_contrasts, supply, longest=longest)
    learnt, held = {item.axis for item in items}, {one.axis for one in dev}
    if learnt != held:
        raise RecipeError(
            f"every type must have contrasts to learn from and to stop on, '{supply.origin}' has "
            f"only one of the two for {sorted(learnt ^ held)}; supply both"
        )
    return dev


def fit_adapter(  # noqa: PLR0913
    model: LanguageModel,
    adapter: Adapter,
    maker: Maker,
    *,
    loss: Loss,
    watch: TrainingMonitor | None,
    supply: Supply,
    texts: Iterable[TokenizedText],
    report: Callable[[], Mapping[str, JSON]],
) -> AdapterEdit:
    """Train a fresh adapter for `adapter.steps` steps, or until the watch stops it.

    The loss is given the number of a step. `texts` are all that is learnt from or chosen on.
    `report` is asked once training has ended.
    Raises what `train` raises: a loss that is not finite, an adapter that stayed as it was.
    """
    config = adapter.config(model)
    schedule = adapter.schedule(model)
    with lora_in_training(model, config, seed=adapter.seed) as parameters:
        trained = train(
            model.module,
            parameters,
            examples=adapter.steps,
            loss=_with_dropout(loss, adapter),
            schedule=schedule,
            watch=watch,
            key=_key(model, maker, supply),
        )
    _check_not_zero(trained.weights, rate=schedule.learning_rate)
    info = info_of(
        model,
        maker,
        names=sits_on(model, config),
        supply=supply,
        trained_on=_learnt(supply, texts),
        report={
            "steps": trained.steps,
            "learning_rate": schedule.learning_rate,
            "first_loss": trained.losses[0],
            "last_loss": trained.losses[-1],
            "largest_gradient": max(trained.norms),
            "clipped_steps": sum(norm > adapter.max_gradient > 0 for norm in trained.norms),
            **report(),
        },
    )
    return AdapterEdit(
        info=replace(info, base_vocabulary=str(vocabulary_of(model.tokenizer))),
        config=config,
        tensors=adapter_tensors(trained.weights),
    )


def _learnt(supply: Supply, texts: Iterable[TokenizedText]) -> frozenset[str]:
    """Hashes of the texts, and of whole documents when a passage of the supply is among them."""
    found = frozenset(text_sha256(text.text) for text in texts)
    if found.isdisjoint(map(text_sha256, supply.texts)):
        return found
    return found.union(supply.documents)


def _with_dropout(loss: Loss, adapter: Adapter) -> Loss:
    """The loss with the adapter's dropout, which a step's number settles: the same after a kill."""

    def found(module: nn.Module, rows: Tensor, step: int) -> Tensor:
        torch.manual_seed(adapter.seed * _STEPS_APART + step)
        adapter_dropout(module, on=adapter.dropout > 0)
        return loss(module, rows, step)

    return found


def _check_not_zero(weights: Mapping[str, Tensor], *, rate: float) -> None:
    """Decay moves the factor that begins at random even when nothing is learnt."""
    second = [one for name, one in weights.items() if ".lora_B." in name]
    if not any(bool(one.any()) for one in second):
        raise ModelError(
            f"an adapter must change the model, all {len(second)} products are 0 after training; "
            f"raise the learning rate (it is {rate:g}) or give the loss something to do"
        )


def _key(model: LanguageModel, maker: Maker, supply: Supply) -> str:
    """Tells trainings apart. The last digits depend on the path of the matrix products."""
    path = matmul_path(model.module)
    learnt = replace(supply, prompts=(), hinted=(), dev=(), measured=())  # what is not read
    return f"{maker.method} {maker.version} {model.identity} {maker.options} {path} {learnt}"
