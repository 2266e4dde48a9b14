"""Decisions: typed questions answered by the next-token probabilities of their options' labels.

The prompt, its tokens, the labels and the temperature are those of transformers' decision pipeline,
made by its own functions; the forward passes are the engine's, in batches.
"""

import copy
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from huggingface_hub.errors import StrictDataclassError
from jinja2 import TemplateError
from transformers import AddedToken, PreTrainedTokenizerBase

from equipoise.errors import ModelError, RequestError
from equipoise.inference.engine import read
from equipoise.inference.prompting import prompted
from equipoise.inference.queries import Query
from equipoise.inference.scoring import the_prompt
from equipoise.models.loaded_model import LoadedModel
from equipoise.records import JSON, Decided, Decision

#: Files of a decision head of its own, which reads hidden states and not the labels' logits.
_HEADS = ("decision_config.json", "judge_config.json")
_UNFIT = (ValueError, TypeError, OSError, StrictDataclassError, TemplateError)  # of a configuration
DECISION: Final = "decision:"  # what the name of a decision model begins with
QUESTION: Final = "question"  # the only question of a request, so that no answer depends on others


def typed_question(number: int, request: Decision) -> dict[str, JSON]:
    """The questions of a System One request; `RequestError` for an option that is repeated."""
    question: dict[str, JSON] = {"type": "noul", "instructions": request.question}
    if request.options:
        if len(set(request.options)) < len(request.options):
            options = list(request.options)
            raise RequestError(number, f"must have options that differ, got {options}; rename one")
        criteria: dict[str, JSON] = dict.fromkeys(request.options)
        question |= {"type": "choice", "criteria": criteria}
    return {QUESTION: question}


def read_settings(
    folder: Path | None, tokenizer: PreTrainedTokenizerBase, *, plain: str | None = None
) -> dict[str, JSON]:
    """How a model in this folder (None: in none) is asked, for `LanguageModel.decision`.

    `config`: its decision.json and decision_template.jinja, or transformers' defaults, with which
    the question is a user's turn of the tokenizer's chat template; without either the template
    `plain`, if it is given. Hashes are sha256 (hex).
    Raises `ModelError` for a folder that cannot be asked so.
    """
    decisions = _import_decisions()
    for file in _HEADS:
        if folder is not None and (folder / file).is_file():
            raise ModelError(
                f"a decision model must answer by its labels' logits, {folder} has a decision head "
                f"of its own ({file}); serve it (transformers serve {folder}) and measure "
                f"decision:http://127.0.0.1:8000#{folder}"
            )
    try:
        config = decisions.DecisionConfig.from_pretrained("" if folder is None else str(folder))
    except _UNFIT as error:
        raise ModelError(
            f"decision.json and decision_template.jinja in {folder} must be a decision config, "
            f"got: {_reason(error)}; correct them, or delete them for transformers' defaults"
        ) from error
    if config.adapter:
        raise ModelError(
            f"a decision model must have its weights in one place, decision.json in {folder} names "
            f"the adapter '{config.adapter}'; merge it into the weights and set it to null"
        )
    has_template = config.chat_template is not None
    if not has_template and not tokenizer.chat_template:
        config.chat_template = plain
    if config.chat_template is None and not tokenizer.chat_template:
        raise ModelError(
            f"a decision model must have a chat template, {folder or 'this'} has none; put a "
            "decision_template.jinja beside it (docs/decision-models.md has a plain-text form)"
        )
    values: dict[str, JSON] = asdict(config)
    source = "decision_template.jinja" if has_template else "chat template"
    if config.chat_template and not has_template:
        source = "plain"
    template = config.chat_template or f"{decisions.DECISION_PROMPT}\n{tokenizer.chat_template}"
    return {
        "config": values,
        "config_sha256": _sha256(json.dumps(values, sort_keys=True)),
        "template": source,
        "template_sha256": _sha256(template),
    }


def decide(model: LoadedModel, requests: Sequence[Decision]) -> list[Decided]:
    """Probabilities of options: softmax over their labels' logits; see `records.Decision`.

    The model's prompt stands before, or around, the text that is judged. `label_mass` is in
    [0, 1], before the temperature: near 0 the model would not have answered with a label at all.
    Raises `ModelError` for a model that was not loaded as a decision model, or has a decoding
    rule.
    """
    config = _config_of(model)
    tokenizer, prompt = _copy_tokenizer(model.tokenizer), the_prompt(model)
    plans, questions = [], []
    for index, request in enumerate(requests):
        asked = {
            "state": prompted(prompt, request.text),
            "questions": typed_question(index, request),
        }
        try:
            ((inputs, (question,)),) = config.prepare_inputs(asked, tokenizer)
            labels = _label_ids(tokenizer, tuple(question.labels))
        except _UNFIT as error:
            raise RequestError(
                index,
                f"must be a question that {model.identity} can be asked, got: {_reason(error)}; "
                "correct its decision.json or template",
            ) from error
        mark = int(inputs["marks"][0])
        ids = tuple(inputs["input_ids"][0, :mark].tolist())
        plans.append((Query(ids, tuple((mark - 1, label) for label in labels)),))
        questions.append(question)
    answers = read(model, plans, task="deciding")
    return [
        _decided(logprobs, question, float(config.temperature.get(question.type, 1.0)))
        for logprobs, question in zip(answers, questions, strict=True)
    ]


def _decided(logprobs: Sequence[float], question: Any, temperature: float) -> Decided:
    best = max(logprobs)
    weights = [math.exp((logprob - best) / temperature) for logprob in logprobs]
    shares = [weight / math.fsum(weights) for weight in weights]
    if question.type == "noul" and question.options[0] == "false":
        shares.reverse()
    mass = min(1.0, math.fsum(map(math.exp, logprobs)))  # rounding
    return Decided(probabilities=tuple(shares), label_mass=mass)


def _config_of(model: LoadedModel) -> Any:
    if model.decision is None or model.kind != "causal":
        raise ModelError(
            f"typed questions are put to a decision model, {model.identity} ({model.kind}) is not "
            "opened as such; write decision: before its name"
        )
    if model.active_rule is not None:
        raise ModelError(
            f"a decision model must have no decoding rule, {model.identity} has "
            f"'{model.active_rule.kind}', which is for texts that go on; measure the base"
        )
    values: Any = model.decision["config"]
    return _import_decisions().DecisionConfig(**values)


@lru_cache(maxsize=2)
def _copy_tokenizer(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """A copy, as transformers adds two tokens to a tokenizer that it prepares a prompt with."""
    marked = copy.deepcopy(tokenizer)
    names = _import_decisions("template_utils")
    marked.add_tokens(
        [AddedToken(mark, special=True, normalized=False) for mark in (names.MARK, names.SPLIT)]
    )
    vocabulary = marked.get_vocab()
    # asked for with every prompt, of which it takes nine tenths of the time
    marked.get_vocab = lambda: vocabulary
    return marked


@lru_cache
def _label_ids(tokenizer: PreTrainedTokenizerBase, labels: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(_import_decisions().label_token_ids(tokenizer, labels))


def _import_decisions(file: str = "") -> ModuleType:
    name = f"transformers.decision.{file}".rstrip(".")
    try:
        return import_module(name)
    except ImportError as error:
        raise ModelError(
            f"decision models need transformers 5.24, whose {name} asks them, got "
            f"{version('transformers')}; pip install 'transformers>=5.24'"
        ) from error


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
