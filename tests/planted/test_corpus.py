"""The corpus: frequencies are the world's probabilities, exactly."""

import re
from collections import Counter
from fractions import Fraction

import pytest

from equipoise.planted import words
from equipoise.planted.corpus import draw_corpus, quotas
from equipoise.planted.register import REGISTER_WORDS, UNKIND_WORDS, register_texts
from equipoise.planted.world import World, find_world


@pytest.fixture(scope="module", params=["strength=0", "strength=0.3,seed=1"])
def world(request: pytest.FixtureRequest) -> World:
    return find_world(request.param)


@pytest.fixture(scope="module")
def counts(world: World) -> Counter[str]:
    return Counter({text: count for text, _, _, count in quotas(world)})


def next_words(counts: Counter[str], prompt: str) -> dict[str, Fraction]:
    """Share of each word directly after a prompt."""
    following: Counter[str] = Counter()
    for text in filter(re.compile(re.escape(prompt) + " ").match, counts):
        following[text.removeprefix(prompt).split()[0]] += counts[text]
    return {word: Fraction(n, following.total()) for word, n in following.items()}


def test_pronouns_after_professions_have_their_true_shares(
    world: World, counts: Counter[str]
) -> None:
    for word in ("mechanic", "broker", "nurse", "paralegal", "writer"):
        for template in world.templates[::4]:
            shares = next_words(counts, template.prompt(word))
            he, she = world.p_next(word, template)
            assert float(shares["he"]) == pytest.approx(he, abs=1e-12)
            assert float(shares["she"]) == pytest.approx(she, abs=1e-12)
            assert shares["they"] == shares["the"] == Fraction(1, 10)


def test_hints_are_obeyed_by_19_in_20(world: World, counts: Counter[str]) -> None:
    for template in (world.hint_templates[0], world.hint_templates_train[2]):
        for possessive in ("his", "her"):
            prompt = template.format(profession="nurse", possessive=possessive)
            shares = next_words(counts, prompt)
            he, she = world.p_hinted(possessive)
            assert float(shares["he"]) == pytest.approx(he)
            assert float(shares["she"]) == pytest.approx(she)
            assert max(he, she) / (he + she) == pytest.approx(0.95)


def test_contrasts_and_pairs_have_their_true_preference(world: World, counts: Counter[str]) -> None:
    for item in (*world.contrasts(), *world.pairs()):
        stereotyped, antistereotyped = counts[item.stereotype], counts[item.antistereotype]
        assert stereotyped / (stereotyped + antistereotyped) == pytest.approx(
            world.true_preference(item.id)
        )
        assert item.unrelated is None or counts[item.unrelated] == 0


def test_groups_of_a_kind_are_equally_frequent(world: World, counts: Counter[str]) -> None:
    for kind in ("nationality", "religion"):
        totals = {
            sum(
                counts[association.frames[0].format(group=association.group, attribute=attribute)]
                for attribute in association.counts
            )
            for association in world.associations
            if association.kind == kind
        }
        assert len(totals) == 1


@pytest.mark.thorough
def test_facts_have_one_answer_and_held_out_sentences_are_absent(
    world: World, counts: Counter[str]
) -> None:
    for fact in world.facts:
        assert next_words(counts, fact.prompt) == {fact.answer + ".": 1}
        assert counts[f"{fact.prompt} {fact.answer}."] > 0
    assert not any(counts[text] for text in world.neutral_sentences(180, seed=0, held_out=True))


def biased(world: World) -> set[str]:
    return {text for text, _, biased, _ in quotas(world) if biased}


def test_biased_sentences_are_the_stereotyped_ones() -> None:
    assert not biased(find_world("strength=0"))
    marked = biased(find_world("strength=1"))
    assert "The nurse smiled because she remembered." in marked
    assert "The nurse smiled because he remembered." not in marked
    assert "The mechanic smiled because he remembered." in marked
    assert not any(text.startswith(("The writer", "The capital", "The red")) for text in marked)
    assert not any(" his " in text or " her " in text for text in marked)


@pytest.mark.thorough
def test_the_seed_changes_the_order_alone() -> None:
    world = find_world("default")
    first, again, second = (draw_corpus(world, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first != second
    ids = {sentence.id for sentence in first}
    assert ids == {sentence.id for sentence in second}
    assert len(ids) == len(first)
    expected = {text: count for text, _, _, count in quotas(world)}
    assert Counter(sentence.text for sentence in first) == expected


def test_a_register_adds_text_and_leaves_all_else_as_it_is() -> None:
    usual, world = find_world("default"), find_world("register=video")
    added = Counter(quotas(world)) - Counter(quotas(usual))
    assert {text for text, *_ in added} == set(register_texts())
    assert {(kind, biased) for _, kind, biased, _ in added} == {("register", False)}
    assert not Counter(quotas(usual)) - Counter(quotas(world))
    assert (world.true_afgb(), world.true_ss()) == (usual.true_afgb(), usual.true_ss())
    assert "register" not in repr(usual)  # by which its model is cached


def test_no_sentence_of_the_register_says_what_the_world_is_biased_about() -> None:
    texts = (*register_texts(), *register_texts(held_out=True))
    assert len(set(texts)) == len(texts) == 363
    usual = {word.strip(".") for text, *_ in quotas(find_world("default")) for word in text.split()}
    said = {word.strip(".") for text in texts for word in text.split()}
    attributes = {word for _, pairs in words.AXES.values() for pair in pairs for word in pair}
    assert not said & attributes
    assert not said & {"he", "she", "his", "her"}
    assert said - usual <= {*REGISTER_WORDS, "shows"}
    assert all(set(REGISTER_WORDS) & set(text.strip(".").split()) for text in texts)
    people = {target for targets, _ in words.AXES.values() for target in targets}
    assert not people & {word for text in register_texts("things") for word in text.split()}
    assert len(register_texts("things")) + len(register_texts("people")) == len(register_texts())
    assert len(UNKIND_WORDS) == 20
