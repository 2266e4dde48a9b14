"""Sentences of the user's own, each about every group of the axis that it names.

Words of groups are found and exchanged by `group_words`, with case, article and pronouns; of a
sentence that names several axes the others stay as they are.
"""

from collections.abc import Iterator

from equipoise.data.documents import read_content
from equipoise.errors import DataError
from equipoise.files.parsing import decode, unpack
from equipoise.group_words.counterfactuals import counterfactual_set, substitute
from equipoise.group_words.mentions import find_mentions
from equipoise.group_words.word_lists import WordLists
from equipoise.records import DataUse
from equipoise.scenarios.scenes import Scene


def swapped_scenes(file: str, lists: WordLists) -> tuple[list[Scene], DataUse]:
    """A scene for each sentence (a line of the file) and each group of the axis that it names.

    Groups: as of `scenes_about`; "scene" is the line. Raises `DataError` naming the file, and the
    line of what is not UTF-8, or of a sentence that names no group of the lists.
    """
    content, use = read_content(file)
    text = decode(unpack(content, use.name), use.name)
    scenes: list[Scene] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            scenes += _about_all(line.strip(), f"line {number}", lists, where=use.name)
    if not scenes:
        raise DataError(f"{use.name} must hold sentences, a line each, got none; write some")
    return scenes, use


def _about_all(sentence: str, name: str, lists: WordLists, *, where: str) -> Iterator[Scene]:
    mentions = find_mentions(sentence, lists, unfinished=True)
    if not mentions:
        raise DataError(
            f"{where}, {name}: a sentence must name a group of {', '.join(lists.axes)}, got none; "
            "name one, or give lists of words that have it"
        )
    axis = mentions[0].axis
    swapped = [mention for mention in mentions if mention.axis == axis]
    for groups in counterfactual_set(swapped, lists, most=None, seed=0):
        group = groups[0]
        id = f"{name}/{axis}/{group}"
        yield Scene(
            id=id,
            text=substitute(sentence, swapped, groups),
            template=sentence,
            groups={
                "axis": axis, "group": group, "scene": name, "wording": "1", "prompt": id,
            },
        )  # fmt: skip
