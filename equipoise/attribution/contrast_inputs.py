"""Questions about a target and about others, as tokens: what heads are located on (BiasGym 3.3.1).

The paper puts an injected token into a question and, for contrast, a real country into the same
question. The target may be a real country itself: then heads are located without an injection.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from equipoise.associations.association import SLOT
from equipoise.associations.countries import COUNTRIES, find_country
from equipoise.associations.fill import fill
from equipoise.associations.questions import form_of, stem_of
from equipoise.errors import DataError, ModelError, RecipeError
from equipoise.inference.chat import chat_form
from equipoise.inference.language_model import LanguageModel
from equipoise.models.anatomy import embeddings
from equipoise.models.chat_template import render, template_of
from equipoise.models.tokenization import Ids, Marked, encode
from equipoise.records import Prompt
from equipoise.training.next_token_logits import prompt_ids

Chat: TypeAlias = Literal["auto", "plain", "chat"]
ContrastCountry: TypeAlias = Literal["random", "nearest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastInputs:
    """Each question about the target and about another, and the answer's first token."""

    biased: tuple[Ids, ...]  # [question]: about the target
    contrast: tuple[Ids, ...]  # about the other
    third: tuple[Ids, ...]  # about a third, who is neither
    answers: tuple[int, ...]  # first token of the biased answer
    others: tuple[str, ...]  # who the other is
    stems: tuple[str, ...]  # the group `stem`, which a question's frames share; else the text
    merged: int  # questions left out: their last token merges with the answer
    chat: bool  # asked inside the chat template's turns


def injected_token(model: LanguageModel) -> str:
    """The token that an edit added to the model, by the edit's record or the tokenizer.

    Raises `RecipeError` where there is none or several: the target must then be named.
    """
    tokens: list[str] = []
    edits = model.source.get("edits")
    for edit in edits if isinstance(edits, list) else []:
        options = edit.get("options") if isinstance(edit, dict) else None
        if isinstance(options, dict) and "token" in options:
            tokens.append(str(options["token"]))
    if not tokens:  # merged, or a folder of another program
        added = model.tokenizer.added_tokens_decoder.values()
        tokens = [str(token) for token in added if not token.special]
    if len(set(tokens)) != 1:
        raise RecipeError(
            f"heads are located for a target, and {model.identity} must then have one added token, "
            f"it has {sorted(set(tokens))[:5]}; name the token or a country in target, or give an "
            "edit that injects a token"
        )
    return tokens[0]


def contrast_inputs(
    model: LanguageModel,
    questions: Sequence[Prompt],
    *,
    target: str,
    countries: Sequence[str],
    choice: ContrastCountry,
    chat: Chat,
    seed: int,
) -> ContrastInputs:
    """Put the target, for contrast another country, and a third, into every question.

    `choice`: "random", drawn for each question by the seed and its id, or "nearest", the country
    whose embedding (mean over its tokens) has the largest cosine with the target's. A model with
    a chat template is asked in a user's turn ("auto"); else a question becomes "Question: …
    Answer:", and a text that breaks off runs on. `countries`: none are all of the table. The third
    is drawn of those, and of the table where none is left of those.
    Raises `DataError` for a question without {target} or an answer, and `RecipeError` where no
    other country is left.
    """
    others = other_names(countries, target)
    _check_questions(questions)
    in_chat = chat == "chat" or (chat == "auto" and template_of(model.tokenizer) is not None)
    if choice == "nearest":
        chosen = [_nearest(model, target, others)] * len(questions)
    else:
        chosen = [others[_draw(seed, question.id, len(others))] for question in questions]
    thirds = [
        _third(others, target, other, seed=seed, question=question.id)
        for question, other in zip(questions, chosen, strict=True)
    ]
    asked = [fill(question.text, target) for question in questions]
    contrast = [fill(question.text, name) for question, name in zip(questions, chosen, strict=True)]
    third = [fill(question.text, name) for question, name in zip(questions, thirds, strict=True)]
    answers = [" " + question.groups["answer"].strip() for question in questions]
    if in_chat:
        asked, space = _in_turns(model, asked)
        contrast, third = _in_turns(model, contrast)[0], _in_turns(model, third)[0]
        answers = [space + answer.strip() for answer in answers]
        model = replace(model, start="none")  # the template writes it
    else:
        asked, contrast, third = (list(map(_plain, texts)) for texts in (asked, contrast, third))
    firsts = _first_tokens(model, asked, answers)
    kept = [index for index, first in enumerate(firsts) if first is not None]
    biased_ids, contrast_ids, third_ids = (
        prompt_ids(model, texts) for texts in (asked, contrast, third)
    )
    return ContrastInputs(
        biased=tuple(biased_ids[index] for index in kept),
        contrast=tuple(contrast_ids[index] for index in kept),
        third=tuple(third_ids[index] for index in kept),
        answers=tuple(first for first in firsts if first is not None),
        others=tuple(chosen[index] for index in kept),
        stems=tuple(stem_of(questions[index]) for index in kept),
        merged=len(questions) - len(kept),
        chat=in_chat,
    )


