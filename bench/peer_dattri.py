"""LESS by dattri-llm, in an environment of its own; called by `influence_peers.py`.

    python bench/peer_dattri.py FOLDER --form exact --rows 64 --out FOLDER

Forms: `exact` scores on the fly by a loss that is the sum of the rows' means, so that a row's share
of it is its own; `default` by its default loss, the batch's mean; `stored` writes the gradients of
rows and probes and scores those. Rows are sorted by length and filled up to their batch's longest.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from dattri_llm.attribution.algorithm.less import LESSAttributor
from dattri_llm.attribution.arguments import AttributionArguments
from dattri_llm.task import AttributionTask
from peft import PeftModel
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer

BATCH = 8  # its default


class Texts(Dataset):
    """Texts in the order of their lengths, all of a batch as long as its longest."""

    def __init__(self, tokenizer, file: Path, count: int, batch: int) -> None:
        lines = file.read_text().splitlines()[:count]
        ids = [tokenizer(json.loads(line)["text"])["input_ids"] for line in lines]
        self.order = sorted(range(len(ids)), key=lambda number: len(ids[number]))
        self.items = []
        for start in range(0, len(ids), batch):
            part = [ids[number] for number in self.order[start : start + batch]]
            longest = max(map(len, part))
            self.items += [padded(row, longest) for row in part]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self.items[index]


def padded(row: list[int], longest: int) -> dict[str, Tensor]:
    rest = longest - len(row)
    return {
        "input_ids": torch.tensor(row + [0] * rest),
        "attention_mask": torch.tensor([1] * len(row) + [0] * rest),
        "labels": torch.tensor(row + [-100] * rest),
    }


def sum_of_means(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    labels = batch["labels"][:, 1:]
    losses = nn.functional.cross_entropy(
        logits[:, :-1].transpose(1, 2), labels, ignore_index=-100, reduction="none"
    )
    return (losses.sum(1) / (labels != -100).sum(1)).sum()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--form", choices=["exact", "default", "stored"], default="exact")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    folder = options.folder
    base = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    model = PeftModel.from_pretrained(base, folder / "adapter", is_trainable=True)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=2e-3)
    optimizer.load_state_dict(torch.load(folder / "optimizer.pt", weights_only=True))
    tokenizer = AutoTokenizer.from_pretrained(folder / "adapter")
    rows = Texts(tokenizer, folder / "rows.jsonl", options.rows, options.batch)
    probes = Texts(tokenizer, folder / "probes.jsonl", 10**6, options.batch)
    arguments = AttributionArguments(
        output_dir=str(options.out), use_cpu=True,
        per_device_train_batch_size=options.batch, per_device_eval_batch_size=options.batch,
    )  # fmt: skip
    task = AttributionTask(None if options.form == "default" else sum_of_means, model)
    less = LESSAttributor(arguments, task=task, optimizers=[optimizer])
    if options.form == "stored":
        score = less.attribute_from_cache(*less.cache(rows, probes)[0])
    else:
        score = less.attribute(rows, probes)
    means = score.scores.double().mean(1).numpy()
    assert len(means) == len(rows), f"{len(means)} scores of {len(rows)} rows"
    in_order = np.empty(len(means))
    in_order[rows.order] = means
    np.save(options.out.with_suffix(".npy"), in_order)
    print(json.dumps({"own_seconds": time.process_time()}), file=sys.stderr)


if __name__ == "__main__":
    main()
