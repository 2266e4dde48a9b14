"""Train chosen parameters until words that should be equally likely after a prompt are.

What LFTF (a block) and full fine-tuning (everything) share: options and the loss of a batch.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Self

import torch
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from equipoise.edits.edit import Method, info_of
from equipoise.edits.weights import WeightEdit
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.records import JSON, OPTIONS, Supply
from equipoise.training.answer_words import why_not_asked, words_of
from equipoise.training.loop import Trained, train
from equipoise.training.loss_curves import curve_report, record_parts
from equipoise.training.next_token_logits import NextLogits, WordTree, prompt_ids, word_tree
from equipoise.training.pronoun_losses import CeBoth, Objective, Parity, divergence
from equipoise.training.schedule import Schedule


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class PronounOptions:
    """What a method that trains on prompts aims at, and how long; the methods inherit it."""

    #: what training aims at; ce_both: as the paper's results; parity: mass kept
    objective: Objective = CeBoth()
    #: that should become equally likely, each with its leading space; None: those that the supply
    #: asks for, "he" and "she" where it does not say
    words: tuple[str, ...] | None = None
    #: weight of KL(before || after) on hinted training prompts; 0: none
    keep_hints: Annotated[float, Field(ge=0)] = 0.0
    #: None: 1e-5 * 4096 / width; the paper has 1e-5 at every width, also for Qwen2.5-7B, whose
    #: 3,584 give 1.14e-5
    learning_rate: Annotated[float, Field(gt=0, le=1e30)] | None = None
    #: over the prompts; 2 as the paper, whose 943 prompts make 60 steps
    epochs: Annotated[int, Field(ge=1)] = 2
    batch_size: Annotated[int, Field(ge=1)] = 32  # prompts per step
    #: prompts of a forward pass, of which a step has several; less memory, more time; 0: all of it
    micro_batch: Annotated[int, Field(ge=0)] = 0
    #: a block's activations are computed again when its gradient is due: less memory, more time
    gradient_checkpointing: bool = False
    bf16: bool = False  # compute in bfloat16; weights in training are float32 in any case

    @model_validator(mode="after")
    def _check_words(self) -> Self:
        if self.words is not None:
            if len(self.words) < 2 or len(set(self.words)) < len(self.words):
                raise ValueError(f"words must be two or more, all different, got {self.words}")
            fault = self._objective_fault(self.words)
            if fault is not None:
                raise ValueError(fault)
        if isinstance(self.objective, CeBoth) and self.objective.target is not None:
            target = self.objective.target
            if not (len(target) > 1 and min(target) >= 0 and abs(sum(target) - 1) < 1e-6):
                raise ValueError(
                    f"objective.target must be probabilities that sum to 1, got {target}"
                )
            if self.objective.terms != "both":
                raise ValueError(
                    f"objective.target must be left out beside terms '{self.objective.terms}', got "
                    f"{target}"
                )
        return self

    def refuses(self, supply: Supply) -> str | None:
        """Why these words, or what is aimed at, do not fit the supply; None: they do."""
        reason = why_not_asked(self.words, supply.prompts)
        return reason or self._objective_fault(words_of(self.words, supply.prompts))

    def asked_words(self, supply: Supply) -> tuple[str, ...]:
        """The words that are trained: those named, or those that the supply's prompts ask for.

        Raises `RecipeError` as `refuses` says.
        """
        reason = self.refuses(supply)
        if reason is not None:
            raise RecipeError(f"cannot learn from '{supply.origin}': {reason}")
        return words_of(self.words, supply.prompts)

    def _objective_fault(self, words: tuple[str, ...]) -> str | None:
        if not isinstance(self.objective, CeBoth):
            return None
        terms, target = self.objective.terms, self.objective.target
        if terms != "both" and len(words) != 2:
            return f"objective.terms '{terms}' needs two words, got {list(words)}; leave terms out"
        if target is not None and len(target) != len(words):
            return (
                f"objective.target must have a probability for each of {list(words)}, got "
                f"{list(target)}; give {len(words)}"
            )
        return None

    def rate(self, model: LanguageModel) -> float:
        """The learning rate, by default the paper's 1e-5 at width 4096: 1e-5 * 4096 / width."""
        # Adam moves every weight by about the rate at each step, and the sum over a layer's inputs
        # grows with their number: at equal rates a narrow model would hardly move in 60 steps.
        width = int(model.module.config.get_text_config().hidden_size)
        return self.learning_rate or 1e-5 * 4096 / width


