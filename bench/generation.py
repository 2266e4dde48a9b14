"""How fast texts are written, beside transformers' `generate` one by one and in batches.

    python bench/generation.py [--model FOLDER] [--prompts 552] [--tokens 64] [--batch 32]

Random weights in SmolLM2-135M's shape unless a model folder is named (30 blocks, width 576, 49,152
tokens, tied), in float32. Two tables: prompts continued greedily, and five samples of each of a
fifth as many prompts (temperature 1, top_p 0.9). Ways run in turn within each round, and the fewest
seconds of each over the rounds, by the tokens that it wrote, are compared:

- one by one: `generate`, a text at a time, on an evenly spaced subsample (`--slow`), since it is
  the slow side;
- in batches: `generate` of prompts sorted by length and padded on the left, `--batch` at a time;
- ours at that batch, and ours as it comes: `equipoise`'s `generate`, all texts in one call.

Texts end as a model's do: of random weights every 64th token counts as an end, which all ways are
told. Greedy texts of all ways must be equal, and samples of ours must be those asked for alone (the
random numbers of transformers are others); else the program stops before any ratio. Processor
seconds are printed beside wall seconds: on a machine that does other work look at those.

The last column is the share of the limit that memory sets to writing one by one: bytes of weights
over the bandwidth of reading as many (a matrix times a vector, measured in the same run), in
tokens per processor second, against the tokens that were written; ends count as tokens. A batch
reads the weights once for all its rows, so that more than 100 % is possible there.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

import torch
from machine import seconds
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from equipoise.inference.generation import end_tokens, generate
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
        module.model.norm.weight.fill_(3.0)  # a nucleus of some hundred tokens, as models have
    module.generation_config.eos_token_id = list(range(0, VOCABULARY, 64))
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
def theirs(model: LanguageModel, requests: Sequence[Generation], *, batch: int) -> Texts:
    """What transformers writes, padded on the left; without padding one by one."""
    texts, settings = [request.context for request in requests], requests[0]
    ends = end_tokens(model)
    sampled = {"do_sample": False}
    if settings.temperature:
        sampled = {"do_sample": True, "temperature": settings.temperature, "top_k": 0}
        sampled["top_p"] = settings.top_p
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
            max_new_tokens=settings.max_tokens, pad_token_id=end, eos_token_id=sorted(ends),
            **sampled,
        )  # fmt: skip
        for place, row in zip(places, output[:, width:].tolist(), strict=True):
            new = list(takewhile(lambda token: token not in ends, row))
            before = coder.decode(ids[place], skip_special_tokens=True)
            whole = coder.decode([*ids[place], *new], skip_special_tokens=True)
            written[place] = whole[len(before) :]
    return written


def weights_per_second(module: PreTrainedModel) -> float:
    """How often a processor second can read all weights: tokens one by one, were it all."""
    size = sum(weight.numel() for weight in module.parameters())  # of tied tables once
    matrix, vector = torch.randn(size // 4096, 4096), torch.randn(4096)
    matrix @ vector  # warm
    return 1 / min(seconds(lambda: matrix @ vector, "cpu") for _ in range(5))


@dataclass
class Way:
    """A way to write the texts of some requests: its fewest seconds, and what it wrote."""

    name: str
    requests: Sequence[Generation]
    write: Callable[[Sequence[Generation]], Texts]
    written: Texts = field(default_factory=list)
    wall: float = float("inf")
    processor: float = float("inf")

    def run(self) -> None:
        wall, processor = time.perf_counter(), time.process_time()
        self.written = self.write(self.requests)
        self.wall = min(self.wall, time.perf_counter() - wall)
        self.processor = min(self.processor, time.process_time() - processor)

    @property
    def tokens(self) -> int:
        """How many were written: of random weights each word is one, and an end is one, too."""
        most = self.requests[0].max_tokens
        return sum(min(most, len(text.split()) + 1) for text in self.written)

    def row(self, ours: "Way", limit: float) -> str:
        """Milliseconds a token, beside those of ours: texts of two ways may end elsewhere."""
        cells = []
        for used, least in ((self.processor, ours.processor), (self.wall, ours.wall)):
            mine, other = used / self.tokens, least / ours.tokens
            cells += [f"{1000 * mine:.1f}", f"{mine / other:.2f}"]
        rate = self.tokens / self.processor
        cells += [f"{rate:.1f}", f"{100 * rate / limit:.0f}"]
        return f"| {self.name} | {len(self.requests)} | {self.tokens} | " + " | ".join(cells) + " |"


def check_equal(ways: Sequence[Way], whole: Way) -> None:
    """Stop where a way wrote another text for a request than `whole` did."""
    expected = dict(zip(whole.requests, whole.written, strict=True))
    for way in ways:
        pairs = zip(way.requests, way.written, strict=True)
        wrong = sum(text != expected[request] for request, text in pairs)
        if wrong:
            raise SystemExit(f"{way.name}: {wrong} of {len(way.requests)} texts differ")


def table(
    model: LanguageModel, requests: Sequence[Generation], options: argparse.Namespace
) -> list[str]:
    """Run all ways on the requests; rows of the table."""
    few = requests[:: max(1, len(requests) // options.slow)][: options.slow]
    longest = max(len(model.tokenizer(request.context)["input_ids"]) for request in requests)
    room = options.batch * (1 + longest + options.tokens)  # of the longest rows, so many
    small = replace(model, batch_tokens=room)
    sampled = requests[0].temperature > 0
    ways = [
        Way("`generate`, one by one", few, lambda asked: theirs(model, asked, batch=1)),
        Way(
            f"`generate`, batches of {options.batch}",
            requests,
            lambda asked: theirs(model, asked, batch=options.batch),
        ),
        Way(
            f"ours, batches of {options.batch}",
            requests,
            lambda asked: generate(small, asked, seed=0),
        ),
        Way("ours", requests, lambda asked: generate(model, asked, seed=0)),
    ]
    for _ in range(options.rounds):
        for way in ways:
            way.run()
    alone = Way(
        "ours alone",
        few,
        lambda asked: [generate(model, [request], seed=0)[0] for request in asked],
    )
    alone.run()
    check_equal([*([] if sampled else ways[:2]), ways[2], alone], ways[3])
    limit = weights_per_second(model.module)
    return [way.row(ways[2], limit) for way in ways]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="a folder; without it random weights")
    parser.add_argument("--prompts", type=int, default=552)
    parser.add_argument("--tokens", type=int, default=64, help="that are written after each")
    parser.add_argument("--slow", type=int, default=8, help="texts of the slow side")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    texts = prompts(options.prompts)
    model = load(options.model, device="cpu", dtype="float32") if options.model else build(texts)
    greedy = [Generation(context=text, max_tokens=options.tokens) for text in texts]
    samples = [
        replace(request, temperature=1.0, top_p=0.9, sample=sample)
        for request in greedy[::5][: max(1, len(greedy) // 5)]
        for sample in range(5)
    ]
    generate(model, greedy[:1], seed=0)  # probes of its layout, and first touches
    print(f"{options.threads} threads, {model.identity}, up to {options.tokens} tokens a text")
    for name, requests in (("greedy", greedy), ("five samples a prompt", samples)):
        print(
            f"\n{name}\n\n| way | texts | tokens | processor ms a token | x ours at that batch "
            "| wall ms | x ours | tokens per processor s | % of one-by-one memory limit |\n"
            + "|---" * 9
            + "|"
        )
        print("\n".join(table(model, requests, options)), flush=True)


if __name__ == "__main__":
    main()
