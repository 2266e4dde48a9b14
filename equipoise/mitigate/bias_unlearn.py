"""Forget stereotypes, retain anti-stereotypes, keep the rest by KL, and stop at parity.

Paper: Liu et al. 2025, "BiasUnlearn" (EMNLP 2025), section 3; NPO of Zhang et al. 2024. Where paper
and released code differ, and which of them this follows: docs/methods/bias_unlearn.md.

A step draws texts to forget, to retain and to keep, runs them in a forward pass, and minimizes

    0.4 * NPO(forget) + 0.4 * NLL(retain) + 0.2 * KL(before || now)

Between steps a controller evaluates held-out contrasts: it may turn a type of bias round, so that
its anti-stereotypes are forgotten from then on, and stops training at parity.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
import torch
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import ArgsKwargs
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from equipoise.contrast_training.early_stopping import (
    AnyController,
    BiasEarlyStopping,
    EquivalenceStopping,
    NoController,
    PaperSwapping,
    Phase,
    ReferenceSwapping,
    TypeMixture,
    away_from_stereotypes,
)
from equipoise.contrast_training.packed_forward import reference_outputs
from equipoise.contrast_training.session import AdapterOptions, ContrastTraining
from equipoise.contrast_training.steps import (
    AnyKl,
    ForwardKl,
    PaddedKl,
    ReverseKl,
    likelihood,
    mixed_batch,
)
from equipoise.contrast_training.tokenized import TokenizedContrast, TokenizedText
from equipoise.edits.adapter import AdapterEdit
from equipoise.errors import RecipeError, nearest
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation
from equipoise.records import OPTIONS, ModelKind, Supply
from equipoise.training.loss_curves import record_parts

Reduction: TypeAlias = Literal["per_seq_sum", "per_seq_mean", "batch_mean"]
#: By type of bias.
_ByType: TypeAlias = Mapping[str, Sequence[TokenizedContrast]]
_Pools: TypeAlias = dict[str, list[TokenizedText]]

_RELEASED_BASES = {"gender": 49.0, "profession": 49.0, "race": 49.0, "religion": 48.0}


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class _Adversarial:
    """A share of contrasts whose anti-stereotypes are forgotten, too."""

    share: Annotated[float, Field(gt=0, le=1)] = 0.25  # of the anti-stereotypes


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class StratifiedAdversarial(_Adversarial):
    """The same share of every type, drawn by the seed."""

    name: Literal["stratified"] = "stratified"

    def choose(self, contrasts: _ByType, *, seed: int) -> _ByType:
        """A sample of each type, in the order of the contrasts."""
        chosen = {}
        for index, (axis, pool) in enumerate(contrasts.items()):
            # one per type, so that a sample does not depend on how many contrasts other types have
            generator = np.random.default_rng([seed, index, 1])
            size = int(self.share * len(pool))
            rows = generator.choice(len(pool), size=size, replace=False)
            chosen[axis] = [pool[row] for row in sorted(rows.tolist())]
        return chosen


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class HeadAdversarial(_Adversarial):
    """The first share of all contrasts in the order gender, profession, race, religion.

    The later types have none, as in the released code.
    """

    name: Literal["head"] = "head"

    def choose(self, contrasts: _ByType, *, seed: int) -> _ByType:
        """The head of the list, by type."""
        del seed
        every = [contrast for axis in sorted(contrasts) for contrast in contrasts[axis]]
        head = every[: int(self.share * len(every))]
        return {axis: [item for item in head if item.axis == axis] for axis in contrasts}


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Npo:
    """Forget by negative preference optimization (`npo`)."""

    name: Literal["npo"] = "npo"
    weight: Annotated[float, Field(gt=0)] = 0.4  # in the loss
    batch: Annotated[int, Field(ge=1)] = 4  # texts per step
    beta: Annotated[float, Field(gt=0)] = 0.1  # the released code's; the paper gives none
    #: of r: the ending's sum; "per_seq_mean": its mean per token, with a larger beta; "batch_mean":
    #: one mean over the batch, as the released code
    reduction: Reduction = "per_seq_sum"
    #: anti-stereotypes that are also forgotten, the same share of each type; "head": the first of
    #: the list, so that the last types have none, as the released code; None: none
    adversarial: StratifiedAdversarial | HeadAdversarial | None = StratifiedAdversarial()


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Likelihood:
    """Retain by likelihood (`steps.likelihood`)."""

    name: Literal["likelihood"] = "likelihood"
    weight: Annotated[float, Field(gt=0)] = 0.4  # in the loss
    batch: Annotated[int, Field(ge=1)] = 28  # texts per step
    by_token: bool = False  # the mean over all tokens, so that long texts count more


def _presets() -> dict[str, dict[str, Any]]:
    """The options of each preset that differ from ours."""
    return {
        # section 3 and A.2. Its text says forward KL, its equation 3 is the reverse one.
        "printed": {
            "kl": ReverseKl(),
            "controller": PaperSwapping(),
            "learning_rate": 5e-5,  # of GPT-2 medium and large; 2e-5 of its models of 7B
        },
        "released": {
            "forget": Npo(weight=0.5, reduction="batch_mean"),
            "retain": Likelihood(weight=0.3),
            "kl": PaddedKl(weight=0.2),
            "controller": ReferenceSwapping(bases=_RELEASED_BASES),
        },
    }


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class BiasUnlearn(AdapterOptions, Mitigation):
    """Unlearn by an adapter: NPO on stereotypes, likelihood of anti-stereotypes, KL to before.

    A type whose margin turns round is turned round in training, too, and training ends when every
    type's interval on held-out terms is inside the band around parity.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Liu et al. 2025, BiasUnlearn, EMNLP"
    requires: ClassVar[tuple[str, ...]] = ("contrasts",)
    kinds: ClassVar[tuple[ModelKind, ...]] = ("causal",)
    taught_by: ClassVar[str] = "stereoset"

    #: values of the options that are not given: our own; as the paper prints them ("printed");
    #: as its code has them ("released")
    preset: Literal["own", "printed", "released"] = "own"
    forget: Npo | None = Npo()  # how stereotypes are forgotten; None: they are not
    retain: Likelihood | None = Likelihood()  # anti-stereotypes; None: nothing is retained
    #: forward: KL(before || now); reverse: KL(now || before), as equation 3 is printed;
    #: ce_all_positions: the forward KL diluted by padding to 100 positions, as the released code;
    #: None: no KL
    kl: AnyKl | None = ForwardKl()
    controller: AnyController = EquivalenceStopping()  # when a type is turned, and when to stop
    first_evaluation: Annotated[int, Field(ge=0)] = 50  # steps before the controller may act

    @model_validator(mode="before")
    @classmethod
    def _fill_preset(cls, given: ArgsKwargs) -> ArgsKwargs:
        """Options that are not given have the preset's values, and are recorded with them."""
        options = dict(given.kwargs or {})
        preset = options.get("preset", "own")
        return ArgsKwargs(given.args, {**_presets().get(preset, {}), **options})

    @model_validator(mode="after")
    def _learns_something(self) -> "BiasUnlearn":
        if self.forget is None and self.retain is None:  # the KL alone is least where it begins
            raise ValueError(f"forget or retain must be given, got {self.forget} and {self.retain}")
        return self

    @classmethod
    def released(cls, **others: Any) -> "BiasUnlearn":
        """The released code's weights, losses, controller and bases; other options as given.

        Its defects that change which tokens or contrasts are trained (docs: B1, B4, B6, B9, B11)
        are not among them.
        """
        return cls(preset="released", **others)

    @property
    def required(self) -> tuple[str, ...]:
        """Contrasts, and others to stop on where a controller does."""
        stopping = not isinstance(self.controller, NoController)
        return (*self.requires, *(["dev_contrasts"] if stopping else []))

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> AdapterEdit:
        """Train an adapter on the supply's contrasts; stop by those held out.

        Raises as `ContrastTraining` does, and `RecipeError` when it lacks held-out contrasts
        (unless the controller is "none"), and for a base of a type that it has not.
        """
        bases = self.controller.bases if isinstance(self.controller, ReferenceSwapping) else {}
        types = {contrast.groups.get("axis", "") for contrast in supply.contrasts}
        for name in bases:
            # `released` names all four, of which a supply may lack some
            if name not in types | _RELEASED_BASES.keys():
                raise RecipeError(
                    f"bases must be of types of '{supply.origin}', got '{name}'; "
                    f"{nearest(name, types)}"
                )
        training = ContrastTraining.on_contrasts(model, supply, self, seed=seed)
        if not training.held_out and not isinstance(self.controller, NoController):
            raise RecipeError(
                f"the supply must have held-out contrasts to stop on, got 0 from "
                f"'{supply.origin}'; supply some, or use controller 'none'"
            )
        stopping = training.early_stopping(self.controller, first=self.first_evaluation)
        loss = UnlearningLoss(self, training, stopping)
        return training.fit(loss, stopping, texts=loss.kl_texts)


