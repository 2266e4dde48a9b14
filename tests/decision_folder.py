"""Tiny models in folders that can be asked typed questions, each in another way."""

import json
from pathlib import Path
from typing import Any

from equipoise.testing import tiny_model

#: A byte is a token, so that labels are single letters.
LETTERS = {"noul": ["Y", "N"]}
CHAT = (
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}[a]{% endif %}"
)
_LIST = (
    "{% for o in question.options %}{{ question.labels[loop.index0] }}={{ o }};{% endfor %}"
    "{{ question.instructions }}?<|mark|>"
)
_TOGETHER = (
    "<bos>{{ state }}|{% for question in questions %}{{ question.instructions }}"
    "{% for o in question.options %}({{ question.labels[loop.index0] }}){{ o }}{% endfor %}:"
    "<|mark|>{% endfor %}"
)
#: Family, chat template, decision template, decision.json.
FORMS: dict[str, tuple[str, str | None, str | None, dict[str, Any]]] = {
    "chat template": ("llama", CHAT, None, {"labels": LETTERS}),
    "mark in the middle": (
        "gpt2",
        None,
        f"{_LIST} after {{{{ state }}}}",
        {"labels": LETTERS, "temperature": {"choice": 0.5, "noul": 3.0}},
    ),
    "false first": (
        "gemma3",
        None,
        _TOGETHER,
        {
            "labels": {"noul": ["0", "1"], "choice": ["x", "y", "z", "w"]},
            "noul_options": ["false", "true"],
            "sanitize_control_tokens": False,
        },
    ),
}


def save_deciding(folder: Path, form: str = "chat template") -> Path:
    """A model of this form; gives its folder."""
    family, chat, template, config = FORMS[form]
    model = tiny_model(family, context=1024)
    model.tokenizer.chat_template = chat
    model.module.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    (folder / "decision.json").write_text(json.dumps(config))
    if template is not None:
        (folder / "decision_template.jinja").write_text(template)
    return folder
