"""How fast BBQ is by letters: all six orders of the answers at once, and one prompt at a time.

    EQUIPOISE_DATA=DIR python bench/letters.py [--model FOLDER] [--category Age] [--items 80]

Four ways to the same numbers, in turn within each round; the fewest seconds of a way are shown.
- plain loop: a prompt at a time, all its logits, as published evaluation code asks. Run on an
  evenly spaced subsample and scaled by tokens.
- prompts alone: every prompt in batches of the engine, in a row of its own: no context is shared.
- order by order: the engine is asked six times, each time with every question in one order. It
  shares what prompts of one order have in common: a context has two questions, and is the
  beginning of the context that gives the answer away.
- at once: what `score=letters` does.
The most that sharing could save is printed, too: tokens of all prompts over tokens of one tree.
Without --model: the small Llama of `scoring.py`, random weights.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain

import torch
from machine import seconds
from subjects import build, tokenizer
from torch import Tensor, nn

from equipoise.benchmarks.bbq import BBQ, ORDERS, Letters
from equipoise.errors import EquipoiseError
from equipoise.inference import engine
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.prefix_sharing import pack, single, tree
from equipoise.loading.load import load
from equipoise.models.tokenization import Ids, Marked, encode
from equipoise.records import NextToken, NextTokenScored

Answers = list[tuple[float, ...]]
Asked = Sequence[Sequence[NextToken]]  # [item, order]


def questions(category: str, items: int) -> Asked:
    """The six prompts of evenly spaced groups of four questions, which share a context."""
    benchmark = BBQ(categories=category, score=Letters())
    examples = benchmark.examples("test")
    groups = range(0, len(examples), 4)
    chosen = groups[:: max(1, len(groups) * 4 // items)][: items // 4]
    return [
        [request for request in benchmark.requests(example) if isinstance(request, NextToken)]
        for start in chosen
        for example in examples[start : start + 4]
    ]


def flat(asked: Asked) -> list[NextToken]:
    return list(chain.from_iterable(asked))


def plain(scored: Sequence[NextTokenScored]) -> Answers:
    return [answer.logprobs for answer in scored]


def at_once(model: LanguageModel, asked: Asked) -> Answers:
    return plain(model.next_token(flat(asked)))


def order_by_order(model: LanguageModel, asked: Asked) -> Answers:
    orders = [
        plain(model.next_token([prompts[order] for prompts in asked]))
        for order in range(len(ORDERS))
    ]
    return list(chain.from_iterable(zip(*orders, strict=True)))


def prompts_alone(model: LanguageModel, asked: Asked) -> Answers:
    with rows_of_one_text():
        return at_once(model, asked)


@contextmanager
def rows_of_one_text() -> Iterator[None]:
    """The engine shares no prefix inside."""
    engine.pack = lambda texts, members, **_: single(texts, members)
    try:
        yield
    finally:
        engine.pack = pack


@torch.inference_mode()
def plain_loop(model: LanguageModel, asked: Asked) -> Answers:
    """A forward pass a prompt, and the log-probabilities of the letters, which are one token."""
    answers: Answers = []
    for prompt in flat(asked):
        fed = torch.tensor(token_ids(model, [[prompt]]), device=model.module.device)
        last = model.module(fed).logits.float().log_softmax(-1)[0, -1]
        words = [model.tokenizer.encode(word, add_special_tokens=False) for word in prompt.words]
        answers.append(tuple(float(last[token]) for (token,) in words))
    return answers


def positions(model: LanguageModel, job: Callable[[], object]) -> int:
    """Positions that a job puts into the model."""
    fed: list[int] = []

    def count(_: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor]) -> None:
        fed.append((kwargs["input_ids"] if "input_ids" in kwargs else args[0]).numel())

    handle = model.module.register_forward_pre_hook(count, with_kwargs=True)
    job()
    handle.remove()
    return sum(fed)


def token_ids(model: LanguageModel, asked: Asked) -> list[Ids]:
    """The ids of each prompt, behind the start token."""
    start = model.start_token_id
    texts = [Marked(prompt.context, 0, len(prompt.context)) for prompt in flat(asked)]
    before = () if start is None else (start,)
    return [(*before, *tokens.ids) for tokens in encode(model.tokenizer, texts, specials=False)]


def ceiling(ids: Sequence[Ids]) -> str:
    """What sharing could save at most, in tokens."""
    orders = [ids[order :: len(ORDERS)] for order in range(len(ORDERS))]
    total, least = sum(map(len, ids)), len(tree(ids, range(len(ids))))
    by_order = sum(len(tree(texts, range(len(texts)))) for texts in orders)
    return (
        f"{total:,} tokens in {len(ids):,} prompts, {least:,} when each prefix is computed once: "
        f"at most {total / least:.2f} times fewer, {by_order / least:.2f} than order by order"
    )


def compare(model: LanguageModel, options: argparse.Namespace) -> Iterator[str]:
    """The rows of the table."""
    asked = questions(options.category, options.items)
    few = asked[:: max(1, len(asked) // options.subsample)]
    yield f"{model.identity}, {options.category}: {ceiling(token_ids(model, asked))}"
    ways = {
        "plain loop": (plain_loop, few),
        "prompts alone": (prompts_alone, asked),
        "order by order": (order_by_order, asked),
        "at once": (at_once, asked),
    }
    device = str(model.module.device)
    tokens = [sum(map(len, token_ids(model, [prompts]))) for prompts in asked]
    shares = {
        name: sum(tokens) / sum(tokens[asked.index(prompts)] for prompts in items)
        for name, (_, items) in ways.items()
    }
    least = dict.fromkeys(ways, float("inf"))
    for _ in range(options.rounds):
        for name, (way, items) in ways.items():
            taken = seconds(lambda way=way, items=items: way(model, items), device)  # type: ignore[misc]
            least[name] = min(least[name], taken * shares[name])
    expected = at_once(model, asked)
    yield "| way | positions computed | seconds | x at once | largest gap, nats |"
    yield "|" + "---|" * 5
    for name, (way, items) in ways.items():
        places = [index * 6 + order for index in map(asked.index, items) for order in range(6)]
        got = way(model, items)
        gap = max(
            abs(value - other)
            for place, values in zip(places, got, strict=True)
            for value, other in zip(values, expected[place], strict=True)
        )
        computed = positions(model, lambda way=way, items=items: way(model, items))  # type: ignore[misc]
        scaled = round(computed * shares[name])
        ratio = least[name] / least["at once"]
        yield f"| {name} | {scaled:,} | {least[name]:.2f} | {ratio:.2f} | {gap:.1e} |"


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of BBQ by letters.")
    parser.add_argument("--model", help="a folder; else a Llama of random weights")
    parser.add_argument("--category", default="Age")
    parser.add_argument("--items", type=int, default=80, help="questions, a multiple of 4")
    parser.add_argument("--subsample", type=int, default=8, help="questions for the plain loop")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if options.model:
        model = load(options.model, dtype="float32", device=options.device)
    else:
        model = build("llama", tokenizer(), options.device)
    for line in compare(model, options):
        print(line, flush=True)


if __name__ == "__main__":
    try:
        main()
    except EquipoiseError as error:
        sys.exit(str(error))
