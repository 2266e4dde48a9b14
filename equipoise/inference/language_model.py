"""LanguageModel: a module, its tokenizer and its identity; a `Scorer` that can also be edited."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from equipoise.errors import ModelError
from equipoise.inference import deciding, embedding, generation, scoring
from equipoise.inference.cached_rows import cache_is_exact
from equipoise.inference.chat import ChatModel, Speaker, chat_form
from equipoise.inference.forward import layout_of
from equipoise.inference.request_kinds import takes
from equipoise.inference.unigram import mean_prediction
from equipoise.models.chat_template import template_sha256
from equipoise.models.decoding_rule import DecodingRule
from equipoise.models.kernels import matmul_path
from equipoise.models.quantization import count_parameters, number_format, read_quantization
from equipoise.models.start_token import StartToken, start_token
from equipoise.models.tokenization import added_tokens_in, adds_start, tokenizer_sha256
from equipoise.records import (
    JSON,
    Continuation,
    Decided,
    Decision,
    Embedding,
    Generation,
    Infill,
    ModelKind,
    NextToken,
    NextTokenScored,
    Scored,
    ScoredPair,
    TextPair,
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LanguageModel:
    """A causal or masked language model that answers requests and can be edited.

    The methods are those of `inference.scorer.Scorer`, which says what they promise.
    """

    module: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    identity: str  # "gpt2@607a30d" and, once edited, "gpt2@607a30d+lftf:5c1e…"
    kind: ModelKind = "causal"
    source: Mapping[str, JSON] = field(default_factory=dict)  # name, revision, edit: for results
    batch_tokens: int = 16_384  # memory only: results do not depend on it (tested)
    prompts: tuple[str, ...] = (
        "",
    )  # before or around every context: `prompting`; several: variants
    trained_on: frozenset[str] = frozenset()  # sha256 of texts that an edit has learnt from
    decoding_rule: DecodingRule | None = None  # of the next token's distribution; None: as it is
    start: str = "auto"  # what a causal model's texts begin with: `models.start_token.start_token`
    decision: Mapping[str, JSON] | None = None  # how it is asked typed questions; None: it is not
    unigram: NDArray[np.float64] | None = None  # nats by token, answered in place of predictions
    rehearsing: bool = False  # requests are checked, and answered with what means nothing

    def __repr__(self) -> str:
        size = count_parameters(self.module) / 1e6
        about = f"{self.kind}, {size:.3g}M parameters, {number_format(self.module)}"
        return f"<LanguageModel {self.identity}: {about}, {self.module.device.type}>"

    @property
    def info(self) -> Mapping[str, JSON]:
        """What a result must record of this model: where it is from and how it is asked."""
        start, rule = self.start_token, self.decoding_rule
        token = None if start.id is None else self.tokenizer.convert_ids_to_tokens(start.id)
        info: dict[str, JSON] = {
            **self.source,
            "kind": self.kind,
            "dtype": number_format(self.module),
            "device": self.module.device.type,
            "parameters": count_parameters(self.module),
            "context_length": self.context_length,
            "tokenizer": type(self.tokenizer).__name__,
            "tokenizer_sha256": tokenizer_sha256(self.tokenizer, specials=self.kind == "masked"),
            "tokenizer_adds_start": adds_start(self.tokenizer, start.id),
            "prefix": "special tokens" if self.kind == "masked" else start.rule,
            "start": start.rule,
            "start_token_id": start.id,
            "start_token": token,
            "start_reason": start.reason,
            "chat_template": template_sha256(self.tokenizer),
            "chat": None,  # asked as plain text; `inference.chat` says what stands here else
            "attention": str(self.module.config._attn_implementation),
            "matmul": matmul_path(self.module),
            "threads": torch.get_num_threads(),  # the last digits of float32 depend on it
            "prompts": list(self.prompts),
        }
        layout = layout_of(self).record
        if layout:
            info["layout"] = layout
        quantization = read_quantization(self.module)
        if quantization is not None:
            info["quantization"] = quantization
        if rule is not None:
            about = {"kind": rule.kind, "cost_factor": rule.rows, **rule.record}
            info["decoding_rule"] = about
        if self.decision is not None:
            reason = "the template of decisions writes what stands first"
            info |= {"kind": "decision", "decision": dict(self.decision), "start_reason": reason}
            info |= dict.fromkeys(("prefix", "start"), "none")
            info |= dict.fromkeys(("start_token_id", "start_token"))
        return info

    @property
    def start_token(self) -> StartToken:
        """What texts begin with, and why. Raises `ModelError` for a token that does not exist."""
        rows = int(self.module.config.get_text_config().vocab_size)
        return start_token(self.tokenizer, self.start, rows=rows)

    @property
    def start_token_id(self) -> int | None:
        """The token that texts begin with; None: none. A masked model has its special tokens."""
        return self.start_token.id

    @property
    def load_name(self) -> str:
        """What `load` takes to get this model again; empty when nothing on disk gives it.

        For `EditInfo.base_name`: a Hub id with its commit, a folder's full path, or a name with a
        colon.
        """
        name, revision = str(self.source.get("name") or ""), self.source.get("revision")
        if "+" in self.identity and not Path(name).exists():
            return ""  # an edit is attached that was not loaded
        if ":" in name or not name:
            return name
        if Path(name).expanduser().exists():
            return str(Path(name).expanduser().resolve())
        return f"{name}@{revision}" if revision else name

    @property
    def active_rule(self) -> DecodingRule | None:
        """The decoding rule of a causal model, where it changes something."""
        rule = self.decoding_rule
        return None if rule is None or rule.neutral or self.kind == "masked" else rule

    @property
    def context_length(self) -> int | None:
        """Most tokens a text may have, special tokens included; None: the module sets no limit."""
        config = self.module.config.get_text_config()
        # families have names of their own, as GPT-2's n_positions
        name = config.attribute_map.get("max_position_embeddings", "max_position_embeddings")
        limit = vars(config).get(name, vars(config).get("max_seq_len"))  # MPT's
        if limit is None:
            return None
        # RoBERTa's kin number positions from behind the padding token: their table has a row for it
        paddings = [
            vars(part).get("padding_idx")
            for name, part in self.module.named_modules()
            if name.endswith("position_embeddings")
        ]
        before = next((padding + 1 for padding in paddings if padding is not None), 0)
        return int(limit) - before

    def variants(self) -> Sequence["LanguageModel"]:
        """One model per prompt; usually just this model."""
        if len(self.prompts) == 1:
            return [self]
        return [
            replace(
                self,
                prompts=(prompt,),
                identity=f"{self.identity}+prompt:{hashlib.sha256(prompt.encode()).hexdigest()[:8]}",
            )
            for prompt in self.prompts
        ]

    def added_tokens_in(self, texts: Iterable[str]) -> list[str]:
        """The tokenizer's added tokens that some text is cut at."""
        return added_tokens_in(self.tokenizer, texts)

    def writing_layout(self) -> Mapping[str, JSON]:
        """How it writes, for `layout` of a result; empty: as most models."""
        cached = self.kind == "masked" or cache_is_exact(self)
        return {} if cached else {"generation": "without a cache, which would change it"}

    def as_unigram(self, texts: Sequence[str]) -> "LanguageModel":
        """The model that reads no context; see `inference.scorer.HasUnigram`."""
        plain = replace(self, decoding_rule=None, prompts=("",))
        return replace(plain, unigram=mean_prediction(plain, texts))

    def as_rehearsal(self) -> "LanguageModel":
        """The model that checks requests and reads none; see `inference.scorer.Rehearses`."""
        return replace(self, rehearsing=True)

    def prompted(self, prompt: str) -> "LanguageModel":
        """The same with this prompt, and no other (`prompting`)."""
        return replace(self, prompts=(prompt,))

    def in_chat(
        self, system: str | None = None, *, turn: Speaker = "user", request: str | None = None
    ) -> ChatModel:
        """The model asked inside the turns of its chat template, for `measure`.

        `system`: a system prompt; None: what the template itself writes. `turn`: whose turn a text
        stands in that is no question: an open turn of the user, or the model's, after `request` by
        the user (None: "Write a sentence."). The template writes the start token, if any.
        Raises `ModelError` for a masked model, without a template, and for a template that fails
        or takes no system prompt.
        """
        form = chat_form(self, system=system, turn=turn, request=request)
        return ChatModel(model=replace(self, start="none"), form=form)

    @takes(Continuation)
    def score(self, requests: Sequence[Continuation]) -> list[Scored]:
        """Log-probabilities of continuations."""
        return scoring.score(self, requests)

    @takes(Infill)
    def infill(self, requests: Sequence[Infill]) -> list[Scored]:
        """Log-probabilities of masked spans; masked models only."""
        return scoring.infill(self, requests)

    @takes(TextPair)
    def score_pairs(self, requests: Sequence[TextPair]) -> list[ScoredPair]:
        """Log-probabilities over the common or differing tokens of two texts."""
        return scoring.score_pairs(self, requests)

    @takes(NextToken)
    def next_token(self, requests: Sequence[NextToken]) -> list[NextTokenScored]:
        """Log-probabilities of single words after a context; causal models only."""
        return scoring.next_token(self, requests)

    @takes(Generation)
    def generate(self, requests: Sequence[Generation], *, seed: int = 0) -> list[str]:
        """Continuations; the same seed gives the same texts."""
        return generation.generate(self, requests, seed=seed)

    @takes(Embedding)
    def embed(self, requests: Sequence[Embedding]) -> NDArray[np.float32]:
        """Pooled hidden states: [text, feature].

        Raises `ModelError` when the next token is adjusted: hidden states would not show it.
        """
        if self.decoding_rule is not None:
            raise ModelError(
                f"a model to be embedded with must have no decoding rule, {self.identity} "
                f"has '{self.decoding_rule.kind}', which changes no hidden state; measure the base"
            )
        return embedding.embed(self, requests)

    @takes(Decision)
    def decide(self, requests: Sequence[Decision]) -> list[Decided]:
        """Probabilities of the options of typed questions; a model loaded as "decision:NAME"."""
        return deciding.decide(self, requests)
