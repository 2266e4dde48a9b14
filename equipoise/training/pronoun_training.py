"""Train chosen parameters until words that should be equally likely after a prompt are.

What LFTF (one block) and full fine-tuning (everything) share: encode the prompts, cache the
blocks below, fix the reference, and hand the loss to the one Trainer.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from equipoise.edits.edit import Maker, info_of
from equipoise.edits.weights import WeightEdit
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.records import JSON, Supply, refuse_idle
from equipoise.training import pronoun_losses as losses
from equipoise.training.loop import Schedule, Trained, train
from equipoise.training.next_token_logits import NextLogits, WordTree, prompt_ids, word_tree

Objective: TypeAlias = Literal[
    "ce_both",
    "parity",
    "minimize_mass",
    "maximize_mass",
    "absolute_gap",
    "squared_log_odds",
]
Terms: TypeAlias = Literal["both", "he", "she"]

_PLAIN = {
    "minimize_mass": losses.minimize_mass,
    "maximize_mass": losses.maximize_mass,
    "absolute_gap": losses.absolute_gap,
    "squared_log_odds": losses.squared_log_odds,
}
_PAPER_RATE, _PAPER_WIDTH = 1e-5, 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What training aims at; see `pronoun_losses` for each objective."""

    objective: Objective = "ce_both"
    terms: Terms = "both"  # "he", "she": the term of the first or the second word alone
    words: tuple[str, ...] = (" he", " she")
    target: tuple[float, ...] | None = None  # of ce_both, by word; None: all equal
    mass_weight: float = 1.0  # of the divergence in parity
    keep_hints: float = 0.0  # weight of KL(before || after) on hinted prompts

    def check(self) -> None:
        """Raises `ValueError` naming the options that do not fit together."""
        number = len(self.words)
        if number < 2 or len(set(self.words)) < number:
            raise ValueError(f"words must be two or more, all different, got {self.words}")
        if self.objective != "ce_both" and (self.terms != "both" or self.target is not None):
            raise ValueError(f"terms and target are for ce_both, got {self.objective}")
        if self.terms != "both" and (number != 2 or self.target is not None):
            raise ValueError(
                f"one term must be one of two words without a target, got {self.words}, "
                f"{self.target}"
            )
        if self.target is not None and not _is_distribution(self.target, number):
            raise ValueError(
                f"target must be {number} probabilities that sum to 1, got {self.target}"
            )
        if self.objective != "parity":
            refuse_idle(self, "mass_weight", where=f"objective '{self.objective}'")


def _is_distribution(target: Sequence[float], number: int) -> bool:
    return len(target) == number and min(target) >= 0 and abs(sum(target) - 1) < 1e-6


def default_rate(model: LanguageModel) -> float:
    """The paper's learning rate, 1e-5 at width 4096, carried to another width: 1e-5 * 4096 / width.

    Adam moves every weight by about the rate at each step, and the sum over a layer's inputs grows
    with their number; at equal rates a narrow model would hardly move in the paper's 60 steps.
    """
    return _PAPER_RATE * _PAPER_WIDTH / int(model.module.config.get_text_config().hidden_size)


def tune(
    model: LanguageModel,
    supply: Supply,
    *,
    goal: Goal,
    names: Collection[str],
    start: int | None,
    schedule: Schedule,
) -> Trained:
    """Train the named parameters of a model on a supply; the model comes back as it was.

    `start`: the first block that has any of them, so that earlier ones are run once; None when
    something before the blocks is trained as well. Results do not depend on it.
    Raises `RecipeError` when the supply lacks prompts, or hinted ones that are to be kept.
    """
    if not supply.prompts:
        raise RecipeError(
            f"the supply must have prompts, got none from '{supply.origin}'; "
            "name a benchmark that teaches, such as genbias"
        )
    if goal.keep_hints and not supply.hinted:
        raise RecipeError(
            f"keep_hints needs hinted prompts, got none from '{supply.origin}'; "
            "set keep_hints to 0 or name a supply that has them"
        )
    hinted = supply.hinted if goal.keep_hints else ()
    texts = [prompt.text for prompt in (*supply.prompts, *hinted)]
    tree = word_tree(model.tokenizer, texts, goal.words)
    reader = NextLogits(model, prompt_ids(model, texts), tree.contexts, start=start)
    loss = _PronounLoss(goal, tree, reader, examples=len(supply.prompts), schedule=schedule)
    chosen = {name: one for name, one in model.module.named_parameters() if name in set(names)}
    return train(
        reader,
        chosen,
        examples=len(supply.prompts),
        loss=loss,
        schedule=schedule,
        key=f"{model.identity} {goal} {texts}",
    )


