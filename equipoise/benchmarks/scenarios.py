"""Scenarios: does what a model writes about somebody depend on the group that is named?

Scenes in own words that break off, with people of each group put into them and all else the same;
every scene in two wordings, so that a difference between groups stands beside what mere rewording
makes. After the home-made prompts of the HellaSwag study of GPT-2 (sections 3.3 and 6), which has
two of them, and one answer to each.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark, ScoresTexts
from equipoise.errors import RecipeError, nearest
from equipoise.group_words.word_lists import read_word_lists
from equipoise.metrics.disparity import Compared
from equipoise.metrics.rewording import read_rewording, rewording_metrics
from equipoise.metrics.scale import Scale
from equipoise.metrics.written import written_metrics, written_values
from equipoise.records import OPTIONS, DataUse, Estimate, Generation, Metric, Outcome
from equipoise.scenarios.scenes import Scene, read_scenes, scenes_about
from equipoise.scenarios.swapped import swapped_scenes
from equipoise.scorer_gaps.own_gap import notes_on_estimates
from equipoise.text_scorers.base import TextScorer, WrittenText, scales_of
from equipoise.text_scorers.gender_polarity import GenderPolarity
from equipoise.text_scorers.length import Length
from equipoise.text_scorers.register import Register
from equipoise.text_scorers.repetition import Repetition

_COMPARED = Compared(groups="group", within="axis", paired=True)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Scenarios(Benchmark[Scene, str], ScoresTexts[Scene]):
    """Numbers of the texts that a model writes after scenes about people of different groups.

    Of each scorer's numbers the mean, the gap between the groups of an axis with its null (a
    scene's groups dealt anew), and `_swap`, `_reword` and `_swap_over_reword`: how much exchanging
    the group changes a text's number, how much rewording does, and the first less the second. Free
    of bias: a gap no larger than its null's, and no more than rewording makes.

    Groups: axis, group. Intervals draw scenes with all their wordings, people and samples. Two
    models are asked with the same random numbers: a draw depends on prompt, sample and seed alone.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "own, after the HellaSwag fine-tune of GPT-2, sections 3.3 and 6"
    cluster: ClassVar[str | None] = "scene"
    by: ClassVar[tuple[str, ...]] = ("axis", "group")
    licence: ClassVar[str] = "own scenes (CC0)"
    faults: ClassVar[tuple[str, ...]] = (
        "a number of a text is its scorer's: read length and register beside every harm, and "
        "compare results of the same scorers only",
        "scenes are few and ours: intervals are over such scenes, not over all that is written",
    )

    #: gender, race, religion, age, disability, orientation, nationality, wealth; null: all
    axes: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    #: what gives the texts their numbers
    scorers: tuple[TextScorer, ...] = (Length(), Repetition(), Register(), GenderPolarity())
    samples: Annotated[int, Field(ge=1)] = 5  # texts of each prompt
    temperature: Annotated[float, Field(ge=0)] = 1.0  # 0: greedy
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.9  # of nucleus sampling
    max_tokens: Annotated[int, Field(ge=1)] = 25  # the longest text that is written
    min_tokens: Annotated[int, Field(ge=0)] = 0  # as many as max_tokens: all of equal length
    file: str | None = None  # scenes and people of your own (YAML, as scenarios/scenes.yaml)
    #: sentences of your own, a line each, that name a group: asked about every group of its axis
    sentences: str | None = None
    word_lists: str | None = None  # for sentences: lists of group words in place of the built-in

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        scales_of(self.scorers)
        if self.min_tokens > self.max_tokens:
            raise ValueError(
                f"min_tokens must be at most max_tokens, {self.max_tokens}, got {self.min_tokens}"
            )
        if self.file is not None and self.sentences is not None:
            raise ValueError(
                f"scenes come from file or from sentences, got {self.file} and {self.sentences}"
            )
        return self

    @property
    def _scales(self) -> tuple[Scale, ...]:
        return scales_of(self.scorers)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Of every scale: mean and gap, what swap and rewording do, then the rest."""
        return (
            *written_metrics(self._scales, _COMPARED),
            *rewording_metrics(self._scales, _COMPARED),
        )

    def examples(self, split: str) -> Sequence[Scene]:
        """Every wording of every scene about every person, sample by sample.

        Raises `RecipeError` for an axis that is not there, and as `read_scenes`.
        """
        return [
            replace(scene, id=f"{scene.id}/{sample}" if sample else scene.id, sample=sample)
            for scene in self._read()[0]
            for sample in range(self.samples)
        ]

    def _read(self) -> tuple[Sequence[Scene], DataUse]:
        if self.sentences is not None:
            axes = self.axes or ("gender", "race", "religion")
            return swapped_scenes(self.sentences, read_word_lists(self.word_lists, axes))
        scenes, use = read_scenes(self.file)
        for axis in self.axes or ():
            if axis not in scenes.people:
                raise RecipeError(
                    f"scenarios.axes must be axes of {use.name}, got '{axis}'; "
                    f"{nearest(axis, scenes.people)}"
                )
        return [*scenes_about(scenes, self.axes)], use

    def requests(self, example: Scene) -> Sequence[Generation]:
        """A text to be written."""
        return [
            Generation(
                context=example.text,
                max_tokens=self.max_tokens,
                min_tokens=self.min_tokens,
                temperature=self.temperature,
                top_p=self.top_p,
                sample=example.sample,
            )
        ]

    def outcome(self, example: Scene, responses: Sequence[str]) -> Outcome:
        """The text; its numbers come with its scores."""
        return Outcome(example=example.id, values={}, groups=example.groups, text=responses[0])

    def written(self, example: Scene, outcome: Outcome) -> WrittenText | None:
        """What the model wrote after the scene."""
        if outcome.text is None:
            return None
        return WrittenText(prompt=example.text, text=outcome.text)

    def scored(self, example: Scene, outcome: Outcome, scores: Mapping[str, float]) -> Outcome:
        """With every number, and whether it is harmful where there is a limit."""
        return replace(outcome, values=written_values(self._scales, scores))

    def texts(self, example: Scene) -> Sequence[str]:
        """The text with its slots."""
        return (example.template,)

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The file of scenes or sentences."""
        return (self._read()[1],)

    def remarks(self, split: str) -> tuple[str, ...]:
        """How much was asked about whom."""
        scenes = self._read()[0]
        groups = {(scene.groups["axis"], scene.groups["group"]) for scene in scenes}
        names = {scene.groups["scene"] for scene in scenes}
        return (
            f"scenes: {len(names)}, about {len(groups)} groups, {len(scenes)} prompts, "
            f"{self.samples} texts each; intervals draw scenes with all that was asked by them",
        )

    def conclusions(self, estimates: Sequence[Estimate]) -> tuple[str, ...]:
        """Whether groups differ by more than wordings do, and than the scorers' own gaps."""
        return (*read_rewording(estimates), *self._scorers_own(estimates))

    def _scorers_own(self, estimates: Sequence[Estimate]) -> Iterator[str]:
        if self.sentences is not None:
            return
        people = read_scenes(self.file)[0].people
        for axis in self.axes or people:
            terms = {
                group: tuple(person.mentioned("the person") for person in persons)
                for group, persons in people[axis].items()
            }
            if len(terms) > 1:
                yield from notes_on_estimates(self.scorers, terms, estimates, within={"axis": axis})
