"""How fast MEMIT with its covariance is, beside ROME one request at a time in the plain form.

    python bench/editors.py MODEL [--requests 262] [--plain 3] [--texts 2000]

MODEL is a folder or a name: how long a row is depends on its tokenizer. The
plain form is ROME as it is told: for each request a full forward pass of all its prompts in each
step. It is timed on a few requests and multiplied; the covariance is compared with plain forward
passes over the same texts. Processor seconds.
"""

import argparse
import time

import torch
from machine import seconds
from torch import Tensor, nn

from equipoise.data.professions import professions
from equipoise.inference.forward import at_full_speed, pad
from equipoise.inference.language_model import LanguageModel
from equipoise.loading.load import load
from equipoise.mitigate.memit import Memit, default_blocks
from equipoise.model_editing import covariance as room
from equipoise.model_editing.context_templates import Prefixes, rome_prefixes
from equipoise.model_editing.edit_rows import prompt_row
from equipoise.model_editing.requests import EditRequest, requests_of_prompts
from equipoise.models.anatomy import mlp_output
from equipoise.models.tokenization import pad_token_id
from equipoise.records import Prompt, Supply

STEPS = 20


def plain_rome(model: LanguageModel, request: EditRequest, prefixes: Prefixes) -> None:
    """Values of a request: the whole model over the whole of each of its prompts, every step."""
    (target,) = request.targets
    pairs = [prompt_row(model, request, prefix, target) for prefix in prefixes]
    rows = [(*row.ids, *answer[-1:]) for row, answer in pairs]
    tokens, real = pad(rows, pad_token_id(model.tokenizer))
    places = torch.tensor([row.subject for row, _ in pairs])
    delta: Tensor = torch.zeros(model.module.config.hidden_size, requires_grad=True)
    index = torch.arange(len(rows))

    def add(_: nn.Module, __: object, output: Tensor) -> Tensor:
        return output.index_put((index, places), delta.expand(len(rows), -1), accumulate=True)

    handle = mlp_output(model.module, default_blocks(model)[0]).register_forward_hook(add)
    optimizer = torch.optim.Adam([delta], lr=0.5)
    last = real.sum(1) - 2
    for _ in range(STEPS):
        logits = model.module(input_ids=tokens, attention_mask=real.long(), use_cache=False).logits
        logprobs = logits[index, last].log_softmax(-1)
        loss = -logprobs[index, tokens[index, last + 1]].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    handle.remove()


def main() -> None:
    """Print the seconds and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model")
    parser.add_argument("--requests", type=int, default=262)
    parser.add_argument("--plain", type=int, default=3)
    parser.add_argument("--texts", type=int, default=2000)
    given = parser.parse_args()
    model = load(given.model)
    model.module.requires_grad_(False)
    prompts = tuple(
        Prompt(
            id=term.word, text=f"The {term.word} smiled because", groups={"profession": term.word}
        )
        for term in professions("prof262")[: given.requests]
    )
    texts = tuple(
        f"The door of house {n} is open, and the lamp is lit." for n in range(given.texts)
    )
    requests = requests_of_prompts(prompts, (" he",))
    prefixes = rome_prefixes(model, each=10, seed=0)
    plain = seconds(
        lambda: [plain_rome(model, r, prefixes) for r in requests[: given.plain]], "cpu"
    )
    each = plain / given.plain
    print(f"plain ROME, per request: {each:.2f} s; {given.requests}: {each * given.requests:.0f} s")

    chosen = default_blocks(model)
    rows = room._tokens(model, texts)

    def passes() -> None:
        with at_full_speed(model.module):
            for start in range(0, len(rows), room._TOKENS // len(rows[0])):
                tokens, real = pad(rows[start : start + room._TOKENS // len(rows[0])], 0)
                model.module.model(input_ids=tokens, attention_mask=real.long(), use_cache=False)

    forward = seconds(passes, "cpu")
    covariance = seconds(lambda: room.covariances(model, chosen, texts), "cpu")
    print(
        f"covariance {covariance:.1f} s, forward passes {forward:.1f} s: {covariance / forward:.2f}"
    )

    supply = Supply(origin="bench", prompts=prompts, texts=texts)
    method = Memit(steps=STEPS)
    wall = time.perf_counter()
    memit = seconds(lambda: method.fit(model, supply, seed=0), "cpu")
    wall = time.perf_counter() - wall
    print(f"MEMIT of {given.requests}: {memit:.1f} s, {wall:.1f} s of wall clock")
    print(f"ratio: {each * given.requests / memit:.1f}")


if __name__ == "__main__":
    main()
