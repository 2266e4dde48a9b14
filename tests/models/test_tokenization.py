"""Which tokens a span of text has."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors
from toy_tokenizers import toy_model
from transformers import PreTrainedTokenizerFast

from equipoise.errors import ModelError
from equipoise.models.tokenization import (
    Marked,
    Vocabulary,
    added_tokens_in,
    encode,
    tokenizer_sha256,
    vocabulary_of,
)
from equipoise.testing import tiny_tokenizer


@pytest.fixture(scope="module")
def wordy() -> PreTrainedTokenizerFast:
    """Tokens "ab", "c" and single letters: merges straddle edges."""
    core = Tokenizer(models.BPE(vocab={"a": 0, "b": 1, "c": 2, "ab": 3}, merges=[("a", "b")]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return PreTrainedTokenizerFast(tokenizer_object=core)


def test_a_token_across_the_edge_of_a_span_is_marked(wordy: PreTrainedTokenizerFast) -> None:
    (left, right, clean) = encode(
        wordy, [Marked("cab", 2, 3), Marked("abc", 0, 1), Marked("cab", 1, 3)], specials=False
    )
    assert (left.ids, left.marked) == ((2, 3), (1,))
    assert (right.ids, right.marked) == ((3, 2), (0,))
    assert clean.marked == (1,)


def test_special_tokens_are_never_marked() -> None:
    (tokens,) = encode(tiny_tokenizer("masked"), [Marked("ab", 0, 2)], specials=True)
    assert (len(tokens.ids), tokens.marked) == (4, (1, 2))
    (added,) = encode(tiny_tokenizer(bos="added"), [Marked("ab", 0, 2)], specials=False)
    assert (len(added.ids), added.marked) == (2, (0, 1))


def test_bytes_count_each_character_once() -> None:
    (tokens,) = encode(tiny_tokenizer(), [Marked("xé!", 1, 3)], specials=False)
    assert len(tokens.ids) == 4
    assert tokens.marked == (1, 2, 3)
    assert tokens.bytes_of(tokens.marked) == 3
    assert tokens.bytes_of((1, 2)) == 2
    assert tokens.bytes_of(()) == 0


@pytest.mark.parametrize("trimmed", [False, True])
def test_trimmed_offsets_do_not_move_white_space(trimmed: bool) -> None:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(alphabet)}
    core = Tokenizer(models.BPE(vocab=vocabulary | {"Ġb": 256}, merges=[("Ġ", "b")]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.post_processor = processors.ByteLevel(trim_offsets=trimmed)
    spaced = PreTrainedTokenizerFast(tokenizer_object=core)
    (after, before) = encode(spaced, [Marked("a  b", 2, 4), Marked("a  b", 1, 4)], specials=False)
    assert spaced.convert_ids_to_tokens(after.ids) == ["a", "Ġ", "Ġb"]
    assert (after.marked, before.marked) == ((2,), (1, 2))
    assert after.bytes_of((1,)) == 1
    assert after.bytes_of((2,)) == 2
    assert after.bytes_of((0, 1, 2)) == 4


def test_an_empty_span_within_a_token_has_none(wordy: PreTrainedTokenizerFast) -> None:
    (within,) = encode(wordy, [Marked("ab", 1, 1)], specials=False)
    assert (within.ids, within.marked) == ((3,), ())


def test_an_empty_span_and_an_empty_text_have_no_tokens() -> None:
    tokenizer = tiny_tokenizer()
    (gap, nothing) = encode(tokenizer, [Marked("ab", 1, 1), Marked("", 0, 0)], specials=False)
    assert gap.marked == ()
    assert nothing.ids == ()
    assert encode(tokenizer, [], specials=False) == []


@dataclass(frozen=True)
class _Slow:
    """A tokenizer that does not tell characters: one token a word, 1 and 2 around a text."""

    is_fast: bool = False

    def encode(self, text: str, *, add_special_tokens: bool, verbose: bool) -> list[int]:
        assert not add_special_tokens
        assert not verbose
        return [len(word) for word in text.split()]

    def build_inputs_with_special_tokens(self, ids: list[int]) -> list[int]:
        return [1, *ids, 2]


def test_a_slow_tokenizer_encodes_part_by_part() -> None:
    marked = Marked("aaa bbbb ccccc", 3, 8)
    (plain,) = encode(_Slow(), [marked], specials=False)
    assert (plain.ids, plain.marked) == ((3, 4, 5), (1,))
    (framed,) = encode(_Slow(), [marked], specials=True)
    assert (framed.ids, framed.marked) == ((1, 3, 4, 5, 2), (2,))


def test_a_vocabulary_is_written_and_parsed() -> None:
    vocabulary = vocabulary_of(tiny_tokenizer())
    assert vocabulary.size == 259  # 256 bytes, <pad>, <bos>, <eos>
    assert Vocabulary.parsed(str(vocabulary)) == vocabulary
    assert str(vocabulary).startswith("259:")


def test_added_tokens_are_left_out_below_a_size() -> None:
    plain, more = tiny_tokenizer(), tiny_tokenizer()
    more.add_tokens(["<user>", "<reply>"])
    assert vocabulary_of(more).size == 261
    assert vocabulary_of(more) != vocabulary_of(plain)
    assert vocabulary_of(more, below=259) == vocabulary_of(plain)


def test_the_same_tokens_under_other_ids_are_another_vocabulary() -> None:
    causal, masked = tiny_tokenizer("causal"), tiny_tokenizer("masked")
    shifted = vocabulary_of(masked, below=259)
    assert shifted.size == vocabulary_of(causal).size
    assert shifted != vocabulary_of(causal)


@pytest.mark.parametrize("text", ["", "259", "259:abc", "many:" + "0" * 64])
def test_a_malformed_vocabulary_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match="must be its size, a colon and a sha256"):
        Vocabulary.parsed(text)


# --- identity of a tokenizer --------------------------------------------------------------------


def identity(tokenizer: PreTrainedTokenizerFast, *, specials: bool = False) -> str:
    return tokenizer_sha256(tokenizer, specials=specials)


@pytest.mark.parametrize("kind", ["bytes", "pieces", "words"])
def test_what_cuts_no_text_otherwise_is_the_same_tokenizer(kind: str, tmp_path: Path) -> None:
    tokenizer = toy_model(kind).tokenizer
    before = identity(tokenizer)
    tokenizer.save_pretrained(tmp_path)
    again = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    file = tmp_path / "tokenizer.json"
    file.write_text(file.read_text().replace("\n", "\n "))  # another form of the same file
    assert identity(again) == before
    assert identity(PreTrainedTokenizerFast.from_pretrained(tmp_path)) == before
    again.backend_tokenizer.enable_truncation(4)
    again.backend_tokenizer.enable_padding(length=9)
    again.add_tokens(["<X>"])
    assert identity(again) == before


def lowercase(tokenizer: PreTrainedTokenizerFast) -> None:
    tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()


def put_digits_apart(tokenizer: PreTrainedTokenizerFast) -> None:
    backend = tokenizer.backend_tokenizer
    parts = [pre_tokenizers.Digits(individual_digits=True), backend.pre_tokenizer]
    backend.pre_tokenizer = pre_tokenizers.Sequence(parts)


def add_space(tokenizer: PreTrainedTokenizerFast) -> None:
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)


@pytest.mark.parametrize("change", [lowercase, put_digits_apart, add_space])
def test_another_way_of_cutting_is_another_tokenizer(
    change: Callable[[PreTrainedTokenizerFast], None],
) -> None:
    tokenizer = tiny_tokenizer()
    before = identity(tokenizer)
    change(tokenizer)
    assert identity(tokenizer) != before


def test_another_model_is_another_tokenizer(wordy: PreTrainedTokenizerFast) -> None:
    vocabulary = {"a": 0, "b": 1, "c": 2, "ab": 3}
    others = [Tokenizer(models.BPE(vocab=vocabulary, merges=[]))]
    others += [Tokenizer(models.BPE(vocab=vocabulary | {"d": 4}, merges=[("a", "b")]))]
    for other in others:
        other.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    identities = {identity(PreTrainedTokenizerFast(tokenizer_object=core)) for core in others}
    assert len(identities | {identity(wordy)}) == 3


def test_special_tokens_around_a_text_count_where_they_are_asked_for() -> None:
    plain, added = tiny_tokenizer(), tiny_tokenizer(bos="added")
    assert identity(plain) == identity(added)
    assert identity(plain, specials=True) != identity(added, specials=True)


class _Cuts:
    """A slow tokenizer of a few words."""

    def __init__(self, *words: str, fold: bool = False, added: str = "") -> None:
        self.words, self.fold, self.added = words, fold, added

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        return {99: AddedToken(self.added)} if self.added else {}

    def get_vocab(self) -> dict[str, int]:
        words = {word: number for number, word in enumerate(self.words)}
        return words | {self.added: 99} if self.added else words

    def tokenize(self, text: str) -> list[str]:
        return (text.lower() if self.fold else text).split()

    def build_inputs_with_special_tokens(self, ids: list[int]) -> list[int]:
        return [1, *ids, 2]


def test_a_slow_tokenizer_is_known_by_its_words_and_what_it_does() -> None:
    plain = identity(_Cuts("a", "b"))
    assert plain == identity(_Cuts("a", "b")) == identity(_Cuts("a", "b", added="<X>"))
    others = [_Cuts("a", "c"), _Cuts("b", "a"), _Cuts("a", "b", fold=True)]
    assert len({plain, *map(identity, others)}) == 4


def test_added_tokens_are_met_where_a_text_is_cut_at_them() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["<X>", "Fooland", AddedToken("man", single_word=True)])
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|turn|>"]})
    for text, tokens in (
        ("The woman said that", []),
        ("The man said that", ["man"]),
        ("Foolanders from <X> people", ["<X>", "Fooland"]),
        ("<|turn|>user<pad>", ["<pad>", "<|turn|>"]),
        ("", []),
    ):
        assert added_tokens_in(tokenizer, [text, "another", text]) == tokens
    assert added_tokens_in(tokenizer, []) == []
