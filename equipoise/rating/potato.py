"""A task of the same pairs for Potato, an annotation server for crowds; no part of ours.

Potato 2.12 (potatoannotator.readthedocs.io): items as JSON Lines and a YAML configuration with
`instance_display` for what is shown, a `pairwise` scheme of several dimensions, or `radio`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd
import yaml

from equipoise.export.export import csv_text
from equipoise.files.atomic import check_new, new_folder, write_file, write_json_lines
from equipoise.rating.questions import QUESTIONS, Mode, Question
from equipoise.rating.showings import Showing, plan_showings
from equipoise.rating.store import RatingStore
from equipoise.report.formatting import visible

TASK, KEY = "task", "key.csv"
_WARNING: Final = (
    "Content warning: the texts were written by language models after prompts that probe "
    "prejudice, and may offend. Rate the texts; whose they are is not told."
)


def write_potato(folder: Path, store: RatingStore) -> int:
    """Write a new folder: `task/` for Potato, and `key.csv`, which no rater may see.

    An order and sides for all raters, drawn as for a rater called "potato"; nothing is repeated.
    `key.csv` says of each item which pair it is and which side the second variant has. How many
    items there are. Raises `StoreError`.
    """
    check_new(folder, what="a Potato task")
    ids = [pair.id for pair in store.pairs]
    planned = plan_showings(ids, mode=store.head.mode, rater="potato", seed=store.head.seed)
    showings = [showing for showing in planned if not showing.repeat]
    items = [_item(store, number, showing) for number, showing in enumerate(showings, 1)]
    with new_folder(folder, what="Potato task") as beside:
        write_json_lines(beside / TASK / "items.jsonl", items, what="items")
        config = yaml.safe_dump(_config(store.head.mode), sort_keys=False, allow_unicode=True)
        write_file(beside / TASK / "config.yaml", config, what="configuration")
        write_file(beside / KEY, csv_text(_key(store, showings)), what="key")
    return len(items)


def _item(store: RatingStore, number: int, showing: Showing) -> dict[str, object]:
    pair = store.pair[showing.pair]
    if showing.variant == "both":
        texts = [pair.second, pair.first] if showing.swapped else [pair.first, pair.second]
        shown = {"text_a": texts[0], "text_b": texts[1]}
    else:
        shown = {"text": pair.first if showing.variant == "first" else pair.second}
    # the prompt is what Potato knows an item by (`text_key`), which may not be empty
    fields = {"prompt": pair.prompt.strip() or "(no prompt)", **shown}
    return {"id": str(number), **{name: visible(text.strip()) for name, text in fields.items()}}


def _key(store: RatingStore, showings: Sequence[Showing]) -> pd.DataFrame:
    one, other = store.head.variants
    return pd.DataFrame(
        {
            "item": str(number),
            "pair": showing.pair,
            "variant": showing.variant,
            "swapped": showing.swapped,
            "a": other if showing.swapped or showing.variant == "second" else one,
            "b": "" if showing.variant != "both" else one if showing.swapped else other,
        }
        for number, showing in enumerate(showings, 1)
    )


def _config(mode: Mode) -> dict[str, Any]:
    names = {"text": "Text"} if mode == "texts" else {"text_a": "A", "text_b": "B"}
    return {
        "annotation_task_name": "Texts of language models, rated blind",
        "annotation_instructions": _WARNING,
        "task_dir": ".",
        "output_annotation_dir": "annotation_output",
        "data_files": ["items.jsonl"],
        "item_properties": {"id_key": "id", "text_key": "prompt"},
        "user_config": {"allow_all_users": True, "users": []},
        "assignment_strategy": "random",
        "instance_display": {
            "fields": [
                {"key": key, "type": "text", "label": label}
                for key, label in {"prompt": "Prompt", **names}.items()
            ]
        },
        "annotation_schemes": _schemes(QUESTIONS[mode]),
    }


def _schemes(questions: Sequence[Question]) -> list[Mapping[str, Any]]:
    if "A" not in questions[0].answers:
        return [
            {
                "annotation_type": "radio",
                "name": question.name,
                "description": question.text,
                "labels": [
                    {"name": answer, "tooltip": label} for answer, label in question.answers.items()
                ],
                "label_requirement": {"required": True},
                "sequential_key_binding": True,
            }
            for question in questions
        ]
    return [
        {
            "annotation_type": "pairwise",
            "name": "rating",
            "description": "Compare A and B",
            "mode": "multi_dimension",
            "items_key": "texts",
            "labels": ["A", "B"],
            "dimensions": [
                {
                    "name": question.name,
                    "description": question.text,
                    "allow_tie": True,
                    "tie_label": question.answers["tie"],
                }
                for question in questions
            ],
            "label_requirement": {"required": True},
        }
    ]
