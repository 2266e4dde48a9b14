"""Keys: what modules read, and what they or blocks put out, at the last token of each subject."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from equipoise.inference.language_model import LanguageModel
from equipoise.model_editing.context_templates import Prefixes
from equipoise.model_editing.edit_rows import (
    EditRow,
    EditRows,
    at_least_float32,
    hooked,
    prompt_row,
    subject_rows,
)
from equipoise.model_editing.requests import EditRequest

States = Float[Tensor, "request prefix _"]  # features differ between modules


@torch.no_grad()
def subject_states(
    model: LanguageModel,
    requests: Sequence[EditRequest],
    prefixes: Prefixes,
    *,
    inputs: Sequence[nn.Module] = (),
    outputs: Sequence[nn.Module] = (),
) -> tuple[list[States], list[States]]:
    """Of each module of `inputs` what it reads, of each of `outputs` what it puts out.

    At least float32. In forward passes over all requests and modules together, which end at the
    last module: modules are named in the order in which they run.
    """
    rows = subject_rows(model, requests, prefixes)
    # [prefix][request], as rows that begin alike go together
    groups = [[row[number] for row in rows] for number in range(len(prefixes))]
    states = states_at(model, groups, inputs=inputs, outputs=outputs)
    reshaped = [state.view(len(prefixes), len(requests), -1).transpose(0, 1) for state in states]
    return reshaped[: len(inputs)], reshaped[len(inputs) :]


def last_keys(
    model: LanguageModel, requests: Sequence[EditRequest], prefixes: Prefixes, module: nn.Module
) -> Float[Tensor, "request feature"]:
    """What a module reads at the prompts' last token, a mean over the prefixes."""
    groups = [[_last_row(model, request, prefix) for request in requests] for prefix in prefixes]
    (states,) = states_at(model, groups, inputs=[module])
    return states.view(len(prefixes), len(requests), -1).mean(0)


def _last_row(model: LanguageModel, request: EditRequest, prefix: str) -> EditRow:
    row, _ = prompt_row(model, request, prefix)
    last = len(row.ids) - 1
    return EditRow(ids=row.ids, subject=last, reads=(last,))


@torch.no_grad()
def states_at(
    model: LanguageModel,
    groups: Sequence[Sequence[EditRow]],
    *,
    inputs: Sequence[nn.Module] = (),
    outputs: Sequence[nn.Module] = (),
) -> list[Float[Tensor, "row _"]]:
    """As `subject_states`, of rows of any kind, at the position that each names."""
    run = EditRows(model, groups)
    parts: list[list[Tensor]] = [[] for _ in (*inputs, *outputs)]
    last = (*inputs, *outputs)[-1]
    for batch in run.batches:
        for part in run.parts(batch):
            with ExitStack() as undo:
                read: dict[int, Tensor] = {}
                for number, module in enumerate(inputs):
                    undo.enter_context(_reading(module, read, number))
                for number, module in enumerate(outputs, len(inputs)):
                    undo.enter_context(_writing(module, read, number))
                run.until(part, last)
            places = torch.arange(len(part.rows)), part.subjects
            for number, kept in enumerate(parts):
                kept.append(at_least_float32(part.by_position(read[number])[places]))
    return [torch.cat(kept) for kept in parts]


def _reading(module: nn.Module, read: dict[int, Tensor], number: int) -> Any:
    """Inside the `with` block what the module reads is put into `read`."""

    def keep(_: nn.Module, args: tuple[Tensor, ...]) -> None:
        read[number] = args[0]

    stack = ExitStack()
    stack.callback(module.register_forward_pre_hook(keep).remove)
    return stack


def _writing(module: nn.Module, read: dict[int, Tensor], number: int) -> Any:
    """Inside the `with` block what the module puts out is put into `read`."""

    def keep(output: Tensor) -> Tensor:
        read[number] = output
        return output

    return hooked(module, keep)
