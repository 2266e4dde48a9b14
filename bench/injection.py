"""How fast a step of training one token's row is, beside PEFT's trainable tokens and a whole table.

    python bench/injection.py [--rounds 7] [--device cpu]

A Llama-shaped model with random weights, 4 blocks, width 256, 64,000 tokens, tied and untied; 16
texts of 48 tokens a step, of which some are the token. Each way computes the loss over all places
and the gradients of the token's rows, from the same vectors, and those are compared. All run in
turn within each round; the best step of all is printed. On a processor: one thread, processor
seconds. Memory is the peak of a process for each way, over what it held with the model alone.
"""

import argparse
import copy
import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import peft
import torch
from machine import forget_peak, most_resident, now, resident
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from equipoise.inference.language_model import LanguageModel
from equipoise.testing import tiny_model
from equipoise.training.token_row import TokenRow

TOKENS, WIDTH, BLOCKS, TEXTS, LENGTH = 64_000, 256, 4, 16, 48
TOKEN = TOKENS - 1  # of a padded table, which every way can train
ROW, PEFT, TABLE = "one-row module", "peft, trainable tokens", "whole tables, row picked"
WAYS = (ROW, PEFT, TABLE)


@dataclass
class Way:
    """One way: what computes a step's loss and gradients, and its seconds."""

    name: str
    step: Callable[[], list[Tensor]]
    seconds: list[float] = field(default_factory=list)
    gradients: list[Tensor] = field(default_factory=list)

    def run(self, device: str) -> None:
        begin = now(device)
        self.gradients = self.step()
        self.seconds.append(now(device) - begin)


def build(*, tied: bool, device: str) -> LanguageModel:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=TOKENS,
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=BLOCKS,
        num_attention_heads=8,
        tie_word_embeddings=tied,
    )
    module = LlamaForCausalLM(config).eval().to(device)
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    return LanguageModel(
        module=module, tokenizer=tiny_model("llama").tokenizer, identity="bench@0", kind="causal"
    )


def batch(device: str) -> Tensor:
    """16 texts of 48 tokens, each with the token three times."""
    tokens = torch.randint(3, TOKEN, (TEXTS, LENGTH), generator=torch.Generator().manual_seed(1))
    tokens[:, ::16] = TOKEN
    return tokens.to(device)


def plain_loss(module: nn.Module, tokens: Tensor) -> Tensor:
    logits = module(input_ids=tokens, use_cache=False).logits
    return nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())


def by_row(model: LanguageModel, tokens: Tensor) -> Callable[[], list[Tensor]]:
    module = model.module
    tables = (module.get_input_embeddings().weight, module.get_output_embeddings().weight)
    tied = tables[0] is tables[1]
    row = TokenRow(model, TOKEN, tables[0][TOKEN], None if tied else tables[1][TOKEN])
    real = torch.ones_like(tokens, dtype=torch.bool)
    scored = real.clone()
    scored[:, 0] = False
    vectors = [row.vector] if tied else [row.vector, row.vector_out]

    def step() -> list[Tensor]:
        row.zero_grad()
        row(tokens, real, scored).backward()
        return gradients(vectors)

    return step


def by_peft(model: LanguageModel, tokens: Tensor) -> Callable[[], list[Tensor]]:
    config = peft.TrainableTokensConfig(
        token_indices=[TOKEN],
        target_modules=["embed_tokens"]
        if model.module.config.tie_word_embeddings
        else ["embed_tokens", "lm_head"],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrapped = peft.get_peft_model(model.module, config).eval()
    deltas = [value for value in wrapped.parameters() if value.requires_grad]

    def step() -> list[Tensor]:
        wrapped.zero_grad()
        plain_loss(wrapped, tokens).backward()
        return [gradient[0] for gradient in gradients(deltas)]

    return step


def by_table(model: LanguageModel, tokens: Tensor) -> Callable[[], list[Tensor]]:
    module = model.module
    tables = [module.get_input_embeddings().weight]
    if module.get_output_embeddings().weight is not tables[0]:
        tables.append(module.get_output_embeddings().weight)
    for table in tables:
        table.requires_grad_(True)

    def step() -> list[Tensor]:
        module.zero_grad()
        plain_loss(module, tokens).backward()
        return [gradient[TOKEN] for gradient in gradients(tables)]

    return step


def gradients(parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    return [value.grad.clone() for value in parameters if value.grad is not None]


STEPS = dict(zip(WAYS, (by_row, by_peft, by_table), strict=True))


def memory_of(name: str, *, tied: bool) -> None:
    """Print, in a process of its own, what two steps of a way take at most, in MiB."""
    model, tokens = build(tied=tied, device="cpu"), batch("cpu")
    step = STEPS[name](model, tokens)
    begin = resident()
    forget_peak()
    step()
    step()
    print(json.dumps(1024 * (most_resident() - begin)))


def memory(name: str, *, tied: bool) -> float:
    command = [sys.executable, __file__, "--memory-of", name, *(["--tied"] if tied else [])]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(ran.stdout.splitlines()[-1])


def rows(*, tied: bool, rounds: int, device: str) -> list[str]:
    """Rows of the table, of a tied or an untied model."""
    model, tokens = build(tied=tied, device=device), batch(device)
    ways = [Way(name, STEPS[name](copy.deepcopy(model), tokens)) for name in WAYS]
    for way in ways:
        way.run(device)  # warm
        way.seconds.clear()
    for _ in range(rounds):
        for way in ways:
            way.run(device)
    best = min(ways[0].seconds)
    lines = []
    for way in ways:
        pairs = zip(way.gradients, ways[0].gradients, strict=True)
        gap = max(float((a - b).abs().max()) for a, b in pairs)
        peak = f"{memory(way.name, tied=tied):.0f}" if device == "cpu" else "-"
        lines.append(
            f"| {'tied' if tied else 'untied'} | {way.name} | {min(way.seconds):.3f} "
            f"| {min(way.seconds) / best:.2f} | {peak} | {gap:.0e} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of training one token's row.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--memory-of", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--tied", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.memory_of:
        memory_of(options.memory_of, tied=options.tied)
        return
    unit = "processor s" if options.device == "cpu" else f"s on {options.device}"
    print(f"Best of {options.rounds} steps; torch {torch.__version__}, peft {peft.__version__}\n")
    print(f"| tables | a step by | {unit} | x one-row | peak MiB over the model | largest gap |")
    print("|" + "---|" * 6)
    for tied in (True, False):
        lines = rows(tied=tied, rounds=options.rounds, device=options.device)
        print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()
