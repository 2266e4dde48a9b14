"""Settings of measurements: in which of them the two sides of a comparison differ.

A start token, the form of a chat or of decisions, a number format, a tokenizer, an option of the
benchmark or a data file can move a number by itself. Whether the model changed cannot be told from
a difference that any of them may have made, so none of it is stated unless it is asked for. What
moves last digits alone (threads, kernels, versions of libraries) is no matter of this file: the
check `alike` names it.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from equipoise.conclusions import Difference
from equipoise.records import JSON, Measurement

TOKENIZER = "tokenizer_sha256"  # in a measurement's model_info
ADDED_TOKENS = "added_tokens"  # likewise: those that a measured text holds
JUDGE = "judge"  # likewise: who graded what was written
SCORERS = "scorers"  # likewise: what gave written texts their numbers
_DECISION = "decision"  # likewise: how typed questions are put; also the kind of a model so asked

#: What may be compared across, and what it is called in a sentence.
SETTINGS: Final[Mapping[str, str]] = {
    "start": "start token",
    "chat": "chat form",
    "decision": "decision form",
    "dtype": "dtype",
    "tokenizer": "tokenizer",
    "judge": "judge",
    "scorers": "scorers",
    "options": "option",
    "data": "data",
}
#: What results of older versions tell of a judge beside: how its server was reached.
_TRANSPORT = ("seconds", "tries", "per_minute", "in_flight", "record", "replay")
_SHORT = 12  # digits of a hash


def differences_of(
    before: Measurement, afters: Sequence[Measurement], *, across: Sequence[str] = ()
) -> tuple[Difference, ...]:
    """The settings in which any measurement after differs from that before, in a fixed order.

    `across`: names of `SETTINGS` that may differ. What a side does not record (results of older
    versions, published predictions) is not held to differ; `unrecorded` names it.
    """
    return tuple(
        Difference(
            name=name,
            setting=setting,
            before=values[0],
            after=" and ".join(dict.fromkeys(value for value in values[1:] if value != values[0])),
            across=name in across,
        )
        for name, setting, values in _read_settings((before, *afters))
        if len(set(values)) > 1
    )


def unrecorded(measurements: Sequence[Measurement]) -> list[str]:
    """What the settings are called that some of the measurements record and others do not."""
    infos = [measurement.model_info for measurement in measurements]
    kinds = _kinds(infos)
    if "predictions" in kinds:
        return []
    first = {"decision": _DECISION} if kinds == {_DECISION} else {"start": "start_token"}
    keys = {**first, "dtype": "dtype", "tokenizer": TOKENIZER}
    # of a decision server it is null
    sides = {
        name: {key in info and (key != _DECISION or info[key] is not None) for info in infos}
        for name, key in keys.items()
    }
    return [SETTINGS[name] for name, recorded in sides.items() if len(recorded) > 1]


def _read_settings(measurements: Sequence[Measurement]) -> Iterator[tuple[str, str, list[str]]]:
    """Name, name in a sentence, and the value in each measurement, for a reader."""
    infos = [measurement.model_info for measurement in measurements]

    def values(key: str, describe: Callable[[JSON], str]) -> list[str]:
        """Those of a key of `model_info` that all of them record; else nothing to compare."""
        recorded = all(key in info for info in infos)
        return [describe(info[key]) for info in infos] if recorded else []

    # a masked model's texts stand between its tokenizer's special tokens, which its hash holds
    kinds = _kinds(infos)
    if not kinds & {"masked", "predictions"}:
        chats = [info.get("chat") for info in infos]
        # in a chat, or asked to decide, the template writes what a text begins with
        written = any(chats) or _DECISION in kinds
        if not written and all("start_token" in info for info in infos):
            yield "start", SETTINGS["start"], [_describe_start(each) for each in measurements]
        for setting, forms in _read_chats(chats):
            yield "chat", setting, forms
    for setting, forms in _read_decisions([info.get(_DECISION) for info in infos]):
        yield "decision", setting, forms
    yield "dtype", SETTINGS["dtype"], values("dtype", str)
    yield "tokenizer", SETTINGS["tokenizer"], values(TOKENIZER, lambda sha: str(sha)[:_SHORT])
    yield "tokenizer", "added tokens in the texts", values(ADDED_TOKENS, _describe_tokens)
    described = {key for key in (JUDGE, SCORERS) if all(key in info for info in infos)}
    yield "judge", SETTINGS["judge"], values(JUDGE, _describe_instrument)
    yield "scorers", SETTINGS["scorers"], values(SCORERS, _describe_scorers)
    for key in sorted({key for measurement in measurements for key in measurement.options}):
        if key in described:
            continue  # described above, with its version
        if not all(_names_file(measurement, key) for measurement in measurements):
            chosen = [measurement.options.get(key) for measurement in measurements]
            yield "options", f"{SETTINGS['options']} {key}", [json.dumps(each) for each in chosen]
    if len({tuple(sorted(use.sha256 for use in each.data)) for each in measurements}) > 1:
        yield "data", SETTINGS["data"], [_describe_data(each) for each in measurements]


def _kinds(infos: Sequence[Mapping[str, JSON]]) -> set[str]:
    return {str(info.get("kind")) for info in infos}


def _names_file(measurement: Measurement, option: str) -> bool:
    """Whether an option is the name of a data file, whose hash says whether it is another."""
    return measurement.options.get(option) in [use.name for use in measurement.data]


def _describe_start(measurement: Measurement) -> str:
    info = measurement.model_info
    token = _quote(info["start_token"])
    # this policy puts it before a context only where the tokenizer does
    if measurement.options.get("bos") == "own" and info.get("tokenizer_adds_start") is False:
        return f"{token} before a text without context"
    return token


def _quote(token: JSON) -> str:
    return "none" if token is None else f"'{token}'"


def _describe_tokens(tokens: JSON) -> str:
    return ", ".join(map(_quote, tokens)) if isinstance(tokens, list) and tokens else "none"


def _describe_scorers(scorers: JSON) -> str:
    return ", ".join(map(_describe_instrument, scorers)) if isinstance(scorers, list) else "none"


def _describe_instrument(instrument: JSON) -> str:
    known = _mapping(instrument)
    about = {key: part for key, part in known.items() if key not in ("name", *_TRANSPORT)}
    parts = [f"{key} {_describe_part(key, part)}" for key, part in about.items()]
    return f"{known.get('name')} ({', '.join(parts)})"


def _read_chats(chats: Sequence[JSON]) -> Iterator[tuple[str, list[str]]]:
    """The forms where some are plain; else each part of them, of which the head is made of others.

    As in "plain" against "chat (template 1f0c…, turn "user")".
    """
    forms = [chat for chat in chats if isinstance(chat, dict)]
    if len(forms) < len(chats):
        yield SETTINGS["chat"], [_describe_chat(chat) for chat in chats]
        return
    keys = sorted({key for form in forms for key in form})
    parts = {key: [_describe_part(key, form.get(key)) for form in forms] for key in keys}
    differing = [key for key in keys if len(set(parts[key])) > 1]
    for key in differing:
        if key != "head_sha256" or differing == [key]:
            yield f"chat {key.removesuffix('_sha256')}", parts[key]


def _read_decisions(decisions: Sequence[JSON]) -> Iterator[tuple[str, list[str]]]:
    """The template and each part of the configuration, where all sides record them.

    The configuration as a whole where no part of it that all have is another.
    """
    forms = [decision for decision in decisions if isinstance(decision, dict)]
    if len(forms) < len(decisions):
        return
    recorded = [{**_mapping(form.get("config")), **form} for form in forms]
    # its text is told by its hash
    keys = set.intersection(*map(set, recorded)) - {"chat_template", "template", "config"}
    parts = {key: [_describe_part(key, form[key]) for form in recorded] for key in sorted(keys)}
    differing = [key for key in parts if len(set(parts[key])) > 1]
    for key in differing:
        if key != "config_sha256" or differing == [key]:
            yield f"decision {key.removesuffix('_sha256')}", parts[key]


def _mapping(value: JSON) -> Mapping[str, JSON]:
    return value if isinstance(value, dict) else {}


def _describe_chat(chat: JSON) -> str:
    if not isinstance(chat, dict):
        return "plain" if chat is None else json.dumps(chat)
    parts = [
        f"{key.removesuffix('_sha256')} {_describe_part(key, chat[key])}"
        for key in ("template_sha256", "system", "turn")
        if chat.get(key) is not None
    ]
    return f"chat ({', '.join(parts)})"


def _describe_part(key: str, value: JSON) -> str:
    if value is None:
        return "none"
    if key.endswith("sha256"):
        return str(value)[:_SHORT]
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _describe_data(measurement: Measurement) -> str:
    """The files by name, each with the beginning of its hash."""
    return ", ".join(f"{use.name} {use.sha256[:_SHORT]}" for use in measurement.data) or "none"
