"""Train an adapter on contrasts: all that the methods of the family share but their losses.

There is a single set of weights: the model with the adapter off is the reference, whose outputs are
computed once. The result is an edit of a few megabytes that PEFT reads, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from equipoise.contrast_training.adapter_options import AdapterOptions
from equipoise.contrast_training.controllers import Controller, NoController
from equipoise.contrast_training.early_stopping import BiasEarlyStopping
from equipoise.contrast_training.evaluation import HeldOutEvaluation
from equipoise.contrast_training.held_out_texts import PlainTexts, split_texts
from equipoise.contrast_training.packed_forward import PackedForward
from equipoise.contrast_training.retention import KlRetention
from equipoise.contrast_training.side_effects import LMS, PERPLEXITY
from equipoise.contrast_training.tokenized import (
    TokenizedContrast,
    TokenizedText,
    tokenize_contrasts,
)
from equipoise.edits.adapter import AdapterEdit, refuse_adapter, sits_on
from equipoise.edits.edit import Maker, info_of
from equipoise.errors import ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.models.kernels import matmul_path
from equipoise.models.tokenization import vocabulary_of
from equipoise.records import JSON, Contrast, Supply, target_terms, text_sha256
from equipoise.training.loop import Loss, train
from equipoise.training.lora import (
    adapter_dropout,
    adapter_tensors,
    lora_in_training,
)

_STEPS_APART = 1_000_003  # of the seeds of two trainings' dropout


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastTraining:
    """A training: its data as tokens, the model that reads them, and the method's options."""

    model: LanguageModel
    supply: Supply
    options: AdapterOptions
    maker: Maker
    forward: PackedForward
    contrasts: Sequence[TokenizedContrast] = ()  # to learn from
    held_out: Sequence[TokenizedContrast] = ()  # none: no bias is evaluated
    left_out: int = 0  # contrasts of the supply that are too long
    plain: PlainTexts

    def __post_init__(self) -> None:
        """Raises `RecipeError` for a limit that nothing held out would tell of."""
        terms = {contrast.target for contrast in self.held_out if contrast.unrelated is not None}
        if LMS in self.options.limits and len(terms) < 2:
            raise RecipeError(
                f"keep_lms needs held-out contrasts about 2 or more target terms with an unrelated "
                f"text, got {len(terms)} such terms from '{self.supply.origin}'; supply some, or "
                "leave keep_lms out"
            )
        documents = self.plain.held_out_documents
        if PERPLEXITY in self.options.limits and documents < 2:
            raise RecipeError(
                f"keep_perplexity needs plain texts of at most {self.options.longest} tokens, of 3 "
                f"or more documents, 2 of them held out, got {len(self.supply.texts)} texts and "
                f"{documents} held-out documents from '{self.supply.origin}'; supply some (of "
                "stereoset, name a corpus), or leave keep_perplexity out"
            )

    @classmethod
    def on_contrasts(
        cls, model: LanguageModel, supply: Supply, options: AdapterOptions, maker: Maker
    ) -> "ContrastTraining":
        """Learn from the supply's contrasts of at most `options.longest` tokens.

        Raises `RecipeError` when it lacks them, has only one of the two for a type, shares target
        terms between those to learn from and those held out, or cannot tell of a limit;
        `ModelError` for a masked model.
        """
        check_apart(supply)
        contrasts = _tokenize(model, supply.contrasts, supply, longest=options.longest)
        held_out: list[TokenizedContrast] = []
        if supply.dev_contrasts:
            held_out = _tokenize(model, supply.dev_contrasts, supply, longest=options.longest)
            _check_types(contrasts, held_out, origin=supply.origin)
        count = len(supply.contrasts) + len(supply.dev_contrasts)
        return cls(
            model=model,
            supply=supply,
            options=options,
            maker=maker,
            forward=PackedForward(model),
            contrasts=contrasts,
            held_out=held_out,
            left_out=count - len(contrasts) - len(held_out),
            plain=_split(model, supply, options),
        )

    @classmethod
    def on_texts(
        cls, model: LanguageModel, supply: Supply, options: AdapterOptions, maker: Maker
    ) -> "ContrastTraining":
        """Learn from the supply's plain texts; its held-out contrasts, if any, are evaluated.

        Raises `RecipeError` when contrasts share target terms, or for a limit that nothing would
        tell of; `ModelError` for a masked model.
        """
        check_causal(model)
        check_apart(supply)
        return cls(
            model=model,
            supply=supply,
            options=options,
            maker=maker,
            forward=PackedForward(model),
            held_out=tokenize_contrasts(model, supply.dev_contrasts, longest=options.longest),
            plain=_split(model, supply, options),
        )

    @property
    def seed(self) -> int:
        """The seed of the adapter, the batches and the intervals."""
        return self.maker.seed

    @property
    def pairs(self) -> list[TokenizedText]:
        """Stereotyping and other texts of the contrasts, in turn."""
        return [text for contrast in self.contrasts for text in contrast.pair]

    def kl_texts(self, kl: KlRetention | None) -> list[TokenizedText]:
        """The texts for the KL; none without it. Raises `RecipeError` when there are no such."""
        if kl is None:
            return []
        return kl.select_texts(
            self.model,
            self.contrasts,
            self.plain.training,
            origin=self.supply.origin,
            longest=self.options.longest,
        )

    def early_stopping(
        self, controller: Controller | None = None, *, first: int = 0
    ) -> BiasEarlyStopping | None:
        """The monitor of the held-out contrasts and passages; None when there are none.

        Without a controller only a limit ends training early.
        """
        if not self.held_out and not self.plain.held_out:
            return None
        limits = self.options.limits
        return BiasEarlyStopping(
            controller or NoController(),
            HeldOutEvaluation(
                self.forward, self.held_out, self.plain.held_out, effects=limits, seed=self.seed
            ),
            every=self.options.evaluate_every,
            first=first,
            limits=limits,
        )

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
        config = self.options.lora(self.model)
        schedule = self.options.schedule(self.model, seed=self.seed)
        with lora_in_training(self.model, config, seed=self.seed) as parameters:
            trained = train(
                self.model.module,
                parameters,
                examples=self.options.steps,
                loss=_with_dropout(loss, rate=self.options.dropout, seed=self.seed),
                schedule=schedule,
                monitor=stopping,
                key=training_key(self.model, self.maker, self.supply),
            )
        _check_not_zero(trained.weights, rate=schedule.learning_rate)
        clip = self.options.max_gradient
        info = info_of(
            self.model,
            self.maker,
            names=sits_on(self.model, config),
            supply=self.supply,
            trained_on=self._trained_on(texts),
            report={
                "steps": trained.steps,
                "learning_rate": schedule.learning_rate,
                "first_loss": trained.losses[0],
                "last_loss": trained.losses[-1],
                "largest_gradient": max(trained.norms),
                "clipped_steps": sum(norm > clip > 0 for norm in trained.norms),
                **self._report(stopping),
                **(report or {}),
            },
        )
        return AdapterEdit(
            info=replace(info, base_vocabulary=str(vocabulary_of(self.model.tokenizer))),
            config=config,
            tensors=adapter_tensors(trained.weights),
        )

    def _report(self, stopping: BiasEarlyStopping | None) -> dict[str, JSON]:
        passages = len(self.plain.held_out)
        return {
            "items": len(self.contrasts),
            "held_out_items": len(self.held_out),
            **({"held_out_texts": passages} if passages else {}),
            **({} if stopping is None else stopping.report()),
            "left_out_items": self.left_out,
        }

    def _trained_on(self, texts: Sequence[TokenizedText]) -> frozenset[str]:
        """Hashes of all texts that are learnt from or evaluated.

        Of whole documents, too, when a passage of the supply is among them.
        """
        contrasts = (*self.contrasts, *self.held_out)
        every = [
            *(text for contrast in contrasts for text in contrast.texts),
            *(passage.text for passage in self.plain.held_out),
            *texts,
        ]
        hashes = frozenset(text_sha256(text.text) for text in every)
        if hashes.isdisjoint(map(text_sha256, self.supply.texts)):
            return hashes
        return hashes.union(self.supply.documents)


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
            f"'{supply.origin}' shares {len(shared)}: {shown}; leave them out of either"
        )


