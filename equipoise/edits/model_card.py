"""The model card of an edit: the README.md of its folder, as the Hub shows it.

Front matter as the Hub reads it (https://huggingface.co/docs/hub/model-cards), then the template
`card.md`. The Hub's own list of results (`model-index`) is left out: it has no place for an
interval, and a number without an interval says too much.
"""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace

import jinja2
from huggingface_hub import ModelCardData
from huggingface_hub.utils import HFValidationError, validate_repo_id
from markupsafe import Markup

from equipoise.edits.edit import EditInfo, edits_under
from equipoise.markdown import code_block, markdown_text
from equipoise.records import JSON, ModelKind

_TASKS: Mapping[str, str] = {"causal": "text-generation", "masked": "fill-mask"}
_CLASSES: Mapping[str, str] = {"masked": "AutoModelForMaskedLM"}  # else AutoModelForCausalLM
_SCALARS = (bool, int, float, str)


#: The folders of a path, as of the machine that an edit was learnt on; no address.
_PLACE = re.compile(
    r"(?<![\w:/.~-])(?:~|[A-Za-z]:)?(?:[/\\][^\s/\\'\",;:()\[\]{}]+)+[/\\](?=[^\s/\\])"
)
_CHANGED, _LIMITS, _UNMEASURED = "## What changed", "## Limits", "It has not been measured:"


def without_places(value: JSON) -> JSON:
    """A value with the last names of files and folders in place of their paths on this machine."""
    if isinstance(value, str):
        return _PLACE.sub("", value)
    if isinstance(value, list):
        return [without_places(item) for item in value]
    if isinstance(value, dict):
        return {key: without_places(item) for key, item in value.items()}
    return value


def info_without_places(info: EditInfo) -> EditInfo:
    """The record without paths on this machine, but for the base's name."""
    return replace(
        info,
        options={key: without_places(value) for key, value in info.options.items()},
        report={key: without_places(value) for key, value in info.report.items()},
        origin=str(without_places(info.origin)),
        files=tuple(replace(file, name=str(without_places(file.name))) for file in info.files),
    )


def measured_changes(card_text: str) -> str | None:
    """What a card says was measured before and after, as `card` takes it; None: nothing was."""
    _, _, after = card_text.partition(f"\n{_CHANGED}\n")
    section = after.partition(f"\n{_LIMITS}\n")[0].strip()
    return None if not section or section.startswith(_UNMEASURED) else section


def card(info: EditInfo, kind: str, *, changes: str | None = None) -> str:
    """The whole card of an edit of this kind (`Edit.kind`: "weights", "adapter", "prompts", …).

    `changes`: ready Markdown that says what was measured before and after; None: it has not been
    measured, and the card says how to do that.
    """
    info = info_without_places(info)
    scheme = re.fullmatch(r"[a-z]+:[\w=.,-]+", info.base_name)
    return _TEMPLATE.render(
        info=info,
        kind=kind,
        front_matter=Markup(_front_matter(info, kind)),
        # a Hub id or a scheme; a folder's path only helps its owner
        base=info.base_name or info.base if hub_id(info) or scheme else "BASE",
        options=sorted(info.options.items()),
        report=[(key, value) for key, value in sorted(info.report.items()) if _fits_cell(value)],
        under=edits_under(info),
        auto_class=_CLASSES.get(info.base_kind, "AutoModelForCausalLM"),
        changes=None if changes is None else Markup(changes.strip()),
    )


