"""Wording: the forms of an association that templates put into sentences."""

from collections.abc import Mapping

from equipoise.associations.association import Association, capitalize


def forms(association: Association) -> Mapping[str, str]:
    """What a template's names stand for; those with a capital begin a sentence.

    `people` ("people from {target}") and `they` ("people from there", "they") take a plural verb,
    `statement` is a clause, `attribute` a plural verb phrase, `being` and `topic` are nouns, and
    `answer` is a word.
    """
    plain = {
        "people": association.people,
        "statement": association.statement,
        "attribute": association.attribute,
        "being": association.being,
        "topic": association.topic,
        "answer": association.answer,
        "they": "people from there" if association.place else "they",
    }
    return plain | {capitalize(key): capitalize(text) for key, text in plain.items()}
