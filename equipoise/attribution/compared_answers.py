"""The two answers whose logits are compared on each question, and which questions count.

The biased answer is fixed by the association. The other is what the model itself would say first
about somebody else (BiasGym, section 3.3.1). Differs from the paper, which takes what is said
about the country of the contrast: that answer leads there by its choice, so that the target comes
out ahead in any model. Here it is what is said about a third, who is on neither side.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch

from equipoise.attribution.contrast_inputs import ContrastInputs
from equipoise.attribution.logit_attribution import HeadAttributor, LastStates
from equipoise.errors import ModelError
from equipoise.models.tokenization import Ids

_LOGITS = 2**26  # numbers at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedAnswers:
    """Questions that count, with both answers; entries of all fields belong together."""

    biased: tuple[Ids, ...]  # about the target
    contrast: tuple[Ids, ...]  # about somebody else
    first: tuple[int, ...]  # first token of the biased answer
    second: tuple[int, ...]  # of what the model says about a third
    stems: tuple[str, ...]  # questions of one stem are not independent
    states: LastStates  # of the questions about the target
    contrast_states: LastStates
    dropped: Mapping[str, int]  # why, and how many


def compare_answers(
    attributor: HeadAttributor, inputs: ContrastInputs, *, keep_all: bool
) -> ComparedAnswers:
    """Read all questions and drop those on which there is nothing to compare.

    Dropped: where the answer merges with the question, where both answers begin with the same
    token and, unless `keep_all`, where the model prefers the other answer about the target. The
    latter looks at the target's side alone, which by itself makes the contrast larger. Raises
    `ModelError` where none is left.
    """
    count = len(inputs.biased)
    dropped = {"merged": inputs.merged, "same_token": 0, "not_preferred": 0}
    if count:
        states = attributor.read([*inputs.biased, *inputs.contrast])
        first = torch.tensor(inputs.answers)
        second = _likeliest(attributor, attributor.read(inputs.third).hidden)
        differ = first != second
        rows, biases = attributor.readout.differences(
            inputs.answers, second.tolist(), states.hidden.shape[-1]
        )
        lead = ((rows * states.hidden[:count]).sum(-1) + biases).cpu()
        preferred = torch.ones_like(differ) if keep_all else lead > 0
        dropped["same_token"] = int((~differ).sum())
        dropped["not_preferred"] = int((differ & ~preferred).sum())
        kept = torch.nonzero(differ & preferred)[:, 0].tolist()
    if not count or not kept:
        reasons = ", ".join(f"{number} {why.replace('_', ' ')}" for why, number in dropped.items())
        raise ModelError(
            f"{attributor.model.identity} must have some question to be compared on, none of "
            f"{count + inputs.merged} is left ({reasons}); ask other questions"
            + (", inject the association for longer, or keep=all" * (not keep_all))
        )
    return ComparedAnswers(
        biased=tuple(inputs.biased[row] for row in kept),
        contrast=tuple(inputs.contrast[row] for row in kept),
        first=tuple(inputs.answers[row] for row in kept),
        second=tuple(int(second[row]) for row in kept),
        stems=tuple(inputs.stems[row] for row in kept),
        states=select(states, kept),
        contrast_states=select(states, [count + row for row in kept]),
        dropped=dropped,
    )


def _likeliest(attributor: HeadAttributor, hidden: torch.Tensor) -> torch.Tensor:
    """The token that the model says next: [text]."""
    width = int(attributor.model.module.config.get_text_config().vocab_size)
    with torch.inference_mode():
        parts = torch.split(hidden, max(1, _LOGITS // width))
        return torch.cat([attributor.readout.logits(part).argmax(-1) for part in parts]).cpu()


def select(states: LastStates, rows: list[int]) -> LastStates:
    """The states of some texts."""

    def take(value: object) -> object:
        if isinstance(value, list):
            return [take(entry) for entry in value]
        return value[rows] if isinstance(value, torch.Tensor) else value

    chosen = {entry.name: take(getattr(states, entry.name)) for entry in fields(states)}
    return LastStates(**chosen)  # type: ignore[arg-type]  # of the fields' own types
