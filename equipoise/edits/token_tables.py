"""Token tables: a model's embeddings and output layer, resized and filled by an edit.

PEFT saves them whole with an adapter where they were resized, or are what the adapter sits on. A
row that nothing supplies is never made up: new rows are nan until the edit has filled them.
"""

from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack

import torch
from torch import Tensor
from transformers import PreTrainedModel

from equipoise.errors import ModelError
from equipoise.inference.language_model import LanguageModel

PREFIX = "base_model.model."  # of every name in PEFT's own files
#: What PEFT puts between the name of a module and its weight.
_WRAPPERS = ("base_layer", "original_module", "modules_to_save", "token_adapter")
_UNLIKE = 0.5  # of a row's norm: training moves a row by less, another model's differs by more


def table_name(name: str) -> str:
    """The name in the base of a weight that PEFT has wrapped or prefixed."""
    parts = name.removeprefix(PREFIX).split(".")
    return ".".join(part for part in parts if part not in _WRAPPERS)


def table_names(module: PreTrainedModel) -> list[str]:
    """The names of the weights of the token embeddings and of the output layer, in this order."""
    tables = (module.get_input_embeddings(), module.get_output_embeddings())
    parts = list(module.named_modules())
    return [f"{name}.weight" for table in tables for name, part in parts if part is table]


def count_rows(module: PreTrainedModel) -> int:
    """How many tokens the model has an embedding for."""
    return int(module.get_input_embeddings().weight.shape[0])


def check_rows(model: LanguageModel, before: int) -> None:
    """Raise `ModelError` unless every row from `before` on has been filled."""
    module, rows = model.module, count_rows(model.module)
    if rows <= before:
        return
    embeddings, head = module.get_input_embeddings(), module.get_output_embeddings()
    with torch.no_grad():
        vectors = embeddings(torch.arange(before, rows, device=module.device))
        # nan times zero is nan
        logits = head(torch.zeros_like(head.weight[:1]))[..., before:]
    for values, table in ((vectors, "the token embeddings"), (logits, "the output layer")):
        if bool(values.isnan().any()):
            raise ModelError(
                f"an edit must bring a row for each of the {rows - before} tokens that "
                f"{model.identity} has none for, {table} got none; save the resized model that it "
                "was trained on (save_pretrained), and give that as the base (base=, --base)"
            )


def put_tables(
    model: LanguageModel, tensors: Mapping[str, Tensor], wanted: Collection[str], undo: ExitStack
) -> dict[str, Tensor]:
    """Put whole tables that PEFT saved with an adapter into the model; returns the other tensors.

    `wanted`: names of the adapter's own. A copy of another parameter of the base is left out, too.
    Raises `ModelError` where more than half of a table is unlike that of the base.
    """
    module = model.module
    parameters = dict(module.named_parameters(remove_duplicate=False))
    tables, filled, rest = table_names(module), set[int](), dict(tensors)
    biases = [table.removesuffix("weight") + "bias" for table in tables[1:]]
    for name in sorted(tensors.keys() - wanted):
        # PEFT saves its own copy of a table, and what ties two, under two names
        twin_name = name.replace(".modules_to_save.", ".")
        if name.endswith(".trainable_tokens_delta") and len(tables) == 2:
            embeddings, head = (table.removesuffix("weight") for table in tables)
            twin_name = name.replace(head, embeddings)
        twin = tensors.get(twin_name)
        if twin_name != name and twin is not None and torch.equal(twin, tensors[name]):
            del rest[name]
            continue
        table = parameters.get(name.removeprefix(PREFIX))
        if table is None or table.shape != tensors[name].shape:
            continue
        values = tensors[name].to(table.device, table.dtype, copy=True)
        if not torch.equal(values, table):
            if table_name(name) not in (*tables, *biases) or id(table) in filled:
                continue
            if table.ndim > 1:  # a bias of near zero may have moved by more than its size
                _check_likeness(name, values, table.detach(), model)
            undo.callback(setattr, table, "data", table.data)
            table.data = values
        filled.add(id(table))
        del rest[name]
    return rest


def _check_likeness(name: str, values: Tensor, table: Tensor, model: LanguageModel) -> None:
    known = ~table.isnan().any(-1)
    before, after = table[known].float(), values[known].float()
    unlike = (after - before).norm(dim=-1) > _UNLIKE * before.norm(dim=-1)
    if float(unlike.float().mean()) > 0.5:
        raise ModelError(
            f"the table '{name.removeprefix(PREFIX)}' of an adapter must be that of "
            f"{model.identity}, {int(unlike.sum())} of {len(unlike)} rows are unlike; give the "
            "base it was made for"
        )


def count_saved_rows(tensors: Mapping[str, Tensor], module: PreTrainedModel) -> int | None:
    """The rows of the whole tables among an edit's tensors; None: it has none."""
    tables = set(table_names(module))
    rows = {len(tensor) for name, tensor in tensors.items() if table_name(name) in tables}
    if len(rows) > 1:
        raise ModelError(
            f"the tables of an edit must have as many rows, got {sorted(rows)}; save it again"
        )
    return next(iter(rows), None)


def resize_tables(model: LanguageModel, rows: int, undo: ExitStack) -> None:
    """Resize as transformers does, with nan in new rows; `undo` gives the old tables back."""
    module = model.module
    before = count_rows(module)
    undo.callback(_restorer(module))
    try:
        # transformers draws the new rows from torch's global generator
        with torch.random.fork_rng(devices=[]):
            module.resize_token_embeddings(rows, mean_resizing=False)
    except (TypeError, ValueError, NotImplementedError, AttributeError, RuntimeError) as error:
        raise ModelError(
            f"the token tables of {model.identity} must be plain tables to get {rows} rows, got: "
            f"{' '.join(str(error).split())[:200]}; where an adapter sits on them, merge it first "
            "(equipoise merge)"
        ) from error
    with torch.no_grad():
        for part in (module.get_input_embeddings(), module.get_output_embeddings()):
            for values in part.parameters():
                values[before:] = torch.nan  # none where the tables have shrunk


def _restorer(module: PreTrainedModel) -> Callable[[], None]:
    """A function that puts every module, parameter and size back to what it is now."""
    config = module.config.get_text_config()
    tables = (module.get_input_embeddings(), module.get_output_embeddings())
    size = config.vocab_size
    had_size = "vocab_size" in vars(module)
    sizes = [
        (part, {name: value for name, value in vars(part).items() if isinstance(value, int | None)})
        for part in (module, *tables)
    ]
    members = [
        (part, name, member)
        for part in module.modules()
        for name, member in (*part.named_children(), *part.named_parameters(recurse=False))
    ]
    values = [(parameter, parameter.data) for parameter in module.parameters()]

    def restore() -> None:
        for part, name, member in members:
            setattr(part, name, member)
        for parameter, data in values:
            parameter.data = data
        for part, numbers in sizes:
            vars(part).update(numbers)
        if not had_size:
            del module.vocab_size
        config.vocab_size = size

    return restore
