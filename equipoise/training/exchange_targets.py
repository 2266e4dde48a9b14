"""What a frozen model would say if it did not take groups for evidence: targets to distil.

Of a text x and those of its set, in which groups have changed places, each by a move m with words
w to m(w), the target of the next token is the mean over the set

    q(w | x)  =  mean over m of  p(m(w) | m(x))

so that what is said of he in "he … his" is what is said of she in "she … her". It is the same for
every text of the set, and what the text itself settles is kept: a pronoun that follows from a name
moves with the name. Words of no group have a geometric mean, or an arithmetic one. Where no sex is
mentioned the move of the sexes changes no text and yet the words: he and she, and their kin, come
out alike.

Some differences between groups are no bias: Paris is in France. Where the texts of a set foretell
so different words that their divergence (Jensen and Shannon's, in nats, over words of no group) is
above `settled`, the text is taken to depend on the group, and the target turns back to what the
model said, by the factor exp(1 - divergence / settled).
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from equipoise.exchange.texts import ExchangedText, spellings
from equipoise.exchange.words import GENDER
from equipoise.group_words.word_lists import WordLists
from equipoise.inference.batches import Batches
from equipoise.inference.forward import at_full_speed
from equipoise.inference.language_model import LanguageModel
from equipoise.models.tokenization import Marked, encode
from equipoise.rows import TrainingRow
from equipoise.training.chunked_head import truncated_divergence
from equipoise.training.learnable_rows import LearnableRows
from equipoise.training.row_forward import RowForward
from equipoise.training.row_tokens import TokenizedRows

Mean: TypeAlias = Literal["geometric", "arithmetic"]

_TINY = 1e-30  # a probability, so that nothing has the logarithm of 0


@dataclass(frozen=True, slots=True)
class RowTarget:
    """Targets of the next tokens of a text, at places that all texts of its set have."""

    places: list[int]  # of the tokens that are foretold, each above 0; the last may be past the end
    tokens: Int[Tensor, "place top"]
    shares: Float[Tensor, "place share"]  # of each token, and last of all others together
    before: Float[Tensor, " place"]  # nats: KL(target || what the model said)


class SexTokens:
    """Tokens that name a sex, in classes whose two sides stand for each other.

    Of words that are a single token; those that share a token are in the same class, as "his" and
    "him" are with "her". A class of which a token is on both sides is left out.
    """

    def __init__(self, classes: Sequence[Sequence[Iterable[int]]], *, vocabulary: int) -> None:
        """`classes`: of each the tokens of both sides; `vocabulary`: how many tokens there are."""
        self.classes = len(classes)
        self.ids: list[Tensor] = []
        self.of: list[Tensor] = []
        for side in (0, 1):
            tokens = [sorted(both[side]) for both in classes]
            self.ids.append(torch.tensor([token for each in tokens for token in each]).long())
            counts = torch.tensor([len(each) for each in tokens]).long()
            self.of.append(torch.repeat_interleave(torch.arange(len(classes)), counts))
        self.others = torch.ones(vocabulary).bool()
        self.others[torch.cat(self.ids)] = False

    @classmethod
    def of_model(cls, model: LanguageModel, lists: WordLists) -> "SexTokens":
        """Those of the lists, as a model's tokenizer writes them."""
        vocabulary = int(model.module.config.get_text_config().vocab_size)
        return cls(_classes(model, spellings(lists, GENDER)), vocabulary=vocabulary)

    def masses(
        self, probabilities: Float[Tensor, "place vocabulary"], side: int
    ) -> Float[Tensor, "place class"]:
        """Probability of each class's tokens of a side."""
        total = probabilities.new_zeros(len(probabilities), self.classes)
        return total.index_add_(1, self.of[side], probabilities[:, self.ids[side]])


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRule:
    """How targets are made of what the model says of a set."""

    sexes: SexTokens | None  # None: no word of a sex is exchanged
    mean: Mean
    settled: float  # nats; inf: nothing is taken to depend on the group
    strength: float  # in (0, 1]: how far the target goes from what the model said
    top: int  # tokens of a target that are kept apart

    def targets(
        self, logprobs: Float[Tensor, "text place vocabulary"], moved: Sequence[bool | None]
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Of each text of a set its tokens, shares and divergences; see `RowTarget`."""
        probabilities = logprobs.exp()
        arithmetic = probabilities.mean(0)
        common = logprobs.mean(0) if self.mean == "geometric" else arithmetic.clamp_min(_TINY).log()
        gaps = probabilities * (logprobs - arithmetic.clamp_min(_TINY).log())
        others = slice(None) if self.sexes is None else self.sexes.others
        divergence = gaps[:, :, others].sum(-1).mean(0).clamp_min(0)
        weight = self.strength * (1 - divergence / self.settled).clamp(max=0).exp()[:, None]
        wanted = self._sex_masses(probabilities, moved)
        for number, unchanged in enumerate(logprobs):
            target = weight * common + (1 - weight) * unchanged
            if self.sexes is None or wanted is None:
                target = target.log_softmax(-1)
            else:
                # of an exchange that changes no text nothing can depend on the group
                share = self.strength if moved[number] is None else weight
                target = self._with_sexes(
                    target, unchanged, probabilities[number], wanted[number], share
                )
            shares = target.exp()
            top = shares.topk(min(self.top, shares.shape[-1] - 1), dim=-1)
            rest = (1 - top.values.sum(-1, keepdim=True)).clamp_min(0)
            nats = (shares * (target - unchanged)).sum(-1)
            yield top.indices, torch.cat([top.values, rest], dim=-1), nats

    def _sex_masses(
        self, probabilities: Tensor, moved: Sequence[bool | None]
    ) -> list[tuple[Tensor, Tensor]] | None:
        """Of each text the mean masses of both sides of the classes."""
        if self.sexes is None:
            return None
        sides = [
            torch.stack([self.sexes.masses(each, side) for each in probabilities])
            for side in (0, 1)
        ]
        if moved[0] is None:
            alike = (sides[0] + sides[1]).mean(0) / 2
            return [(alike, alike)] * len(moved)
        turned = torch.tensor(moved, device=probabilities.device)[:, None, None]
        first = torch.where(turned, sides[1], sides[0]).mean(0)
        second = torch.where(turned, sides[0], sides[1]).mean(0)
        return [(second, first) if each else (first, second) for each in moved]

    def _with_sexes(
        self,
        target: Tensor,
        unchanged: Tensor,
        probabilities: Tensor,
        wanted: tuple[Tensor, Tensor],
        share: Tensor | float,
    ) -> Tensor:
        """The target with these masses; within a class and side tokens stand as the model has them.

        What is left is for all other tokens.
        """
        assert self.sexes is not None
        target = target.clone()
        total = target.new_zeros(len(target))
        for side in (0, 1):
            before = self.sexes.masses(probabilities, side)
            mass = share * wanted[side] + (1 - share) * before
            ids, of = self.sexes.ids[side], self.sexes.of[side]
            change = mass.clamp_min(_TINY).log() - before.clamp_min(_TINY).log()
            target[:, ids] = unchanged[:, ids] + change[:, of]
            total = total + mass.sum(-1)
        left = (1 - total).clamp_min(_TINY).log()[:, None]
        rest = target[:, self.sexes.others]
        target[:, self.sexes.others] = rest.log_softmax(-1) + left
        return target


@dataclass(slots=True)
class ExchangeTargets:
    """Rows to learn, each with its target; rows of a set stand one after another."""

    ids: list[list[int]] = field(default_factory=list)  # [row][token], start token and all
    targets: list[RowTarget] = field(default_factory=list)
    sets: list[int] = field(default_factory=list)  # [row]: number of its set among those given
    left_out: int = 0  # sets with a text that is too long, or without a place in common

    @property
    def divergence(self) -> float:
        """Mean over rows of the mean over places of `RowTarget.before`, in nats; nan: no row."""
        means = [float(target.before.mean()) for target in self.targets]
        return math.fsum(means) / len(means) if means else math.nan

    def split(self, share: float, *, seed: int) -> tuple["ExchangeTargets", "ExchangeTargets"]:
        """Those to learn, and a share of the sets apart, drawn by the seed."""
        numbers = sorted(set(self.sets))
        order = np.random.default_rng((seed, 7)).permutation(numbers)
        apart = set(order[: math.floor(share * len(numbers))].tolist())
        return self._of(set(numbers) - apart), self._of(apart)

    def _of(self, numbers: set[int]) -> "ExchangeTargets":
        rows = [row for row, number in enumerate(self.sets) if number in numbers]
        return ExchangeTargets(
            ids=[self.ids[row] for row in rows],
            targets=[self.targets[row] for row in rows],
            sets=[self.sets[row] for row in rows],
        )

    def rows(self) -> LearnableRows:
        """As a training counts them."""
        digest = hashlib.sha256(repr(self.ids).encode())
        for target in self.targets:
            digest.update(target.shares.numpy().tobytes())

        def tokenize(rows: Sequence[TrainingRow]) -> TokenizedRows:
            raise TypeError(f"targets are learnt, not the texts of {len(rows)} rows")

        return LearnableRows(
            tokenize=tokenize,
            rows=(),
            index=np.arange(len(self.ids)),
            counts=np.asarray([len(target.places) for target in self.targets]),
            skipped={},
            sha256=digest.hexdigest(),
        )


def exchange_targets(
    model: LanguageModel,
    sets: Sequence[Sequence[ExchangedText]],
    rule: TargetRule,
    *,
    max_tokens: int,
) -> ExchangeTargets:
    """Targets of all texts of the sets, from one forward pass over each.

    A text alone is a set, too. Tensors are on the CPU. Raises `ModelError` where memory is short.
    """
    forward = RowForward(model)
    learning = ExchangeTargets()
    aligned: list[tuple[int, _Aligned]] = []
    for number, texts in enumerate(sets):
        places = _align(model, texts, max_tokens=max_tokens)
        if places is None:
            learning.left_out += 1
        else:
            aligned.append((number, places))
    targets: dict[int, list[RowTarget]] = {}
    batches = Batches(
        model,
        [sum(map(len, each.ids)) for _, each in aligned],
        company=[0] * len(aligned),  # which texts may run together, `states_of` sees to
        task="targets",
    )
    with at_full_speed(model.module):
        for batch in batches:
            with batches.retry_smaller():
                parts = _targets_of(forward, [aligned[index][1] for index in batch], rule)
                targets |= dict(zip(batch, parts, strict=True))
    for index, (number, each) in enumerate(aligned):
        learning.ids += each.ids
        learning.targets += targets[index]
        learning.sets += [number] * len(each.ids)
    return learning


def divergences(
    forward: RowForward, learning: ExchangeTargets, numbers: Sequence[int]
) -> Float[Tensor, " row"]:
    """Of rows the mean over places of KL(target || model), in nats."""
    device = forward.model.module.device
    targets = [learning.targets[number] for number in numbers]

    def read(states: Tensor, chosen: Sequence[int]) -> Tensor:
        tokens = torch.cat([targets[number].tokens for number in chosen]).to(device)
        shares = torch.cat([targets[number].shares for number in chosen]).to(device)
        return truncated_divergence(states, forward.head, tokens, shares)

    ids, places = [learning.ids[number] for number in numbers], [each.places for each in targets]
    return torch.stack([values.mean() for values in forward.read(ids, places, read)])


def mean_divergence(forward: RowForward, learning: ExchangeTargets) -> float:
    """Mean over rows of `divergences`, without gradients, in batches."""
    means: list[float] = []
    batches = Batches(forward.model, list(map(len, learning.ids)), task="held-out targets")
    with at_full_speed(forward.model.module):
        for batch in batches:
            with batches.retry_smaller():
                means += divergences(forward, learning, batch).tolist()
    return math.fsum(means) / len(means)


@dataclass(frozen=True, slots=True)
class _Aligned:
    """Texts of a set as tokens, and the places of each that all have in common."""

    ids: list[list[int]]  # [text][token]
    places: list[list[int]]  # [text][place]
    moved: list[bool | None]  # whether the sexes have changed places; None: none is mentioned


def _align(
    model: LanguageModel, texts: Sequence[ExchangedText], *, max_tokens: int
) -> _Aligned | None:
    limit = min(max_tokens, model.context_length or max_tokens)
    front = [] if model.start_token_id is None else [model.start_token_id]
    marked = [Marked(each.text, 0, 0) for each in texts]
    tokenized = encode(model.tokenizer, marked, specials=False)
    ids = [[*front, *tokens.ids] for tokens in tokenized]
    if max(map(len, ids)) > limit:
        return None
    # by the character at which a token ends, the place of the next; the first sees no text
    ends = [{0: 1} if front else {} for _ in texts]
    for known, tokens in zip(ends, tokenized, strict=True):
        for number, (_, end) in enumerate(tokens.spans, start=len(front) + 1):
            known[end] = number
    rows: list[list[int]] = []
    for end, place in ends[0].items():
        others = [text.place_of(end) for text in texts[1:]]
        row = [place]
        for known, other in zip(ends[1:], others, strict=True):
            if other in known:
                row.append(known[other])
        if len(row) == len(texts):
            rows.append(row)
    if not rows:
        return None
    places = [list(column) for column in zip(*rows, strict=True)]
    moves = [text.moves.get(GENDER) for text in texts]
    return _Aligned(ids, places, [None if move is None else move > 0 for move in moves])


def _targets_of(
    forward: RowForward, sets: Sequence[_Aligned], rule: TargetRule
) -> list[list[RowTarget]]:
    """Targets of the texts of each set."""
    ids = [row for each in sets for row in each.ids]
    places = [row for each in sets for row in each.places]
    states = forward.states_of(ids, places)
    targets = []
    for each in sets:
        logits = torch.stack([forward.logits(next(states)) for _ in each.ids])
        parts = rule.targets(logits.float().log_softmax(-1).cpu(), each.moved)
        # tensors of inference mode cannot be used where gradients are wanted: clones can
        targets.append(
            [
                RowTarget(row_places, *(values.clone() for values in part))
                for row_places, part in zip(each.places, parts, strict=True)
            ]
        )
    return targets


def _classes(
    model: LanguageModel, places: Sequence[tuple[frozenset[str], ...]]
) -> list[tuple[set[int], set[int]]]:
    """Tokens of both sides of each class; see `SexTokens`."""
    classes: list[tuple[set[int], set[int]]] = []
    for written in (str, str.capitalize):
        for space in (" ", ""):
            alike: list[tuple[set[int], set[int]]] = []
            for place in places:
                first, second = (
                    {token for word in words for token in _token(model, space + written(word))}
                    for words in place
                )
                if not first or not second:
                    continue
                for other in [each for each in alike if first & each[0] or second & each[1]]:
                    alike.remove(other)
                    first, second = first | other[0], second | other[1]
                alike.append((first, second))
            classes += alike
    used: set[int] = set()
    distinct = []
    for first, second in classes:
        if first & second or used & (first | second):
            continue
        used |= first | second
        distinct.append((first, second))
    return distinct


def _token(model: LanguageModel, word: str) -> list[int]:
    """The token that a word is; empty: it is several."""
    ids = encode(model.tokenizer, [Marked(word, 0, 0)], specials=False)[0].ids
    return [*ids] if len(ids) == 1 else []
