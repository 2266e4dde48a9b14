"""A chapter of the page: what one mitigation did to one model, benchmark by benchmark."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from equipoise.conclusions import Comparison, Verdict
from equipoise.records import JSON
from equipoise.report.axis import typeset
from equipoise.report.judged import judged
from equipoise.report.matrix import verdict_badges
from equipoise.report.page_rows import Badge, Row, named
from equipoise.report.provenance import flat
from equipoise.report.sections import Most, Section, section
from equipoise.report.sentences import subject, verdict_sentence
from equipoise.report.setting_names import setting_names, setting_of
from equipoise.study.study import Chapter


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a chapter is called, and what is said of it beside its comparisons."""

    title: str
    model: str
    mitigation: str
    verdict: Verdict
    edits: tuple[str, ...] = ()  # as a reader gets them
    seeds: Mapping[str, int] = field(default_factory=dict)  # of the edit, by a model's identity


@dataclass(frozen=True, slots=True, kw_only=True)
class ChapterView:
    """One mitigation of one model."""

    title: str
    model: str
    mitigation: str
    identities: tuple[str, str] | None  # before and after, where anything was compared
    further: int  # models after of further seeds
    edits: tuple[str, ...]
    verdict: str  # in words
    badges: tuple[Badge, Badge]  # bias, ability
    tone: str  # of the graver of the two
    headlines: tuple[Row, ...]  # what the verdict rests on, each on a scale of its own
    sections: tuple[Section, ...]


def chapter_view(chapter: Chapter, *, seeds: Mapping[str, int], most: Most) -> ChapterView:
    """A chapter of a study; `seeds` are those of the edits, by a model's identity."""
    told = Told(
        title=f"{chapter.mitigation} on {chapter.model}",
        model=chapter.model,
        mitigation=chapter.mitigation,
        edits=tuple(_learnt(edit) for edit in chapter.edits),
        verdict=chapter.verdict,
        seeds=seeds,
    )
    return titled(chapter.comparisons, told, most=most)


def titled(comparisons: Sequence[Comparison], told: Told, *, most: Most) -> ChapterView:
    """A chapter of these comparisons under that title."""
    names = setting_names(comparison.before for comparison in comparisons)
    first = comparisons[0] if comparisons else None
    badges = verdict_badges(told.verdict)
    return ChapterView(
        title=told.title,
        model=told.model,
        mitigation=told.mitigation,
        identities=None if first is None else (first.before.model, first.after.model),
        further=max((len(comparison.afters) for comparison in comparisons), default=1) - 1,
        edits=tuple(dict.fromkeys(told.edits)),
        verdict=typeset(verdict_sentence(told.verdict)),
        badges=badges,
        tone=_graver(badges),
        headlines=tuple(_headlines(told.verdict)),
        sections=tuple(
            section(
                replace(comparison, changes=judged(comparison, told.verdict)),
                names[setting_of(comparison.before)],
                seeds=told.seeds,
                most=most,
            )
            for comparison in comparisons
        ),
    )


def _graver(badges: tuple[Badge, Badge]) -> str:
    """The tone of the ability where that is the alarm, else of the bias."""
    bias, ability = badges
    alarms = ("worse", "reversed", "unclear")
    return min(
        (bias.tone, ability.tone),
        key=lambda one: alarms.index(one) if one in alarms else len(alarms),
    )


def model_edits(info: Mapping[str, JSON]) -> Iterable[str]:
    """Each edit of a model with its options: "lftf: objective ce_both, blocks 1, …"."""
    edits = info.get("edits")
    for one in edits if isinstance(edits, list) else []:
        if isinstance(one, dict) and isinstance(one.get("options"), dict):
            yield _learnt(one)


def _learnt(edit: Mapping[str, JSON]) -> str:
    options = edit.get("options")
    return f"{edit.get('method')}: {flat(options) if isinstance(options, dict) else options}"


def _headlines(verdict: Verdict) -> Iterable[Row]:
    for bia in (*verdict.bias, *verdict.ability):
        yield named(bia.change, subject(bia.change, bia.benchmark))
