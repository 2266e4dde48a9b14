"""Adam-normalised gradients by bergson, in an environment of its own; see `influence_peers.py`.

    python bench/peer_bergson.py FOLDER --form scored --rows 64 --out FOLDER

Forms: `scored` builds the mean of the probes' unit gradients and scores rows against it as they
come; `stored` first writes the rows' gradients, projected to 16 x 16 numbers a matrix (the default
of its pipelines), and multiplies them with the probes' afterwards. It divides a gradient by the
root of Adam's second moment and knows no first moment, so that neither gives LESS's score exactly.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from bergson.build import build
from bergson.config.config import DataConfig, IndexConfig, PreprocessConfig, ScoreConfig
from bergson.data import load_gradients, load_scores
from bergson.score.score import score_dataset


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--form", choices=["scored", "stored"], default="scored")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True)
    lines = (options.folder / "rows.jsonl").read_text().splitlines()[: options.rows]
    rows = options.out / "rows.jsonl"
    rows.write_text("\n".join(lines) + "\n")

    def index(name: str, data: Path, *, adam: bool) -> IndexConfig:
        return IndexConfig(
            run_path=str(options.out / name),
            model=str(options.folder / "adapter"),
            data=DataConfig(dataset=str(data)),
            loss_reduction="mean",
            projection_dim=16 if options.form == "stored" else 0,
            optimizer_state=str(options.folder / "optimizer.pt") if adam else "",
        )

    probes = index("probes", options.folder / "probes.jsonl", adam=False)
    build(probes, PreprocessConfig(unit_normalize=True, aggregation="mean"))
    train = index("rows", rows, adam=True)
    if options.form == "scored":
        score_dataset(
            train, ScoreConfig(query_path=probes.run_path), PreprocessConfig(unit_normalize=True)
        )
        scores = np.asarray(load_scores(Path(train.run_path))[:]).reshape(-1)
    else:
        build(train, PreprocessConfig(unit_normalize=True))
        scores = load_gradients(Path(train.run_path)) @ load_gradients(Path(probes.run_path))[0]
        np.save(options.out / "scores.npy", scores)
    np.save(options.out.with_suffix(".npy"), np.asarray(scores, dtype=np.float64))
    rows.unlink()
    print(json.dumps({"own_seconds": time.process_time()}), file=sys.stderr)


if __name__ == "__main__":
    main()