def tuned_edit(
    model: LanguageModel,
    supply: Supply,
    trained: Trained,
    *,
    maker: Maker,
    report: Mapping[str, JSON],
) -> WeightEdit:
    """The edit that puts trained parameters into the model, and says where they came from."""
    info = info_of(
        model,
        maker,
        names=trained.weights,
        supply=supply,
        trained_on=supply.learnt_hashes(),
        report={
            **report,
            "steps": trained.steps,
            "first_loss": trained.losses[0],
            "last_loss": trained.losses[-1],
        },
    )
    return WeightEdit(info=info, tensors=trained.weights)


class _PronounLoss:
    """The loss of a batch: the objective on its prompts, the hints' divergence on as many hinted.

    Hinted prompts follow the others in the reader; each step takes the next ones of a seeded
    order, round and round.
    """

    def __init__(
        self,
        goal: Goal,
        tree: WordTree,
        reader: NextLogits,
        *,
        examples: int,
        schedule: Schedule,
    ) -> None:
        self.goal = goal
        self.tree = tree
        self.batch = schedule.batch_size
        count = reader.prompts - examples
        order = torch.randperm(count, generator=torch.Generator().manual_seed(schedule.seed))
        self.hinted = order + examples
        needed = goal.objective == "parity" or goal.keep_hints > 0
        self.reference = reader.logprobs() if needed else None  # [prompt, context, vocabulary]

    def __call__(self, reader: nn.Module, rows: Tensor, step: int) -> Tensor:
        hinted = self._hinted(len(rows), step)
        numbers = torch.cat([rows, hinted.to(rows.device)])
        logprobs = reader(numbers).log_softmax(-1)
        value = self._objective(logprobs[: len(rows)], rows)
        if self.reference is not None and len(hinted):
            kept = losses.divergence(self.reference[hinted], logprobs[len(rows) :])
            value = value + self.goal.keep_hints * kept
        return value

    def _hinted(self, number: int, step: int) -> Tensor:
        if not len(self.hinted):
            return self.hinted
        places = torch.arange(step * self.batch, step * self.batch + number)
        return self.hinted[places % len(self.hinted)]

    def _objective(self, logprobs: Tensor, rows: Tensor) -> Tensor:
        words = self.tree.logprobs(logprobs)
        if self.goal.objective == "ce_both":
            chosen = {"both": words, "he": words[:, :1], "she": words[:, 1:]}[self.goal.terms]
            return losses.ce_both(chosen, self.goal.target)
        if self.goal.objective != "parity" or self.reference is None:
            return _PLAIN[self.goal.objective](words)
        before = self.reference[rows]
        return losses.parity(
            words,
            self._merged(logprobs, words),
            self._merged(before, self.tree.logprobs(before)),
            mass_weight=self.goal.mass_weight,
        )

    def _merged(self, logprobs: Tensor, words: Tensor) -> Tensor:
        first = self.tree.first_tokens
        return losses.merged(logprobs[:, 0], words, first, whole=self.tree.single)


def parameters_of(model: LanguageModel, parts: Collection[nn.Module]) -> tuple[str, ...]:
    """Names of the model's parameters that lie in any of these modules, in the model's order.

    A parameter that two modules share, as tied embeddings do, has one name.
    """
    inside = {id(parameter) for part in parts for parameter in part.parameters()}
    return tuple(name for name, one in model.module.named_parameters() if id(one) in inside)
