"""Pairs of texts of the user's own, of which one stereotypes more: as CrowS-Pairs, StereoSet, …

A row has two whole texts; or a context and what may follow it; or a context with a blank (BLANK or
a line of underscores) and what fills it, alone or in the whole sentence, as StereoSet has it. Rows
of StereoSet as the Hub has them are such rows, too.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from equipoise.data import hub_forms
from equipoise.errors import DataError
from equipoise.files.rows import FileRow
from equipoise.own_data.columns import (
    AXIS,
    BLANK,
    CLUSTER,
    ID,
    TARGET,
    Layout,
    OwnFile,
    Role,
    find_columns,
    ids_of,
    labelled_columns,
    labels_of,
    note_repeated,
    note_unread,
    read_own_file,
    role,
)
from equipoise.records import JSON, Contrast, DataUse

STEREOTYPE: Final = role(
    "stereotype",
    *("stereo", "stereotyped", "stereotypical", "stereotyping", "more", "biased"),
    *("morestereotypical", "morestereotyping", "morestereotyped"),
    *("pro", "prostereotype", "prostereotyped", "prostereotypical"),
    needed=True,
)
ANTISTEREOTYPE: Final = role(
    "antistereotype",
    *("antistereo", "antistereotyped", "antistereotypical", "antistereotyping", "less", "anti"),
    *("lessstereotypical", "lessstereotyping", "lessstereotyped"),
    *("counterstereotype", "counterstereotyped", "counterstereotypical"),
    needed=True,
)
CONTEXT: Final = role("context", "prefix", "prompt")
UNRELATED: Final = role("unrelated", "meaningless", "nonsense")
DIRECTION: Final = role("direction", "stereoantistereo")
ROLES: Final[tuple[Role, ...]] = (
    STEREOTYPE, ANTISTEREOTYPE, CONTEXT, UNRELATED, AXIS, DIRECTION, TARGET, CLUSTER, ID,
)  # fmt: skip

_SENTENCES: Final = "sentences"  # the column of StereoSet's rows
_PUNCTUATION: Final = tuple(".,;:!?)]}'’”")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairFile:
    """Pairs of a file, and what is to be said of it."""

    use: DataUse
    pairs: tuple[Contrast, ...]
    notes: tuple[str, ...]


def read_pairs(
    file: str, named: Mapping[str, str | None], groups: tuple[str, ...] | None, separator: str
) -> PairFile:
    """The pairs of a file in its order; groups are those that it has columns of, and "cluster".

    `named`: which column holds what, by `ROLES`. `separator` comes between a context and a text
    where neither has white space there. Raises `DataError` naming file and row: a missing text,
    two equal texts, an id that is there twice.
    """
    source = _with_sentences(read_own_file(file))
    layout = find_columns(source, ROLES, named, plugin="pairs")
    labelled = labelled_columns(source, layout, (AXIS, DIRECTION, TARGET), groups)
    ids = ids_of(source, layout, plugin="pairs")
    pairs = []
    for row, id in zip(source.rows, ids, strict=True):
        labels = labels_of(row, labelled)
        cluster = layout.label(row, CLUSTER.name) or labels.get(TARGET.name) or id
        pair = _build_pair(row, layout, separator)
        pairs.append(replace(pair, id=id, groups=labels | {"cluster": cluster}))
    return PairFile(
        use=source.use,
        pairs=tuple(pairs),
        notes=(
            *layout.notes,
            *note_unread(source, (*layout.columns.values(), *labelled.values())),
            *_note_clusters(layout),
            *note_repeated([whole_texts(pair) for pair in pairs], ids, "pairs"),
        ),
    )


def whole_texts(pair: Contrast) -> tuple[str, str]:
    """The stereotype and the anti-stereotype after their context."""
    return pair.context + pair.stereotype, pair.context + pair.antistereotype


def _with_sentences(source: OwnFile) -> OwnFile:
    """StereoSet's rows with a column for each of their three sentences."""
    if not any(isinstance(row.structure(_SENTENCES), list | dict) for row in source.rows):
        return source
    rows = []
    for row in source.rows:
        sentences = hub_forms.stereoset_example(row).get(_SENTENCES)
        by_label: dict[object, JSON] = {}
        for sentence in sentences if isinstance(sentences, list) else []:
            if isinstance(sentence, dict):
                label = sentence.get("gold_label")
                name = hub_forms.label_name(label, hub_forms.STEREOSET_LABELS)
                by_label[name] = sentence.get("sentence")
        if set(by_label) != set(hub_forms.STEREOSET_LABELS):
            raise DataError(
                f"{row.where}: column '{_SENTENCES}' must have each of "
                f"{list(hub_forms.STEREOSET_LABELS)} once, got {sorted(map(str, by_label))[:4]}; "
                "correct the row"
            )
        texts = {str(label).replace("-", ""): text for label, text in by_label.items()}
        cells = {column: cell for column, cell in row.cells.items() if column != _SENTENCES}
        rows.append(replace(row, cells=cells | texts))
    return replace(source, rows=tuple(rows))


