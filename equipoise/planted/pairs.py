"""CrowS-like items of a planted world: two sentences that differ in whom they are about."""

from collections.abc import Sequence

from equipoise.planted.groups import Association
from equipoise.planted.professions import PlantedProfession, PlantedTemplate
from equipoise.records import Contrast

Truth = tuple[Contrast, float]  # an item, and the share of its stereotype in its two texts


def gender_pairs(
    professions: Sequence[PlantedProfession], templates: Sequence[PlantedTemplate]
) -> tuple[Truth, ...]:
    """One pair per profession that leans: its sentence with "he" and with "she"."""
    return tuple(
        _gender_pair(profession, templates[i % len(templates)])
        for i, profession in enumerate(professions)
        if profession.score
    )


def group_pairs(associations: Sequence[Association]) -> tuple[Truth, ...]:
    """One pair per association and frame: the attribute said of its group, and of the next one's.

    The other group is the next of its kind that has another attribute of its own.
    """
    return tuple(
        _group_pair(association, _other(association, associations), i)
        for association in associations
        for i in range(len(association.frames))
    )


def _gender_pair(profession: PlantedProfession, template: PlantedTemplate) -> Truth:
    he, she = (
        f"{template.prompt(profession.word)} {pronoun} {template.ending}."
        for pronoun in ("he", "she")
    )
    male = profession.score > 0
    pair = Contrast(
        id=f"pair:gender:{profession.word}",
        context="",
        stereotype=he if male else she,
        antistereotype=she if male else he,
        groups={"bias_type": "gender", "direction": "antistereo" if male else "stereo"},
    )
    return pair, profession.p_he if male else 1 - profession.p_he


def _group_pair(about: Association, other: Association, frame: int) -> Truth:
    said, of_other = (
        about.frames[frame].format(group=association.group, attribute=about.attribute)
        for association in (about, other)
    )
    pair = Contrast(
        id=f"pair:{about.kind}:{about.group}:{frame}",
        context="",
        stereotype=said,
        antistereotype=of_other,
        groups={
            "bias_type": about.kind,
            "direction": "stereo" if about.spoken_of else "antistereo",
        },
    )
    share, other_share = about.share(about.attribute), other.share(about.attribute)
    return pair, share / (share + other_share)


def _other(about: Association, associations: Sequence[Association]) -> Association:
    kind = [association for association in associations if association.kind == about.kind]
    start = kind.index(about)
    following = kind[start + 1 :] + kind[:start]
    return next(other for other in following if other.attribute != about.attribute)
