"""For tests: tiny random models of every supported family, and a fake scorer.

Public, so that a third party's benchmark or mitigation is tested the way those built in are.
Everything is built in code; nothing is read from disk or from the network.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    PreTrainedTokenizerFast,
)

from equipoise.dialogues import Dialogue
from equipoise.errors import ModelError, nearest
from equipoise.inference.language_model import LanguageModel
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

# --- tiny models ------------------------------------------------------------------------------

#: "bos": BOS and EOS exist; "added": as "bos", and the tokenizer puts BOS before every text by
#: itself, as Llama's does; "eos": EOS alone; "none": neither.
Start = Literal["bos", "added", "eos", "none"]

_CAUSAL_SPECIALS = ("<pad>", "<bos>", "<eos>")
_MASKED_SPECIALS = ("<pad>", "<cls>", "<sep>", "<mask>", "<unk>")
_WEIGHT_SCALE = 0.2  # large enough that a width of 32 gives clearly different probabilities
_VECTOR_SCALE = 0.1  # biases and norms, around the value they are built with


_GROUPED: dict[str, JSON] = {"num_key_value_heads": 2, "head_dim": 8}
_SLIDING = _GROUPED | {"query_pre_attn_scalar": 8, "sliding_window": 16}
_DROPLESS: dict[str, JSON] = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}

#: A family as transformers calls it, to what its configuration must say beside the common sizes.
_CAUSAL: Mapping[str, dict[str, JSON]] = {
    "gpt2": {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
    "llama": _GROUPED,
    "mistral": _GROUPED,
    "qwen2": {"num_key_value_heads": 2},
    "qwen3": _GROUPED,
    "gemma": _GROUPED,
    "gemma2": _SLIDING,
    "gemma3": _SLIDING,
    "gpt_neox": {},
    "opt": {"word_embed_proj_dim": None, "dropout": 0.0},
}
_MASKED: Mapping[str, dict[str, JSON]] = {
    "bert": _DROPLESS,
    "roberta": _DROPLESS | {"type_vocab_size": 1},
}
#: What `AutoConfig` is asked for, and what a family calls the width of its MLP, where it differs.
_TYPES = {"gemma3": "gemma3_text"}
_MLP_WIDTH = {"gpt2": "n_inner", "opt": "ffn_dim"}

#: The families that `tiny_model` builds: first causal, then masked.
FAMILIES: tuple[str, ...] = (*_CAUSAL, *_MASKED)
CAUSAL_FAMILIES: tuple[str, ...] = tuple(_CAUSAL)
MASKED_FAMILIES: tuple[str, ...] = tuple(_MASKED)


def tiny_model(
    family: str = "llama",
    *,
    seed: int = 0,
    blocks: int = 2,
    width: int = 32,
    context: int = 128,
    bos: Start = "bos",
) -> LanguageModel:
    """A model with random weights and a byte-level tokenizer, built in milliseconds.

    Four heads; `context` counts tokens, special tokens included, and a token is a byte. The same
    arguments give the same bytes on every machine; torch's global generator is left alone.
    Masked families always have their special tokens, whatever `bos` says.
    Raises `ModelError` for a family that is not in `FAMILIES`.
    """
    if family not in FAMILIES:
        raise ModelError(f"tiny model family '{family}' is not known; {nearest(family, FAMILIES)}")
    kind: ModelKind = "masked" if family in _MASKED else "causal"
    tokenizer = tiny_tokenizer(kind, bos=bos, context=context)
    # RoBERTa's positions begin after the padding id
    offset = int(tokenizer.pad_token_id) + 1 if family == "roberta" else 0
    config = AutoConfig.for_model(
        _TYPES.get(family, family),
        hidden_size=width,
        num_hidden_layers=blocks,
        num_attention_heads=4,
        max_position_embeddings=context + offset,
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **{_MLP_WIDTH.get(family, "intermediate_size"): 2 * width},
        **(_MASKED if kind == "masked" else _CAUSAL)[family],
    )
    auto = AutoModelForMaskedLM if kind == "masked" else AutoModelForCausalLM
    with torch.random.fork_rng(devices=[]):
        module = auto.from_config(config)
    # from our own generator and in the order of names, so that a release of torch or transformers
    # that initializes otherwise gives the same weights
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, parameter in sorted(module.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim > 1:
                parameter.copy_(noise * _WEIGHT_SCALE)
            else:
                parameter.add_(noise * _VECTOR_SCALE)
    return LanguageModel(
        module=module.eval(),
        tokenizer=tokenizer,
        identity=f"tiny-{family}@{seed}",
        kind=kind,
        source={"name": f"tiny-{family}", "revision": str(seed), "dtype": "float32"},
    )


def tiny_tokenizer(
    kind: ModelKind = "causal", *, bos: Start = "bos", pad: bool = True, context: int = 128
) -> PreTrainedTokenizerFast:
    """A tokenizer of the 256 bytes and a few special tokens; offsets are in characters.

    `pad=False` leaves the padding token out, as GPT-2's published tokenizer does.
    """
    specials = _CAUSAL_SPECIALS if kind == "causal" else _MASKED_SPECIALS
    # sorted, as the alphabet comes in another order in each process
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate((*specials, *alphabet))}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    core.add_special_tokens(
        [AddedToken(special, special=True, normalized=False) for special in specials]
    )
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    template = "<cls> $A <sep>" if kind == "masked" else "<bos> $A" if bos == "added" else "$A"
    marks = [(special, vocabulary[special]) for special in specials if special in template]
    core.post_processor = processors.TemplateProcessing(single=template, special_tokens=marks)
    roles: dict[str, str] = {"pad_token": "<pad>"} if pad else {}
    if kind == "masked":
        roles |= {"cls_token": "<cls>", "sep_token": "<sep>", "mask_token": "<mask>"}
        roles |= {"unk_token": "<unk>"}
    else:
        roles |= {"bos_token": "<bos>"} if bos in ("bos", "added") else {}
        roles |= {} if bos == "none" else {"eos_token": "<eos>"}
    return PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=context, **roles)


# --- a fake scorer ----------------------------------------------------------------------------

_NEUTRAL_NATS = -1.0  # per word


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeScorer:
    """A `Scorer` that looks its answers up; neutral by default.

    `nats` answers "log-probability of this text after this context": a function of both, or a
    mapping from the text (or from context + text, looked up first); what is not in the mapping
    gets -1 nat per word. A text has as many tokens as words, at equal shares.
    """

    nats: Callable[[str, str], float] | Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType({})
    )
    texts: Mapping[str, str] = field(default_factory=dict)  # what it writes after a context
    #: embeddings by text, or of any text; what is not in the mapping is a zero
    vectors: Callable[[str], Sequence[float]] | Mapping[str, Sequence[float]] = field(
        default_factory=dict
    )
    identity: str = "fake"
    kind: ModelKind = "causal"
    info: Mapping[str, JSON] = field(default_factory=dict)
    trained_on: frozenset[str] = frozenset()

    def variants(self) -> Sequence["FakeScorer"]:
        """Itself alone."""
        return (self,)

    def score(self, requests: Sequence[Continuation]) -> list[Scored]:
        """Equal shares of `nats(context, continuation)`, a share per word; nothing is greedy."""
        return [
            replace(
                self._scored(request.context, request.continuation),
                greedy=False if request.greedy else None,
            )
            for request in requests
        ]

    def infill(self, requests: Sequence[Infill]) -> list[Scored]:
        """`nats` of the span after the text before it."""
        return [
            self._scored(request.text[: request.start], request.text[request.start : request.end])
            for request in requests
        ]

    def score_pairs(self, requests: Sequence[TextPair]) -> list[ScoredPair]:
        """`nats` of each whole text, whatever tokens were asked for."""
        return [
            ScoredPair(
                first=self._scored("", request.first), second=self._scored("", request.second)
            )
            for request in requests
        ]

    def next_token(self, requests: Sequence[NextToken]) -> list[NextTokenScored]:
        """`nats` of each word after the context, each of a single token."""
        return [
            NextTokenScored(
                logprobs=tuple(self._total(request.context, word) for word in request.words),
                tokens=(1,) * len(request.words),
            )
            for request in requests
        ]

    def generate(self, requests: Sequence[Generation], *, seed: int) -> list[str]:  # noqa: ARG002
        """What `texts` has for the context, else nothing."""
        return [self.texts.get(request.context, "") for request in requests]

    def converse(
        self,
        requests: Sequence[Dialogue],
        *,
        seed: int,  # noqa: ARG002
    ) -> list[tuple[str, ...]]:
        """What `texts` has for each turn alone, else nothing."""
        return [tuple(self.texts.get(turn, "") for turn in asked.turns) for asked in requests]

    def embed(self, requests: Sequence[Embedding]) -> NDArray[np.float32]:
        """What `vectors` has for the text: [text, feature]."""
        vectors = self.vectors
        if isinstance(vectors, Mapping):
            rows = [vectors.get(request.text, (0.0,)) for request in requests]
        else:
            rows = [vectors(request.text) for request in requests]
        return np.array(rows, dtype=np.float32)

    def decide(self, requests: Sequence[Decision]) -> list[Decided]:
        """Softmax of the mean `nats` of each option (or " Yes", " No") after text and question."""
        decided = []
        for request in requests:
            context, options = f"{request.text}\n{request.question}", request.options
            nats = [self._scored(context, option).mean for option in options or (" Yes", " No")]
            weights = [math.exp(value - max(nats)) for value in nats]
            shares = tuple(weight / math.fsum(weights) for weight in weights)
            decided.append(Decided(probabilities=shares, label_mass=1.0))
        return decided

    def _total(self, context: str, text: str) -> float:
        if not isinstance(self.nats, Mapping):
            return self.nats(context, text)
        neutral = _NEUTRAL_NATS * max(1, len(text.split()))
        return self.nats.get(context + text, self.nats.get(text, neutral))

    def _scored(self, context: str, text: str) -> Scored:
        tokens = max(1, len(text.split()))
        share = self._total(context, text) / tokens
        return Scored(token_logprobs=(share,) * tokens, bytes=len(text.encode()))
