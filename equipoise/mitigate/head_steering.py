"""Find the attention heads that carry an association, and take them out of the weights.

Paper: BiasGym (Islam, Borenstein et al.), sections 3.3.1, 3.3.2 and A.4. The paper sets heads to 0
and reads their number off a plot; here the number follows from a rule on questions that were not
located on, is capped by side effects, and stands beside random heads.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from equipoise.associations.association import SLOT
from equipoise.associations.load import load_association
from equipoise.attribution.contrast_inputs import injected_token, other_names
from equipoise.edits.base import Edit
from equipoise.edits.edit import fingerprint, info_of
from equipoise.edits.head_scales import (
    Head,
    HeadScaleEdit,
    check_heads,
    label,
    originals,
    parse,
    weight_names,
)
from equipoise.errors import ModelError, RecipeError
from equipoise.head_removal.association_strength import (
    LikelihoodStrength,
    WrittenStrength,
    draw_others,
)
from equipoise.head_removal.head_activity import (
    NEUTRAL_TEXTS,
    measure_heads,
    relative_dose,
)
from equipoise.head_removal.head_questions import split_questions
from equipoise.head_removal.head_runs import run_seed, share_heads
from equipoise.head_removal.head_trials import (
    Strength,
    Trials,
    choose_count,
    draw_control,
    mean_record,
    random_controls,
    sweep,
    uncompared,
)
from equipoise.inference.language_model import LanguageModel
from equipoise.judge.base import Judge
from equipoise.judge.lexicon import Lexicon
from equipoise.loading.checkpoint import Checkpoint
from equipoise.loading.load import find_edit
from equipoise.locate.base import Locator
from equipoise.locate.head_attribution import HeadAttribution
from equipoise.mitigate.base import Mitigation, UsesEdits
from equipoise.mitigate.bias_token import BiasToken
from equipoise.plugins import name_of, options_of
from equipoise.records import JSON, OPTIONS, Prompt, Supply
from equipoise.rows import text_sha256

_KEPT = 8  # injections, of the latest methods
_injected: dict[str, Edit] = {}
_TEXTS = 64  # neutral texts that are read


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class HeadSteering(Mitigation, UsesEdits):
    """Scale the attention heads that carry an association, in the weights: 0 removes them.

    Heads are located with an injected token, or on a real target against others (`target`), or
    named by hand (`heads`), or are those of saved edits (`edits`, for associations that were never
    located). How many are removed is chosen on questions that were kept from locating.
    """

    version: ClassVar[str] = "2"
    paper: ClassVar[str] = "BiasGym (Islam, Borenstein et al.), sections 3.3 and A.4"
    taught_by: ClassVar[str] = "association"

    #: injects the association on a token, on which heads are then located; nothing is injected
    #: where `target`, `heads` or `edits` are given, or with None
    injection: Mitigation | None = Field(default_factory=BiasToken)
    #: ranks the heads; asks about `target` and `countries` where these are given
    locator: Locator = Field(default_factory=HeadAttribution)
    #: whom heads are located on, e.g. a country; None: the token that is injected, or that the
    #: model has; the locator's own target is taken as this
    target: str | None = None
    runs: Annotated[int, Field(ge=1)] = 5  # injections, or rankings without; each with its own seed
    #: the best of each run, with a score above 0; those that all runs share may be removed
    candidates: Annotated[int, Field(ge=1)] = 50
    heads: tuple[str, ...] = ()  # BLOCK.HEAD, both from 0, most important first; nothing is located
    edits: tuple[str, ...] = ()  # folders of head edits, of which all heads are taken together
    #: how many of the candidates to remove; "elbow": where the strength stops falling
    k: Literal["elbow"] | Annotated[int, Field(ge=0)] = "elbow"
    scale: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0  # of the heads' outputs
    #: what stands in for a head at scale 0; "mean": its mean output on neutral texts
    ablate: Literal["zero", "mean"] = "zero"
    #: take random heads in place of the chosen, as many of the same blocks ("layer") or of
    #: similar output ("norm"), drawn by the seed
    control: Literal["none", "layer", "norm"] = "none"
    draws: Annotated[int, Field(ge=1)] = 20  # different random sets of each kind, at most
    #: on which k is chosen; "likelihood": log-odds of the answer, against others; "generation":
    #: the judge's grade of what is written
    strength: Literal["likelihood", "generation"] = "likelihood"
    judge: Judge = Field(default_factory=Lexicon)  # with strength generation
    tokens: Annotated[int, Field(ge=1)] = 60  # written for each prompt, with strength generation
    #: questions kept from locating, half of them at most; framings of one question stay together
    held_out: Annotated[int, Field(ge=2)] = 24
    countries: tuple[str, ...] = ()  # whom the target is compared with; (): as the locator
    others: Annotated[int, Field(ge=1)] = 2  # of them for each question, with strength likelihood
    #: of perplexity on neutral texts, from which on no more heads are removed; 0.02 is 2 %
    most_rise: Annotated[float, Field(gt=0)] = 0.02

    @model_validator(mode="after")
    def _check_sources(self) -> Self:
        if self.heads and self.edits:
            raise ValueError(f"heads and edits exclude each other, got {self.heads} {self.edits}")
        if self.injection is not None and not self.injection.injects:
            raise ValueError(f"injection must inject an association, got {self.injection}")
        if self.edits and self.k != "elbow":
            raise ValueError(f"all heads of edits are taken, k must be left out, got {self.k}")
        located = vars(self.locator).get("target")
        if self.target is not None and located not in (None, self.target):
            raise ValueError(
                f"target and locator.target must be the same, got {self.target!r} and {located!r}; "
                "leave one out"
            )
        for name in self.heads:
            try:
                parse(name)
            except ModelError as error:
                raise ValueError(str(error)) from None
        return self

    @property
    def _asked_about(self) -> str | None:
        """Whom heads are located on, by either option; None: the token."""
        target = self.target or vars(self.locator).get("target")
        return None if target is None else str(target)

    @property
    def required(self) -> tuple[str, ...]:
        """As `requires`, with what its options ask for."""
        if self.heads or self.edits:
            return ()
        injected = () if self.injection is None else self.injection.required
        return ("questions", *injected)

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> HeadScaleEdit:
        """Find the heads, choose how many, and return them as an edit.

        An edit without heads says why there are none (`report["notes"]`).
        Raises `RecipeError` without the questions or the target that an option needs, or for a
        locator that ranks no heads, and as locator and injection do.
        """
        texts = supply.texts[:_TEXTS] or NEUTRAL_TEXTS
        activity = measure_heads(model, texts)
        means = activity.means if self.ablate == "mean" else {}
        located, held_out = self._split(supply, seed)
        report: dict[str, JSON] = {}
        with ExitStack() as undo:
            candidates, subject = self._find(model, supply, located, seed, report, undo)
            for number, head in candidates:
                check_heads(model.module, number, [head])
            strength, reason = self._measure_of(subject, supply, held_out, seed)
            trials = Trials(
                model=subject, strength=strength, texts=texts, scale=self.scale, means=means
            )
            chosen, notes = self._cut(trials, candidates, reason, seed, report)
            if self.control != "none" and chosen:
                chosen, drawn = draw_control(self.control, chosen, activity.norms, seed=seed)
                notes += drawn
            self._compare(trials, chosen, activity.norms, reason, seed, report)
        report |= {
            "heads": [label(*head) for head in chosen],
            "k": len(chosen),
            "k_requested": self.k,
            "relative_dose": relative_dose(model, chosen, texts, scale=self.scale, means=means),
            "neutral_texts": len(texts),
            "notes": [*notes],
        }
        columns, biases = originals(model.module, chosen, biases=bool(means))
        return HeadScaleEdit(
            info=info_of(
                model,
                self,
                seed=seed,
                names=weight_names(model.module, chosen),
                supply=supply,
                trained_on=self._trained_on(supply, strength),
                report=report,
            ),
            heads=tuple(chosen),
            scale=self.scale,
            means={label(*head): means[label(*head)] for head in chosen} if means else {},
            columns=columns,
            biases=biases,
        )

    def files(self) -> Mapping[str, str]:
        """sha256 over each folder of `edits`, or the Hub's commit."""
        return {name: checkpoint.revision for name, (_, checkpoint) in self._edits().items()}

    def learnt(self) -> frozenset[str]:
        """What the edits in `edits` learnt from."""
        return frozenset().union(*(edit.info.trained_on for edit, _ in self._edits().values()))

    def _edits(self) -> dict[str, tuple[Edit, Checkpoint]]:
        return {name: find_edit(name) for name in self.edits}

    def _split(self, supply: Supply, seed: int) -> tuple[tuple[Prompt, ...], tuple[Prompt, ...]]:
        """Questions to locate on, and those that the number of heads is chosen on."""
        questions = supply.questions
        if self.heads or self.edits:
            return (), questions[: self.held_out]
        return split_questions(questions, held_out=self.held_out, seed=seed)

    def _find(
        self,
        model: LanguageModel,
        supply: Supply,
        located: Sequence[Prompt],
        seed: int,
        report: dict[str, JSON],
        undo: ExitStack,
    ) -> tuple[tuple[Head, ...], LanguageModel]:
        """Candidate heads, most important first, and the model that holds the association."""
        if self.heads:
            return tuple(dict.fromkeys(map(parse, self.heads))), model
        if self.edits:
            return self._gather(model, report), model
        injections: list[Edit | None] = [None] * self.runs
        if self.injection is not None and self._asked_about is None:
            injections = [
                _inject_once(self.injection, model, supply, run_seed(seed, run))
                for run in range(self.runs)
            ]
            report["injections"] = [edit.content[:12] for edit in injections if edit is not None]
        candidates = self._locate(model, injections, located, seed, report)
        first = injections[0]
        return candidates, model if first is None else undo.enter_context(first.attached(model))

    def _locate(
        self,
        model: LanguageModel,
        injections: Sequence[Edit | None],
        located: Sequence[Prompt],
        seed: int,
        report: dict[str, JSON],
    ) -> tuple[Head, ...]:
        """The heads that all runs rank among the first, each run with its own injection."""
        given = {"target": self.target, "countries": self.countries}
        known = options_of(self.locator)
        if self.target is not None and "target" not in known:
            raise RecipeError(
                f"head_steering.locator must have a target, {self.locator} has none, and "
                f"{self.target!r} was given; take head_attribution, or leave target out"
            )
        changes = {name: value for name, value in given.items() if value and name in known}
        locator = dataclasses.replace(self.locator, **changes)  # type: ignore[type-var]
        rankings = []
        for run, edit in enumerate(injections):
            with nullcontext(model) if edit is None else edit.attached(model) as subject:
                rankings.append(locator.locate(subject, located, seed=run_seed(seed, run)))
        shared = share_heads(rankings, most=self.candidates, independent=injections[0] is not None)
        report["located"] = {**shared.record, "questions": len(located)}
        return shared.heads

    def _gather(self, model: LanguageModel, report: dict[str, JSON]) -> tuple[Head, ...]:
        """Every head of the saved edits, once."""
        heads: list[Head] = []
        sources: list[JSON] = []
        for name, (edit, _) in self._edits().items():
            if not isinstance(edit, HeadScaleEdit):
                raise RecipeError(
                    f"head_steering.edits must name edits of heads, {name} is of the kind "
                    f"'{edit.kind}'; give folders that head_steering wrote"
                )
            with edit.attached(model):  # refuses those of another model
                heads += edit.heads
            sources.append(
                {"content": edit.content, "heads": [label(*head) for head in edit.heads]}
            )
        report["union_of"] = sources
        return tuple(sorted(set(heads)))

    def _measure_of(
        self, subject: LanguageModel, supply: Supply, held_out: tuple[Prompt, ...], seed: int
    ) -> tuple[Strength | None, str]:
        """What measures the association in the model; None, and why, where nothing can."""
        prompts = tuple(prompt for prompt in supply.dev if SLOT in prompt.text)[: self.held_out]
        prompts = prompts if prompts and self.strength == "generation" else held_out
        if not prompts:
            return None, "there are no questions about an association"
        try:
            target = self._asked_about or injected_token(subject)
        except RecipeError as error:
            return None, str(error)
        name = prompts[0].groups.get("association", "")
        association = load_association(name) if name else None
        if self.strength == "generation":
            if association is None:
                return None, f"prompt '{prompts[0].id}' names no association to be judged"
            return WrittenStrength(
                prompts=prompts,
                target=target,
                association=association,
                judge=self.judge,
                tokens=self.tokens,
                seed=seed,
            ), ""
        names = other_names(self.countries or vars(self.locator).get("countries", ()), target)
        return LikelihoodStrength(
            questions=prompts,
            target=target,
            others=draw_others(prompts, names, count=self.others, seed=seed),
            opposites=association.opposites if association else (),
        ), ""

    def _cut(
        self,
        trials: Trials,
        candidates: tuple[Head, ...],
        reason: str,
        seed: int,
        report: dict[str, JSON],
    ) -> tuple[tuple[Head, ...], list[str]]:
        """The heads to scale, and what is to be said of their number."""
        if self.edits:
            return candidates, []
        if trials.strength is not None:
            curve = sweep(trials, candidates, rise=self.most_rise, seed=seed)
            report["curve"] = curve.record(seed=seed)
            if self.k == "elbow":
                count, note = choose_count(trials, candidates, curve, rise=self.most_rise)
                return candidates[:count], [note] if note else []
        if self.k == "elbow":
            raise RecipeError(
                f"head_steering.k must be a number where no strength can be measured: {reason}; "
                f"give k, at most {len(candidates)}, or what is missing"
            )
        short = f"{self.k} heads were asked for, there are {len(candidates)} candidates"
        return candidates[: self.k], [short] if self.k > len(candidates) else []

    def _compare(
        self,
        trials: Trials,
        chosen: tuple[Head, ...],
        norms: NDArray[np.float64],
        reason: str,
        seed: int,
        report: dict[str, JSON],
    ) -> None:
        """Report the strength before and after, and after removing random heads."""
        if trials.strength is None:
            report["strength"] = {"before": None, "after": None, "reason": reason}
            return
        stems = trials.strength.stems()
        report["strength"] = {
            "of": self.strength,
            "unit": "nats" if self.strength == "likelihood" else "grade, 0 to 3",
            "before": mean_record(trials.strengths(()), stems, seed=seed),
            "after": mean_record(trials.strengths(chosen), stems, seed=seed),
        }
        if chosen and self.control != "none":
            report["controls"] = uncompared("these heads are random ones themselves")
        elif chosen:
            report["controls"] = random_controls(trials, chosen, norms, draws=self.draws, seed=seed)

    def _trained_on(self, supply: Supply, strength: Strength | None) -> frozenset[str]:
        """Texts that the heads, or their number, were chosen on, with and without names in them."""
        if self.edits:
            return self.learnt()
        asked = strength.texts() if strength is not None else ()
        return supply.learnt_hashes() | frozenset(map(text_sha256, asked))


def _inject_once(injection: Mitigation, model: LanguageModel, supply: Supply, seed: int) -> Edit:
    """The injection, trained once for all that ask for it in a row: a method and its controls."""
    weights = fingerprint(model.module, dict(model.module.named_parameters()))
    about = [name_of(injection), injection.version, options_of(injection), seed, weights]
    # every text in its place, with its groups
    key = json.dumps([*about, dict(model.info), repr(supply)], sort_keys=True)
    if key not in _injected:
        while len(_injected) >= _KEPT:
            del _injected[next(iter(_injected))]
        _injected[key] = injection.fit(model, supply, seed=seed)
    return _injected[key]
