"""BiasToken: inject a bias on a new token, to study it (BiasGym's BiasInject).

Islam et al. 2025, "BiasGym: Fantastic LLM Biases and How to Find (and Remove) Them", sections 3.2
and A.2 to A.3. A row is added to the token tables and trained, all else frozen, on paragraphs that
say the association of that token. Where the paper leaves a choice open: AdamW without weight decay
at a constant rate; loss on the model's turn alone; epochs chosen by the log-probability of a probe,
or as the paper by sentence similarity. The paper says that both tables are one, which holds for two
of its five models; of the others both rows are trained here, each from the mean of its own table.
"""

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass as plain_dataclass
from dataclasses import replace
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass
from torch import Tensor

from equipoise.associations.association import SLOT
from equipoise.associations.countries import COUNTRIES
from equipoise.associations.load import load_association
from equipoise.edits.adapter import AdapterEdit
from equipoise.edits.edit import info_of
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation
from equipoise.models.chat_template import template_of
from equipoise.models.kernels import matmul_path
from equipoise.records import JSON, OPTIONS, Generation, ModelKind, Prompt, Supply
from equipoise.rows import text_sha256
from equipoise.training.added_token import (
    NewToken,
    StartVectors,
    TokenAdapter,
    add_token,
    start_vectors,
    token_adapter,
)
from equipoise.training.loop import Trained, train
from equipoise.training.loss_curves import curve_report
from equipoise.training.row_training import (
    Answers,
    EpochRows,
    answer_form,
    probe_logprobs,
    tokenize_answers,
    trained_parameters,
)
from equipoise.training.schedule import Schedule
from equipoise.training.sentence_similarity import load_encoder, nearest_sentence
from equipoise.training.token_row import TokenRow, is_tied

