"""How fast heads are attributed: beside the forward pass itself, and beside the plain form.

    python bench/attribution.py [--model FOLDER] [--texts 200] [--length 20]

In turn within each round; the fewest seconds of a way are shown. All ways get the same texts, ids
drawn at random that begin alike as chat prompts do, and compare the same two tokens of each.
- forward: the engine's own pass, which reads a log-probability after each text.
- attribution: `HeadAttributor`, from the texts to what every head, feed-forward part and embedding
  adds; the check that all sum to the logits included.
- decomposition: the same from states that were read already.
- full vocabulary: what the paper does with those states, each head's write times the unembedding,
  all tokens, of which two are taken. On a subsample, scaled by texts. Without the norm, as there.
Without --model: the shape of SmolLM2-135M (30 blocks of 9 heads, 49,152 tokens), random weights.
"""

import argparse
import sys

import numpy as np
import torch
from machine import seconds
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from equipoise.attribution.compared_answers import select
from equipoise.attribution.logit_attribution import HeadAttributor, LastStates
from equipoise.attribution.residual_parts import projection_weight
from equipoise.errors import EquipoiseError
from equipoise.fakes import tiny_tokenizer
from equipoise.inference import engine
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.queries import Query
from equipoise.loading.load import load
from equipoise.models.tokenization import Ids

SHARED = 4  # tokens that all texts begin with


def build(device: str) -> LanguageModel:
    """Random weights in the shape of SmolLM2-135M."""
    config = LlamaConfig(
        hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, vocab_size=49_152, max_position_embeddings=2048,
        tie_word_embeddings=True, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = LlamaForCausalLM(config).eval().to(device)
    return LanguageModel(module=module, tokenizer=tiny_tokenizer(), identity="random-135m")


def draw(vocabulary: int, count: int, length: int) -> list[Ids]:
    """Texts about as long as asked for."""
    generator = np.random.default_rng(0)
    begin = tuple(generator.integers(5, vocabulary, SHARED).tolist())
    lengths = generator.integers(length - 3, length + 4, count) - SHARED
    return [(*begin, *generator.integers(5, vocabulary, size).tolist()) for size in lengths]


def forward(model: LanguageModel, texts: list[Ids]) -> None:
    engine.read(model, [(Query(ids, ((len(ids) - 1, 3),)),) for ids in texts], task="forward")


@torch.inference_mode()
def full_vocabulary(
    attributor: HeadAttributor, states: LastStates, first: list[int], second: list[int]
) -> Tensor:
    """Each head's write times all rows of the unembedding: [text, block * head]."""
    table = attributor.readout.layer.weight.float()
    rows = torch.arange(len(first))
    scores = []
    for part, z in zip(attributor.parts, states.heads, strict=True):
        weight = projection_weight(part.heads.module).view(
            table.shape[1], attributor.head_count, -1
        )
        heads = z.view(len(z), attributor.head_count, -1)
        for head in range(attributor.head_count):
            logits = (heads[:, head] @ weight[:, head].T) @ table.T  # [text, vocabulary]
            scores.append(logits[rows, first] - logits[rows, second])
    return torch.stack(scores, dim=1)


def compare(model: LanguageModel, options: argparse.Namespace) -> None:
    vocabulary = int(model.module.config.get_text_config().vocab_size)
    texts = draw(vocabulary, options.texts, options.length)
    first = [7 + number for number in range(len(texts))]
    second = [vocabulary // 2 + number for number in range(len(texts))]
    device = str(model.module.device)
    attributor = HeadAttributor(model)
    states = attributor.read(texts)
    few = list(range(0, len(texts), max(1, len(texts) // options.subsample)))
    part = select(states, few)
    chosen = [first[row] for row in few], [second[row] for row in few]

    def attribute() -> None:
        fresh = HeadAttributor(model)
        fresh.attribute(fresh.read(texts), first, second)

    ways = {
        "forward": lambda: forward(model, texts),
        "attribution": attribute,
        "decomposition": lambda: attributor.attribute(states, first, second),
        "full vocabulary": lambda: full_vocabulary(attributor, part, *chosen),
    }
    least = dict.fromkeys(ways, float("inf"))
    for _ in range(options.rounds):
        for name, way in ways.items():
            least[name] = min(least[name], seconds(way, device))
    least["full vocabulary"] *= len(texts) / len(few)
    exact = attributor.attribute(states, first, second)
    plain = full_vocabulary(attributor, part, *chosen).cpu().double().numpy()
    gap = float(np.abs(exact.literal[few] - plain).max())
    heads = len(attributor.labels)
    tokens = sum(map(len, texts))
    print(
        f"{model.identity}: {heads} heads, {len(texts)} texts of {tokens} tokens, V {vocabulary:,}"
    )
    for name, taken in least.items():
        print(f"{name}: {taken:.3f} s, {taken / least['forward']:.3f} x forward")
    ratio = least["full vocabulary"] / least["decomposition"]
    whole = (least["forward"] + least["full vocabulary"]) / least["attribution"]
    print(f"attribution / forward: {least['attribution'] / least['forward']:.3f} (at most 1.15)")
    print(f"full vocabulary / decomposition: {ratio:.0f} (at least 20)")
    print(f"forward and full vocabulary / attribution: {whole:.1f}")
    errors = np.abs(exact.errors).max()
    print(
        f"largest gap of the literal scores: {gap:.1e}; of all parts and the logits: {errors:.1e}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of the attribution of heads.")
    parser.add_argument("--model", help="a folder; else a Llama of random weights")
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--length", type=int, default=20, help="tokens of a text, about")
    parser.add_argument("--subsample", type=int, default=4, help="texts for the full vocabulary")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.model:
        model = load(options.model, dtype="float32", device=options.device)
    else:
        model = build(options.device)
    compare(model, options)


if __name__ == "__main__":
    try:
        main()
    except EquipoiseError as error:
        sys.exit(str(error))
