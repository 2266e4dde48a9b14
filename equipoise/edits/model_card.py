"""The model card of an edit: the README.md of its folder, as the Hub shows it.

Front matter as the Hub reads it (https://huggingface.co/docs/hub/model-cards), then what the edit
is, what it learnt from, how to use it, its limits and what was measured. The same edit gives the
same text. The Hub's own list of results (`model-index`) is left out: it has no place for an
interval, and a number without one says too much.
"""

import json
import re
import shlex
from collections.abc import Iterable, Mapping

import yaml
from huggingface_hub.utils import HFValidationError, validate_repo_id

from equipoise.edits.edit import EditInfo
from equipoise.markdown import code_block, markdown_text
from equipoise.records import JSON

_KINDS: Mapping[str, str] = {
    "weights": "some of its parameters, replaced by new values (`weights.safetensors`)",
    "adapter": "a PEFT adapter that is put on it (`adapter_model.safetensors`)",
    "prompts": "a family of prefixes, each put before every context; no weight changes",
}
_TASKS: Mapping[str, str] = {"causal": "text-generation", "masked": "fill-mask"}
_CLASSES: Mapping[str, str] = {"causal": "AutoModelForCausalLM", "masked": "AutoModelForMaskedLM"}
_SCALARS = (bool, int, float, str)


def card(info: EditInfo, kind: str, *, changes: str | None = None) -> str:
    """The card of an edit of this kind ("weights", "adapter", "prompts"), whole.

    `changes`: ready Markdown that says what was measured before and after; None: it has not been
    measured, and the card says how that is done.
    """
    title = (
        f"# {markdown_text(info.method)} edit of {markdown_text(info.base or 'an unnamed base')}"
    )
    parts = [
        _front_matter(info, kind),
        title,
        _about(info, kind),
        "## What it learnt from",
        _learnt(info),
        "## How to use it",
        _use(info, kind),
        "## What changed",
        _unmeasured(info) if changes is None else changes.strip(),
        "## Limits",
        _list(_limits(info, kind)),
    ]
    return "\n\n".join(parts) + "\n"


def hub_id(info: EditInfo) -> str:
    """The base's id on the Hub, without its revision; empty when its name is none."""
    name = (info.base_name or ("" if "+" in info.base else info.base)).partition("@")[0]
    try:
        validate_repo_id(name)
    except HFValidationError:
        return ""
    return name


# --- front matter -----------------------------------------------------------------------------


def _front_matter(info: EditInfo, kind: str) -> str:
    """Every text quoted, so that no reader takes one for a number, a date or a boolean."""
    found: dict[str, str | list[str]] = {}
    if base := hub_id(info):
        found["base_model"] = base
    if base and kind == "adapter":
        found["base_model_relation"] = "adapter"
    found["library_name"] = "peft" if kind == "adapter" else "equipoise"
    if info.base_kind in _TASKS:
        found["pipeline_tag"] = _TASKS[info.base_kind]
    tags = ["equipoise", "bias-mitigation", "fairness"]
    found["tags"] = [*tags, info.method] if re.fullmatch(r"[\w-]+", info.method) else tags
    return "\n".join(["---", *_lines(found), "---"])


def _lines(found: Mapping[str, str | list[str]]) -> Iterable[str]:
    for key, value in found.items():
        if isinstance(value, str):
            yield f"{key}: {_quoted(value)}"
        else:
            yield f"{key}:"
            yield from (f"- {_quoted(one)}" for one in value)


def _quoted(text: str) -> str:
    """A YAML scalar that is read as this very text, in ASCII and on one line."""
    return str(yaml.safe_dump(text, default_style='"', width=10**9)).strip()


# --- the text ---------------------------------------------------------------------------------


def _about(info: EditInfo, kind: str) -> str:
    base = markdown_text(info.base or "a model that it does not name")
    bound = kind != "prompts" and info.base_fingerprint
    lead = f"An edit that is meant to reduce a social bias of {base}: {_KINDS.get(kind, kind)}."
    facts = {
        "method": f"{info.method}, version {info.version}",
        "seed": str(info.seed),
        "base": info.base or "not named",
        "base's weights": f"sha256 {info.base_fingerprint}" if bound else "not bound to any",
        **{f"option {key}": _json(value) for key, value in sorted(info.options.items())},
        **{f"found: {key}": _json(value) for key, value in _small(info.report)},
    }
    rows = [f"| {markdown_text(key)} | {markdown_text(value)} |" for key, value in facts.items()]
    return "\n".join([lead, "", "| what | value |", "| --- | --- |", *rows])


def _small(report: Mapping[str, JSON]) -> Iterable[tuple[str, JSON]]:
    """What fits a cell: numbers, words, and short lists of them; all of it is in edit.json."""
    for key, value in sorted(report.items()):
        short = isinstance(value, list) and len(value) <= 16
        if isinstance(value, _SCALARS) or (
            isinstance(value, list) and short and all(isinstance(one, _SCALARS) for one in value)
        ):
            yield key, value