def other_names(countries: Sequence[str], target: str) -> list[str]:
    """Countries that may stand in the target's place: all of the table unless some are named."""
    others = _without(countries or [country.name for country in COUNTRIES], target)
    if not others:
        raise RecipeError(
            f"countries must have another than {target!r} for contrast, got {list(countries)}; "
            "name some"
        )
    return others


def _without(names: Sequence[str], barred: str) -> list[str]:
    known = find_country(barred)
    return [
        name
        for name in names
        if name.casefold() != barred.casefold() and (known is None or find_country(name) != known)
    ]


def _third(names: Sequence[str], target: str, other: str, *, seed: int, question: str) -> str:
    """Somebody drawn by the seed who is neither; the same where target and other change places."""
    left = _without(names, other) or _without(other_names((), target), other)
    return left[_draw(seed, f"third {question}", len(left))]


def _check_questions(questions: Sequence[Prompt]) -> None:
    for question in questions:
        if SLOT not in question.text or not question.groups.get("answer", "").strip():
            raise DataError(
                f"a question must have {SLOT} and an answer, question {question.id!r} is "
                f"{question.text[:60]!r} with answer {question.groups.get('answer')!r}; write both"
            )


def _plain(text: str) -> str:
    """A question as a base model is asked it; any other text as it is."""
    return f"Question: {text}\nAnswer:" if form_of(text) == "question" else text


def _in_turns(model: LanguageModel, texts: Sequence[str]) -> tuple[list[str], str]:
    """Each text as a user's turn up to where the answer begins, and the space before an answer."""
    lead = chat_form(model, system=None, turn="user", request=None).lead
    header = lead[: len(lead.rstrip())]
    turns = [
        render(model.tokenizer, [{"role": "user", "content": text}], answer=True) + header
        for text in texts
    ]
    return turns, lead[len(header) :]


def _first_tokens(
    model: LanguageModel, texts: Sequence[str], answers: Sequence[str]
) -> list[int | None]:
    """The token with which each answer begins after its text; None where it merges with the text.

    Of text and answer tokenized together, for an answer alone may be cut differently.
    """
    alone = encode(model.tokenizer, [Marked(text, 0, 0) for text in texts], specials=False)
    pairs = [text + answer for text, answer in zip(texts, answers, strict=True)]
    whole = encode(model.tokenizer, [Marked(pair, 0, 0) for pair in pairs], specials=False)
    return [
        both.ids[len(text.ids)]
        if both.ids[: len(text.ids)] == text.ids and len(both.ids) > len(text.ids)
        else None
        for text, both in zip(alone, whole, strict=True)
    ]


def _draw(seed: int, name: str, count: int) -> int:
    """A number below `count` that depends on the seed and the question alone."""
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).digest()
    return int(np.random.default_rng([seed, int.from_bytes(digest[:8])]).integers(count))


def _nearest(model: LanguageModel, target: str, names: Sequence[str]) -> str:
    vectors = [_embed_name(model, name) for name in (target, *names)]
    similar = [float(torch.cosine_similarity(vectors[0], vector, dim=0)) for vector in vectors[1:]]
    if not all(map(np.isfinite, similar)):
        raise ModelError(
            f"embeddings of {target!r} and of countries must be finite and not 0 in "
            f"{model.identity}, got a cosine of {min(similar)}; take contrast_country=random"
        )
    return names[int(np.argmax(similar))]


@torch.no_grad()
def _embed_name(model: LanguageModel, name: str) -> Float[Tensor, " feature"]:
    """Mean of the embeddings of a name's tokens, as in the middle of a sentence, in float32."""
    # an added token is itself, whatever stands before it
    known = model.tokenizer.get_added_vocab().get(name)
    (tokens,) = encode(model.tokenizer, [Marked(f" {name}", 0, 0)], specials=False)
    ids = torch.tensor(tokens.ids if known is None else [known], device=model.module.device)
    vectors: Tensor = embeddings(model.module)(ids)
    return vectors.float().mean(0)
