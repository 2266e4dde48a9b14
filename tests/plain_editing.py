"""Keys, outputs and updates of editors in plain float64: what their tests compare with."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from equipoise.inference.language_model import LanguageModel
from equipoise.model_editing.requests import EditRequest, requests_of_prompts
from equipoise.models.tokenization import Marked, encode
from equipoise.records import Prompt, Supply
from equipoise.testing import tiny_model

JOBS = ("nurse", "pilot", "clerk", "judge")
SUPPLY = Supply(
    origin="plain",
    prompts=tuple(
        Prompt(id=job, text=f"The {job} sat as", groups={"profession": job}) for job in JOBS
    ),
    hinted=tuple(
        Prompt(id=f"{job} {hint}", text=f"The {job} took {word}", groups={"hint": hint})
        for job in JOBS
        for hint, word in (("male", "his"), ("female", "her"))
    ),
    dev=(Prompt(id="baker", text="The baker sat as"), Prompt(id="guard", text="The guard sat as")),
    texts=tuple(f"The door of house {number} is open." for number in range(12)),
)


def exact_model(family: str, *, blocks: int = 3) -> LanguageModel:
    """A tiny model in float64."""
    model = tiny_model(family, blocks=blocks, context=64)
    model.module.double()
    return model


def shuffled_requests(words: tuple[str, ...], *, seed: int) -> list[EditRequest]:
    """The supply's requests in the order in which a seed has them edited."""
    requests = requests_of_prompts(SUPPLY.prompts, words)
    order = torch.randperm(len(requests), generator=torch.Generator().manual_seed(seed))
    return [requests[index] for index in order.tolist()]


@torch.no_grad()
def states(
    model: LanguageModel, request: EditRequest, prefix: str, module: nn.Module
) -> tuple[Tensor, Tensor]:
    """What a module reads and puts out at the subject's last byte, from the whole prompt."""
    seen: list[tuple[Tensor, Tensor]] = []

    def keep(_: nn.Module, args: tuple[Tensor, ...], output: object) -> None:
        out = output if isinstance(output, Tensor) else output[0]  # type: ignore[index]
        seen.append((args[0], out))

    handle = module.register_forward_hook(keep)
    text = prefix + request.prompt
    (tokens,) = encode(model.tokenizer, [Marked(text, 0, 0)], specials=False)
    model.module(input_ids=torch.tensor([[model.start_token_id, *tokens.ids]]))
    handle.remove()
    place = len(prefix.encode()) + request.end  # behind the start token
    key, output = (state.reshape(-1, state.shape[-1])[place] for state in seen[0])
    return key, output


def matrix(module: nn.Module) -> Tensor:
    """A module's weight as [output, input]."""
    weight = module.get_parameter("weight").detach()
    return weight.T if isinstance(module, Conv1D) else weight


def put(module: nn.Module, weight: Tensor) -> None:
    """Give a module a weight, [output, input]."""
    module.get_parameter("weight").data = weight.T if isinstance(module, Conv1D) else weight


def mean(rows: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(rows)).mean(0)
