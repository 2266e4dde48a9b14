"""A tokenizer's chat template: its text, and conversations written with it."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from transformers import PreTrainedTokenizerBase

from equipoise.errors import ModelError

Message: TypeAlias = Mapping[str, str]  # "role" and "content"

#: What a template is told that asks which day it is, so that a result is the same tomorrow; the
#: day that Llama 3's own template falls back to.
DATE: Final = "26 Jul 2024"
_DAY: Final = (("%d", "26"), ("%b", "Jul"), ("%B", "July"), ("%m", "07"), ("%Y", "2024"))
_FIXED_DAY: Final = (
    "{%- macro strftime_now(format) -%}{{- format"
    + "".join(f" | replace('{code}', '{value}')" for code, value in _DAY)
    + " -}}{%- endmacro %}\n"
)


def template_of(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """The template, the default of several; None: the tokenizer has none."""
    template = tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default")
    return template or None


def template_sha256(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """sha256 (hex) of the template's text; None without a template."""
    template = template_of(tokenizer)
    return None if template is None else hashlib.sha256(template.encode()).hexdigest()


def asks_the_day(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the template writes today's date, in whose place `DATE` is put."""
    return "strftime_now" in (template_of(tokenizer) or "")


def knows_thinking(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the template can be told to leave a thought out."""
    return "enable_thinking" in (template_of(tokenizer) or "")


def render(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, answer: bool = False
) -> str:
    """A conversation as the template writes it; with `answer` up to where the model's turn begins.

    A thought is left out where the template can be told so. A template that takes texts only as
    parts of a message, as those of models with images do, gets them so.
    Raises `ModelError` when there is no template, when it fails, or when it leaves out a text.
    """
    template = template_of(tokenizer)
    if template is None:
        raise ModelError(
            f"a tokenizer must have a chat template, got {template}; set its chat_template"
        )
    texts = [message["content"] for message in messages]
    in_parts = [
        {**message, "content": [{"type": "text", "text": message["content"]}]}
        for message in messages
    ]
    reasons = []
    for conversation in (list(messages), in_parts):
        try:
            rendered = tokenizer.apply_chat_template(
                conversation,
                chat_template=(_FIXED_DAY if asks_the_day(tokenizer) else "") + template,
                tokenize=False,
                add_generation_prompt=answer,
                **({"enable_thinking": False} if knows_thinking(tokenizer) else {}),
            )
        except Exception as error:  # a template is foreign code, and raises what it likes
            reasons.append(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
            continue
        # templates may trim a text, and must not lose it
        if isinstance(rendered, str) and all(text.strip() in rendered for text in texts):
            return rendered
        reasons.append("a conversation with a message left out")
    raise ModelError(f"a chat template must write every message, got {reasons[0]}")
