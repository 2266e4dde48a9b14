"""What the bench measures: sentences, models of random weights, and the plain ways to score."""

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)
from transformers.pytorch_utils import Conv1D

from equipoise.benchmarks.genbias import GenBias
from equipoise.data.sources import data_folders
from equipoise.errors import DataError
from equipoise.inference.language_model import LanguageModel
from equipoise.records import Continuation, NextToken

Group = tuple[str, ...]  # sentences that are compared with each other

BENCHMARKS = ("crows_pairs", "stereoset")
NAMES = ("gpt2", "llama")
HARNESS_BATCH = 16


def sentences(benchmark: str) -> list[Group]:
    """The sentences of each item, from the official file."""
    folder = next(iter(data_folders()), None)
    if folder is None:
        raise DataError("EQUIPOISE_DATA must name the folder of benchmark files, it is not set")
    if benchmark == "crows_pairs":
        file = folder / "crows_pairs" / "crows_pairs_anonymized.csv"
        with file.open(encoding="utf-8", newline="") as lines:
            return [(row["sent_more"], row["sent_less"]) for row in csv.DictReader(lines)]
    document = json.loads((folder / "stereoset" / "dev.json").read_text(encoding="utf-8"))
    items = document["data"]["intrasentence"]
    return [tuple(one["sentence"] for one in item["sentences"]) for item in items]


def prompts() -> list[NextToken]:
    """GenBias's prompts: 262 professions in 9 templates."""
    benchmark = GenBias()
    examples = benchmark.examples("all")
    return [request for example in examples for request in benchmark.requests(example)]


def tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE of about 7,800 tokens, trained on the sentences that are measured."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=8_000,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [text for name in BENCHMARKS for group in sentences(name) for text in group]
    core.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<|endoftext|>", eos_token="<|endoftext|>"
    )


def build(name: str, coder: PreTrainedTokenizerFast, device: str) -> LanguageModel:
    """Random weights in GPT-2 small's shape (124M) or a small Llama's (17M, 13.7M at work)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if name == "gpt2":
            module = GPT2LMHeadModel(GPT2Config(bos_token_id=0, eos_token_id=0))
        else:
            config = LlamaConfig(
                hidden_size=384,
                intermediate_size=1024,
                num_hidden_layers=6,
                num_attention_heads=6,
                vocab_size=8_000,
                max_position_embeddings=512,
                bos_token_id=0,
                eos_token_id=0,
            )
            module = LlamaForCausalLM(config)
    return LanguageModel(
        module=module.eval().to(device), tokenizer=coder, identity=name, source={"name": name}
    )


def in_bfloat16(model: LanguageModel) -> LanguageModel:
    """A copy of the model with bfloat16 weights."""
    module = type(model.module)(model.module.config)
    module.load_state_dict(model.module.state_dict())
    module = module.to(model.module.device, torch.bfloat16).eval()
    return replace(model, module=module, identity=f"{model.identity}-bf16")


def matrix_parameters(module: nn.Module) -> int:
    """Weights that every token is multiplied with: all linear layers, the output layer included."""
    return sum(
        part.weight.numel() for part in module.modules() if isinstance(part, nn.Linear | Conv1D)
    )


# --- what is compared ---------------------------------------------------------------------------


@torch.inference_mode()
def plain_loop(model: LanguageModel, texts: Sequence[str]) -> list[float]:
    """Log-probability of each sentence, one at a time: the start token alone, then the sentence."""
    device, found = model.module.device, []
    start = torch.tensor([[model.tokenizer.bos_token_id]], device=device)
    for text in texts:
        ids = torch.tensor([model.tokenizer.encode(text, add_special_tokens=False)], device=device)
        first = model.module(start).logits.float().log_softmax(-1)[0, -1, ids[0, 0]]
        later = model.module(ids).logits.float().log_softmax(-1)[0, :-1]
        found.append(float(first) + float(later.gather(1, ids[0, 1:, None]).double().sum()))
    return found


def engine(model: LanguageModel, texts: Sequence[str]) -> list[float]:
    """The same numbers from the engine."""
    asked = [Continuation(context="", continuation=text, prefix="ref_gpt2") for text in texts]
    return [one.logprob for one in model.score(asked)]


def harness(model: LanguageModel) -> Callable[[LanguageModel, Sequence[str]], list[float]] | None:
    """lm-evaluation-harness at batch 16 (its own estimand: the start token before the sentence)."""
    try:
        from lm_eval.api.instance import Instance
        from lm_eval.models.huggingface import HFLM
    except ImportError:
        return None
    judge = HFLM(
        pretrained=model.module,
        tokenizer=model.tokenizer,
        batch_size=HARNESS_BATCH,
        max_length=512,
        device=str(model.module.device),
    )

    def run(_: LanguageModel, texts: Sequence[str]) -> list[float]:
        asked = [
            Instance("loglikelihood", {}, arguments=("", text), idx=index)
            for index, text in enumerate(texts)
        ]
        return [one[0] for one in judge.loglikelihood(asked, disable_tqdm=True)]

    return run


def flat(groups: Sequence[Group]) -> list[str]:
    return [text for group in groups for text in group]


def tokens_in(model: LanguageModel, texts: Sequence[str]) -> int:
    coded = model.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return sum(map(len, coded))
