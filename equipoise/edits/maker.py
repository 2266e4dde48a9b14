"""Who made an edit, and of what model: the record that every edit of ours begins with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from equipoise.edits.edit import EditInfo, fingerprint
from equipoise.inference.language_model import LanguageModel
from equipoise.records import JSON, Supply


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """A method as it was set."""

    method: str  # the mitigation's name
    version: str
    options: Mapping[str, JSON]
    seed: int


def info_of(
    model: LanguageModel,
    maker: Maker,
    *,
    names: Iterable[str] = (),
    supply: Supply,
    trained_on: frozenset[str] = frozenset(),
    report: Mapping[str, JSON],
) -> EditInfo:
    """What is known of an edit that a method made of a model.

    `names`: the model's parameters that the edit replaces or sits on; none when it touches none.
    `supply`: what it was given to learn from; the rest is as in `EditInfo`.
    """
    return EditInfo(
        method=maker.method,
        version=maker.version,
        options=maker.options,
        seed=maker.seed,
        base=model.identity,
        base_name=model.load_name,
        base_kind=model.kind,
        base_fingerprint=fingerprint(model.module, names),
        trained_on=trained_on,
        origin=supply.origin,
        files=supply.files,
        report=report,
    )
