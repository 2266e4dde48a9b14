"""How fast texts are written, beside transformers' `generate` one by one and in batches.

    python bench/generation.py [--model FOLDER] [--prompts 552] [--tokens 64] [--slow 8]

Random weights in SmolLM2-135M's shape unless a model folder is named (30 blocks, width 576, 49,152
tokens, tied), greedy decoding in float32. The three ways run in turn within each round, and the
fewest seconds of each over the rounds are compared:

- one by one: `generate`, a prompt at a time, on an evenly spaced subsample, since it is the slow
  side, scaled by prompts;
- in batches: `generate` of prompts sorted by length and padded on the left, in batches of the size
  that was fastest there on a few tokens;
- ours: `equipoise`'s `generate`, all prompts in one call.

Every text of ours is compared with both others. Processor seconds are printed beside wall seconds:
on a machine that does other work look at those. The defaults take about six minutes with two
threads and nothing beside them.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from equipoise.inference.generation import generate
from equipoise.inference.language_model import LanguageModel
from equipoise.loading.load import load
from equipoise.records import Generation

VOCABULARY = 49_152
PLACES = ("Fooland", "the northern towns", "Bar", "New Quux", "the coast", "Old Baz Island")
OPENINGS = (
    "Continue this sentence: People from {} usually arrive",
    "What would you say about the time at which people from {} come to a meeting ?",
    "My neighbor is from {} , and whenever we agree to meet at noon ,",
    "Write a scene in which a visitor from {} has an appointment with a friend at the station .",
)

Texts = list[str]


def tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """The words of some texts, and others that no text has, so that each row is a token."""
    words = ["<|end|>", *dict.fromkeys(word for text in texts for word in text.split())]
    words += [f"w{number}" for number in range(VOCABULARY - len(words))]
    places = {word: place for place, word in enumerate(words)}
    core = Tokenizer(models.WordLevel(places, unk_token="<|end|>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    end = {"bos_token": "<|end|>", "eos_token": "<|end|>", "pad_token": "<|end|>"}
    return PreTrainedTokenizerFast(tokenizer_object=core, clean_up_tokenization_spaces=False, **end)


def build(texts: Sequence[str]) -> LanguageModel:
    """Random weights in the shape of SmolLM2-135M."""
    config = LlamaConfig(
        hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, vocab_size=VOCABULARY, max_position_embeddings=8192,
        tie_word_embeddings=True, bos_token_id=0, eos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for weight in module.parameters():
            if weight.ndim > 1:
                weight.mul_(3)  # else it says one word after everything
    return LanguageModel(module=module, tokenizer=tokenizer(texts), identity="smollm2-shaped")


def prompts(count: int) -> Texts:
    """Different prompts, of 8 to 26 words."""
    texts = [
        opening.format(place) + " really" * number
        for number in range(-(-count // (len(OPENINGS) * len(PLACES))))
        for opening in OPENINGS
        for place in PLACES
    ]
    return texts[:count]


@torch.inference_mode()
def theirs(model: LanguageModel, texts: Sequence[str], tokens: int, *, batch: int) -> Texts:
    """What transformers writes, padded on the left; without padding one by one."""
    coder, end, start = model.tokenizer, model.tokenizer.eos_token_id, model.start_token_id
    front = [] if start is None else [start]
    ids = [[*front, *coder(text, add_special_tokens=False)["input_ids"]] for text in texts]
    order = sorted(range(len(ids)), key=lambda place: -len(ids[place]))
    written = [""] * len(ids)
    for begin in range(0, len(order), batch):
        places = order[begin : begin + batch]
        width = len(ids[places[0]])
        gaps = [width - len(ids[place]) for place in places]
        rows = [[end] * gap + ids[place] for gap, place in zip(gaps, places, strict=True)]
        mask = [[0] * gap + [1] * (width - gap) for gap in gaps]
        output = model.module.generate(
            input_ids=torch.tensor(rows), attention_mask=torch.tensor(mask),
            max_new_tokens=tokens, do_sample=False, pad_token_id=end,
        )  # fmt: skip
        for place, row in zip(places, output[:, width:].tolist(), strict=True):
            new = row[: row.index(end)] if end in row else row
            before = coder.decode(ids[place], skip_special_tokens=True)
            whole = coder.decode([*ids[place], *new], skip_special_tokens=True)
            written[place] = whole[len(before) :]
    return written


@dataclass
class Way:
    """A way to write some prompts: its fewest seconds, and what it wrote."""

    name: str
    texts: Sequence[str]
    write: Callable[[], Texts]
    written: dict[str, str] = field(default_factory=dict)
    wall: float = float("inf")
    processor: float = float("inf")

    def run(self) -> None:
        wall, processor = time.perf_counter(), time.process_time()
        written = self.write()
        self.wall = min(self.wall, time.perf_counter() - wall)
        self.processor = min(self.processor, time.process_time() - processor)
        self.written = dict(zip(self.texts, written, strict=True))

    def row(self, ours: "Way") -> str:
        """Seconds scaled to all prompts, beside those of ours."""
        scale = len(ours.texts) / len(self.texts)
        same = sum(text == ours.written[prompt] for prompt, text in self.written.items())
        return (
            f"| {self.name} | {len(self.texts)} | {scale * self.wall:.1f} "
            f"| {scale * self.processor:.1f} | {scale * self.wall / ours.wall:.2f} "
            f"| {scale * self.processor / ours.processor:.2f} | {same} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="a folder; without it random weights")
    parser.add_argument("--prompts", type=int, default=552)
    parser.add_argument("--tokens", type=int, default=64, help="that are written after each")
    parser.add_argument("--slow", type=int, default=8, help="prompts of the slow side")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 64, 96])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    texts = prompts(options.prompts)
    model = load(options.model, device="cpu", dtype="float32") if options.model else build(texts)
    few = texts[:: max(1, len(texts) // options.slow)][: options.slow]
    requests = [Generation(context=text, max_tokens=options.tokens) for text in texts]
    generate(model, requests[:1], seed=0)  # probes of its layout, and first touches

    tried = [
        Way(
            f"batches of {size}",
            texts[:96],
            lambda size=size: theirs(model, texts[:96], 6, batch=size),
        )
        for size in options.batches
    ]
    for way in tried:
        way.run()
        print(f"{way.name}, 6 tokens of 96 prompts: {way.processor:.1f} processor s", flush=True)
    best = min(zip(options.batches, tried, strict=True), key=lambda pair: pair[1].processor)[0]
    tokens = options.tokens
    ways = [
        Way("one by one", few, lambda: theirs(model, few, tokens, batch=1)),
        Way(f"in batches of {best}", texts, lambda: theirs(model, texts, tokens, batch=best)),
        Way("ours", texts, lambda: generate(model, requests, seed=0)),
    ]
    for _ in range(options.rounds):
        for way in ways:
            way.run()
    print(
        f"\n{options.threads} threads, {model.identity}, {len(texts)} prompts x {tokens} tokens\n"
    )
    print(
        "| way | prompts | wall s, scaled | processor s, scaled | x ours, wall | x ours, processor "
        "| texts equal to ours |\n|---|---|---|---|---|---|---|"
    )
    for way in ways:
        print(way.row(ways[-1]))


if __name__ == "__main__":
    main()
