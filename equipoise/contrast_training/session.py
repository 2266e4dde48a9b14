"""Train an adapter on contrasts: all that the methods of the family share but their losses.

There is a single set of weights: the model with the adapter off is the reference, whose outputs are
computed once. The result is an edit of a few megabytes that PEFT reads, too.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Self

from pydantic import Field
from pydantic.dataclasses import dataclass as options_class
from torch import Tensor, nn

from equipoise.contrast_training.early_stopping import (
    BiasEarlyStopping,
    Controller,
    NoController,
)
from equipoise.contrast_training.evaluation import (
    LMS,
    PERPLEXITY,
    HeldOutEvaluation,
    SideEffectLimits,
)
from equipoise.contrast_training.packed_forward import PackedForward
from equipoise.contrast_training.steps import KlRetention, epoch_batch, likelihood
from equipoise.contrast_training.tokenized import (
    Passage,
    ScoredSpan,
    TokenizedContrast,
    TokenizedText,
    split_texts,
    tokenize_contrasts,
    tokenize_texts,
)
from equipoise.edits.adapter import AdapterEdit, refuse_adapter, sits_on
from equipoise.edits.edit import info_of
from equipoise.errors import ModelError, RecipeError
from equipoise.group_words.people import target_people
from equipoise.inference.language_model import LanguageModel
from equipoise.models.kernels import matmul_path
from equipoise.plugins import name_of, options_of
from equipoise.records import JSON, OPTIONS, Supply
from equipoise.rows import text_sha256
from equipoise.training.loop import Loss, train
from equipoise.training.lora import (
    adapter_dropout,
    adapter_edit,
    lora_config,
    lora_in_training,
)
from equipoise.training.loss_curves import curve_report
from equipoise.training.schedule import Schedule


@options_class(frozen=True, kw_only=True, config=OPTIONS)
class AdapterOptions:
    """Which adapter a method trains, and how; the methods inherit it and override nothing.

    Defaults are BiasUnlearn's.
    """

    version: ClassVar[str]  # of the method

    rank: Annotated[int, Field(ge=1)] = 8  # of LoRA
    alpha: Annotated[float, Field(gt=0)] = 16.0  # of LoRA; its update is scaled by alpha / rank
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1  # of the adapter alone
    #: ends of module names, or "all-linear"; "auto": the attention of the architecture
    targets: Annotated[tuple[str, ...], Field(min_length=1)] = ("auto",)
    #: None: 5e-5 * 1024 / width, BiasUnlearn's rate at the width of GPT-2 medium; it has 5e-5 for
    #: GPT-2 large, too (here 4e-5), and 2e-5 at width 4096 (here 1.25e-5)
    learning_rate: Annotated[float, Field(gt=0, le=1e30)] | None = None
    steps: Annotated[int, Field(ge=1)] = 1000  # at most
    #: steps in which the rate rises; it then falls linearly, to 0 at 1.2 times `steps`
    warmup: Annotated[int, Field(ge=0)] = 10
    weight_decay: Annotated[float, Field(ge=0)] = 0.0  # of AdamW
    #: the norm of the gradient is clipped to this; 0: never
    max_gradient: Annotated[float, Field(ge=0)] = 1.0
    #: texts of a forward pass, of which a step has several; less memory, more time; 0: all of it
    micro_batch: Annotated[int, Field(ge=0)] = 0
    #: a block's activations are computed again when its gradient is due: less memory, more time
    gradient_checkpointing: bool = False
    bf16: bool = False  # compute in bfloat16; the adapter is float32 in any case
    #: tokens; an example with a longer text is left out, nothing is cut
    longest: Annotated[int, Field(ge=2)] = 100
    #: steps between evaluations of held-out contrasts
    evaluate_every: Annotated[int, Field(ge=1)] = 25
    #: points of held-out LMS that may be lost; a larger loss is undone and ends training; None: any
    keep_lms: Annotated[float, Field(ge=0, lt=100)] | None = None
    #: percent by which perplexity of held-out plain texts may rise; likewise; None: any
    keep_perplexity: Annotated[float, Field(ge=0)] | None = None

    @property
    def limits(self) -> SideEffectLimits:
        """The limits of side effects that were set."""
        limits = {LMS: self.keep_lms, PERPLEXITY: self.keep_perplexity}
        return {effect: limit for effect, limit in limits.items() if limit is not None}

    def lora(self, model: LanguageModel) -> dict[str, JSON]:
        """PEFT's configuration; raises `ModelError` when a target is not in the model."""
        return lora_config(
            model.module,
            rank=self.rank,
            alpha=self.alpha,
            dropout=self.dropout,
            targets=self.targets,
        )

    @staticmethod
    def default_rate(model: LanguageModel) -> float:
        """BiasUnlearn's 5e-5 for GPT-2 medium (width 1024), scaled: 5e-5 * 1024 / width.

        It gives 4e-5 for GPT-2 large, as the released script has it, and 1.25e-5 at width 4096,
        where the paper has 2e-5.
        """
        return 5e-5 * 1024 / int(model.module.config.get_text_config().hidden_size)

    def schedule(self, model: LanguageModel, *, seed: int) -> Schedule:
        """Linear, with a horizon of 1.2 times the steps (methods-unlearning 1.4)."""
        # The horizon is the released code's: the rate ends at a sixth of its height, not at 0.
        return Schedule(
            learning_rate=self.learning_rate or self.default_rate(model),
            epochs=1,
            batch_size=1,  # an example is the number of a step; the loss draws the batch
            seed=seed,
            weight_decay=self.weight_decay,
            max_gradient=self.max_gradient,
            micro_batch=self.micro_batch,
            gradient_checkpointing=self.gradient_checkpointing,
            bf16=self.bf16,
            warmup=min(self.warmup, self.steps),
            horizon=math.ceil(1.2 * self.steps),
        )


