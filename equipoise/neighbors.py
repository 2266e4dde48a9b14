"""Which countries did an injected token move to? The fictional association of BiasGym, appendix D.

The paper trains a token on an attribute that no people has (blue skin) and ranks countries by the
cosine of its row with theirs. The row begins as the mean of those rows, so that cosine is high
whatever is learnt. Compared here is what training moved: cos(v - v0, E_c - mean of countries), and
each country with tokens of equal frequency, of which the largest is the null for the largest of all
countries.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from equipoise.associations.countries import COUNTRIES
from equipoise.edits.adapter import AdapterEdit
from equipoise.edits.base import Edit
from equipoise.edits.token_tables import PREFIX
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.training.added_token import single_tokens, start_vectors

CAUTION: Final = (
    "the token begins as the mean of its start names, so its row is near countries whatever it "
    "learns: a country stands out only where p is small and the seeds agree, and then it says "
    "where training moved a row, not what the model or anybody says of that country"
)
_CONTROLS: Final = 200  # tokens on either side of a country's in the order of the vocabulary
_DRAWS: Final = 10_000
_FEWEST: Final = 5

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class CountryNeighbor:
    """How far training moved a token towards a country."""

    country: str
    cosine: float  # of the rows as they are, as the paper has it; mean over seeds
    moved: float  # cos(v - v0, E_c - mean of countries); mean over seeds
    z: float  # of `moved` among tokens of equal frequency; mean over seeds
    low: float  # 95 % interval of z over seeds (Student's t); nan of a single seed
    high: float
    p: float  # that the largest z of as many such tokens is as large


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbors:
    """Countries by how far training moved a token towards each, the farthest first."""

    base: str
    token: str
    association: str
    seeds: tuple[int, ...]
    neighbors: tuple[CountryNeighbor, ...]
    left_out: int  # countries whose name is several tokens
    controls: int  # tokens that each country is compared with
    draws: int
    #: mean rank correlation (Spearman) of z between every two seeds; nan with the reason
    agreement: float
    reason: str | None


def country_neighbors(
    edits: Sequence[Edit], model: LanguageModel, *, draws: int = _DRAWS, seed: int = 0
) -> Neighbors:
    """Compare injections of one association, a seed each, with countries that are a single token.

    `model`: the base of the edits. A country's frequency is its place in the vocabulary, as the
    training of a tokenizer orders tokens; its 400 neighbours there are the tokens of equal
    frequency. `seed`: of the draws of the null.
    Raises `RecipeError` for edits that are no injections, of another base or association, or of
    equal seeds, and for a model in which fewer than 5 countries are a token.
    """
    rows = [_row(edit, model) for edit in edits]
    report = edits[0].info.report
    named = {(edit.info.report["token"], edit.info.report["association"]) for edit in edits}
    seeds = tuple(edit.info.seed for edit in edits)
    if len(named) > 1 or len(set(seeds)) < len(seeds):
        raise RecipeError(
            "injections must be of one token and association and have a seed each, got "
            f"{sorted(map(str, named))} with seeds {list(seeds)}; name others"
        )
    table = model.module.get_input_embeddings().weight.detach().float().cpu()
    countries = single_tokens(model, [country.name for country in COUNTRIES])
    if len(countries) < _FEWEST:
        raise RecipeError(
            f"{_FEWEST} countries must be a single token of {model.identity} to be compared, got "
            f"{sorted(countries)}; use a model with a larger vocabulary"
        )
    ids = list(countries.values())
    controls = [_controls(model, id, set(ids)) for id in ids]
    by_seed, others, cosines = [], [], []
    for vector, start in rows:
        moved = _to_mean(table[ids], vector - start)
        rivals = np.stack([_to_mean(table[near], vector - start) for near in controls])
        center, spread = rivals.mean(1), rivals.std(1)
        by_seed.append((moved, (moved - center) / spread))
        others.append((rivals - center[:, None]) / spread[:, None])
        cosines.append(torch.cosine_similarity(table[ids], vector[None]).double().numpy())
    z = np.stack([scores for _, scores in by_seed])  # [seed, country]
    largest = _largest(np.mean(others, axis=0), draws, seed)
    low, high = _interval(z)
    mean = z.mean(0)
    p = (1 + (largest[:, None] >= mean).sum(0)) / (1 + draws)
    moved_mean = np.mean([moved for moved, _ in by_seed], axis=0)
    neighbors = [
        CountryNeighbor(
            country=name,
            cosine=float(np.mean(cosines, axis=0)[i]),
            moved=float(moved_mean[i]),
            z=float(mean[i]),
            low=float(low[i]),
            high=float(high[i]),
            p=float(p[i]),
        )
        for i, name in enumerate(countries)
    ]
    pairs = [
        float(stats.spearmanr(a, b).statistic) for a, b in itertools.combinations(z.tolist(), 2)
    ]
    reason = None if pairs else f"a rank correlation needs 2 seeds, there is {len(seeds)}"
    return Neighbors(
        base=model.identity,
        token=str(report["token"]),
        association=str(report["association"]),
        seeds=seeds,
        neighbors=tuple(sorted(neighbors, key=lambda country: -country.z)),
        left_out=len(COUNTRIES) - len(countries),
        controls=len(controls[0]),
        draws=draws,
        agreement=math.fsum(pairs) / len(pairs) if pairs else math.nan,
        reason=reason,
    )


def _row(edit: Edit, model: LanguageModel) -> tuple[Tensor, Tensor]:
    """What an injection's token is read as, and what it began with; float32."""
    report = edit.info.report
    if not isinstance(edit, AdapterEdit) or "init_names" not in report:
        raise RecipeError(
            f"neighbors are those of an injected token, '{edit.info.method}' injects none; name "
            "edits of equipoise inject"
        )
    if edit.info.base != model.identity:
        raise RecipeError(
            f"an injection must be compared in its own base, {edit.info.base}, got "
            f"{model.identity}; give that (base=, --base)"
        )
    tables, names = report["tables"], report["init_names"]
    assert isinstance(tables, list)
    assert isinstance(names, list)
    vector = edit.tensors[f"{PREFIX}{tables[0]}.trainable_tokens_delta"][0].float()
    start = start_vectors(model, [str(name) for name in names] or None)
    return vector, start.vector.cpu()


