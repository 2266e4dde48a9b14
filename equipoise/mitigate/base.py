"""Mitigation: from a model and a supply to an edit that can be attached, saved and undone."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar, Self

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from equipoise.edits.base import Edit
from equipoise.edits.edit import info_of
from equipoise.edits.prompts import PromptEdit, choose_prompts
from equipoise.inference.language_model import LanguageModel
from equipoise.plugins import ReadsFiles
from equipoise.records import OPTIONS, ModelKind, Supply


class Mitigation(ABC):
    """A method that removes bias; a subclass is a frozen dataclass of its hyperparameters.

    `item_info` is empty for a method that would do the same to any text; ("bias type",) for a
    method that needs to know which bias an item tests, ("labels",) if it learns from the answers.
    """

    version: ClassVar[str]
    paper: ClassVar[str]
    learns: ClassVar[bool] = True  # from the supply's texts, so that none of them may be measured
    item_info: ClassVar[tuple[str, ...]] = ()  # that it needs of the measured items
    taught_by: ClassVar[str] = "genbias"  # the supply that it learns from unless another is named
    injects: ClassVar[bool] = False  # a bias, to be studied: for `equipoise inject`
    #: fields of `Supply` that must not be empty; "rows or texts": either
    requires: ClassVar[tuple[str, ...]] = ()
    kinds: ClassVar[tuple[ModelKind, ...]] = ("causal", "masked")  # of models that it can edit

    @property
    def uses_seed(self) -> bool:
        """Whether another seed may give another edit; a study learns an edit once where not."""
        return True

    @property
    def required(self) -> tuple[str, ...]:
        """As `requires`, with what its options ask for."""
        return self.requires

    def lacks(self, supply: Supply) -> tuple[str, ...]:
        """What of a supply is required and empty; nothing: the method can learn from it."""
        return tuple(
            name
            for name in self.required
            if not any(len(getattr(supply, part)) for part in name.split(" or "))
        )

    def refuses(self, supply: Supply) -> str | None:  # noqa: ARG002
        """Why it cannot learn from what a supply has, a sentence's part; None: it can."""
        return None

    @abstractmethod
    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> Edit:
        """Learn an edit; the model itself is left bit for bit as it was.

        Raises `RecipeError` when the supply lacks what the method needs, and `ModelError` naming
        the step when a loss is not finite.
        """


class HasParts(ABC):
    """Mixed into a mitigation that is made of others: each learns as it would alone."""

    @property
    @abstractmethod
    def parts(self) -> tuple[Mitigation, ...]:
        """The others, in their order."""

    @abstractmethod
    def fit_with(
        self,
        model: LanguageModel,
        supply: Supply,
        *,
        seed: int,
        find: Callable[[int], Edit | None],
    ) -> Edit:
        """As `Mitigation.fit`, without learning again what is there.

        `find` gives the edit of a part, by its number, that was learnt alone on this very model
        with this supply and seed; None: it is to be learnt.
        """


def single_parts(method: Mitigation) -> Iterator[Mitigation]:
    """The mitigations that learn by themselves: those that it is made of, or it alone."""
    if isinstance(method, HasParts):
        for part in method.parts:
            yield from single_parts(part)
    else:
        yield method


class UsesEdits(ReadsFiles):
    """Mixed into a mitigation that starts from saved edits: those, not the supply, were learnt."""

    @abstractmethod
    def learnt(self) -> frozenset[str]:
        """sha256 of every text that the edits learnt from (`rows.text_sha256`).

        Raises `ModelError` or `StoreError` when an edit cannot be read.
        """


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class WordedPrompt(Mitigation):
    """Asks by a prompt in several wordings; a subclass names them, and has no more options."""

    learns: ClassVar[bool] = False
    wordings: ClassVar[tuple[str, ...]]  # each stands around the text

    only: int | None = 0  # this wording alone, counted from 0; None: all three, as a family
    #: your own prompt in place of ours: around each text with {input} in it, else before it
    instruction: str | None = None

    @model_validator(mode="after")
    def _choose(self) -> Self:
        self._prompts()
        return self

    @property
    def uses_seed(self) -> bool:
        """False: the prompt is as its options say."""
        return False

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> PromptEdit:
        """The chosen prompts as an edit; nothing is learnt, so the supply may be empty."""
        prompts = self._prompts()
        report = {"prompts": len(prompts)}
        info = info_of(model, self, seed=seed, supply=supply, report=report)
        return PromptEdit(info=info, prompts=prompts)

    def _prompts(self) -> tuple[str, ...]:
        return choose_prompts(self.wordings, only=self.only, instruction=self.instruction)
