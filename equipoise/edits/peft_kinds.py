"""Which kinds of PEFT adapters are a change of weights, and why the others cannot be attached."""

from collections.abc import Mapping
from types import MappingProxyType

import peft

from equipoise.errors import ModelError
from equipoise.records import JSON

_VIRTUAL_TOKENS = "puts learnt virtual tokens before each text"
#: By `peft_type`: what it does that no module's weights can hold. All others are attached.
_REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "PROMPT_TUNING": _VIRTUAL_TOKENS,
        "MULTITASK_PROMPT_TUNING": _VIRTUAL_TOKENS + ", by the number of a task",
        "P_TUNING": _VIRTUAL_TOKENS,
        "CPT": _VIRTUAL_TOKENS,
        "PREFIX_TUNING": "puts learnt keys and values before each text, in every block",
        "CARTRIDGE": "puts learnt keys and values before each text, in every block",
        "ADAPTION_PROMPT": "replaces attention by one that also reads learnt prompts",
        "POLY": "needs the number of a task with each text",
        "XLORA": "runs the model twice, to weigh its adapters by the first pass",
        "SHADOW": "runs a second model beside the base",
    }
)
#: Initializations of LoRA that keep the base's weights; pissa, olora and their kin change them.
_INITIALIZATIONS = (True, False, None, "gaussian", "orthogonal", "eva")


def check_kind(config: Mapping[str, JSON]) -> None:
    """Raise `ModelError` for a PEFT configuration that does not only add to a model's weights."""
    kind = str(config.get("peft_type"))
    if kind not in set(peft.PeftType):
        raise ModelError(
            f"an adapter must be of a kind that peft {peft.__version__} knows, got {kind!r}; "
            "install a newer peft, or correct peft_type in adapter_config.json"
        )
    if kind in _REFUSED:
        raise ModelError(
            f"an adapter must change a model's weights to be attached or merged, {kind} does not: "
            f"it {_REFUSED[kind]}; train a LoRA adapter on the same data"
        )
    if config.get("alora_invocation_tokens"):
        raise ModelError(
            "an adapter must change a model's weights to be attached or merged, an adapter with "
            f"alora_invocation_tokens ({config['alora_invocation_tokens']!r}) does not: it sets in "
            "behind these tokens of a text; train a LoRA adapter on the same data"
        )
    initialization = config.get("init_lora_weights", True)
    if initialization not in _INITIALIZATIONS:
        raise ModelError(
            f"an adapter must leave the weights of its base alone, got init_lora_weights: "
            f"{initialization!r}; convert it with peft's save_pretrained and "
            "path_initial_model_for_weight_conversion"
        )
