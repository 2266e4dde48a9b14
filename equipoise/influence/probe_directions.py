"""What rows are compared with: a vector for each group of probes, the mean of their gradients.

A score is the mean cosine of a row's feature with each probe's gradient. That is linear in the
probes' unit vectors, so their mean is all that is needed of them: nine groups cost what a single
group does, and no matrix of rows times probes is ever made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from equipoise.errors import DataError, RecipeError
from equipoise.inference.batches import Batches
from equipoise.inference.language_model import LanguageModel
from equipoise.influence.adapter_gradients import CPU_TOKENS, AdapterGradients
from equipoise.influence.learnt_texts import LearntText, learnt_texts
from equipoise.influence.probe_parts import ALL, ProbeParts, probe_parts
from equipoise.influence.projection import Projection
from equipoise.rows import Probe, TrainingRow
from equipoise.training.row_tokens import tokenize_rows

ProbeForm: TypeAlias = Literal["contrastive", "stereotype"]
ProbeLoss: TypeAlias = Literal["all", "span"]

_MOST = 2**25  # gradients kept at a time, in numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeTexts:
    """Probes as tokens: each a stereotype and, if it is contrasted, an anti-stereotype."""

    texts: tuple[tuple[LearntText, ...], ...]  # [probe][side]
    group: tuple[int, ...]  # [probe]: index in `groups`
    groups: tuple[str, ...]  # names
    parts: ProbeParts
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> tuple[int, ...]:
        """Probes in each group."""
        return tuple(self.group.count(index) for index in range(len(self.groups)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeDirections:
    """The mean gradient of each group of probes, at a checkpoint."""

    means: Float[Tensor, "parameter group"]  # of unit vectors, for cosines; projected or not
    #: Norm of the gradients with respect to all A, over that of all B; 0: B has not moved at all.
    ratio: float


def prepare_probes(
    model: LanguageModel,
    probes: Sequence[Probe],
    *,
    form: ProbeForm,
    loss: ProbeLoss,
    max_tokens: int,
    parts: int = 0,
) -> ProbeTexts:
    """Tokenize probes and group them by their type of bias, and these into about so many parts.

    Raises `RecipeError` without probes, for a probe without an anti-stereotype where a pair is
    needed, or with two equal sentences, and `DataError` for one that is empty or too long.
    """
    if not probes:
        raise RecipeError(
            f"influence looks for what probes show, got {len(probes)} probes; name a file of them "
            "(--probes, or probes of the supply rows), or a supply that has probes"
        )
    needs_pair = form == "contrastive" or loss == "span"
    if needs_pair:
        _check_pairs(probes, form, loss)
    divided = probe_parts(probes, parts)
    sides = [[probe.stereotype for probe in probes]]
    if needs_pair:
        sides.append([probe.antistereotype or "" for probe in probes])
    columns = [_tokenize(model, probes, side, max_tokens) for side in sides]
    pairs = list(zip(*columns, strict=True))
    if loss == "span":
        pairs = [_on_span(first, second) for first, second in pairs]
    kept = 2 if form == "contrastive" else 1
    texts = tuple(tuple(pair[:kept]) for pair in pairs)
    return ProbeTexts(
        texts=texts,
        group=divided.part,
        groups=divided.names,
        parts=divided,
        notes=_notes(probes, texts, sorted(set(divided.axis))),
    )


def probe_directions(
    gradients: AdapterGradients,
    probes: ProbeTexts,
    *,
    cosine: bool,
    projection: Projection | None = None,
) -> ProbeDirections:
    """The mean gradient of each group, with the adapter as it is now.

    `cosine`: of each probe's gradient divided by its norm. Raises `RecipeError` for a probe whose
    gradient is 0.
    """
    sizes = gradients.sizes
    width = projection.dimension if projection is not None else sum(sizes.values())
    device = gradients.model.module.device
    totals = torch.zeros(len(probes.groups), width, device=device)
    squares = dict.fromkeys(
        ("lora_A", "lora_B"), torch.zeros((), dtype=torch.float64, device=device)
    )
    sides = len(probes.texts[0])
    most = max(1, _MOST // (sides * sum(sizes.values())))
    lengths = [sides * max(text.length for text in texts) for texts in probes.texts]
    batches = Batches(
        gradients.model,
        lengths,
        most_cpu_tokens=CPU_TOKENS,
        reads=[1] * len(lengths),
        most_reads=most,
        company=[0] * len(lengths),  # `_company` looks at both sides
    )
    for batch in batches:
        with batches.retry_smaller():
            texts = [side for index in batch for side in probes.texts[index]]
            blocks = []
            for number, (name, values) in enumerate(_company(gradients, texts)):
                pairs = values.view(len(batch), sides, -1)
                block = pairs[:, 0] - pairs[:, 1] if sides == 2 else pairs[:, 0]
                part = "lora_A" if ".lora_A." in name else "lora_B"
                squares[part] = squares[part] + block.double().square().sum()
                blocks.append(block if projection is None else projection.project(number, block))
            vectors = torch.cat(blocks, dim=1) if projection is None else sum_of(blocks)
            norms = vectors.norm(dim=1, keepdim=True)
            if not bool((norms > 0).all()):
                raise RecipeError(
                    f"a probe must have a gradient, {int((norms == 0).sum())} of {len(batch)} "
                    "have none; give probes whose two sentences differ for the model"
                )
            chosen = torch.tensor([probes.group[index] for index in batch], device=device)
            totals.index_add_(0, chosen, vectors / norms if cosine else vectors)
    counts = torch.tensor(probes.counts, dtype=totals.dtype, device=device)
    a, b = (float(total) for total in squares.values())
    ratio = (a / b) ** 0.5 if b else float("nan")
    return ProbeDirections(means=(totals / counts[:, None]).T.contiguous(), ratio=ratio)


def sum_of(parts: Sequence[Tensor]) -> Tensor:
    """The sum of tensors of equal shapes."""
    total = parts[0].clone()
    for part in parts[1:]:
        total += part
    return total


def _company(
    gradients: AdapterGradients, texts: Sequence[LearntText]
) -> list[tuple[str, Float[Tensor, "text parameter"]]]:
    """Gradients of texts, of which only those of like company go through the model together."""
    company = [gradients.layout.company(text.length) for text in texts]
    if len(set(company)) == 1:
        return list(gradients.compute(texts).matrices())
    alone = [list(gradients.compute([text]).matrices()) for text in texts]
    return [
        (parts[0][0], torch.cat([values for _, values in parts]))
        for parts in zip(*alone, strict=True)
    ]


def _check_pairs(probes: Sequence[Probe], form: ProbeForm, loss: ProbeLoss) -> None:
    setting = "probe: contrastive" if form == "contrastive" else f"loss_on: {loss}"
    for probe in probes:
        if probe.antistereotype is None:
            raise RecipeError(
                f"{setting} needs both sentences of every probe, '{probe.id}' has no "
                "anti-stereotype; give it, or set probe to stereotype and loss_on to all"
            )
        if probe.antistereotype == probe.stereotype:
            raise RecipeError(
                f"{setting} needs two sentences that differ, those of probe '{probe.id}' are "
                "equal; mend it or leave it out"
            )


def _tokenize(
    model: LanguageModel, probes: Sequence[Probe], texts: Sequence[str], max_tokens: int
) -> list[LearntText]:
    rows = [TrainingRow(id=probe.id, text=text) for probe, text in zip(probes, texts, strict=True)]
    tokens = tokenize_rows(model, rows, max_tokens=max_tokens)
    for name, reason in tokens.skipped.items():
        raise DataError(
            f"a probe must be a text that can be learnt, '{name}' {reason}; mend it, leave it out, "
            "or raise training.max_tokens"
        )
    return learnt_texts(tokens)


def _on_span(first: LearntText, second: LearntText) -> tuple[LearntText, LearntText]:
    """The loss of both on the tokens between what they begin and what they end with alike.

    Where that is nothing, as one has a word more, it is on the token that follows.
    """
    shortest = min(len(first.ids), len(second.ids))
    begin = 0
    while begin < shortest and first.ids[begin] == second.ids[begin]:
        begin += 1
    end = 0
    while end < shortest - begin and first.ids[-1 - end] == second.ids[-1 - end]:
        end += 1
    spans = []
    for text in (first, second):
        last = max(len(text.ids) - end, begin + 1)
        inside = tuple(place for place in text.positions if begin <= place < last)
        # at the end of a text there is no token that follows, at its beginning none is predicted
        spans.append(LearntText(text.ids, inside or (text.positions[-1 if begin else 0],)))
    return spans[0], spans[1]


def _notes(
    probes: Sequence[Probe], texts: Sequence[Sequence[LearntText]], names: Sequence[str]
) -> tuple[str, ...]:
    notes = []
    if len(probes) > 1 and len({tuple(sides) for sides in texts}) == 1:
        notes.append(f"all {len(probes)} probes are the same: they count as a single probe")
    groups = [probe.groups.get("axis") or ALL for probe in probes]
    few = [name for name in names if groups.count(name) == 1]
    if len(names) > 1 and few:
        notes.append(
            f"a single probe stands for each of {', '.join(few)}: such scores say more of a "
            "sentence than of a type of bias"
        )
    return tuple(notes)
