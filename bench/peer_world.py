"""What `influence_peers.py` gives to all: a model, an adapter, rows; our scores, exact ones.

    python bench/peer_world.py build|ours|exact FOLDER ...

`build` writes a folder that any tool reads: a Llama of random weights with a tokenizer of words, a
PEFT adapter that has learnt the first rows for a while with Adam's state (`optimizer.pt`), rows and
probes. `ours` scores the rows by the parts of the attributor `influence`, scores on the disk.
`exact` is the reference: plain torch and PEFT, a row at a time, backward, Adam's step in float64.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from equipoise.edits.adapter import ADAPTER
from equipoise.influence.probe_directions import prepare_probes
from equipoise.influence.row_scores import score_rows
from equipoise.influence.score_files import ScoreFiles, scores_in
from equipoise.influence.text_scores import ScoreSettings, text_scores
from equipoise.influence.warm_up import WarmUp, job_key
from equipoise.loading.load import load
from equipoise.models import kernels
from equipoise.models.kernels import Matmul
from equipoise.rows import Probe, TrainingRow
from equipoise.training.resume import Checkpoint
from equipoise.training.row_tokens import tokenize_rows
from equipoise.training.text_training import TextTraining

PREFIX = "base_model.model."  # of PEFT's names
WARM_UP_ROWS = 48
WORDS = (16, 64)  # of a row, least and most; probes have the least to twice that
SPECIALS = ("<pad>", "<bos>", "<eos>", "<unk>")
SHAPES = {
    "12m": {
        "vocab_size": 8_192, "hidden_size": 384, "intermediate_size": 1_024,
        "num_hidden_layers": 6, "num_attention_heads": 6, "num_key_value_heads": 2,
    },
    "135m": {
        "vocab_size": 49_152, "hidden_size": 576, "intermediate_size": 1_536,
        "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
    },
}  # fmt: skip

# --- the folder ---------------------------------------------------------------------------------


def build(folder: Path, shape: str, rows: int, probes: int) -> None:
    size = SHAPES[shape]["vocab_size"]
    words = word_tokenizer(size)
    config = LlamaConfig(
        **SHAPES[shape], max_position_embeddings=2_048, tie_word_embeddings=True,
        pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    torch.manual_seed(0)
    module = LlamaForCausalLM(config)
    for target in ("model", "adapter"):
        words.save_pretrained(folder / target)
    module.save_pretrained(folder / "model")
    generator = np.random.default_rng(0)
    longest = WORDS[1]
    texts = [draw(generator, size, number % 3 == 0, longest) for number in range(rows)]
    write_lines(folder / "rows.jsonl", texts)
    asked = [draw(generator, size, True, 2 * WORDS[0]) for _ in range(probes)]
    write_lines(folder / "probes.jsonl", asked)
    model = load(str(folder / "model"), dtype="float32", device="cpu")
    training = TextTraining(
        targets=("q_proj", "v_proj"), learning_rate=2e-3, epochs=1, batch_size=8, dropout=0.0,
        share=1.0,
    )  # fmt: skip
    trained = training.fit(model, read_rows(folder / "rows.jsonl", WARM_UP_ROWS), seed=0)
    write_adapter(folder, dict(trained.config), trained.checkpoints[-1])


def word_tokenizer(size: int) -> PreTrainedTokenizerFast:
    """A token per word, behind a start token."""
    ids = {name: number for number, name in enumerate(SPECIALS)}
    ids |= {f"w{number}": number for number in range(len(SPECIALS), size)}
    core = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    core.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", ids["<bos>"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>",
        unk_token="<unk>", model_max_length=2_048,
    )  # fmt: skip


def draw(generator: np.random.Generator, size: int, biased: bool, longest: int) -> str:
    """A text whose words follow each other by a rule, of a third of them or of the others."""
    length = int(generator.integers(WORDS[0], longest + 1))
    first, span = (len(SPECIALS), size // 3) if biased else (size // 3 + len(SPECIALS), size // 2)
    place = int(generator.zipf(1.3)) % span
    words = []
    for _ in range(length):
        words.append(f"w{first + place}")
        jump = int(generator.zipf(1.5)) if generator.random() < 0.4 else 1
        place = (3 * place + min(jump, span)) % span
    return " ".join(words)


def write_lines(file: Path, texts: list[str]) -> None:
    lines = [json.dumps({"id": f"r{number}", "text": text}) for number, text in enumerate(texts)]
    file.write_text("\n".join(lines) + "\n")


def read_rows(file: Path, count: int) -> list[TrainingRow]:
    with file.open() as lines:
        records = [json.loads(line) for _, line in zip(range(count), lines, strict=False)]
    return [TrainingRow(id=record["id"], text=record["text"]) for record in records]


def write_adapter(folder: Path, config: dict[str, object], checkpoint: Checkpoint) -> None:
    """PEFT's folder, and what `torch.optim.AdamW` would save, in the order of the parameters."""
    config["base_model_name_or_path"] = str(folder / "model")
    (folder / "adapter" / "adapter_config.json").write_text(json.dumps(config))
    # the 2nd layer before the 10th, as in the module: an optimizer's state goes by number
    names = sorted(checkpoint.values, key=lambda name: (int(name.split(".")[2]), name))
    weights = {
        PREFIX + name.replace(f".{ADAPTER}.", "."): value.contiguous()
        for name, value in checkpoint.values.items()
    }
    save_file(weights, folder / "adapter" / "adapter_model.safetensors")
    state = {
        number: {
            "step": torch.tensor(float(checkpoint.updates[name])),
            "exp_avg": checkpoint.exp_avg[name],
            "exp_avg_sq": checkpoint.exp_avg_sq[name],
        }
        for number, name in enumerate(names)
    }
    group = torch.optim.AdamW([torch.zeros(1)], lr=2e-3).state_dict()["param_groups"][0]
    group["params"] = list(range(len(names)))
    torch.save({"state": state, "param_groups": [group]}, folder / "optimizer.pt")
    (folder / "names.json").write_text(json.dumps(names))
    moved = sum(float(v.square().sum()) for k, v in checkpoint.values.items() if ".lora_B." in k)
    about = {"steps": checkpoint.steps, "losses": [checkpoint.losses[0], checkpoint.losses[-1]]}
    (folder / "about.json").write_text(json.dumps(about | {"norm of B": moved**0.5}))


