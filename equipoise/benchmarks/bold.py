"""BOLD: what does a model write about people of different groups?

Dhamala et al. 2021, "BOLD: Dataset and Metrics for Measuring Biases in Open-Ended Language
Generation", https://doi.org/10.1145/3442188.3445924. Beginnings of Wikipedia sentences are
continued, and scorers say how toxic, friendly or long the texts are; Wikipedia's own continuations
are scored beside them.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import field, replace
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark, ScoresTexts
from equipoise.data.bold import DOMAINS, LICENCE, Beginning, Domain, files_of, read_domain
from equipoise.data.partition import shuffled
from equipoise.data.sources import OWN_LICENCE
from equipoise.data.written_texts import read_texts
from equipoise.errors import DataError
from equipoise.files.atomic import sha256
from equipoise.metrics.disparity import Compared
from equipoise.metrics.scale import Scale
from equipoise.metrics.written import (
    note_samples,
    note_widest,
    written_metrics,
    written_values,
)
from equipoise.records import OPTIONS, DataUse, Estimate, Generation, Metric, Outcome
from equipoise.scorer_gaps.own_gap import notes_on_estimates
from equipoise.text_scorers.base import TextScorer, WrittenText, scales_of
from equipoise.text_scorers.gender_polarity import GenderPolarity
from equipoise.text_scorers.length import Length
from equipoise.text_scorers.register import Register
from equipoise.text_scorers.repetition import Repetition

#: How the groups of a domain are named in a text, to ask what scorers say of the name alone.
_NAMED: Final[Mapping[Domain, Mapping[str, tuple[str, ...]]]] = {
    "gender": {
        "American_actors": ("the actor", "the man"),
        "American_actresses": ("the actress", "the woman"),
    },
    "race": {
        group: (f"the {name} American",)
        for group, name in (
            ("Asian_Americans", "Asian"),
            ("African_Americans", "African"),
            ("European_Americans", "European"),
            ("Hispanic_and_Latino_Americans", "Hispanic"),
        )
    },
    "religious_ideology": {
        "judaism": ("the Jew",),
        "christianity": ("the Christian",),
        "islam": ("the Muslim",),
        "hinduism": ("the Hindu",),
        "buddhism": ("the Buddhist",),
        "sikhism": ("the Sikh",),
        "atheism": ("the atheist",),
    },
}

COMPARED: Final = Compared(groups="compared", within="domain")


@plain_dataclass(frozen=True, slots=True, kw_only=True)
class BoldText:
    """A prompt, to be continued for the n-th time."""

    id: str  # of its prompt, with "/1" for the second sample, and so on
    text: str  # what the model goes on from
    sentence: str  # that the prompt is of, whole
    reference: str | None  # how the person went on, with its leading space; None: did not
    sample: int
    most_words: int | None  # what both texts are cut to
    groups: Mapping[str, str] = field(default_factory=dict)


@plain_dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A prompt that is measured."""

    beginning: Beginning
    shared: bool  # it, or its entity, is in two groups of the domain
    compared: bool  # it counts in the gap between groups


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Official:
    """The beginning of a sentence, as in the file of prompts; Wikipedia's own is the reference."""

    name: Literal["official"] = "official"


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class WholeSentence:
    """A whole sentence of the file of sentences and the beginning of another; no reference."""

    name: Literal["sentence"] = "sentence"
    stem: Annotated[str, Field(min_length=1)] = "They are"  # the next sentence's; or "He is"


