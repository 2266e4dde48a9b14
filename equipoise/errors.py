"""What can go wrong, as a tree.

    EquipoiseError
    ├── RecipeError   a request: an unknown name, a misspelt option, a wrong value
    │   ├── OptionError   an option of a plug-in, and which
    │   └── PackageError  a package that is not installed
    ├── DataError     a data file or an example in it
    ├── ModelError    a model, an edit, or what it answered
    │   └── RequestError  a request that a model cannot answer, and which
    ├── ProcessError  several processes that no longer work together
    └── StoreError    a result on disk
        └── PlaceError    the place itself: a full disk, a folder that may not be written to

Every message is a sentence: what must hold, what was got, what to do.
The command line prints it and exits with status 2.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class EquipoiseError(Exception):
    """Base of every error that a user can fix."""


class RecipeError(EquipoiseError):
    """A name, option or combination of options that does not exist or does not fit together."""


class OptionError(RecipeError):
    """An option that a plug-in does not have, or that has a wrong value; `option` is its name."""

    def __init__(self, sentence: str, option: str) -> None:
        super().__init__(sentence)
        self.option = option


class PackageError(RecipeError):
    """A package of an extra that is needed is not installed."""


class DataError(EquipoiseError):
    """A data file, or an example in it, is not what it must be."""


class ModelError(EquipoiseError):
    """A model or an edit cannot do what is needed, or gave invalid answers."""


class RequestError(ModelError):
    """A model cannot answer a request.

    `number` is the request's index, from 0, and `sentence` what is wrong with it, beginning with a
    verb, so that the caller can name the example behind the request.
    """

    def __init__(self, number: int, sentence: str) -> None:
        super().__init__(f"request {number} (counted from 0) {sentence}")
        self.number = number
        self.sentence = sentence


class ProcessError(EquipoiseError):
    """One of several processes has ended, hangs, or is not like the others: all must end."""


class StoreError(EquipoiseError):
    """A stored result cannot be read or written."""


class PlaceError(StoreError):
    """Nothing more can be written to a store, so that going on would lose what is computed."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """The tail of an error sentence that names what `name` may have meant.

    "did you mean 'stereoset'?" when something is close, else the sorted list of all that is valid.
    """
    names = sorted(valid)
    close = get_close_matches(name, names, n=3, cutoff=0.6)
    if close:
        return "did you mean " + " or ".join(f"'{match}'" for match in close) + "?"
    return "known: " + (", ".join(names) if names else "none")
