"""What ROME, R-ROME and MEMIT share: options, requests, covariance, and the record of the edit."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass
from torch import Tensor

from equipoise.data.documents import read_documents
from equipoise.edits.edit import info_of
from equipoise.edits.weights import WeightEdit
from equipoise.errors import ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.model_editing.covariance import Covariance, covariances
from equipoise.model_editing.edit_rows import EditRow, edit_row, editing
from equipoise.model_editing.edited_weights import EditedWeights, edited_weights
from equipoise.model_editing.requests import (
    EditRequest,
    contradictions,
    read_requests,
    requests_of_contrasts,
    requests_of_prompts,
)
from equipoise.model_editing.subject_states import states_at
from equipoise.model_editing.target_modules import select_target_modules
from equipoise.model_editing.trajectory import HELD_OUT_TEXTS, Trajectory
from equipoise.model_editing.values import Values, ValueSettings
from equipoise.models.quantization import refuse_quantized
from equipoise.plugins import ReadsFiles, name_of
from equipoise.progress.bars import progress
from equipoise.records import JSON, OPTIONS, Generation, NextToken, Supply
from equipoise.rows import text_sha256
from equipoise.training.weight_checks import check_weights

_SAMPLED_TOKENS = 64  # of each text that the model writes for its own covariance
_SAMPLED_TEXTS = 512


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class EditorOptions(ReadsFiles):
    """What an editor changes, towards what; the methods inherit it and set their own defaults."""

    version: ClassVar[str]

    #: "anti": the less likely word becomes likely, as LFTF asked for; "parity": both words equally
    #: likely and all else as it was; "pair": both texts of each contrast equally likely
    target: Literal["anti", "parity", "pair"] = "anti"
    #: of anti and parity, each with its leading space; hints of "male" stand for the first
    words: tuple[str, str] = (" he", " she")
    #: a file of requests in EasyEdit's format in place of the supply's: prompt, subject, target_new
    requests: str | None = None
    limit: Annotated[int, Field(ge=1)] | None = None  # requests at most, drawn by the seed
    #: "identity": no key is more usual than another, as EasyEdit for Llama and Qwen
    covariance: Literal["corpus", "identity"] = "corpus"
    #: "random": a control, of the same rank and size, on keys drawn from the covariance
    key: Literal["subject", "random"] = "subject"
    #: a file of plain texts for the covariance; null: the supply's texts, or else 512 texts that
    #: the model writes itself
    corpus: str | None = None
    #: of the corpus, its first ones; the last 50 of them are looked at and not in the covariance
    corpus_texts: Annotated[int, Field(ge=1)] = 2000
    #: weight of the keys of hinted prompts beside the corpus, which weighs 1; 0: none
    keep_hints: Annotated[float, Field(ge=0)] = 0.0
    steps: Annotated[int, Field(ge=2)] = 20  # of a value's optimization, at most
    value_rate: Annotated[float, Field(gt=0)] = 0.5  # learning rate of a value (Adam)
    kl: Annotated[float, Field(ge=0)] = 0.0625  # weight of what follows the subject, held
    rest: Annotated[float, Field(ge=0)] = 1.0  # weight of what else follows the prompt; two targets
    trajectory_every: Annotated[int, Field(ge=1)] = 50  # edits between looks at held-out prompts

    @model_validator(mode="after")
    def _check_words(self) -> Self:
        if self.words[0] == self.words[1]:
            raise ValueError(f"words must be two different ones, got {self.words}")
        return self

    @property
    def required(self) -> tuple[str, ...]:
        """What of the supply must not be empty."""
        learnt = "contrasts" if self.target == "pair" else "prompts"
        needed = () if self.requests is not None else (learnt,)
        return (*needed, *(["hinted"] if self.keep_hints else []))

    def files(self) -> Mapping[str, str]:
        """The hashes of the files of requests and of the corpus."""
        used = {}
        if self.requests is not None:
            used[self.requests] = read_requests(self.requests)[1].sha256
        if self.corpus is not None:
            used[self.corpus] = read_documents(self.corpus)[1].sha256
        return used

    def value_settings(
        self, requests: Sequence[EditRequest], *, clamp: float, weight_decay: float
    ) -> ValueSettings:
        """How the values of requests are optimized; two targets are finished within 10 %."""
        return ValueSettings(
            stop=0.05 if len(requests[0].targets) == 1 else 0.1**2,
            steps=self.steps,
            learning_rate=self.value_rate,
            weight_decay=weight_decay,
            kl=self.kl,
            clamp=clamp,
            rest=self.rest,
        )


class EditingSession:
    """One fit of an editor: the requests, the covariance of each block, and what was seen."""

    def __init__(
        self,
        method: EditorOptions,
        model: LanguageModel,
        supply: Supply,
        *,
        blocks: Sequence[int],
        seed: int,
    ) -> None:
        name = name_of(method)
        refuse_quantized(model, name)
        if model.kind != "causal":
            raise ModelError(f"{name} needs a causal model, {model.identity} is {model.kind}")
        self.method, self.model, self.supply, self.seed = method, model, supply, seed
        self.targets = select_target_modules(model, blocks)
        self.report: dict[str, JSON] = {
            "blocks": [*self.targets.blocks],
            "modules": [*self.targets.names],
        }
        self.learnt = set(supply.learnt_hashes())
        self.requests = self._requests()
        texts = self._corpus()
        self.covariance = self._covariances(texts[:-HELD_OUT_TEXTS] or texts)
        self.trajectory = Trajectory(model, supply, texts, method.words)
        self._values: list[Values] = []

    def _requests(self) -> list[EditRequest]:
        method, supply = self.method, self.supply
        missing = [name for name in method.required if not getattr(supply, name)]
        if missing:
            raise RecipeError(
                f"the supply must have {missing[0]}, got none from '{supply.origin}'; name a "
                "supply that has them, such as genbias for prompts and stereoset for contrasts"
            )
        if method.requests is not None:
            requests, use, unread = read_requests(method.requests)
            self.report |= {"requests_file": use.name, "unread_keys": [*unread]}
            texts = [r.prompt + end for r in requests for end in ("", *r.targets)]
            self.learnt |= set(map(text_sha256, texts))
        elif method.target == "pair":
            requests, left_out = requests_of_contrasts(supply.contrasts)
            self.report["left_out"] = left_out  # contrasts whose context lacks their target
            if not requests:
                raise RecipeError(
                    f"target pair needs contrasts whose context holds their target, got {left_out} "
                    f"without from '{supply.origin}'; name another supply"
                )
        else:
            requests = requests_of_prompts(supply.prompts, method.words)
            if method.target == "anti":
                requests = self._less_likely(requests)
        order = torch.randperm(
            len(requests), generator=torch.Generator().manual_seed(self.seed)
        ).tolist()
        chosen = [requests[index] for index in order[: method.limit]]
        wanted = {(r.subject.casefold(), r.targets) for r in chosen}
        opposed = sum(count > 1 for count in Counter(subject for subject, _ in wanted).values())
        self.report |= {
            "requests": len(chosen),
            "targets": dict(Counter(" | ".join(request.targets) for request in chosen)),
            "contradictions": contradictions(chosen),
            # whose requests have different targets: edits at the subject cannot give all of them
            "opposed_subjects": opposed,
        }
        return chosen

    def _less_likely(self, requests: Sequence[EditRequest]) -> list[EditRequest]:
        """Each with the word alone that the model before any edit finds less likely."""
        asked = [NextToken(context=r.prompt, words=self.method.words) for r in requests]
        return [
            replace(request, targets=(min(zip(answer.logprobs, request.targets, strict=True))[1],))
            for request, answer in zip(requests, self.model.next_token(asked), strict=True)
        ]

    def _corpus(self) -> list[str]:
        method = self.method
        if method.corpus is not None:
            documents, use = read_documents(method.corpus)
            texts, source = [*documents.values()][: method.corpus_texts], use.name
            self.learnt |= set(map(text_sha256, texts))
        elif self.supply.texts:
            texts, source = [*self.supply.texts][: method.corpus_texts], self.supply.origin
        else:
            texts, source = self._written(), "written by the model itself"
        learnt = len(texts[:-HELD_OUT_TEXTS] or texts)  # the others are looked at
        self.report |= {"corpus": source, "corpus_texts": learnt}
        return texts

    def _written(self) -> list[str]:
        if self.method.covariance == "identity":
            return []
        context = "" if self.model.start_token_id is not None else "The"
        count = min(self.method.corpus_texts, _SAMPLED_TEXTS)
        asked = [
            Generation(
                context=context,
                max_tokens=min(_SAMPLED_TOKENS, (self.model.context_length or 65) - 1),
                temperature=1.0,
                sample=sample,
            )
            for sample in range(count)
        ]
        return [text for text in self.model.generate(asked, seed=0) if text.strip()]

    def _covariances(self, texts: Sequence[str]) -> list[Tensor | None]:
        """Of each block in float64, regular, with the keys of hinted prompts; None: identity."""
        if self.method.covariance == "identity":
            return [None] * len(self.targets.blocks)
        by_block = covariances(self.model, self.targets.blocks, texts)
        hinted = self._hinted_keys() if self.method.keep_hints else []
        shares: dict[str, JSON] = {}
        regular: list[Tensor | None] = []
        for number, block in enumerate(self.targets.blocks):
            exact, share = by_block[block].regular()
            shares[str(block)] = share
            if hinted:
                keys = hinted[number].cpu().double()
                exact = exact + self.method.keep_hints * keys.T @ keys / len(keys)
            regular.append(exact)
        first: Covariance = by_block[self.targets.blocks[0]]
        self.report |= {"covariance_tokens": first.tokens, "covariance_shrinkage": shares}
        return regular

    def _hinted_keys(self) -> list[Tensor]:
        """What each module reads at the last token of each hinted prompt."""
        rows: list[EditRow] = []
        for prompt in self.supply.hinted:
            text = prompt.text.rstrip()
            # the last word, whose last token is the prompt's
            rows.append(edit_row(self.model, text, text.rfind(" ") + 1, len(text))[0])
        self.report["hinted_keys"] = len(rows)
        return states_at(self.model, [rows], inputs=self.targets.modules)

    @contextmanager
    def editing(self) -> Iterator[EditedWeights]:
        """The model may be edited inside the `with` block; afterwards it is as it was."""
        with editing(self.model), edited_weights(self.targets) as weights:
            yield weights

    def batches(self, size: int | None) -> Iterator[list[EditRequest]]:
        """The requests, so many at a time; the model is looked at in between."""
        total, every = len(self.requests), self.method.trajectory_every
        size = size or total
        self.trajectory.look(0)
        with progress("edits", total, unit="edit") as counter:
            for start in range(0, total, size):
                batch = self.requests[start : start + size]
                yield batch
                done = start + len(batch)
                counter.advance(len(batch))
                if done // every > start // every or done == total:
                    self.trajectory.look(done)

    def note(self, values: Values) -> None:
        """Keep what the values of a batch came to, for the report."""
        self._values.append(values)

    def edit(self, weights: EditedWeights) -> WeightEdit:
        """The edit that has the weights as they are now.

        Raises `ModelError` for weights that are not finite or did not change.
        """
        tensors = weights.tensors()
        originals = dict(zip(self.targets.names, weights.originals, strict=True))
        check_weights(tensors, originals, rates=f"value_rate ({self.method.value_rate:g})")
        losses = [loss for values in self._values for loss in values.losses]
        steps = [step for values in self._values for step in values.steps]
        info = info_of(
            self.model,
            self.method,
            seed=self.seed,
            names=tensors,
            supply=self.supply,
            trained_on=frozenset(self.learnt),
            report={
                **self.report,
                "value_loss": sum(losses) / len(losses),
                "value_steps": sum(steps) / len(steps),
                "shift_share": [*weights.shares()],
                **self.trajectory.report(),
            },
        )
        return WeightEdit(info=info, tensors=tensors)