def merged_card(
    base: str,
    hub_base: str | None,
    edits: Sequence[Mapping[str, JSON]],
    *,
    kind: ModelKind,
    dtype: str,
    changes: str | None = None,
) -> str:
    """The whole card of a model that edits were merged into.

    `base`: its identity; `hub_base`: its id on the Hub, None where it has none; `edits`: as
    `base.described` records them; `changes`: what was measured of the edit, as `card` takes it.
    """
    data = ModelCardData(
        base_model=hub_base,
        base_model_relation="finetune" if hub_base else None,
        library_name="transformers",
        pipeline_tag=_TASKS[kind],
        tags=["equipoise", "bias-mitigation", "fairness"],
    )
    rows = [
        f"| {markdown_text(str(edit.get('method')))} | {markdown_text(str(edit.get('version')))} | "
        f"{markdown_text(json.dumps(without_places(edit.get('options')), sort_keys=True))} | "
        f"`{str(edit.get('content'))[:12]}` |"
        for edit in edits
    ]
    auto_class = _CLASSES.get(kind, "AutoModelForCausalLM")
    rounded = "" if dtype == "float32" else f" Rounding to {dtype} moves last digits."
    numbers = (
        f"{_UNMEASURED} nothing is known of what it does. Measure it like a model, and its base."
        if changes is None
        else f"Measured with the edit attached to its base, before it was merged.{rounded}\n\n"
        f"{changes.strip()}"
    )
    return "\n".join(
        [
            f"---\n{data.to_yaml()}\n---\n",
            f"# {markdown_text(base)} with {'an edit' if len(rows) == 1 else 'edits'} merged\n",
            f"Weights of {markdown_text(base)}, with what was learnt merged into them, in {dtype}.",
            "`merged.json` has the hash of each text that was learnt from: Equipoise refuses to",
            "measure this model on any of them.\n",
            "| method | version | options | content (sha256) |\n| --- | --- | --- | --- |",
            *rows,
            "\n## How to use it\n\n`FOLDER` is the folder with this file, or its id on the Hub.\n",
            "```python",
            f"from transformers import AutoTokenizer, {auto_class}\n",
            f'model = {auto_class}.from_pretrained("FOLDER")',
            'tokenizer = AutoTokenizer.from_pretrained("FOLDER")',
            "```\n\n```bash\nequipoise measure FOLDER BENCHMARK\n```\n",
            f"{_CHANGED}\n\n{numbers}\n\n{_LIMITS}\n",
            "- Only the numbers under “What changed” were measured; a bias that falls on one "
            "benchmark may stay or rise on another.",
            "- No licence is stated here; those of the base and of the texts learnt from hold.\n",
        ]
    )


def hub_id(info: EditInfo) -> str:
    """The base's id on the Hub, without its revision; empty when its name is not a Hub id."""
    name = (info.base_name or ("" if "+" in info.base else info.base)).partition("@")[0]
    try:
        validate_repo_id(name)
    except HFValidationError:
        return ""
    return name


def _front_matter(info: EditInfo, kind: str) -> str:
    base = hub_id(info) or None
    plain_method = [info.method] if re.fullmatch(r"[\w-]+", info.method) else []
    data = ModelCardData(
        base_model=base,
        base_model_relation="adapter" if base and kind == "adapter" else None,
        library_name="peft" if kind == "adapter" else "equipoise",
        pipeline_tag=_TASKS.get(info.base_kind),
        tags=["equipoise", "bias-mitigation", "fairness", *plain_method],
    )
    return str(data.to_yaml())


def _fits_cell(value: JSON) -> bool:
    """Whether a value is short enough for a table; edit.json has all of them."""
    if isinstance(value, list):
        return len(value) <= 16 and all(isinstance(item, _SCALARS) for item in value)
    return isinstance(value, _SCALARS)


_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("equipoise", "edits"),
    autoescape=False,  # for HTML
    undefined=jinja2.StrictUndefined,
    # Foreign text is made harmless: all that is printed but is not marked as Markdown.
    finalize=lambda value: value if isinstance(value, Markup) else markdown_text(str(value)),
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_ENVIRONMENT.filters |= {
    "json": lambda value: json.dumps(value, ensure_ascii=False, sort_keys=True),
    # in a block of code, which has no Markdown in it
    "shell": lambda text: Markup(shlex.quote(text)),
    "literal": lambda text: Markup(repr(text)),
    "code": lambda text, language: Markup(code_block(text.strip("\n").split("\n"), language)),
}
_TEMPLATE = _ENVIRONMENT.get_template("card.md")