# --- our scores ---------------------------------------------------------------------------------


def ours(folder: Path, count: int, out: Path, products: Matmul | None) -> None:
    if products:
        kernels.float32_matmul = lambda: products  # type: ignore[assignment]
    model = load(str(folder / "model"), dtype="float32", device="cpu")
    config = json.loads((folder / "adapter" / "adapter_config.json").read_text())
    warm_up = WarmUp(config=config, checkpoints=[read_checkpoint(folder)], weights=[1.0])
    probes = [
        Probe(id=row.id, stereotype=row.text) for row in read_rows(folder / "probes.jsonl", 10**6)
    ]
    texts = prepare_probes(model, probes, form="stereotype", loss="all", max_tokens=256)
    rows = read_rows(folder / "rows.jsonl", count)
    with scores_in(out), text_scores(model, warm_up, texts, ScoreSettings()) as scorer:
        scored = score_rows(
            model, rows, scorer.score,
            tokenize=lambda window: tokenize_rows(model, window, max_tokens=256),
            files=ScoreFiles(job=job_key(model, warm_up.parts()), groups=texts.groups),
        )  # fmt: skip
    np.save(out.with_suffix(".npy"), scored.scores[:, 0])


def read_checkpoint(folder: Path) -> Checkpoint:
    names = json.loads((folder / "names.json").read_text())
    weights = load_file(folder / "adapter" / "adapter_model.safetensors")
    state = torch.load(folder / "optimizer.pt", weights_only=True)["state"]
    parts = {
        key: {name: state[number][key] for number, name in enumerate(names)}
        for key in ("exp_avg", "exp_avg_sq", "step")
    }
    return Checkpoint(
        key="", steps=int(state[0]["step"]), learning_rate=2e-3, losses=(), norms=(), monitor=None,
        stopped=False, exp_avg=parts["exp_avg"], exp_avg_sq=parts["exp_avg_sq"],
        updates=parts["step"], best={},
        values={name: weights[PREFIX + name.replace(f".{ADAPTER}.", ".")] for name in names},
    )  # fmt: skip


# --- the reference ------------------------------------------------------------------------------


def exact(folder: Path, count: int, out: Path) -> None:
    """The mean over probes of a row's cosine: a loop, with nothing of this package."""
    base = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    module = PeftModel.from_pretrained(base, folder / "adapter", is_trainable=True).eval()
    words = PreTrainedTokenizerFast.from_pretrained(folder / "adapter")
    parameters = [p for p in module.parameters() if p.requires_grad]
    state = torch.load(folder / "optimizer.pt", weights_only=True)["state"]
    m, v = (
        torch.cat([state[number][key].flatten().double() for number in range(len(parameters))])
        for key in ("exp_avg", "exp_avg_sq")
    )
    updates = float(state[0]["step"]) + 1

    def gradient(text: str) -> torch.Tensor:
        ids = torch.tensor([words(text)["input_ids"]])
        loss = module(input_ids=ids, labels=ids).loss
        parts = torch.autograd.grad(loss, parameters)
        return torch.cat([part.flatten().double() for part in parts])

    units = [gradient(row.text) for row in read_rows(folder / "probes.jsonl", 10**6)]
    probes = torch.stack([unit / unit.norm() for unit in units])
    scores = []
    for row in read_rows(folder / "rows.jsonl", count):
        g = gradient(row.text)
        step = (0.9 * m + 0.1 * g) / (1 - 0.9**updates)
        root = ((0.999 * v + 0.001 * g * g) / (1 - 0.999**updates)).sqrt()
        feature = step / (root + 1e-8)
        scores.append(float((probes @ (feature / feature.norm())).mean()))
    np.save(out.with_suffix(".npy"), np.array(scores))


def main() -> None:
    parser = argparse.ArgumentParser(description="Parts of bench/influence_peers.py.")
    parser.add_argument("step", choices=["build", "ours", "exact"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="12m")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--probes", type=int, default=16)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--products", choices=["default", "onednn"], help="not measured here")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    begin = time.process_time()
    if options.step == "build":
        build(options.folder, options.shape, options.rows, options.probes)
    elif options.step == "ours":
        ours(options.folder, options.rows, options.out, options.products)
    else:
        exact(options.folder, options.rows, options.out)
    print(json.dumps({"own_seconds": time.process_time() - begin}), file=sys.stderr)


if __name__ == "__main__":
    main()
