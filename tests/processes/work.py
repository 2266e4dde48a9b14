"""What the processes of `test_together` do."""

import contextlib
import io
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from planted_heads import OTHER, TOKEN, planted_model, questions
from transformers import BertForSequenceClassification

from equipoise import api, cli
from equipoise.decoding.word_weights_rule import WordWeights
from equipoise.errors import EquipoiseError, ModelError, ProcessError, RequestError
from equipoise.inference import engine
from equipoise.inference.classifier import SequenceClassifier
from equipoise.inference.sentence_encoder import SentenceEncoder
from equipoise.locate.base import Locator
from equipoise.locate.head_attribution import HeadAttribution
from equipoise.locate.head_patching import HeadPatching
from equipoise.models import kernels
from equipoise.processes import together, torch_group
from equipoise.records import Continuation, Embedding, Generation, Infill, Prompt, Supply
from equipoise.testing import tiny_model

WORDS = [
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]
TEXTS = [" and ".join(WORDS[start : start + 1 + start % 4]) for start in range(12)]


def as_process(index: int, count: int, port: int) -> None:
    """Let this process be one of several, as torchrun would."""
    torch.set_num_threads(1)
    # Which library is faster is a matter of luck, and of the last digit.
    kernels.float32_matmul = lambda: "default"  # type: ignore[assignment]
    os.environ |= {"OMP_NUM_THREADS": "1"}
    if count > 1:
        os.environ |= {"RANK": str(index), "LOCAL_RANK": str(index), "WORLD_SIZE": str(count)}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def answer_all(folder: str, index: int, count: int, port: int) -> None:
    """Answers of every kind, to FOLDER/COUNT-INDEX.json."""
    as_process(index, count, port)
    torch_group.join()
    passes: list[int] = []
    logits_at = engine.logits_at

    def counted(*args: Any) -> Any:
        passes.append(1)
        return logits_at(*args)

    engine.logits_at = counted
    results = answers()
    results["passes"] = len(passes)
    results |= meetings(index) if count > 1 else {}
    torch_group.leave()
    Path(folder, f"{count}-{index}.json").write_text(json.dumps(results))


def answers() -> dict[str, Any]:
    """What a causal, a masked and a ruled model answer, in more than two batches each."""
    causal = replace(tiny_model("llama"), batch_tokens=96)
    masked = replace(tiny_model("bert"), batch_tokens=96)
    ruled = replace(causal, decoding_rule=WordWeights(weights=((" end", 1.0),)))
    asked = [Continuation(context=text, continuation=" end") for text in TEXTS]
    written = [Generation(context=text, max_tokens=4, temperature=1.0) for text in TEXTS]
    prompts = tuple(Prompt(id=text, text=text) for text in TEXTS)
    supply = Supply(origin="by hand", prompts=prompts)
    ranking = api.locate(causal, "block_influence", supply=supply)
    unigram = causal.as_unigram(TEXTS).unigram
    assert unigram is not None
    bert = masked.module.base_model
    of_bert = {"tokenizer": masked.tokenizer, "identity": "of bert", "batch_tokens": 96}
    encoder = SentenceEncoder(module=bert, pooling=("mean",), normalized=True, **of_bert)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = BertForSequenceClassification(bert.config).eval()
    classifier = SequenceClassifier(
        module=module, labels=("a", "b"), activation="softmax", **of_bert
    )
    return {
        "sentences": encoder.embed([Embedding(text=text) for text in TEXTS]).tolist(),
        "classify": classifier.probabilities(TEXTS).tolist(),
        "attributed heads": heads(HeadAttribution),
        "patched heads": heads(HeadPatching),
        "score": [scored.token_logprobs for scored in causal.score(asked)],
        "infill": [
            scored.token_logprobs
            for scored in masked.infill([Infill(text=text, start=0, end=3) for text in TEXTS])
        ],
        "ruled": [scored.logprob for scored in ruled.score(asked)],
        "generate": causal.generate(written, seed=1),
        "embed": causal.embed([Embedding(text=text) for text in TEXTS]).tolist(),
        "locate": list(ranking.scores),
        "unigram": unigram.tolist(),
    }


