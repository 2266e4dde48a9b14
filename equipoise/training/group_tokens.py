"""Tokens that name groups: which of them stand for each other, and how likely they are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from equipoise.exchange.texts import spellings
from equipoise.exchange.words import GENDER
from equipoise.group_words.word_lists import WordLists
from equipoise.inference.language_model import LanguageModel
from equipoise.models.tokenization import Marked, encode

_TINY = 1e-30  # a probability, so that nothing is divided by 0

#: Of a class of words the tokens of each group that stand for each other; a group may have none.
TokenClass = Sequence[Iterable[int]]


@dataclass(frozen=True, slots=True)
class _AxisTokens:
    """Tokens of an axis by cell: a class and a group."""

    ids: Int[Tensor, " token"]
    cells: Int[Tensor, " token"]  # class * groups + group
    has: Bool[Tensor, "class group"]  # whether the cell has a token

    def masses(
        self, said: Float[Tensor, "text place token"]
    ) -> Float[Tensor, "text place class group"]:
        """Probability of each cell."""
        total = said.new_zeros(*said.shape[:2], self.has.numel())
        return total.index_add_(2, self.cells, said).view(*said.shape[:2], *self.has.shape)


class GroupTokens:
    """Tokens that name a group, of words that are a single token, in classes of words alike.

    Words of a group that share a token are in the same class, as "his" and "him" are with "her". A
    token that would stand for two groups is a token of none.
    """

    def __init__(self, classes: Mapping[str, Sequence[TokenClass]]) -> None:
        """`classes`: by axis."""
        self.axes: dict[str, _AxisTokens] = {}
        used: set[int] = set()
        for axis, listed in classes.items():
            distinct = _distinct(listed, used)
            if not distinct:
                continue
            cells = [tokens for each in distinct for tokens in each]
            self.axes[axis] = _AxisTokens(
                torch.tensor([token for tokens in cells for token in tokens]),
                torch.tensor([cell for cell, tokens in enumerate(cells) for _ in tokens]),
                torch.tensor([[bool(tokens) for tokens in each] for each in distinct]),
            )
            used |= {token for tokens in cells for token in tokens}
        self.ids = torch.tensor(sorted(used)).long()

    @classmethod
    def of_model(cls, model: LanguageModel, lists: WordLists) -> "GroupTokens":
        """Those of the lists, as a model's tokenizer writes them."""
        return cls({axis: _classes(model, spellings(lists, axis)) for axis in lists.axes})

    @property
    def counts(self) -> dict[str, int]:
        """Tokens by axis."""
        return {axis: len(tokens.ids) for axis, tokens in self.axes.items()}

    def shares(
        self, weight: Float[Tensor, "place 1"], strength: float, moves: Mapping[str, int]
    ) -> Float[Tensor, "place token"]:
        """How far each token goes: as the text does, but the sexes where it mentions none.

        Of an exchange that changes no text nothing can depend on the group.
        """
        shares = weight.repeat(1, len(self.ids))
        if GENDER in self.axes and GENDER not in moves:
            shares[:, torch.searchsorted(self.ids, self.axes[GENDER].ids)] = strength
        return shares

    def alike(
        self,
        probabilities: Float[Tensor, "text place vocabulary"],
        moves: Sequence[Mapping[str, int]],
    ) -> Float[Tensor, "text place token"]:
        """What the tokens `ids` are foretold with if groups are no evidence.

        Of each text the mean over those texts of the set in which the token's group has gone to one
        that has a token, too. Where the set mentions no sex, both sexes' mean.
        """
        wanted = probabilities[:, :, self.ids].mean(0).repeat(len(moves), 1, 1)
        for axis, tokens in self.axes.items():
            if axis not in moves[0] and axis != GENDER:
                continue
            said = probabilities[:, :, tokens.ids]
            masses, has = tokens.masses(said), tokens.has.to(said.dtype)
            if axis in moves[0]:
                steps = [move[axis] for move in moves]
                mean = torch.stack([_mean_of_moved(masses, has, steps, step) for step in steps])
            else:
                sums = masses.mean(0).sum(-1, keepdim=True)
                mean = (sums / has.sum(-1, keepdim=True)).expand_as(masses)
            # within a cell tokens stand as the model has them
            change = (mean / masses.clamp_min(_TINY)).flatten(2)[:, :, tokens.cells]
            wanted[:, :, torch.searchsorted(self.ids, tokens.ids)] = said * change
        # of classes that lack tokens of some groups the means may sum to more than there is
        return wanted / wanted.sum(-1, keepdim=True).clamp(min=1)


def _mean_of_moved(
    masses: Float[Tensor, "text place class group"],
    has: Float[Tensor, "class group"],
    steps: Sequence[int],
    own_step: int,
) -> Float[Tensor, "place class group"]:
    """What a text that went on by `own_step` groups is foretold by those of the `steps`."""
    moved = [each.roll(own_step - step, -1) for each, step in zip(masses, steps, strict=True)]
    counts = torch.stack([has.roll(own_step - step, -1) for step in steps]).sum(0)
    return torch.stack(moved).sum(0) / counts.clamp(min=1)


def _distinct(classes: Iterable[TokenClass], used: set[int]) -> list[list[list[int]]]:
    """Classes without tokens that are used or of several groups; those of one group are dropped."""
    distinct = []
    seen = set(used)
    for each in classes:
        sides = [set(side) for side in each]
        counts = [token for side in sides for token in side]
        shared = {token for token in counts if counts.count(token) > 1} | seen
        kept = [sorted(side - shared) for side in sides]
        if sum(map(bool, kept)) > 1:
            distinct.append(kept)
            seen |= {token for side in kept for token in side}
    return distinct


def _classes(
    model: LanguageModel, places: Sequence[tuple[frozenset[str], ...]]
) -> list[list[set[int]]]:
    """Tokens of each group of each class; see `GroupTokens`."""
    classes: list[list[set[int]]] = []
    for written in (str, _capitalized):
        for space in (" ", ""):
            alike: list[list[set[int]]] = []
            for place in places:
                sides = [
                    {token for word in words for token in _token(model, space + written(word))}
                    for words in place
                ]
                for other in [each for each in alike if any(map(set.intersection, each, sides))]:
                    alike.remove(other)
                    sides = [first | second for first, second in zip(sides, other, strict=True)]
                alike.append(sides)
            classes += alike
    return classes


def _capitalized(word: str) -> str:
    return word[:1].upper() + word[1:]


def _token(model: LanguageModel, word: str) -> list[int]:
    """The token that a word is; empty: it is several."""
    ids = encode(model.tokenizer, [Marked(word, 0, 0)], specials=False)[0].ids
    return [*ids] if len(ids) == 1 else []