class ContrastTraining:
    """A training: its data as tokens, the model that reads them, and the method's options.

    Its plain texts and, of its contrasts, those that are held out; `on_contrasts` learns from
    contrasts, too.
    """

    def __init__(
        self, model: LanguageModel, supply: Supply, method: AdapterOptions, *, seed: int
    ) -> None:
        """`seed`: of the adapter, the batches and the intervals.

        Raises `RecipeError` when contrasts to learn from and those held out are about the same
        people, whatever their name (`group_words.people`), or for a limit that nothing held out
        would tell of; `ModelError` for a model that is masked or has an adapter.
        """
        refuse_adapter(model.module)
        if model.kind != "causal":
            raise ModelError(
                f"contrasts and texts are learnt by a causal model; {model.identity} is "
                f"{model.kind}: use a causal model"
            )
        shared = sorted(target_people(supply.contrasts) & target_people(supply.dev_contrasts))
        if shared:
            shown = ", ".join(f"{axis}/{term}" for axis, term in shared[:10])
            raise RecipeError(
                f"contrasts to stop on must be about other people than those to learn from, "
                f"'{supply.origin}' shares {len(shared)}: {shown}; leave them out of either"
            )
        self.model, self.supply, self.method, self.seed = model, supply, method, seed
        self.forward = PackedForward(model)
        self.contrasts: list[TokenizedContrast] = []  # to learn from
        self.held_out = tokenize_contrasts(model, supply.dev_contrasts, longest=method.longest)
        self.left_out = 0  # contrasts of the supply that are too long
        self.texts: Sequence[str] = supply.texts  # plain texts, to learn from
        self.passages: Sequence[Passage] = ()  # held out
        if PERPLEXITY in method.limits:
            self.texts, self.passages = split_texts(model, supply, longest=method.longest)
        # an interval over clusters needs two of them; so with documents below
        terms = {contrast.target for contrast in self.held_out if contrast.unrelated is not None}
        if LMS in method.limits and len(terms) < 2:
            raise RecipeError(
                f"keep_lms needs held-out contrasts about 2 or more target terms with an unrelated "
                f"text, got {len(terms)} such terms from '{supply.origin}'; supply some, or "
                "leave keep_lms out"
            )
        documents = len({passage.document for passage in self.passages})
        if PERPLEXITY in method.limits and documents < 2:
            raise RecipeError(
                f"keep_perplexity needs plain texts of at most {method.longest} tokens, of 3 "
                f"or more documents, 2 of them held out, got {len(supply.texts)} texts and "
                f"{documents} held-out documents from '{supply.origin}'; supply some (of "
                "stereoset, name a corpus), or leave keep_perplexity out"
            )

    @classmethod
    def on_contrasts(
        cls, model: LanguageModel, supply: Supply, method: AdapterOptions, *, seed: int
    ) -> Self:
        """Learn from the supply's contrasts of at most `method.longest` tokens.

        Raises as the class does, and `RecipeError` when the supply lacks contrasts or has only one
        of the two, those to learn from and those held out, for a type.
        """
        training, longest = cls(model, supply, method, seed=seed), method.longest
        training.contrasts = tokenize_contrasts(model, supply.contrasts, longest=longest)
        if not training.contrasts:
            others = "name a supply that has them, such as stereoset"
            raise RecipeError(
                f"the supply must have contrasts of at most {longest} tokens, got "
                f"{len(supply.contrasts)} of any length from '{supply.origin}'; "
                f"{'raise longest' if supply.contrasts else others}"
            )
        learnt = {contrast.axis for contrast in training.contrasts}
        held_out = {contrast.axis for contrast in training.held_out}
        for contrasts, axes in ((supply.contrasts, learnt), (supply.dev_contrasts, held_out)):
            lost = {contrast.groups.get("axis", "") for contrast in contrasts} - axes
            if lost:
                raise RecipeError(
                    f"every type must have contrasts of at most {longest} tokens, "
                    f"'{supply.origin}' has only longer ones of {sorted(lost)}; raise 'longest', "
                    "or leave the type out"
                )
        if held_out and learnt != held_out:
            raise RecipeError(
                f"every type must have contrasts to learn from and to stop on, "
                f"'{supply.origin}' has only one of the two for {sorted(learnt ^ held_out)}; "
                "supply both"
            )
        count = len(supply.contrasts) + len(supply.dev_contrasts)
        training.left_out = count - len(training.contrasts) - len(training.held_out)
        return training

    @property
    def pairs(self) -> list[TokenizedText]:
        """Stereotyping and other texts of the contrasts, in turn."""
        return [text for contrast in self.contrasts for text in contrast.pair]

    def kl_texts(self, kl: KlRetention | None) -> list[TokenizedText]:
        """Unrelated or plain texts that have the part the KL is over; none without a KL.

        Raises `RecipeError` when there are none.
        """
        if kl is None:
            return []
        if kl.texts == "neutral":
            texts = tokenize_texts(self.model, self.texts, longest=self.method.longest)
        else:
            texts = [item.unrelated for item in self.contrasts if item.unrelated is not None]
        texts = [text for text in texts if text.part(kl.over)]
        if not texts:
            raise RecipeError(
                f"the supply must have {kl.texts} texts with a part '{kl.over}' for the KL, got 0 "
                f"from '{self.supply.origin}'; choose others (of stereoset, a corpus gives neutral "
                "texts), or leave the KL out"
            )
        return texts

    def early_stopping(
        self, controller: Controller | None = None, *, first: int = 0
    ) -> BiasEarlyStopping | None:
        """The monitor of the held-out contrasts and passages; None when there are none.

        Without a controller only a limit ends training early.
        """
        if not self.held_out and not self.passages:
            return None
        limits, every = self.method.limits, self.method.evaluate_every
        evaluation = HeldOutEvaluation(
            self.forward, self.held_out, self.passages, effects=limits, seed=self.seed
        )
        controller = controller or NoController()
        return BiasEarlyStopping(controller, evaluation, every=every, first=first, limits=limits)

    def fit(
        self,
        loss: Loss,
        stopping: BiasEarlyStopping | None,
        *,
        texts: Sequence[TokenizedText] = (),
        report: Mapping[str, JSON] | None = None,
    ) -> AdapterEdit:
        """Train a fresh adapter until the steps are used up or the monitor stops it.

        The loss is given the number of a step. `texts`: those that are learnt from beside the
        contrasts'. `report`: more for the edit's own. Raises what `train` raises: a loss that is
        not finite, an adapter that stayed as it was.
        """
        method, model = self.method, self.model
        config, schedule = method.lora(model), method.schedule(model, seed=self.seed)

        def loss_with_dropout(module: nn.Module, rows: Tensor, step: int) -> Tensor:
            adapter_dropout(module, on=method.dropout > 0)  # the training loop seeds it by the step
            return loss(module, rows, step)

        with lora_in_training(model, config, seed=self.seed) as parameters:
            trained = train(
                model.module,
                parameters,
                examples=method.steps,
                loss=loss_with_dropout,
                schedule=schedule,
                monitor=stopping,
                key=training_key(model, method, self.supply),
            )
        # Decay moves the factor that begins at random even when nothing is learnt.
        products = [weight for name, weight in trained.weights.items() if ".lora_B." in name]
        if not any(bool(weight.any()) for weight in products):
            raise ModelError(
                f"an adapter must change the model, all {len(products)} products are 0 after "
                f"training; raise the learning rate (it is {schedule.learning_rate:g}) or give the "
                "loss something to do"
            )
        clip, passages = method.max_gradient, len(self.passages)
        info = info_of(
            model,
            method,
            seed=self.seed,
            names=sits_on(model, config),
            supply=self.supply,
            trained_on=self._trained_on(texts),
            report={
                "steps": trained.steps,
                "learning_rate": schedule.learning_rate,
                "first_loss": trained.losses[0],
                "last_loss": trained.losses[-1],
                "trained_parameters": trained.parameters,
                **curve_report(trained.losses, trained.parts),
                "largest_gradient": max(trained.norms),
                "clipped_steps": sum(norm > clip > 0 for norm in trained.norms),
                "items": len(self.contrasts),
                "held_out_items": len(self.held_out),
                **({"held_out_texts": passages} if passages else {}),
                **({} if stopping is None else stopping.report()),
                "left_out_items": self.left_out,
                **(report or {}),
            },
        )
        return adapter_edit(model, info, config, trained.weights)

    def fit_likelihood(
        self,
        texts: Sequence[TokenizedText],
        *,
        over: ScoredSpan,
        size: int,
        report: Mapping[str, JSON] | None = None,
    ) -> AdapterEdit:
        """Train by cross-entropy on `size` texts per step; only a limit ends it early.

        The loss is the mean over a text's positions, then over the texts. Raises as `fit` does.
        """

        def loss(_module: nn.Module, _rows: Tensor, step: int) -> Tensor:
            batch = epoch_batch(texts, size, step=step, seed=(self.seed, 0))
            readout = self.forward.read(batch, [text.part(over) for text in batch])
            return likelihood(*self.forward.text_logprobs(readout))

        return self.fit(loss, self.early_stopping(), texts=texts, report=report)

    def _trained_on(self, texts: Sequence[TokenizedText]) -> frozenset[str]:
        """Hashes of all texts that are learnt from or evaluated."""
        contrasts = (*self.contrasts, *self.held_out)
        every = [
            *(text for contrast in contrasts for text in contrast.texts),
            *(passage.text for passage in self.passages),
            *texts,
        ]
        hashes = frozenset(text_sha256(text.text) for text in every)
        # Of whole documents, too, when a passage of the supply is among them.
        passages = map(text_sha256, self.supply.texts)
        return hashes if hashes.isdisjoint(passages) else hashes.union(self.supply.documents)


def training_key(model: LanguageModel, method: AdapterOptions, supply: Supply) -> str:
    """Tells trainings apart. The last digits depend on the path of the matrix products."""
    path, name = matmul_path(model.module), name_of(method)
    learnt = replace(supply, prompts=(), hinted=(), dev=(), measured=())  # the rest is not used
    return f"{name} {method.version} {model.identity} {options_of(method)} {path} {learnt}"