def _tokenize(
    model: LanguageModel, contrasts: Sequence[Contrast], supply: Supply, *, longest: int
) -> list[TokenizedContrast]:
    """Refuse no contrasts at all, and a type of which none is short enough."""
    check_causal(model)
    tokenized = tokenize_contrasts(model, contrasts, longest=longest) if contrasts else []
    if not tokenized:
        remedy = (
            "raise 'longest'"
            if contrasts
            else "name a benchmark that teaches them, such as stereoset"
        )
        raise RecipeError(
            f"the supply must have contrasts of at most {longest} tokens, got {len(contrasts)} of "
            f"any length from '{supply.origin}'; {remedy}"
        )
    types = {contrast.groups.get("axis", "") for contrast in contrasts}
    lost = types - {contrast.axis for contrast in tokenized}
    if lost:
        raise RecipeError(
            f"every type must have contrasts of at most {longest} tokens, '{supply.origin}' has "
            f"only longer ones of {sorted(lost)}; raise 'longest', or leave the type out"
        )
    return tokenized


def _check_types(
    contrasts: Sequence[TokenizedContrast], held_out: Sequence[TokenizedContrast], *, origin: str
) -> None:
    unmatched = {contrast.axis for contrast in contrasts} ^ {contrast.axis for contrast in held_out}
    if unmatched:
        raise RecipeError(
            f"every type must have contrasts to learn from and to stop on, '{origin}' has "
            f"only one of the two for {sorted(unmatched)}; supply both"
        )


def _split(model: LanguageModel, supply: Supply, options: AdapterOptions) -> PlainTexts:
    """The supply's plain texts, some of them held out where perplexity is limited."""
    if PERPLEXITY not in options.limits:
        return PlainTexts(training=supply.texts)
    return split_texts(model, supply, longest=options.longest)


def _with_dropout(loss: Loss, *, rate: float, seed: int) -> Loss:
    """The loss with the adapter's dropout, seeded by the step: the same after a kill."""

    def seeded(module: nn.Module, rows: Tensor, step: int) -> Tensor:
        torch.manual_seed(seed * _STEPS_APART + step)
        adapter_dropout(module, on=rate > 0)
        return loss(module, rows, step)

    return seeded


def _check_not_zero(weights: Mapping[str, Tensor], *, rate: float) -> None:
    """Decay moves the factor that begins at random even when nothing is learnt."""
    products = [weight for name, weight in weights.items() if ".lora_B." in name]
    if not any(bool(weight.any()) for weight in products):
        raise ModelError(
            f"an adapter must change the model, all {len(products)} products are 0 after training; "
            f"raise the learning rate (it is {rate:g}) or give the loss something to do"
        )


def training_key(model: LanguageModel, maker: Maker, supply: Supply) -> str:
    """Tells trainings apart. The last digits depend on the path of the matrix products."""
    path = matmul_path(model.module)
    learnt = replace(supply, prompts=(), hinted=(), dev=(), measured=())  # the rest is not used
    return f"{maker.method} {maker.version} {model.identity} {maker.options} {path} {learnt}"