def _json(value: JSON) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _learnt(info: EditInfo) -> str:
    number = len(info.trained_on)
    if number:
        files = "".join(
            f"\n- `{file.name}`, sha256 `{file.sha256[:12]}…`, {markdown_text(file.licence)}"
            for file in info.files
        )
        texts = "1 text" if number == 1 else f"{number:,} texts"
        return (
            f"{texts} of {markdown_text(info.origin or 'a supply without a name')}. The sha256 of "
            "each is in `trained_on.json`; Equipoise refuses to measure the edit on any of them."
            + (f" Read from:\n{files}" if files else "")
        )
    if info.origin:
        return f"No text, by its own account. It was given {markdown_text(info.origin)}."
    return "Not known: it does not say, and so nobody can tell what it may be measured on."


def _use(info: EditInfo, kind: str) -> str:
    base = _base(info)
    lines = [
        "`FOLDER` is the folder with this file; the base is found by its name, and `--base` or "
        "`base=` gives another place.",
        "",
        code_block(["equipoise measure FOLDER BENCHMARK"], "bash"),
        "",
        code_block(
            [
                "import equipoise as eq",
                "",
                'model = eq.load("FOLDER")',
                'print(eq.measure(model, "BENCHMARK"))',
            ],
            "python",
        ),
    ]
    if kind == "adapter":
        name = _CLASSES.get(info.base_kind, "AutoModelForCausalLM")
        revision = base.partition("@")[2]
        given = repr(base.partition("@")[0]) + (f", revision={revision!r}" if revision else "")
        load = [
            "from peft import PeftModel",
            f"from transformers import {name}",
            "",
            f"base = {name}.from_pretrained({given})",
            'model = PeftModel.from_pretrained(base, "FOLDER")',
        ]
        lines += ["", "It is also an ordinary PEFT adapter:", "", code_block(load, "python")]
    return "\n".join(lines)


def _base(info: EditInfo) -> str:
    """How a command names the base: its Hub id or scheme; a folder's path is nobody else's."""
    if hub_id(info):
        return info.base_name or info.base
    scheme = re.fullmatch(r"[a-z]+:[\w=.,-]+", info.base_name)
    return info.base_name if scheme else "BASE"


def _unmeasured(info: EditInfo) -> str:
    lines = [
        f"equipoise measure {shlex.quote(_base(info))} BENCHMARK... --out before",
        "equipoise measure FOLDER BENCHMARK... --out after",
        "equipoise compare before after --card FOLDER",
    ]
    return (
        "It has not been measured: nothing is known of what it does. These commands measure the "
        f"base and the edit alike, and put the change here:\n\n{code_block(lines, 'bash')}"
    )


# --- limits -----------------------------------------------------------------------------------


def _limits(info: EditInfo, kind: str) -> Iterable[str]:
    yield (
        "Only what stands under “What changed” was measured: those benchmarks, versions and "
        "splits, on that base. Other groups, languages, longer texts and other uses were not."
    )
    yield (
        "A bias that falls on one benchmark may stay or rise on another; the direction shown is no "
        "promise elsewhere."
    )
    yield (
        "It is aimed at the contrast that its options and texts name. Other axes, and people whom "
        "several describe at once, were not looked at."
    )
    yield (
        "It changes a tendency. It does not make a model fit to decide about people, and it "
        "filters nothing that a model writes."
    )
    yield "No licence is stated here; those of the base and of the texts learnt from hold."
    yield from _limits_of_kind(info, kind)
    yield from _limits_of_method(info)


def _limits_of_kind(info: EditInfo, kind: str) -> Iterable[str]:
    if kind == "prompts":
        yield (
            "It works only where the prefix stands before the context, which it lengthens; with "
            "several prefixes, each is measured and the mean is reported, never the best."
        )
    elif info.base_fingerprint:
        yield (
            "It belongs to the very weights that it was learnt on (the sha256 above is checked); "
            "further training of the base, or another edit, ends that."
        )
    else:
        yield "Which weights it belongs to is not recorded: names and shapes alone are checked."


def _limits_of_method(info: EditInfo) -> Iterable[str]:
    """What the options say that the edit was not taught."""
    if info.method == "transfer":
        yield from _limits_of_transfer(info)
    words = info.options.get("words")
    if isinstance(words, list) and words:
        listed = ", ".join(markdown_text(_json(word)) for word in words)
        yield (
            f"It was taught with the words {listed} alone; other words for the same groups, names "
            "among them, were not."
        )
    if info.options.get("keep_hints") in (0, 0.0) and "objective" in info.options:
        yield (
            "Nothing held it to the words that a text settles by itself: the edited model may miss "
            "them, which a benchmark of hinted texts shows."
        )
    blocks = info.report.get("blocks")
    if isinstance(blocks, list) and blocks:
        listed = ", ".join(markdown_text(str(block)) for block in blocks)
        yield f"Only these blocks were trained, counted from 0: {listed}."


def _limits_of_transfer(info: EditInfo) -> Iterable[str]:
    """That it was learnt elsewhere, or is a control."""
    origin = markdown_text(str(info.report.get("from_base") or "a model that it does not name"))
    yield f"It was learnt on {origin} and put on this base as it is: nothing was trained here."
    control = info.options.get("control", "none")
    if control != "none":
        yield (
            f"It is a control ({markdown_text(str(control))}): it shows what a change of this size "
            "does by chance, and is not meant to reduce any bias."
        )


def _list(points: Iterable[str]) -> str:
    return "\n".join(f"- {point}" for point in points)