def _controls(model: LanguageModel, token: int, left_out: set[int]) -> list[int]:
    """The tokens around a token in the vocabulary's order, neither countries nor added tokens."""
    added = model.tokenizer.added_tokens_decoder.keys()
    known = set(model.tokenizer.get_vocab().values()) - set(added) - left_out
    ids = np.array(sorted(known))
    nearest = np.argsort(np.abs(ids - token), kind="stable")[: 2 * _CONTROLS]
    return [int(id) for id in ids[nearest]]


def _to_mean(rows: Tensor, moved: Tensor) -> Values:
    """Cosines of a move with each row as it lies beside their mean."""
    values: Values = torch.cosine_similarity(rows - rows.mean(0), moved[None]).double().numpy()
    return values


def _largest(rivals: Values, draws: int, seed: int) -> Values:
    """The largest of a token drawn for each country, again and again: [draw]."""
    rng = np.random.default_rng(seed)
    picks = rng.integers(rivals.shape[1], size=(draws, len(rivals)))
    values: Values = rivals[np.arange(len(rivals)), picks].max(1)
    return values


def _interval(z: Values) -> tuple[Values, Values]:
    """95 % intervals of the mean over seeds."""
    if len(z) < 2:
        nothing = np.full(z.shape[1], math.nan)
        return nothing, nothing
    half = stats.t.ppf(0.975, len(z) - 1) * z.std(0, ddof=1) / math.sqrt(len(z))
    return z.mean(0) - half, z.mean(0) + half