def train_on_prompts(
    model: LanguageModel,
    supply: Supply,
    method: PronounOptions,
    *,
    parameters: Mapping[str, nn.Parameter],
    start: int | None,
    seed: int,
) -> Trained:
    """Train some parameters of a model on a supply; the model is restored.

    `start`: the first block that has any of them, so that earlier blocks are run once; None when
    something before the blocks is trained as well.
    Raises `RecipeError` when the supply lacks prompts, or hinted prompts to be preserved, and when
    its prompts ask for other words.
    """
    if not supply.prompts:
        raise RecipeError(
            f"the supply must have prompts, got none from '{supply.origin}'; "
            "name a supply that has them, such as genbias"
        )
    if method.keep_hints and not supply.hinted:
        raise RecipeError(
            f"keep_hints needs hinted prompts, got none from '{supply.origin}'; "
            "set keep_hints to 0 or name a supply that has them"
        )
    words = method.asked_words(supply)
    hinted = supply.hinted if method.keep_hints else ()
    texts = [prompt.text for prompt in (*supply.prompts, *hinted)]
    tree = word_tree(model.tokenizer, texts, words)
    logits = NextLogits(model, prompt_ids(model, texts), tree.contexts, start=start)
    examples = len(supply.prompts)
    return train(
        logits,
        parameters,
        examples=examples,
        loss=PronounLoss(method, tree, logits, examples=examples, seed=seed),
        schedule=Schedule(
            learning_rate=method.rate(model),
            epochs=method.epochs,
            batch_size=method.batch_size,
            seed=seed,
            micro_batch=method.micro_batch,
            gradient_checkpointing=method.gradient_checkpointing,
            bf16=method.bf16,
        ),
        key=f"{model.identity} {method} {words} {texts}",
    )


def tuned_edit(
    model: LanguageModel,
    supply: Supply,
    trained: Trained,
    *,
    method: Method,
    seed: int,
    report: Mapping[str, JSON],
) -> WeightEdit:
    """The edit that puts trained parameters into the model, with their provenance."""
    info = info_of(
        model,
        method,
        seed=seed,
        names=trained.weights,
        supply=supply,
        trained_on=supply.learnt_hashes(),
        report={
            **report,
            "steps": trained.steps,
            "first_loss": trained.losses[0],
            "last_loss": trained.losses[-1],
            "trained_parameters": trained.parameters,
            **curve_report(trained.losses, trained.parts),
        },
    )
    return WeightEdit(info=info, tensors=trained.weights)


class PronounLoss:
    """The loss of a batch: the objective, plus KL(before || after) on hinted prompts."""

    def __init__(
        self,
        method: PronounOptions,
        tree: WordTree,
        logits: NextLogits,
        *,
        examples: int,
        seed: int,
    ) -> None:
        self.method = method
        self.tree = tree
        # They follow the other prompts in `logits`; each step takes as many as its batch has
        # prompts, the next of this order, cyclically.
        generator = torch.Generator().manual_seed(seed)
        self.hinted = examples + torch.randperm(logits.prompts - examples, generator=generator)
        needed = isinstance(method.objective, Parity) or method.keep_hints > 0
        # [prompt, context, vocabulary]
        # before training, and only if it is compared with: it is a vocabulary of numbers per prompt
        self.reference = logits.logprobs() if needed else torch.empty(0)

    def __call__(self, logits: nn.Module, rows: Tensor, step: int) -> Tensor:
        """The loss of the prompts `rows`."""
        hinted = self.hinted
        if len(hinted):
            first = step * self.method.batch_size
            hinted = hinted[torch.arange(first, first + len(rows)) % len(hinted)]
        logprobs = logits(torch.cat([rows, hinted.to(rows.device)])).log_softmax(-1)
        after, drifted = logprobs.tensor_split([len(rows)])
        objective = self.method.objective
        if isinstance(objective, Parity):
            before = self.tree.merged(self.reference[rows])
            value = objective.loss(self.tree.logprobs(after), self.tree.merged(after), before)
        else:
            value = objective.loss(self.tree.logprobs(after))
        if self.method.keep_hints and len(hinted):
            drift = divergence(self.reference[hinted], drifted)
            record_parts(objective=value, hints=drift)
            value = value + self.method.keep_hints * drift
        return value


def parameters_of(model: LanguageModel, parts: Iterable[nn.Module]) -> dict[str, nn.Parameter]:
    """The model's parameters that lie in any of these modules, by name, in the model's order."""
    inside = {id(parameter) for part in parts for parameter in part.parameters()}
    named = model.module.named_parameters()  # a parameter that modules share has a single name
    return {name: parameter for name, parameter in named if id(parameter) in inside}
