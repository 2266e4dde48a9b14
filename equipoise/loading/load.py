"""Open a model by name, whatever it is: on the Hub, in a folder, an edit of one, or planted."""

from dataclasses import replace

from equipoise.inference.language_model import LanguageModel
from equipoise.loading import pretrained as loading
from equipoise.planted.model import load_planted


def load(
    name: str,
    *,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    base: str | LanguageModel | None = None,
    batch_tokens: int | None = None,
) -> LanguageModel:
    """The model of a name: a Hub id, a folder (model, PEFT adapter, saved edit) or "planted:NAME".

    `base` is the model that an edit or adapter is put on; None takes the one it names.
    `batch_tokens` bounds memory, results do not depend on it; None keeps the default.
    Raises `RecipeError`, `ModelError` or `StoreError` as `models.loading.load` and
    `planted.model.load_planted` do.
    """

    def planted(name: str) -> LanguageModel:
        return load_planted(name, dtype=dtype, device=device)

    model = loading.load(
        name,
        revision=revision,
        dtype=dtype,
        device=device,
        base=base,
        schemes={"planted": planted},
    )
    return model if batch_tokens is None else replace(model, batch_tokens=batch_tokens)