def npo(
    gap: Tensor, tokens: Tensor, *, beta: float, reduction: Reduction = "per_seq_sum"
) -> Tensor:
    """Negative preference optimization: -(2 / beta) log sigmoid(beta * r), mean over texts.

    Zhang et al. 2024, equation 3; BiasUnlearn's code differs (docs/methods/bias_unlearn.md).

    `gap` [text]: log-probability of each text's target before training minus now, in nats (0 at the
    start, above 0 once forgotten). per_seq_sum: r is that gap (NPO's paper and code). per_seq_mean:
    r is the gap per token. batch_mean: a single r, the mean gap per token over the batch, as
    BiasUnlearn's code has it; with so small an r the loss hardly ever saturates and is gradient
    ascent.
    At the start it is (2 / beta) ln 2, and its gradient in r is -1.
    """
    if reduction == "per_seq_sum":
        r = gap
    elif reduction == "per_seq_mean":
        r = gap / tokens
    else:
        r = (gap / tokens).mean()[None]
    return -(2 / beta) * logsigmoid(beta * r).mean()


class UnlearningLoss:
    """The loss of a step, by its number."""

    def __init__(
        self, method: BiasUnlearn, training: ContrastTraining, stopping: BiasEarlyStopping | None
    ) -> None:
        self.method = method
        self.forward = training.forward
        self.seed = training.seed
        self.kl_texts = training.kl_texts(method.kl)
        axes = sorted({contrast.axis for contrast in training.contrasts})
        self.contrasts: _ByType = {
            axis: [contrast for contrast in training.contrasts if contrast.axis == axis]
            for axis in axes
        }
        self.adversarial: _ByType = dict.fromkeys(axes, ())
        if method.forget and method.forget.adversarial:
            self.adversarial = method.forget.adversarial.choose(self.contrasts, seed=self.seed)
        # Passages alone have no types to turn: then the first phase lasts.
        self.stopping = stopping if training.held_out else None
        self.first_phase = Phase(number=0, start=0, mixture=away_from_stereotypes(axes))
        # Constants, computed while the adapter is off.
        forgotten, compared = self._with_reference(training.pairs)
        self.reference = reference_outputs(training.forward, scored=forgotten, compared=compared)

    def _with_reference(
        self, pairs: list[TokenizedText]
    ) -> tuple[list[TokenizedText], list[TokenizedText]]:
        """The texts to forget and to keep that any step may draw.

        Of both texts of every contrast where a type may be turned in training.
        """
        phase = self.first_phase if self.stopping is None else self.stopping.phase
        drawn = [self.draw(phase, step) for step in range(self.method.steps)]
        is_fixed = self.stopping is None or self.method.steps <= self.method.first_evaluation
        forgotten = [text for forget, _, _ in drawn for text in forget]
        return forgotten if is_fixed else pairs, [text for *_, kept in drawn for text in kept]

    def __call__(self, _module: nn.Module, _rows: Tensor, step: int) -> Tensor:
        """Draw the texts, run them together, and add the three losses by their weights."""
        method, kl = self.method, self.method.kl
        phase = self.first_phase if self.stopping is None else self.stopping.phase
        forget, retain, compared = self.draw(phase, step)
        learnt, count = [*forget, *retain], len(forget)

        positions = [text.target_positions for text in learnt]
        if kl:
            positions += [text.part(kl.over) for text in compared]
        readout, rest = self.forward.read([*learnt, *compared], positions).cut(len(learnt))
        logprobs, tokens = self.forward.text_logprobs(readout)

        loss = torch.zeros((), device=logprobs.device)
        if kl:
            value = kl.loss(self.forward, rest, compared, self.reference)
            record_parts(kl=value)
            loss = kl.weight * value
        if method.forget and forget:
            gap = self.reference.target_logprobs(forget).to(logprobs.device) - logprobs[:count]
            beta, reduction = method.forget.beta, method.forget.reduction
            value = npo(gap, tokens[:count], beta=beta, reduction=reduction)
            record_parts(forgetting=value)
            loss = loss + method.forget.weight * phase.mixture.strength * value
        if method.retain and retain:
            by_token = method.retain.by_token
            value = likelihood(logprobs[count:], tokens[count:], by_token=by_token)
            record_parts(retention=value)
            loss = loss + method.retain.weight * phase.mixture.strength * value
        return loss

    def draw(
        self, phase: Phase, step: int
    ) -> tuple[list[TokenizedText], list[TokenizedText], list[TokenizedText]]:
        """The texts of a step to forget, to retain and to keep by the KL.

        To turn a type exchanges its labels; batch sizes and the adversarial share stay. A phase
        begins an order of its own, while the texts of the KL go on in theirs.
        """
        drawn = []
        pools = self.pools(phase.mixture)
        for stream, part in enumerate((self.method.forget, self.method.retain)):
            batch = mixed_batch(
                pools[stream],
                phase.mixture.weights,
                part.batch if part else 0,
                step=step - phase.start,
                seed=(self.seed, phase.number, stream),
            )
            drawn.append(batch)
        kl = self.method.kl
        compared = kl.draw(self.kl_texts, step=step, seed=self.seed) if kl else []
        return drawn[0], drawn[1], compared

    def pools(self, mixture: TypeMixture) -> tuple[_Pools, _Pools]:
        """By active type: the texts to forget, the adversarial last, and those to retain.

        To forget are the texts that the model leans to, and the others of adversarial contrasts.
        """
        forget: _Pools = {}
        retain: _Pools = {}
        for axis in mixture.active:
            leant = 0 if mixture.directions[axis] > 0 else 1
            forget[axis] = [contrast.pair[leant] for contrast in self.contrasts[axis]]
            forget[axis] += [contrast.pair[1 - leant] for contrast in self.adversarial[axis]]
            retain[axis] = [contrast.pair[1 - leant] for contrast in self.contrasts[axis]]
        return forget, retain
