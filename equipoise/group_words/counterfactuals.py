"""Which group takes whose place: the swapped text of CDA and the counterfactual set of CAFIE."""

import hashlib
import math
from collections.abc import Mapping, Sequence

import numpy as np

from equipoise.group_words.mentions import Mention, find_mentions
from equipoise.group_words.substitution import substitute
from equipoise.group_words.word_lists import WordLists


def swapped(text: str, lists: WordLists, *, seed: int) -> str | None:
    """The text with every group's words exchanged for those of its partner; None: it names none.

    Each axis draws its `partners` from the text and the seed, so that a text is swapped the same
    way in any company.
    Sources: Zmigrod et al. 2019 (arXiv 1906.04571) and Webster et al. 2020 (arXiv 2010.06032), as
    Meade et al. 2022 apply them to race and religion. Their code splits at white space and matches
    lower case alone; here punctuation, white space and case are kept, "her" is his or him, and no
    two groups have the same partner, so that an exchange never makes one group of two.
    """
    mentions = find_mentions(text, lists)
    if not mentions:
        return None
    by_axis = {axis: partners(axis, lists.groups[axis], text, seed=seed) for axis in lists.axes}
    return substitute(text, mentions, [by_axis[m.axis][m.group] for m in mentions])


def partners(axis: str, groups: Sequence[str], text: str, *, seed: int) -> Mapping[str, str]:
    """Each group's partner in a text: another group, never the same for two of them.

    Uniform over the permutations that leave no group in its place, drawn from the seed, the axis
    and the text alone; of two groups each is the other's.
    """
    key = hashlib.sha256(f"{seed}\0{axis}\0{text}".encode(errors="surrogatepass")).digest()
    rng = np.random.default_rng(int.from_bytes(key[:16], "big"))
    order = np.arange(len(groups))
    while (order == np.arange(len(groups))).any():
        order = rng.permutation(len(groups))
    return {group: groups[index] for group, index in zip(groups, order.tolist(), strict=True)}


def counterfactual_set(
    mentions: Sequence[Mention], lists: WordLists, *, most: int | None, seed: int
) -> list[list[str]]:
    """For each text of a counterfactual set the group of each mention, the text's own first.

    The set holds every combination of groups of the axes that are mentioned. All mentions on one
    axis move on by as many groups, so that who meets whom is kept. `most`: counterfactuals at
    most. A larger set is put in an order that depends on the seed alone and cut into blocks of
    equal size; the block that holds the text is its set, and so that of every text in the block.
    """
    firsts: dict[str, int] = {}  # by axis: the group of its first mention
    for mention in mentions:
        group = lists.groups[mention.axis].index(mention.group)
        firsts.setdefault(mention.axis, group)
    axes = [axis for axis in lists.axes if axis in firsts]
    sizes = [len(lists.groups[axis]) for axis in axes]
    label = int(np.ravel_multi_index([firsts[axis] for axis in axes], sizes))
    labels = np.arange(math.prod(sizes))
    if most is not None and most < len(labels) - 1:
        order = np.random.default_rng(seed).permutation(len(labels))
        blocks = np.array_split(order, -(-len(labels) // (1 + most)))
        labels = np.sort(next(block for block in blocks if label in block))

    def moved(mention: Mention, steps: Mapping[str, int]) -> str:
        groups = lists.groups[mention.axis]
        return groups[(groups.index(mention.group) + steps[mention.axis]) % len(groups)]

    members: list[list[str]] = []
    for member in [label, *(int(other) for other in labels if other != label)]:
        chosen = np.unravel_index(member, sizes)
        steps = {axis: int(group) - firsts[axis] for axis, group in zip(axes, chosen, strict=True)}
        members.append([moved(mention, steps) for mention in mentions])
    return members
