"""Three ways to cut a text, over the same few words; ids fit a tiny model's vocabulary."""

from dataclasses import replace

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from equipoise.inference.language_model import LanguageModel
from equipoise.testing import tiny_model

_SPECIALS = ("<pad>", "<bos>", "<eos>", "<unk>")
#: Cut at spaces.
WORDS = tuple(
    """The the He he She she her Her his him man woman nurse uncle aunt saw took bag and was kind
    tall said that people because of their gender text treats badly here is a . , :
    """.split()  # noqa: SIM905
)
KINDS = ("bytes", "pieces", "words")


def toy_model(kind: str, *, family: str = "llama") -> LanguageModel:
    """A tiny model with one of the tokenizers."""
    model = tiny_model(family)
    if kind == "bytes":
        return model
    return replace(model, tokenizer=_pieces() if kind == "pieces" else _words())


def _pieces() -> PreTrainedTokenizerFast:
    """As SentencePiece does: the space goes into the word, also before the first one."""
    letters = sorted({letter for word in WORDS for letter in word} | {"▁", "\n", "'", "s"})
    whole = [f"▁{word}" for word in ("The", "the", "he", "she", "her", "his", "man", "was")]
    merges: list[tuple[str, str]] = []
    vocabulary = {token: number for number, token in enumerate((*_SPECIALS, *letters))}
    for word in whole:
        for size in range(2, len(word) + 1):
            if word[:size] not in vocabulary:
                vocabulary[word[:size]] = len(vocabulary)
                merges.append((word[: size - 1], word[size - 1]))
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    core.decoder = decoders.Metaspace()
    return _fast(core)


def _words() -> PreTrainedTokenizerFast:
    vocabulary = {token: number for number, token in enumerate((*_SPECIALS, *WORDS))}
    core = Tokenizer(models.WordLevel(vocab=vocabulary, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    return _fast(core)


def _fast(core: Tokenizer) -> PreTrainedTokenizerFast:
    core.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in _SPECIALS]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        model_max_length=128,
    )
