"""BiasUnlearn's training step as it is usually written: two models, one padded batch, all logits.

The model with its LoRA layers and a second, frozen copy read the same right-padded batch; or the
copy reads only the texts that are compared with it (those to forget and those of the KL).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div, logsigmoid
from torch.nn.utils import clip_grad_norm_

from equipoise.contrast_training.tokenized import TokenizedText
from equipoise.training.schedule import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The texts of a step."""

    forget: Sequence[TokenizedText]
    retain: Sequence[TokenizedText]
    kl: Sequence[TokenizedText]

    @property
    def texts(self) -> list[TokenizedText]:
        return [*self.forget, *self.retain, *self.kl]

    @property
    def compared(self) -> list[int]:
        """Numbers of the texts that the reference reads, too."""
        first = len(self.forget)
        return [*range(first), *range(first + len(self.retain), len(self.texts))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Padded:
    ids: Tensor  # [text, place]
    real: Tensor  # [text, place]: 1 where there is a token
    span: Tensor  # [text, place - 1]: whether the token after this place is scored

    @classmethod
    def of(cls, batch: Batch, device: torch.device) -> "Padded":
        texts = batch.texts
        length = max(len(text.ids) for text in texts)
        ids = torch.zeros(len(texts), length, dtype=torch.long)
        real, span = torch.zeros_like(ids), torch.zeros(len(texts), length - 1, dtype=torch.bool)
        for index, text in enumerate(texts):
            ids[index, : len(text.ids)] = torch.tensor(text.ids)
            real[index, : len(text.ids)] = 1
            scored = (
                text.positions
                if index >= len(batch.forget) + len(batch.retain)
                else text.target_positions
            )
            span[index, [place - 1 for place in scored]] = True
        return cls(ids=ids.to(device), real=real.to(device), span=span.to(device))

    def logprobs(self, module: nn.Module, rows: Sequence[int] | slice = slice(None)) -> Tensor:
        """The full next-token distributions: [text, place - 1, vocabulary]."""
        logits = module(input_ids=self.ids[rows], attention_mask=self.real[rows]).logits
        found: Tensor = logits[:, :-1].float().log_softmax(-1)
        return found


class TwoModels:
    """The loop.

    `whole`: the reference reads the whole batch. `cache`: by step, what it said.
    """

    def __init__(
        self,
        module: nn.Module,
        reference: nn.Module,
        parameters: Sequence[nn.Parameter],
        *,
        schedule: Schedule,
        weights: tuple[float, float, float],
        beta: float,
        whole: bool,
    ) -> None:
        self.module = module
        self.reference = reference
        self.parameters = list(parameters)
        self.schedule = schedule
        self.weights = weights
        self.beta = beta
        self.whole = whole
        self.cache: dict[int, Tensor] = {}
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=schedule.learning_rate, weight_decay=schedule.weight_decay
        )

    def keep(self, batches: Sequence[Batch]) -> None:
        """Fill the cache for steps 0, 1, …"""
        self.cache = {step: self.before(batch) for step, batch in enumerate(batches)}

    def before(self, batch: Batch) -> Tensor:
        """What the reference says of the texts that are compared with it."""
        with torch.no_grad():
            padded = Padded.of(batch, self.parameters[0].device)
            if self.whole:
                return padded.logprobs(self.reference)[batch.compared]
            return padded.logprobs(self.reference, batch.compared)

    def step(self, batch: Batch, number: int) -> float:
        """One step of training; its loss before it."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.learning_rate * self.schedule.rate(number)
        before = self.cache[number] if number in self.cache else self.before(batch)
        self.optimizer.zero_grad()
        value = self.loss(batch, before)
        value.backward()  # type: ignore[no-untyped-call]
        clip_grad_norm_(self.parameters, self.schedule.max_gradient)
        self.optimizer.step()
        return float(value.detach())

    def loss(self, batch: Batch, before: Tensor) -> Tensor:
        padded = Padded.of(batch, self.parameters[0].device)
        now = padded.logprobs(self.module)
        cut, end = len(batch.forget), len(batch.forget) + len(batch.retain)
        targets = padded.ids[:, 1:, None]
        own = now[:end].gather(2, targets[:end])[..., 0] * padded.span[:end]
        was = before[:cut].gather(2, targets[:cut])[..., 0] * padded.span[:cut]
        gap = was.sum(1) - own[:cut].sum(1)
        forget = -(2 / self.beta) * logsigmoid(self.beta * gap).mean()
        retain = -(own[cut:].sum(1) / padded.span[cut:end].sum(1)).mean()
        apart = kl_div(now[end:], before[cut:], reduction="none", log_target=True).sum(-1)
        real = padded.span[end:]
        kl = ((apart * real).sum(1) / real.sum(1)).mean()
        a, b, c = self.weights
        return a * forget + b * retain + c * kl
