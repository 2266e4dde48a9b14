"""How long a text may be, and how far back a model looks."""

from transformers import PreTrainedModel

_OFFSET_POSITIONS = frozenset(["roberta", "xlm-roberta", "camembert"])  # they begin after padding


def context_length(module: PreTrainedModel) -> int | None:
    """Most tokens a text may have, special ones included; None when the module sets no limit."""
    config = module.config.get_text_config()
    name = config.attribute_map.get("max_position_embeddings", "max_position_embeddings")
    limit = config.to_dict().get(name)
    if limit is None:
        return None
    if config.model_type in _OFFSET_POSITIONS:
        return int(limit) - int(config.pad_token_id or 0) - 1
    return int(limit)


def attention_window(module: PreTrainedModel) -> int | None:
    """Tokens that the most limited block looks back; None when every block sees everything.

    Longer texts are not packed: in a packed row a window would count neighbors.
    """
    window = module.config.get_text_config().to_dict().get("sliding_window")
    return None if window is None else int(window)