def _each_once(domains: tuple[Domain, ...]) -> tuple[Domain, ...]:
    if not domains or len(set(domains)) < len(domains):
        raise ValueError(f"must name domains, each once, got {list(domains)}")
    return domains


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Bold(Benchmark[BoldText, str], ScoresTexts[BoldText]):
    """Levels of scored texts about people, and the gaps between groups. Groups alike: gap 0.

    How harmful texts are overall, and how far groups lie apart, are two answers: each scale has
    both, and each gap its null. `_human` is Wikipedia's own text after the same prompts, and
    `_minus_human` the paired difference. Texts are kept.

    A text is drawn with random numbers that depend on the seed of the measurement and on the
    request alone: models that are measured with one seed get the same.
    Groups: domain, group, person; intervals draw entities, with all their prompts and samples.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Dhamala et al. 2021, BOLD, FAccT"
    cluster: ClassVar[str | None] = "entity"
    licence: ClassVar[str] = LICENCE
    faults: ClassVar[tuple[str, ...]] = (
        "Harm and disparity are two answers: texts may become less harmful while groups stay as "
        "far apart, and shorter texts have less room for harm: read length beside it.",
        "A gap is above 0 without any difference between groups, the more the fewer the texts: "
        "read it beside _gap_null and _gap_p, of which one in twenty is below 0.05 by chance.",
        "A scorer has biases of its own, and prompts differ between groups by more than the group: "
        "a gap may be the scorer's, the names' or the topics'.",
        "Wikipedia's texts (_human) end with their sentence and are of any length, what is written "
        "here of at most max_tokens: truncate_to compares both at equal length.",
    )
    data_faults: ClassVar[tuple[str, ...]] = (
        "Groups hold entities that do not belong there: three presidents among Asian Americans, "
        "a British prince among African Americans.",
        "734 of the 23,679 prompts hold a line feed, 1,184 an odd number of quotation marks.",
    )

    #: which files are read
    domains: Annotated[tuple[Domain, ...], AfterValidator(_each_once)] = DOMAINS
    #: of race and profession: entities that are persons by our list, or all; the groups "person"
    #: have those that are and are not apart
    entities: Literal["persons", "all"] = "persons"
    per_group: Annotated[int, Field(ge=1)] | None = 100  # at most so many prompts; null: all
    choice_seed: int = 0  # which prompts of a larger group (by hash)
    prompt_form: Official | WholeSentence = Official()  # what is to be continued, below
    #: whether prompts of two groups of a domain count in gaps, in the group that comes first
    shared_in_gaps: bool = False
    #: groups of fewer entities are in no gap: a bootstrap often draws none of one or two
    fewest_entities: Annotated[int, Field(ge=1)] = 3
    samples: Annotated[int, Field(ge=1)] = 5  # texts of each prompt
    temperature: Annotated[float, Field(ge=0)] = 1.0  # 0: greedy, and samples are alike
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.9  # of nucleus sampling
    max_tokens: Annotated[int, Field(ge=1)] = 25  # the longest text that is written
    min_tokens: Annotated[int, Field(ge=0)] = 0  # as many as max_tokens: all of equal length
    #: texts and references are cut to so many words, or each to as many as the text of the same
    #: prompt and sample has in a file (columns "example" and "text")
    truncate_to: Annotated[int, Field(ge=1)] | str | None = None
    #: what gives the texts their numbers; keep length beside any of harm
    scorers: tuple[TextScorer, ...] = (Length(), Repetition(), Register(), GenderPolarity())

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.min_tokens > self.max_tokens:
            raise ValueError(
                f"min_tokens must be at most max_tokens, {self.max_tokens}, got {self.min_tokens}"
            )
        scales_of(self.scorers)
        return self

    @property
    def by(self) -> tuple[str, ...]:
        """Whether entities are persons is asked of race and profession alone."""
        asked = {"race", "profession"} & {*self.domains}
        return ("domain", "group", *(["person"] if asked else []))

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Level and gap of every scale first, then the rest."""
        human = isinstance(self.prompt_form, Official)
        return written_metrics(self._scales, COMPARED, human=human)

    def examples(self, split: str) -> Sequence[BoldText]:
        """Every chosen prompt, sample by sample.

        Raises `DataError` naming the file that is missing or wrong.
        """
        lengths = None
        if isinstance(self.truncate_to, str):
            lengths = read_texts(_existing(self.truncate_to), "text")
        return [
            self._example(prompt, sample, lengths)
            for prompt in self._choose()[0]
            for sample in range(self.samples)
        ]

    def requests(self, example: BoldText) -> Sequence[Generation]:
        """A text to be written after the prompt."""
        return [
            Generation(
                context=example.text, max_tokens=self.max_tokens, min_tokens=self.min_tokens,
                temperature=self.temperature, top_p=self.top_p, sample=example.sample,
            )
        ]  # fmt: skip

    def outcome(self, example: BoldText, responses: Sequence[str]) -> Outcome:
        """The text, cut where that is asked for; its numbers come with its scores."""
        (text,) = responses
        text = _cut(text, example.most_words)
        return Outcome(example=example.id, values={}, groups=example.groups, text=text)

    def written(self, example: BoldText, outcome: Outcome) -> WrittenText | None:
        """The text after its prompt."""
        if outcome.text is None:
            return None
        return WrittenText(prompt=example.text, text=outcome.text)

    def reference(self, example: BoldText) -> WrittenText | None:
        """Wikipedia's own continuation, cut as the text is."""
        if example.reference is None:
            return None
        text = _cut(example.reference, example.most_words)
        return WrittenText(prompt=example.text, text=text)

    def scored(self, example: BoldText, outcome: Outcome, scores: Mapping[str, float]) -> Outcome:
        """The text's numbers, and whether it is harmful; those of its reference likewise."""
        values = written_values(self._scales, scores)
        if isinstance(self.prompt_form, Official):
            values |= written_values(self._scales, scores, human=True)
        return replace(outcome, values=values)

    def texts(self, example: BoldText) -> Sequence[str]:
        """The whole sentence that the prompt is of."""
        return (example.sentence,)

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The files of the chosen domains, and the file of texts whose lengths are taken."""
        uses = [use for domain in self.domains for use in files_of(domain)]
        if isinstance(self.truncate_to, str):
            file = _existing(self.truncate_to)
            uses.append(
                DataUse(name=file.name, sha256=sha256(file), licence=OWN_LICENCE, verified=None)
            )
        return tuple(uses)

    def remarks(self, split: str) -> tuple[str, ...]:
        """What was chosen, what was left out and why, and what is in no gap."""
        return self._choose()[1]

    def observations(self, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
        """Which two groups are farthest apart, and whether prompts have fewer samples."""
        return (*note_widest(outcomes, self._scales, COMPARED), *note_samples(outcomes))

    def conclusions(self, estimates: Sequence[Estimate]) -> tuple[str, ...]:
        """Gaps of genders, races and religions that are no larger than the scorers' own."""
        return tuple(
            note
            for domain in (domain for domain in self.domains if domain in _NAMED)
            for note in notes_on_estimates(
                self.scorers, _NAMED[domain], estimates, within={"domain": domain}
            )
        )

    @property
    def _scales(self) -> tuple[Scale, ...]:
        return scales_of(self.scorers)

    def _example(self, prompt: Chosen, sample: int, lengths: Mapping[str, str] | None) -> BoldText:
        beginning = prompt.beginning
        id = f"{beginning.id}/{sample}" if sample else beginning.id
        most = self.truncate_to if isinstance(self.truncate_to, int) else None
        if lengths is not None:
            if id not in lengths:
                raise DataError(
                    f"{self.truncate_to} must have a text of every prompt and sample, got none of "
                    f"'{id}'; measure it with the same options, and write its outcomes"
                )
            most = len(lengths[id].split())
        text, reference = beginning.text, beginning.continuation or None
        if isinstance(self.prompt_form, WholeSentence):
            text, reference = f"{beginning.sentence} {self.prompt_form.stem}", None
        groups = {
            "domain": beginning.domain, "group": beginning.group, "entity": beginning.entity,
            "prompt": beginning.id,
        }  # fmt: skip
        if beginning.person is not None:
            groups["person"] = "yes" if beginning.person else "no"
        if prompt.shared:
            groups["in_two_groups"] = "yes"
        if prompt.compared:
            groups[COMPARED.groups] = beginning.group
        return BoldText(
            id=id, text=text, sentence=beginning.sentence, reference=reference, sample=sample,
            most_words=most, groups=groups,
        )  # fmt: skip

    def _choose(self) -> tuple[list[Chosen], tuple[str, ...]]:
        """The prompts of all domains, and what to say of their choice."""
        chosen, notes = [], []
        for domain in self.domains:
            kept, left_out = self._keep(read_domain(domain))
            count = Counter(prompt.beginning.group for prompt in kept)
            entities = {
                group: len(
                    {p.beginning.entity for p in kept if p.compared and p.beginning.group == group}
                )
                for group in count
            }
            small = [group for group in count if entities[group] < self.fewest_entities]
            chosen += [
                replace(prompt, compared=prompt.compared and prompt.beginning.group not in small)
                for prompt in kept
            ]
            notes.append(_describe(domain, count, left_out))
            marked = sum(prompt.shared for prompt in kept)
            if marked:
                where = "are in gaps" if self.shared_in_gaps else "are in no gap"
                notes.append(f"{domain}: {marked} prompts are of two groups of it, and {where}")
            if small:
                of = ", ".join(f"{group} ({entities[group]})" for group in small)
                notes.append(
                    f"{domain}: groups in no gap, having fewer than {self.fewest_entities} "
                    f"entities: {of}"
                )
        return chosen, tuple(notes)

    def _keep(self, read: Sequence[Beginning]) -> tuple[list[Chosen], Counter[str]]:
        """The prompts of a domain that are measured, in the file's order; and who is left out."""
        left_out: Counter[str] = Counter()
        copies: dict[str, list[Beginning]] = {}
        for beginning in read:
            if not beginning.text.strip():
                left_out["empty"] += 1
            elif self.entities == "persons" and beginning.person is False:
                left_out["of no person"] += 1
            else:
                text = beginning.text
                if isinstance(self.prompt_form, WholeSentence):
                    text = beginning.sentence
                copies.setdefault(" ".join(text.split()).casefold(), []).append(beginning)
        left_out["repeated"] = sum(len(alike) - 1 for alike in copies.values())
        by_group: dict[str, list[Chosen]] = {}
        for alike in copies.values():
            first = alike[0]
            shared = first.groups > 1 or len({beginning.group for beginning in alike}) > 1
            by_group.setdefault(first.group, []).append(
                Chosen(beginning=first, shared=shared, compared=self.shared_in_gaps or not shared)
            )
        kept = []
        for group in by_group.values():
            ids = [prompt.beginning.id for prompt in group]
            drawn = {*shuffled(ids, seed=f"bold {self.choice_seed}")[: self.per_group]}
            kept += [prompt for prompt in group if prompt.beginning.id in drawn]
            left_out["beyond per_group"] += len(group) - len(drawn)
        return kept, left_out


def _describe(domain: Domain, count: Mapping[str, int], left_out: Mapping[str, int]) -> str:
    sizes = ", ".join(f"{group} {size}" for group, size in count.items())
    without = ", ".join(f"{size} {why}" for why, size in left_out.items() if size)
    return f"{domain}: {sum(count.values())} prompts ({sizes}); left out: {without or 'none'}"


def _existing(name: str) -> Path:
    """The file of a name. Raises `DataError` where there is none."""
    file = Path(name).expanduser()
    if not file.is_file():
        raise DataError(
            f"truncate_to must be a number of words or a file of texts, got '{name}', which is no "
            "file; name one"
        )
    return file


def _cut(text: str, words: int | None) -> str:
    """The text up to the end of its n-th word, the space between them as it is."""
    if words is None:
        return text
    ends = [match.end() for match in re.finditer(r"\S+", text)]
    return text[: ends[words - 1]] if 0 < words < len(ends) else text if words else ""
