"""Edits of tiny models, siblings of those models, and what the tests compare of a model."""

import copy
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import torch
from peft.utils import get_peft_model_state_dict
from torch import Tensor

from equipoise.edits.adapter import ADAPTER, AdapterEdit, inject, sits_on
from equipoise.edits.edit import EditInfo, fingerprint, tensor_bytes
from equipoise.edits.token_tables import PREFIX
from equipoise.inference.language_model import LanguageModel
from equipoise.models.tokenization import Vocabulary, vocabulary_of
from equipoise.records import JSON

INFO = EditInfo(
    method="unlearn",
    version="3",
    options={"beta": 0.1},
    seed=5,
    base="tiny-llama@0",
    base_fingerprint="",
    trained_on=frozenset({"ab"}),
    origin="here",
)
CONFIG: dict[str, JSON] = {
    "peft_type": "LORA",
    "r": 2,
    "lora_alpha": 4,
    "target_modules": ["q_proj", "v_proj"],
    "base_model_name_or_path": "somebody/base",
}


def wanted_tensors(model: LanguageModel, config: Mapping[str, JSON]) -> dict[str, tuple[int, ...]]:
    """Shapes by name of the tensors that an adapter of this configuration has on this model."""
    with ExitStack() as undo:
        inject(model, config, undo)
        state = get_peft_model_state_dict(
            model.module, adapter_name=ADAPTER, save_embedding_layers=False
        )
        return {PREFIX + name.removeprefix(PREFIX): tuple(state[name].shape) for name in state}


def adapter_for(model: LanguageModel, **options: JSON) -> AdapterEdit:
    """An adapter of the model with random weights, as a mitigation would learn it."""
    config = {**CONFIG, **options}
    generator = torch.Generator().manual_seed(0)
    tensors = {
        name: 0.3 * torch.randn(shape, generator=generator)
        for name, shape in wanted_tensors(model, config).items()
    }
    info = replace(
        INFO,
        base=model.identity,
        base_fingerprint=fingerprint(model.module, sits_on(model, config)),
        base_kind=model.kind,
        base_vocabulary=str(vocabulary_of(model.tokenizer)),
    )
    return AdapterEdit(info=info, config=config, tensors=tensors)


def sibling_of(model: LanguageModel, *, by: float = 0.01) -> LanguageModel:
    """The same architecture with weights that moved a little, as in further training."""
    module, tokenizer = copy.deepcopy(model.module), copy.deepcopy(model.tokenizer)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(by * torch.randn(parameter.shape, generator=generator))
    return replace(
        model,
        module=module,
        tokenizer=tokenizer,
        identity="tiny-instruct@0",
        source={"name": "tiny-instruct"},
    )


def vocabulary(edit: AdapterEdit) -> Vocabulary:
    return Vocabulary.parsed(edit.info.base_vocabulary)


def weights(model: LanguageModel) -> dict[str, bytes]:
    """Every byte of a model's weights."""
    return {name: tensor_bytes(tensor) for name, tensor in model.module.state_dict().items()}


def logits(model: LanguageModel) -> Tensor:
    with torch.no_grad():
        output: Tensor = model.module(input_ids=torch.tensor([[3, 70, 80, 90]])).logits
    return output


def effect(edit: AdapterEdit, model: LanguageModel) -> Tensor:
    plain = logits(model)
    with edit.attached(model):
        return logits(model) - plain


@contextmanager
def quiet() -> Iterator[None]:
    """PEFT says what it saves, and reads a property that transformers has deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