def _build_pair(row: FileRow, layout: Layout, separator: str) -> Contrast:
    """A row's texts, without the white space at their ends."""
    first, second = (row.text(layout.columns[side.name]) for side in (STEREOTYPE, ANTISTEREOTYPE))
    if first.strip() == second.strip():
        raise DataError(
            f"{row.where}: stereotype and antistereotype must differ, got the same text of "
            f"{len(first.strip())} characters twice; correct the row"
        )
    context, unrelated = (layout.text(row, part.name) or "" for part in (CONTEXT, UNRELATED))
    texts = [text for text in (first, second, unrelated) if text.strip()]
    if BLANK.search(context):
        context, texts = "", _fill(row, context, [text.strip() for text in texts])
    else:
        context, texts = _follow(row, context, texts, separator)
    return Contrast(
        id=row.place,
        context=context,
        stereotype=texts[0],
        antistereotype=texts[1],
        unrelated=texts[2] if texts[2:] else None,
    )


def _follow(
    row: FileRow, context: str, texts: Sequence[str], separator: str
) -> tuple[str, list[str]]:
    """A context without white space at its end, and the texts with what leads them after it."""
    bare = context.rstrip()
    if not bare:
        return "", [text.strip() for text in texts]
    if all(text.lstrip().startswith(bare.lstrip()) for text in texts):
        # They are whole, with the context in them.
        return bare.lstrip(), [text.strip()[len(bare.lstrip()) :] for text in texts]
    whole = [bool(re.match(rf"{re.escape(bare.lstrip())}(?!\w)", text.lstrip())) for text in texts]
    if any(whole):
        raise DataError(
            f"{row.where}: texts must all begin with the whole context, or all follow it, got "
            f"{sum(whole)} of {len(whole)} that begin with it; correct the row"
        )
    endings = []
    for text in texts:
        space = context[len(bare) :] or text[: len(text) - len(text.lstrip())]
        lead = space or ("" if text.startswith(_PUNCTUATION) else separator)
        endings.append(lead + text.strip())
    return bare.lstrip(), endings


def _fill(row: FileRow, context: str, texts: Sequence[str]) -> list[str]:
    """Whole sentences: the texts themselves where they are, else the context filled with them."""
    whole = _match_form(context, texts)
    bare = context.strip().rstrip("".join(_PUNCTUATION))
    if not any(whole) and re.search(r"\w", BLANK.sub("", bare)):
        # sentences may lack the context's final mark, or have another
        whole = _match_form(bare, [text.rstrip("".join(_PUNCTUATION)) for text in texts])
    if all(whole):
        return list(texts)
    if any(whole):
        raise DataError(
            f"{row.where}: texts must all fill the blank of the context, or all be the context "
            f"with the blank filled, got {sum(whole)} of {len(whole)} filled; correct the row"
        )
    return [text.join(BLANK.split(context)) for text in texts]


def _match_form(context: str, texts: Sequence[str]) -> list[bool]:
    """Which texts are the context with something in place of its blanks."""
    parts = map(re.escape, BLANK.split(context))
    form = re.compile(".+".join(parts), re.IGNORECASE | re.DOTALL)
    return [bool(form.fullmatch(text)) for text in texts]


def _note_clusters(layout: Layout) -> list[str]:
    if CLUSTER.name in layout.columns:
        return []
    if TARGET.name in layout.columns:
        return [f"clusters: the targets of column '{layout.columns[TARGET.name]}'"]
    return ["clusters: each row stands alone, as no column says which rows belong together"]
