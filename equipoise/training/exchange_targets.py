"""What a frozen model would say if it did not take groups for evidence: targets to distil.

Of a text x and those of its set, in which groups have changed places, each by a move m with words
w to m(w), the target of the next token is the mean over the set

    q(w | x)  =  mean over m of  p(m(w) | m(x))

so that what is said of he in "he … his" is what is said of she in "she … her". It is the same for
every text of the set, and what the text itself settles is kept: a pronoun that follows from a name
moves with the name. Words of a group are compared where they are single tokens (`GroupTokens`);
words of no group have a geometric mean, or an arithmetic one. Where no sex is mentioned the move of
the sexes changes no text and yet the words: he and she, and their kin, come out alike. Groups of
other axes, which are not alike likely everywhere, do not.

Some differences between groups are no bias: Paris is in France. Where the texts of a set foretell
so different words that their divergence (Jensen and Shannon's, in nats, over words of no group) is
above `settled`, the text is taken to depend on the group, and the target turns back to what the
model said, by the factor exp(1 - divergence / settled).
"""

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from equipoise.exchange.texts import ExchangedText
from equipoise.inference.batches import Batches
from equipoise.inference.forward import at_full_speed
from equipoise.inference.language_model import LanguageModel
from equipoise.models.tokenization import Marked, encode
from equipoise.rows import TrainingRow
from equipoise.training.chunked_head import truncated_divergence
from equipoise.training.group_tokens import GroupTokens
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


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRule:
    """How targets are made of what the model says of a set."""

    groups: GroupTokens  # that move with the texts
    mean: Mean | None  # of words of no group; None: they stay as they are
    settled: float  # nats, above 0; inf: nothing depends on the group
    strength: float  # in [0, 1]: how far the target goes from what the model said
    top: int  # tokens of a target that are kept apart

    def targets(
        self,
        logprobs: Float[Tensor, "text place vocabulary"],
        moves: Sequence[Mapping[str, int]],
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Of each text of a set its tokens, shares and divergences; see `RowTarget`."""
        probabilities = logprobs.exp()
        logs = probabilities.mean(0).clamp_min(_TINY).log()
        weight = self.strength * self._unsettled(probabilities, logprobs, logs)
        means = {None: None, "arithmetic": logs, "geometric": logprobs.mean(0)}
        wanted = self.groups.alike(probabilities, moves)
        words = self._words(logprobs, means[self.mean], weight)
        for number, (likeliest, tokens) in enumerate(words):
            said = probabilities[number]
            share = self.groups.shares(weight, self.strength, moves[number])
            masses = torch.lerp(said[:, self.groups.ids], wanted[number], share)
            left = (1 - masses.sum(-1, keepdim=True)).clamp_min(_TINY).log()
            kept = torch.cat([likeliest + left, masses.clamp_min(_TINY).log()], dim=-1)
            tokens = torch.cat([tokens, self.groups.ids.expand(len(tokens), -1)], dim=-1)
            top = kept.topk(min(self.top, said.shape[-1] - 1), dim=-1)
            tokens = tokens.gather(1, top.indices)
            shares = _with_rest(top.values.exp())
            before = _with_rest(said.gather(1, tokens)).clamp_min(_TINY)
            yield tokens, shares, torch.special.xlogy(shares, shares / before).sum(-1)

    def _words(
        self, logprobs: Tensor, common: Tensor | None, weight: Float[Tensor, "place 1"]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Of each text the likeliest words of no group, with log-probabilities among such words."""
        # where a set is wholly alike its texts have the same
        differs = torch.ones(len(weight), dtype=torch.bool) if common is None else weight[:, 0] < 1
        alike = None if common is None else self._likeliest(common[~differs])
        for unchanged in logprobs:
            target = unchanged[differs]
            if common is None or alike is None:
                yield self._likeliest(target)
                continue
            values, tokens = self._likeliest(torch.lerp(target, common[differs], weight[differs]))
            all_values = values.new_empty(len(differs), values.shape[1])
            all_values[differs], all_values[~differs] = values, alike[0]
            all_tokens = tokens.new_empty(len(differs), values.shape[1])
            all_tokens[differs], all_tokens[~differs] = tokens, alike[1]
            yield all_values, all_tokens

    def _likeliest(self, target: Float[Tensor, "place vocabulary"]) -> tuple[Tensor, Tensor]:
        target = target.index_fill(1, self.groups.ids, -math.inf)
        count = min(self.top, target.shape[-1] - len(self.groups.ids))
        top = target.topk(count, dim=-1)
        return top.values - target.logsumexp(-1, keepdim=True), top.indices

    def _unsettled(
        self, probabilities: Tensor, logprobs: Tensor, mean: Tensor
    ) -> Float[Tensor, "place 1"]:
        """1 where a set foretells alike, less where its texts depend on the group."""
        ids = self.groups.ids
        of_groups = probabilities[:, :, ids] * (logprobs[:, :, ids] - mean[:, ids])
        gaps = torch.linalg.vecdot(probabilities, logprobs) - of_groups.sum(-1)
        gaps = gaps.mean(0) - torch.linalg.vecdot(probabilities.mean(0), mean)
        weight: Tensor = (1 - gaps.clamp_min(0) / self.settled).clamp(max=0).exp()
        return weight[:, None]


def _with_rest(shares: Float[Tensor, "place top"]) -> Float[Tensor, "place share"]:
    return torch.cat([shares, (1 - shares.sum(-1, keepdim=True)).clamp_min(0)], dim=-1)


@dataclass(slots=True)
class ExchangeTargets:
    """Rows to learn, each with its target; rows of a set stand one after another."""

    ids: list[list[int]] = field(default_factory=list)  # [row][token], start token and all
    targets: list[RowTarget] = field(default_factory=list)
    sets: list[int] = field(default_factory=list)  # [row]: number of its set among those given
    left_out: Counter[str] = field(default_factory=Counter)  # sets by reason

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
        if isinstance(places, str):
            learning.left_out[places] += 1
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
    moves: list[Mapping[str, int]]  # of each text


def _align(
    model: LanguageModel, texts: Sequence[ExchangedText], *, max_tokens: int
) -> _Aligned | str:
    """Or why the set is left out."""
    front = [] if model.start_token_id is None else [model.start_token_id]
    marked = [Marked(each.text, 0, 0) for each in texts]
    tokenized = encode(model.tokenizer, marked, specials=False)
    ids = [[*front, *tokens.ids] for tokens in tokenized]
    longest = max(map(len, ids))
    if longest > max_tokens:
        return "longer than max_tokens"
    if longest > (model.context_length or longest):
        return "longer than the model's context"
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
        return "no place in common"
    places = [list(column) for column in zip(*rows, strict=True)]
    return _Aligned(ids, places, [text.moves for text in texts])


def _targets_of(
    forward: RowForward, sets: Sequence[_Aligned], rule: TargetRule
) -> list[list[RowTarget]]:
    """Targets of the texts of each set."""
    ids = [row for each in sets for row in each.ids]
    places = [row for each in sets for row in each.places]
    states = forward.states_of(ids, places)
    targets = []
    for each in sets:
        joined = forward.logits(torch.cat([next(states) for _ in each.ids]))
        logprobs = joined.float().log_softmax(-1).cpu().view(len(each.ids), -1, joined.shape[-1])
        parts = rule.targets(logprobs, each.moves)
        # tensors of inference mode cannot be used where gradients are wanted: clones can
        targets.append(
            [
                RowTarget(row_places, *(values.clone() for values in part))
                for row_places, part in zip(each.places, parts, strict=True)
            ]
        )
    return targets
