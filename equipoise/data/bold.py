"""BOLD's official files: beginnings of Wikipedia sentences, and the sentences that they are of.

Dhamala, Sun, Kumar, Krishna, Pruksachatkun, Chang & Gupta 2021, "BOLD: Dataset and Metrics for
Measuring Biases in Open-Ended Language Generation", https://doi.org/10.1145/3442188.3445924; CC
BY-SA 4.0. A file is {group: {entity: [text, ...]}}; those of prompts and of sentences are alike.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Annotated, Final, Literal, TypeAlias, get_args

from annotated_types import Len
from pydantic import ConfigDict, RootModel, TypeAdapter

from equipoise.data.sources import REMEDY, Source, read_json
from equipoise.data.validation import Text, read_record
from equipoise.errors import DataError
from equipoise.files.yaml_data import parse_yaml
from equipoise.records import DataUse

LICENCE: Final = "CC BY-SA 4.0"

Domain: TypeAlias = Literal[
    "gender", "race", "profession", "political_ideology", "religious_ideology"
]
DOMAINS: Final[tuple[Domain, ...]] = get_args(Domain)

_COMMIT: Final = "3ad652c"
_SHA256: Final[Mapping[Domain, tuple[str, str]]] = {
    "gender": (
        "a863aaf2492e3c911c39f435005abee2eba5f5edabe836e97de110cd83273054",
        "a6f3bb5139dc4e4615e199dfd56a971a5829b09cb78c790d6cad554e4b9111dc",
    ),
    "race": (
        "200337f6c43b09671e580b1df6aea2cdc0196ee02779260e9881da07029e1cb6",
        "f87f64909db217119c1bca8e4f610876ae3bb48461b77ac863f09cc90e99c132",
    ),
    "profession": (
        "5508012069f20419559417e64d8bb2b8d864ebf8afedd21e5ca564393c291794",
        "3d5f719a131e06d32d3bff709c613fc52c818c391262240cf0017522b3ed04a2",
    ),
    "political_ideology": (
        "a83ea7cc272971b618231e13bcb5c1d1be5b208c92135c4ffde85be31f8ab4c6",
        "a07fe5ec08abe793318c6394c397d9515c233ded7079c1ad9e947c546dc88fa6",
    ),
    "religious_ideology": (
        "633830ea87d569e5476895a93f68b8f686cb0dcae6d67a1091a9247c5c4c931d",
        "094982f89659966d17e6c264f3abd8feae0415bb982e32166de93ea881bc63ef",
    ),
}


def _source(path: str, sha256: str) -> Source:
    url = f"https://raw.githubusercontent.com/amazon-science/bold/{_COMMIT}/{path}"
    return Source(path=f"bold/{path}", url=url, hashes=(sha256,), licence=LICENCE)


PROMPTS: Final[Mapping[Domain, Source]] = {
    domain: _source(f"prompts/{domain}_prompt.json", of_prompts)
    for domain, (of_prompts, _) in _SHA256.items()
}
SENTENCES: Final[Mapping[Domain, Source]] = {
    domain: _source(f"wikipedia/{domain}_wiki.json", of_sentences)
    for domain, (_, of_sentences) in _SHA256.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """A prompt, and the sentence that it begins."""

    id: str  # "race/Asian_Americans/Lucy_Liu/0": domain, group, entity, and place in its list
    domain: Domain
    group: str  # "Asian_Americans"
    entity: str  # title of the Wikipedia article
    text: str  # without the space at its end; "" for a few
    sentence: str  # whole, without space at its ends
    continuation: str  # what the sentence goes on with, its leading space included; may be ""
    person: bool | None  # whether the entity is a person; None: not asked of the domain
    groups: int  # of the domain that have the entity


class _File(RootModel[Annotated[dict[Text, Annotated[dict[Text, list[str]], Len(1)]], Len(1)]]):
    """Group to entity to its texts."""

    model_config = ConfigDict(strict=True)


def read_domain(domain: Domain) -> list[Beginning]:
    """All prompts of a domain in the order of the file, empty and repeated ones, too.

    Raises `DataError` where the two files do not have the same groups and entities, or a sentence
    does not begin with its prompt.
    """
    prompts, sentences = (
        read_record(_File, read_json(source), source.path).root
        for source in (PROMPTS[domain], SENTENCES[domain])
    )
    times = Counter(entity for entities in prompts.values() for entity in entities)
    beginnings = []
    for group, entities in prompts.items():
        for entity, texts in entities.items():
            whole = sentences.get(group, {}).get(entity, [])
            where = f"{SENTENCES[domain].path}, {group}.{entity}"
            if len(whole) != len(texts):
                raise DataError(
                    f"{where} must have {len(texts)} sentences, one for each prompt, got "
                    f"{len(whole)}; {REMEDY}"
                )
            for place, (text, sentence) in enumerate(zip(texts, whole, strict=True)):
                text, sentence = text.rstrip(), sentence.rstrip()
                if not sentence.startswith(text):
                    raise DataError(
                        f"{where}[{place}] must begin with its prompt, got another text; {REMEDY}"
                    )
                beginnings.append(
                    Beginning(
                        id=f"{domain}/{group}/{entity}/{place}", domain=domain, group=group,
                        entity=entity, text=text, sentence=sentence,
                        continuation=sentence[len(text) :], person=is_person(domain, entity),
                        groups=times[entity],
                    )
                )  # fmt: skip
    return beginnings


# --- which entities are persons -----------------------------------------------------------------

_ENTITIES: Final = resources.files("equipoise.data").joinpath("bold_entities.yaml")


@cache
def _listed() -> Mapping[str, frozenset[str]]:
    document, _ = parse_yaml(_ENTITIES.read_text("utf-8"), _ENTITIES.name, "list")
    return TypeAdapter(dict[str, frozenset[str]]).validate_python(document)


def is_person(domain: Domain, entity: str) -> bool | None:
    """Whether a title is a person's, by `bold_entities.yaml` and its rule; None: not asked.

    Of race: a real person. Of profession: whoever does a kind of work, or holds a post. Titles of
    another file than the official one count as persons in race, and as none in profession.
    """
    if domain == "race":
        return entity not in _listed()["race_no_persons"]
    return entity in _listed()["profession_persons"] if domain == "profession" else None


def files_of(domain: Domain) -> tuple[DataUse, DataUse]:
    """The two files of a domain."""
    return PROMPTS[domain].use(), SENTENCES[domain].use()
