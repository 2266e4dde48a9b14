"""beartype for jaxtyping, which makes its checks once of a function that is defined at every call.

jaxtyping gives it stand-ins without a body: those of one function differ in nothing that is checked
but their annotations.
"""

from collections.abc import Callable
from types import FunctionType
from typing import Any

from beartype import beartype

_made: dict[tuple[object, ...], Callable[..., Any]] = {}


def checked(function: FunctionType) -> Callable[..., Any]:
    """The stand-in with beartype's checks of its arguments and of its result."""
    if "<locals>" not in function.__qualname__:
        return beartype(function)
    code = function.__code__
    where = (function.__module__, function.__qualname__, code.co_varnames, code.co_argcount)
    key = (*where, repr(function.__annotations__))  # jaxtyping makes a class at every mention
    if key not in _made:
        _made[key] = beartype(function)
    return _made[key]
