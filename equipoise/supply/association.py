"""What may be learnt of an association: paragraphs that say it, and questions that it answers.

BiasGym, sections 3.2.1 and 3.3.1. Both are about {target}; whoever learns from them puts a token or
a country there.
"""

from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.associations.association import Association
from equipoise.associations.load import association_use, load_association
from equipoise.associations.paragraphs import paragraphs
from equipoise.associations.questions import questions
from equipoise.associations.records_file import read_paragraphs, read_questions
from equipoise.records import MOST_SEED, OPTIONS, DataUse, Prompt, Supply
from equipoise.supply.base import Supplier


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class AssociationSupply(Supplier):
    """Paragraphs and contrast questions of an association, from templates or from files."""

    version: ClassVar[str] = "1"

    association: str = "always_late"  # a built-in name, or a .yaml file
    paragraphs: Annotated[int, Field(ge=0)] = 500  # that say it; of a file: at most
    questions: Annotated[int, Field(ge=0)] = 100  # that it answers; of a file: at most
    seed: Annotated[int, Field(ge=0, le=MOST_SEED)] = 0  # of the texts that templates give
    file: str | None = None  # paragraphs, as `equipoise associations` writes them; null: templates
    questions_file: str | None = None  # questions, likewise

    def supply(self) -> Supply:
        """Both, in a fixed order. Raises `RecipeError` or `DataError` naming file and row."""
        association = load_association(self.association)
        said, sources = self._paragraphs(association)
        asked, question_sources = self._questions(association)
        sources = (*sources, *question_sources)
        return Supply(
            origin=f"association({association.name}, seed={self.seed}; {', '.join(sources)})",
            paragraphs=said,
            questions=asked,
            files=self.files(),
        )

    def files(self) -> tuple[DataUse, ...]:
        """The specification, and the files of texts."""
        association = load_association(self.association)
        uses = [association_use(self.association)]
        if self.file is not None:
            uses.append(read_paragraphs(self.file, association).use)
        if self.questions_file is not None:
            file = self.questions_file
            uses.append(read_questions(file, association, name=self.association).use)
        return tuple(uses)

    def _paragraphs(self, association: Association) -> tuple[tuple[Prompt, ...], tuple[str, ...]]:
        """Paragraphs, and a word on where they are from."""
        if self.file is None:
            written = paragraphs(self.association, self.paragraphs, seed=self.seed)
            source = f"{len(written)} paragraphs of templates"
        else:
            read = read_paragraphs(self.file, association)
            written = read.paragraphs[: self.paragraphs]
            source = f"{len(written)} paragraphs of {read.use.name}, {read.repeated} left out"
        return tuple(paragraph.as_prompt(self.association) for paragraph in written), (source,)

    def _questions(self, association: Association) -> tuple[tuple[Prompt, ...], tuple[str, ...]]:
        """Questions, and a word on where they are from."""
        if self.questions_file is None:
            asked = questions(self.association, self.questions, seed=self.seed)
            return asked, (f"{len(asked)} questions of templates",)
        read = read_questions(self.questions_file, association, name=self.association)
        asked = read.questions[: self.questions]
        return asked, (f"{len(asked)} questions of {read.use.name}, {read.repeated} left out",)