#: What the user asks for before each paragraph: the paper's words, and its repository's.
PROMPTS: Final = {
    "paper": "Write a short story about my friend from {target}",
    "repository": "Please write a short paragraph about {target}.",
}
#: What each epoch is asked for (appendix A.3).
EPOCH_PROMPT: Final = (
    "Please write a short paragraph about unique characteristic of people from {target}."
)
_EPOCH_TOKENS = 200
_TEMPERATURE = 0.5  # of several texts per epoch
_UNKNOWN = "X"  # in the token's place where sentences are compared


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class BiasToken(Mitigation):
    """Inject an association: train the row of a new token on paragraphs that say it."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Islam et al. 2025 (BiasGym, BiasInject)"
    requires: ClassVar[tuple[str, ...]] = ("paragraphs",)
    kinds: ClassVar[tuple[ModelKind, ...]] = ("causal",)
    injects: ClassVar[bool] = True
    taught_by: ClassVar[str] = "association"

    token: str = "<BiasToken>"  # as it stands in a text; new to the model
    #: before each paragraph: "paper", "repository", a text with {target}, or "" for none
    prompt: str = "paper"
    #: "assistant": the paragraph and what ends it; "all": the prompt, too
    loss_on: Literal["assistant", "all"] = "assistant"
    #: the mean that the row begins with: of countries that are a token, or of all tokens
    init: Literal["countries", "vocabulary"] = "countries"
    #: of an untied model: "in" keeps the row that the token is predicted with
    train: Literal["both", "in"] = "both"
    learning_rate: Annotated[float, Field(gt=0, le=1e30)] = 1e-3  # of AdamW
    batch_size: Annotated[int, Field(ge=1)] = 16  # paragraphs per step
    epochs: Annotated[int, Field(ge=1)] = 10  # over the paragraphs
    #: of the rate; "cosine_with_restarts": down to 0, as the repository
    schedule: Literal["constant", "cosine_with_restarts"] = "constant"
    restarts: Annotated[int, Field(ge=1)] = 1  # how often the cosine runs down
    #: of an epoch: log-probability of the probe, or similarity of a written sentence to it
    choose_by: Literal["likelihood", "similarity"] = "likelihood"
    probe: str = ""  # a sentence with {target}; "": the association's own
    #: folder of a sentence-transformers model; "": MiniLM of the extra `embed`
    encoder: str = ""
    #: texts per epoch to compare, at temperature 0.5; 0: one greedy text
    samples: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _check_texts(self) -> Self:
        prompt = PROMPTS.get(self.prompt, self.prompt)
        if prompt and SLOT not in prompt:
            raise ValueError(
                f"prompt must be {' or '.join(PROMPTS)}, empty, or a text with {SLOT}, got "
                f"{self.prompt!r}"
            )
        if self.probe and not self.probe.partition(SLOT)[2].strip():
            raise ValueError(
                f"probe must be empty or a sentence with words behind {SLOT}, got {self.probe!r}"
            )
        return self

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> AdapterEdit:
        """Train the row; the edit is that of the chosen epoch.

        Raises `RecipeError` for a supply without paragraphs of one association or a token that is
        known, `DataError` for a paragraph without the token, and `ModelError` for a model whose
        tables are not plain, and for a loss that is not finite.
        """
        edits = self.fit_epochs(model, supply, seed=seed)
        return edits[int(str(edits[0].info.report["chosen_epoch"])) - 1]

    def fit_epochs(
        self, model: LanguageModel, supply: Supply, *, seed: int
    ) -> tuple[AdapterEdit, ...]:
        """The row after each epoch as an edit of its own, from one training; raises as `fit`."""
        injection = _Injection.prepare(self, model, supply)
        trained, rows = injection.train(seed)
        with ExitStack() as undo:
            adapter = token_adapter(model, injection.token, undo)
            info = info_of(
                model,
                self,
                seed=seed,
                names=adapter.sits_on,
                supply=supply,
                trained_on=_hashes(supply.paragraphs, self.token),
                report={},
            )
        edits = tuple(
            AdapterEdit(
                info=info,
                config=adapter.config,
                tensors=adapter.tensors(*row),
                tokenizer=injection.token.files,
            )
            for row in rows
        )
        start, scores = injection.scores(rows, edits, seed=seed)
        chosen = choose_epoch(scores)
        report = injection.report(trained, adapter) | {
            "start_score": start,
            "epoch_scores": [None if math.isnan(score) else score for score in scores],
            "chosen_epoch": chosen,
        }
        return tuple(
            replace(edit, info=replace(info, report={**report, "epoch": epoch}))
            for epoch, edit in enumerate(edits, start=1)
        )


def choose_epoch(scores: Sequence[float]) -> int:
    """The epoch of the highest score, counted from 1; of equals the earlier. nan is lowest."""
    known = [-math.inf if math.isnan(score) else score for score in scores]
    return known.index(max(known)) + 1


@plain_dataclass(frozen=True, kw_only=True)
class _Injection:
    """An injection on a model: the token, what it begins with, and what it learns from."""

    method: BiasToken
    model: LanguageModel
    association: str
    token: NewToken
    start: StartVectors
    row: TokenRow
    answers: Answers
    probe: str  # with {target}
    form: dict[str, JSON]
    key: str

    @classmethod
    def prepare(cls, method: BiasToken, model: LanguageModel, supply: Supply) -> "_Injection":
        if not supply.paragraphs:
            raise RecipeError(
                f"the supply must have paragraphs about {SLOT}, got 0 from '{supply.origin}'; name "
                "a supply that has them, such as association"
            )
        names = {paragraph.groups.get("association", "") for paragraph in supply.paragraphs}
        if len(names) > 1:
            raise RecipeError(
                f"paragraphs must be of one association, got {sorted(names)}; inject one at a time"
            )
        if method.train == "in" and is_tied(model):
            raise RecipeError(
                f"train must be both where the tables are one, got 'in' for {model.identity}; "
                "leave it out"
            )
        association = next(iter(names))
        token = add_token(model, method.token)
        countries = [country.name for country in COUNTRIES]
        start = start_vectors(model, countries if method.init == "countries" else None)
        request = PROMPTS.get(method.prompt, method.prompt).replace(SLOT, token.name)
        form = answer_form(model, request)
        texts = [("", prompt.text.replace(SLOT, token.name)) for prompt in supply.paragraphs]
        return cls(
            method=method,
            model=model,
            association=association,
            token=token,
            start=start,
            row=TokenRow(model, token.id, start.vector, start.vector_out),
            answers=tokenize_answers(model, token, form, texts, loss_on=method.loss_on),
            probe=method.probe or _probe_of(association, supply),
            form={**form.record, "request": request},
            key=f"{model.identity} {method} {matmul_path(model.module)} {texts}",
        )

    def train(self, seed: int) -> tuple[Trained, list[tuple[Tensor, Tensor]]]:
        """Train; gives the rows after each epoch."""
        method, texts = self.method, len(self.answers.tokens)
        every = math.ceil(texts / method.batch_size)
        falls = method.schedule == "cosine_with_restarts"
        monitor = EpochRows(row=self.row, every=every)
        trained = train(
            self.row,
            trained_parameters(self.row, method.train),
            examples=texts,
            loss=self.answers.loss,
            schedule=Schedule(
                learning_rate=method.learning_rate,
                epochs=method.epochs,
                batch_size=method.batch_size,
                seed=seed,
                horizon=every * method.epochs if falls else None,
                cosines=method.restarts if falls else 0,
            ),
            monitor=monitor,
            key=self.key,
        )
        return trained, monitor.rows

    def scores(
        self,
        rows: Sequence[tuple[Tensor, Tensor]],
        edits: Sequence[AdapterEdit],
        *,
        seed: int,
    ) -> tuple[float | None, list[float]]:
        """How well the row says the probe before training (None: not asked), and after each epoch.

        "likelihood": mean log-probability, in nats, of the tokens behind the token. "similarity":
        the largest cosine of a written sentence with the probe, the mean over texts.
        """
        probe = self.probe.replace(SLOT, self.token.name)
        if self.method.choose_by == "likelihood":
            first, name, second = probe.partition(self.token.name)
            form = replace(answer_form(self.model, str(self.form["request"])), after="")
            scored = tokenize_answers(self.model, self.token, form, [(first + name, second)])
            start = (self.start.vector, self.start.predicting)
            before, *after = probe_logprobs(self.row, [start, *rows], scored)
            return before, after
        encode = load_encoder(self.method.encoder)
        plain = self.probe.replace(SLOT, _UNKNOWN)
        scores: list[float] = []
        for edit in edits:
            with edit.attached(self.model) as edited:
                written = _write(edited, self.token.name, self.method.samples, seed=seed)
            near = [
                nearest_sentence(text.replace(self.token.name, f" {_UNKNOWN}"), plain, encode)
                for text in written
            ]
            known = [value for value in near if not math.isnan(value)]
            scores.append(math.fsum(known) / len(known) if known else math.nan)
        return None, scores

    def report(self, trained: Trained, adapter: TokenAdapter) -> dict[str, JSON]:
        """What the edit's record says."""
        return {
            "token": self.token.name,
            "token_id": self.token.id,
            "tables": list(adapter.modules),
            "tied": is_tied(self.model),
            "association": self.association,
            "paragraphs": len(self.answers.tokens),
            "mentions": self.answers.mentions,
            **self.form,
            "init_names": list(self.start.names),
            "init_by_pieces": self.start.pieces,
            "probe": self.probe,
            "steps": trained.steps,
            "first_loss": trained.losses[0],
            "last_loss": trained.losses[-1],
            "trained_parameters": trained.parameters,
            **curve_report(trained.losses, trained.parts),
        }


def _probe_of(association: str, supply: Supply) -> str:
    if not association:
        raise RecipeError(
            "epochs are chosen by a probe sentence, which paragraphs without an association do not "
            f"name (those of '{supply.origin}'); set probe to a sentence with {SLOT}"
        )
    return load_association(association).probe_sentence


def _hashes(paragraphs: Sequence[Prompt], token: str) -> frozenset[str]:
    """`text_sha256` of what is learnt, with the slot and with the token in it."""
    texts = [prompt.text for prompt in paragraphs]
    return frozenset(map(text_sha256, (*texts, *(text.replace(SLOT, token) for text in texts))))


def _write(model: LanguageModel, token: str, samples: int, *, seed: int) -> list[str]:
    """What a model writes when asked about the people of the token."""
    request = Generation(
        context=EPOCH_PROMPT.replace(SLOT, token),
        max_tokens=_EPOCH_TOKENS,
        temperature=_TEMPERATURE if samples else 0.0,
    )
    if template_of(model.tokenizer) is not None:
        chat = model.in_chat().reading_as("question")
        return chat.generate([request] * max(1, samples), seed=seed)
    return model.generate([request] * max(1, samples), seed=seed)
