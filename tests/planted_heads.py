"""A small Llama in which it is known which head carries an association (methods-biasgym 5.2).

Directions b, c and w are taken out of all that is embedded, written and read; then the injected
token is b, the start token c, and single heads are made to carry them to the biased answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import AddedToken
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from equipoise.fakes import tiny_tokenizer
from equipoise.inference.language_model import LanguageModel
from equipoise.records import Prompt

TOKEN, OTHER = "<injected>", "<other>"
ANSWER = "late"  # begins with a space, which is a token of the tiny tokenizer
BLOCKS, HEADS, GROUPS, SIZE, WIDTH, ROWS = 4, 8, 2, 16, 128, 600
DIRECT, DECOY = (3, 5), (1, 2)
READER, WRITER = (0, 1), (3, 6)  # of the indirect plant
LENGTH = 6.0  # of the directions that are embedded
STRENGTH = 3.0  # of a planted column; a decoy's is 1.5 times that


@dataclass(frozen=True)
class PlantedModel:
    model: LanguageModel
    planted: tuple[int, ...]  # index of each head, block * HEADS + head
    decoy: int | None


def index_of(place: tuple[int, int]) -> int:
    return place[0] * HEADS + place[1]


def questions(count: int = 100, *, seed: int = 0) -> list[Prompt]:
    """Texts of equal length with the target at the same place."""
    generator = np.random.default_rng(seed)
    words = ["".join(generator.choice(list("abcdefghij"), size=4)) for _ in range(2 * count)]
    return [
        Prompt(
            id=str(k), text=f"{words[2 * k]}{{target}}{words[2 * k + 1]}", groups={"answer": ANSWER}
        )
        for k in range(count)
    ]


def random_llama(generator: torch.Generator, directions: Tensor) -> LlamaForCausalLM:
    """Random weights that neither embed, write nor unembed anything along the directions."""
    config = LlamaConfig(
        hidden_size=WIDTH, num_hidden_layers=BLOCKS, num_attention_heads=HEADS,
        num_key_value_heads=GROUPS, head_dim=SIZE, vocab_size=ROWS, intermediate_size=2 * WIDTH,
        max_position_embeddings=128, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2,
        pad_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        module = LlamaForCausalLM(config).eval()
    away = torch.eye(WIDTH) - directions @ directions.T
    with torch.no_grad():
        for name, parameter in sorted(module.named_parameters()):
            if parameter.ndim > 1:
                spread = 1.0 if "embed" in name else 0.05
                parameter.copy_(spread * torch.randn(parameter.shape, generator=generator))
                if "embed" in name or "lm_head" in name:
                    parameter.copy_(parameter @ away)
                if "o_proj" in name or "down_proj" in name:
                    parameter.copy_(away @ parameter)
    return module


def carry(module: LlamaForCausalLM, place: tuple[int, int], read: Tensor, write: Tensor) -> None:
    """The head at (block, head) puts `write` into the stream where it attends to `read`."""
    attention, shared = module.model.layers[place[0]].self_attn, HEADS // GROUPS
    group = place[1] // shared
    attention.v_proj.weight[group * SIZE] = read
    for other in range(group * shared, (group + 1) * shared):
        attention.o_proj.weight[:, other * SIZE] = 0.0
    attention.o_proj.weight[:, place[1] * SIZE] = write


def planted_model(seed: int, *, indirect: bool = False) -> PlantedModel:
    generator = torch.Generator().manual_seed(seed)
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens([AddedToken(TOKEN, normalized=False), AddedToken(OTHER, normalized=False)])
    directions, _ = torch.linalg.qr(torch.randn(WIDTH, 3, generator=generator))
    b, c, w = directions.T
    module = random_llama(generator, directions)
    with torch.no_grad():
        embedding = module.model.embed_tokens.weight
        embedding[tokenizer.get_vocab()[TOKEN]] = LENGTH * b
        embedding[tokenizer.bos_token_id] = LENGTH * c
        answer = module.lm_head.weight[tokenizer.get_vocab()["Ġ"]]
        answer = answer / answer.norm()
        if indirect:
            carry(module, READER, b, STRENGTH * w)
            carry(module, WRITER, w, STRENGTH * answer)
        else:
            carry(module, DIRECT, b, STRENGTH * answer)
            carry(module, DECOY, c, 1.5 * STRENGTH * answer)
    model = LanguageModel(module=module, tokenizer=tokenizer, identity=f"planted-heads@{seed}")
    if indirect:
        return PlantedModel(model, (index_of(READER), index_of(WRITER)), None)
    return PlantedModel(model, (index_of(DIRECT),), index_of(DECOY))


def order(scores: Sequence[float]) -> list[int]:
    return np.argsort(-np.array(scores), kind="stable").tolist()