def heads(kind: type[Locator]) -> list[float]:
    """Scores of the heads of a planted model."""
    options = {
        "target": TOKEN,
        "countries": (OTHER,),
        "draws": 20,
        "permutations": 20,
        "keep": "all",
    }
    model = replace(planted_model(0).model, batch_tokens=64)
    return list(kind(**options).locate(model, questions(8), seed=0).scores)


def meetings(index: int) -> dict[str, Any]:
    """What processes tell each other, and how they find out that they are not alike."""
    once = together.on_main(lambda: [index, together.sharing() is not None])
    values = np.full(3, np.nan)
    values[index] = index
    torch_group.join_rows(values, [index])
    mine = together.share_out([lambda: [index, together.sharing() is None]] * 3)
    return {
        "on main": once,
        "shared out": mine,
        "rows": values.tolist(),
        "raised": [
            refusal(lambda: together.on_main(lambda: fail(ModelError("no model")))),
            refusal(lambda: together.on_main(lambda: fail(RequestError(3, "is bad")))),
            refusal(lambda: together.share_out([int, lambda: fail(ModelError("no task"))])),
        ],
        "same": refusal(lambda: together.check_alike({"file": "a"}, remedy="copy it")),
        "other": refusal(lambda: together.check_alike({"file": str(index)}, remedy="copy it")),
        "all fail": refusal(lambda: together.agree_on_failure("bad input")),
    }


def fail(error: Exception) -> None:
    raise error


def refusal(work: Callable[[], object]) -> list[str]:
    try:
        work()
    except EquipoiseError as error:
        return [type(error).__name__, str(error)]
    return []


def measure(folder: str, how: str, index: int, count: int, port: int, arguments: list[str]) -> None:
    """The command in this process, which fails as `how` says; what it said to COUNT-INDEX.json."""
    as_process(index, count, port)
    os.chdir(folder)
    distinct = engine._distinct

    def fails(*args: Any) -> Any:
        if index == 1 and how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if index == 1 and how == "alone":
            raise ModelError("the weights must be there, they are gone; look for them")
        return distinct(*args)

    engine._distinct = fails
    if how == "other file" and index == 1:
        os.chdir("other")
    out, err = io.StringIO(), io.StringIO()
    sys.__stderr__ = err  # type: ignore[misc]  # where an error goes though all else is silent
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = cli.run(arguments)
    said = {"status": status, "out": out.getvalue(), "err": err.getvalue()}
    Path(folder, f"{count}-{index}.json").write_text(json.dumps(said))


def wait_in_vain(folder: str, index: int, count: int, port: int) -> None:
    """The other process does not come to the exchange, and does not end either."""
    as_process(index, count, port)
    together.TIME_OUT = timedelta(seconds=1)  # type: ignore[misc]
    torch_group.join()
    store = together.joined().store  # type: ignore[union-attr]
    if index == 0:  # it holds the store, and must outlive the other
        store.wait(["done"], timedelta(seconds=60))
        return
    try:
        together.gather(1)
    except ProcessError as error:
        Path(folder, "said").write_text(str(error))
    store.set("done", "yes")


def run_study(folder: str, index: int, count: int, port: int) -> None:
    """The recipe in FOLDER, into FOLDER/COUNT; the exit status to FOLDER/COUNT-INDEX.json."""
    as_process(index, count, port)
    os.chdir(folder)
    out, err = io.StringIO(), io.StringIO()
    sys.__stderr__ = err  # type: ignore[misc]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = cli.run(["run", "study.yaml", "--out", str(count)])
    said = {"status": status, "out": out.getvalue(), "err": err.getvalue()}
    Path(folder, f"{count}-{index}.json").write_text(json.dumps(said))
