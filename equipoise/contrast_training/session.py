"""A supply as a model reads it, and an adapter trained on it: all that methods share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from equipoise.contrast_training.adapter_fitting import (
    Adapter,
    check_apart,
    fit_adapter,
    held_out,
    items_of,
)
from equipoise.contrast_training.controllers import Controller, Fixed
from equipoise.contrast_training.early_stopping import BiasEarlyStopping, report_of
from equipoise.contrast_training.evaluation import HeldOut
from equipoise.contrast_training.held_out_texts import PlainTexts, parted
from equipoise.contrast_training.packed_forward import PackedForward
from equipoise.contrast_training.retention import Divergence, Holding, Places, Texts, held_texts
from equipoise.contrast_training.side_effects import LMS, PERPLEXITY, Bounds
from equipoise.contrast_training.tokenized import TokenizedContrast, TokenizedText
from equipoise.edits.adapter import AdapterEdit
from equipoise.edits.maker import Maker
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.records import JSON, Supply
from equipoise.training.loop import Loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What is learnt from, what is looked at on the way, and who reads it."""

    model: LanguageModel
    supply: Supply
    longest: int  # tokens of a text; longer ones are left out
    reader: PackedForward
    items: Sequence[TokenizedContrast] = ()  # learnt from
    dev: Sequence[TokenizedContrast] = ()  # held out; none: nothing is looked at
    left_out: int = 0  # contrasts of the supply that are longer
    plain: PlainTexts
    bounds: Bounds = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises `RecipeError` for a bound of what nothing held out would tell."""
        terms = {one.target for one in self.dev if one.unrelated is not None}
        if LMS in self.bounds and len(terms) < 2:
            raise RecipeError(
                f"keep_lms needs held-out contrasts about 2 or more target terms with an unrelated "
                f"text, got {len(terms)} such terms from '{self.supply.origin}'; supply some, or "
                "leave keep_lms out"
            )
        if PERPLEXITY in self.bounds and self.plain.documents < 2:
            raise RecipeError(
                f"keep_perplexity needs plain texts of at most {self.longest} tokens, of 3 or more "
                f"documents, 2 of them to look at, got {len(self.supply.texts)} texts and "
                f"{self.plain.documents} documents to look at from '{self.supply.origin}'; supply "
                "some (of stereoset, name a corpus), or leave keep_perplexity out"
            )

    @classmethod
    def of(cls, model: LanguageModel, supply: Supply, *, longest: int, bounds: Bounds) -> "Lesson":
        """The supply's contrasts of at most `longest` tokens.

        Raises `RecipeError` when it lacks them, has only one of the two for a type, shares target
        terms between those to learn from and those held out, or cannot tell what is bounded;
        `ModelError` for a masked model.
        """
        check_apart(supply)
        items = items_of(model, supply.contrasts, supply, longest=longest)
        dev = held_out(model, items, supply, longest=longest)
        given = len(supply.contrasts) + len(supply.dev_contrasts)
        return cls(
            model=model,
            supply=supply,
            longest=longest,
            reader=PackedForward(model),
            items=items,
            dev=dev,
            left_out=given - len(items) - len(dev),
            plain=plain_texts(model, supply, longest=longest, bounds=bounds),
            bounds=bounds,
        )

    @property
    def pairs(self) -> list[TokenizedText]:
        """Stereotyping and other texts of the items, in turn."""
        return [text for item in self.items for text in item.pair]

    def holding(
        self, on: Texts, *, places: Places, batch: int, kind: Divergence = "forward", seed: int
    ) -> Holding:
        """Texts to hold the model by, `batch` of them a step; none when that is 0.

        Raises `RecipeError` when there are none of that kind.
        """
        texts: Sequence[TokenizedText] = ()
        if batch:
            texts = held_texts(
                self.model,
                self.items,
                self.plain.learnt,
                origin=self.supply.origin,
                which=on,
                places=places,
                longest=self.longest,
            )
        return Holding(texts=texts, batch=batch, kind=kind, places=places, seed=seed)

    def watch(
        self, controller: Controller, *, every: int, first_look: int, seed: int
    ) -> BiasEarlyStopping | None:
        """A watch of the held-out items and passages; None when there are none."""
        if not self.dev and not self.plain.apart:
            return None
        return BiasEarlyStopping(
            controller,
            HeldOut(self.reader, self.dev, self.plain.apart, costs=self.bounds, seed=seed),
            every=every,
            first_look=first_look,
            bounds=self.bounds,
        )

    def fit(
        self,
        adapter: Adapter,
        maker: Maker,
        *,
        loss: Loss,
        watch: BiasEarlyStopping | None,
        others: Sequence[TokenizedText] = (),
        report: Mapping[str, JSON] | None = None,
    ) -> AdapterEdit:
        """Train an adapter until its steps are used up or the watch stops it.

        `others`: texts that are learnt from beside the items'. `report`: more for the edit's own.
        """
        return fit_adapter(
            self.model,
            adapter,
            maker,
            loss=loss,
            watch=watch,
            supply=self.supply,
            texts=[
                *(text for item in (*self.items, *self.dev) for text in item.texts),
                *(one.text for one in self.plain.apart),
                *others,
            ],
            report=lambda: {
                **report_of(watch, self.items, self.dev, self.plain.apart),
                "left_out_items": self.left_out,
                **(report or {}),
            },
        )

    def fit_to_the_end(
        self,
        adapter: Adapter,
        maker: Maker,
        *,
        loss: Loss,
        every: int,
        others: Sequence[TokenizedText] = (),
        report: Mapping[str, JSON] | None = None,
    ) -> AdapterEdit:
        """As `fit`, for all steps; held-out items are looked at `every` so many, to be reported.

        Only what costs more than `bounds` allow ends it early.
        """
        watch = self.watch(Fixed(), every=every, first_look=0, seed=adapter.seed)
        return self.fit(adapter, maker, loss=loss, watch=watch, others=others, report=report)


def plain_texts(
    model: LanguageModel, supply: Supply, *, longest: int, bounds: Bounds
) -> PlainTexts:
    """The supply's plain texts, some of them kept apart where perplexity is bounded."""
    if PERPLEXITY not in bounds:
        return PlainTexts(learnt=supply.texts)
    return parted(model, supply, longest=longest)
