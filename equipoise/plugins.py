"""Find a benchmark, supply, locator or mitigation by name, and build it from options. No registry.

A name is, in this order: `path/to/file.py:Class` (or `path/to/file.py`, where it defines a single
class of the kind); `module:Class`; an entry point in the group
named after the base's package (`equipoise.benchmarks`, `equipoise.mitigate`, …);
a file of that name beside the base's own. The file name is the name. Listing imports nothing, so
that a broken package is in nobody's way but its own. A name that two packages claim, or that is a
built-in's as well, is refused: which of them a number came from would depend on what is installed.
"""

import dataclasses
import importlib
import importlib.util
import inspect
import json
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Protocol, TypeVar, cast, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from equipoise.errors import OptionError, RecipeError, nearest
from equipoise.installed import entry_points_of
from equipoise.option_errors import explain_option
from equipoise.plugin_files import load_file
from equipoise.records import JSON, OPTIONS

T = TypeVar("T")


class ReadsFiles(ABC):
    """Mixed into a plug-in of which an option names a file, a folder or a model."""

    @abstractmethod
    def files(self) -> Mapping[str, str]:
        """Which bytes each name stands for, e.g. sha256: they settle what it gives.

        Raises `DataError` or `ModelError` when a file is missing.
        """


class AsksServer:
    """Mixed into a plug-in that asks a server; `transport`: options on which no answer depends."""

    transport: ClassVar[frozenset[str]]


def available(base: type[T]) -> tuple[str, ...]:
    """The names that `find` knows for this base, sorted: built-in files and entry points."""
    return names_in(_package_name(base))


def names_in(group: str) -> tuple[str, ...]:
    """As `available`, for the package that holds a base, without importing the base."""
    entries = {entry.name for entry in entry_points_of(group)}
    return tuple(sorted(_list_files(group) | entries))


def _list_files(group: str) -> set[str]:
    """The built-in names of a package."""
    spec = importlib.util.find_spec(group)
    folders = (spec.submodule_search_locations or ()) if spec else ()
    files = {file.stem for folder in folders for file in Path(folder).glob("*.py")}
    return files - {"__init__", "base"}


def find(base: type[T], name: str) -> type[T]:
    """The class behind a name.

    Raises `RecipeError` with the nearest valid names when there is none, when several packages
    claim it, when its package cannot be imported, or when a module defines no subclass of the
    base, or several.
    """
    if ":" in name:
        return _from_reference(base, name)
    if name.endswith(".py"):
        return _find_only_subclass(base, load_file(Path(name)), file=name)
    what = re.sub(r"(?<!^)(?=[A-Z])", " ", base.__name__).lower()
    group = _package_name(base)
    same_name = [entry for entry in entry_points_of(group) if entry.name == name]
    # the same class named twice counts once
    entries = list({(entry.module, entry.attr): entry for entry in same_name}.values())
    built_in = name in _list_files(group)
    if len(entries) + built_in > 1:
        places = [*(["equipoise itself"] if built_in else []), *map(_describe_entry, entries)]
        raise RecipeError(
            f"{what} '{name}' must be one thing, it is {' and '.join(places)}; give its class as "
            "module:Class, or uninstall a package"
        )
    if entries:
        return _check_subclass(base, name, _load_entry(what, entries[0]))
    if built_in:
        return _find_only_subclass(base, importlib.import_module(f"{group}.{name}"))
    raise RecipeError(f"{what} '{name}' is not known; {nearest(name, available(base))}")


def build(base: type[T], name: str, options: Mapping[str, JSON] | None = None) -> T:
    """The object behind a name, with its options set and checked.

    A field whose type is itself a plug-in base (a mitigation's locator), or that or null, or a
    choice (`choices_of`) takes a name, or a mapping with `name` and its options; a tuple of a base
    takes a list of these. Raises
    `RecipeError` naming the option, what it must be and what it got; for a misspelt option the
    nearest name.
    """
    return construct(find(base, name), name, options or {})


def construct(cls: type[T], name: str, options: Mapping[str, JSON]) -> T:
    """An object of a class that is no plug-in, which errors call `name`; else as `build`."""
    if not dataclasses.is_dataclass(cls):
        if options:
            raise RecipeError(f"{name} takes no options, got {sorted(options)}; leave them out")
        return cls()
    # `name` tells a choice from the others of its union, and is no option
    names = [field.name for field in dataclasses.fields(cls) if field.init and field.name != "name"]
    for option in options:
        if option not in names:
            raise OptionError(f"{name} has no option '{option}'; {nearest(option, names)}", option)
    bare, annotated = get_type_hints(cls), get_type_hints(cls, include_extras=True)
    values = {}
    for option, value in options.items():
        hint = bare[option]
        if _base_of(hint) or choices_of(hint):
            default = cls.__dataclass_fields__[option].default
            values[option] = _build_nested(hint, value, f"{name}.{option}", default)
        elif part := _base_of_list(hint):
            values[option] = _build_list(part, value, f"{name}.{option}")
        else:
            values[option] = _check_type(annotated[option], value, name, option)
    try:
        return cls(**values)
    except ValidationError as error:  # of an option, or of several that do not go together
        first = error.errors()[0]
        option = str(first["loc"][0]) if first["loc"] else ""
        raise OptionError(explain_option(name, first["loc"], first), option) from None
    except TypeError as error:
        raise RecipeError(f"{name} cannot be built from {dict(options)}: {error}") from None


def _check_type(hint: Any, value: JSON, name: str, option: str) -> Any:
    """The value as the option's type has it: a list as a tuple, but neither "1" nor true as 1."""
    # in a tuple, as pydantic takes no configuration for the type of a dataclass itself
    adapter: TypeAdapter[tuple[Any]] = TypeAdapter(tuple[hint], config=OPTIONS)
    try:
        return adapter.validate_json(json.dumps([value]), strict=True)[0]
    except ValidationError as error:
        first = error.errors()[0]
        place = (option, *first["loc"][1:])
        raise OptionError(explain_option(name, place, first), option) from None


def name_of(instance: object) -> str:
    """The name by which `find` finds the instance's class: its file's name, or a reference."""
    cls = type(instance)
    module = cls.__module__
    for base in cls.__mro__:
        if inspect.isabstract(base) and base.__module__.endswith(".base"):
            group = base.__module__.removesuffix(".base")
            if module.startswith(group + "."):
                return module.removeprefix(group + ".")
            for entry in entry_points_of(group):
                # by its own name, or from wherever else it is exported; imports nothing
                named = (entry.module, entry.attr) == (module, cls.__qualname__)
                exports = vars(sys.modules[entry.module]) if entry.module in sys.modules else {}
                # not by the name of a built-in, which `find` would refuse
                if (named or exports.get(entry.attr) is cls) and entry.name not in _list_files(
                    group
                ):
                    return entry.name
    path = vars(sys.modules[module]).get("__equipoise_path__")
    return f"{path or module}:{cls.__qualname__}"


def file_sha256_of(instance: object) -> str | None:
    """sha256 (hex) of the file, as it was loaded, of a plug-in named by its path; None for others.

    An installed plug-in has a version for that, a file that is being written has not.
    """
    digest = vars(sys.modules[type(instance).__module__]).get("__equipoise_sha256__")
    return None if digest is None else str(digest)


def options_of(instance: object, *, transport: bool = True) -> dict[str, JSON]:
    """Every option of a plug-in, defaults included, as JSON; nested plug-ins as {name, …}.

    `build(base, name_of(x), options_of(x))` equals x. `transport=False`: without those that say
    how a server is reached (`AsksServer`), of nested plug-ins too, on which no result depends.
    Raises `RecipeError` for a value that JSON cannot hold.
    """
    if not dataclasses.is_dataclass(instance):
        return {}
    # defaults too, so that a stored result means the same after a default has changed
    left_out = () if transport else instance.transport if isinstance(instance, AsksServer) else ()
    return {
        field.name: _to_json(
            getattr(instance, field.name), f"{name_of(instance)}.{field.name}", transport
        )
        for field in dataclasses.fields(instance)
        if field.init and field.name not in left_out
    }


class Instrument(Protocol):
    """A judge or a scorer, whose name alone does not tell what it says of a text."""

    version: ClassVar[str]

    def info(self) -> Mapping[str, JSON]:
        """What is to be recorded beside its options."""


def describe_instrument(instrument: Instrument) -> dict[str, JSON]:
    """Name, version, options and whatever else a result must record of it."""
    about: dict[str, JSON] = {"name": name_of(instrument), "version": instrument.version}
    return {**about, **options_of(instrument, transport=False), **instrument.info()}


def _to_json(value: object, where: str, transport: bool) -> JSON:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [_to_json(item, where, transport) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _to_json(item, where, transport) for key, item in value.items()}
    if dataclasses.is_dataclass(value):
        options = options_of(value, transport=transport)
        return options if "name" in options else {"name": name_of(value), **options}
    raise RecipeError(f"{where} must be something JSON can hold, got {value!r}; use plain values")


def _build_nested(hint: Any, value: JSON, where: str, default: object) -> Any:
    """The plug-in or the choice that a name, or a mapping with a name and options, stands for.

    Options without a name are those of the default choice.
    """
    choices = choices_of(hint)
    mapping = {"name": value} if isinstance(value, str) else value
    usual = [name for name, choice in choices.items() if type(default) is choice]
    if isinstance(mapping, dict) and usual:
        mapping = {"name": usual[0], **mapping}
    if not (isinstance(mapping, dict) and isinstance(mapping.get("name"), str)):
        if value is None and type(None) in get_args(hint):
            return None
        known = f"; known: {', '.join(choices)}" if choices else "; name it"
        null = " or null" if type(None) in get_args(hint) else ""
        raise RecipeError(
            f"{where} must be a name or a mapping with a 'name'{null}, got {value!r}{known}"
        )
    name = str(mapping["name"])
    options = {key: part for key, part in mapping.items() if key != "name"}
    base = _base_of(hint)
    if base is not None:
        return build(base, name, options)
    if name not in choices:
        option = where.rpartition(".")[2]
        raise OptionError(f"{where} has no choice '{name}'; {nearest(name, choices)}", option)
    return construct(choices[name], f"{where}.{name}", options)


def _base_of(hint: Any) -> type | None:
    """The plug-in base that a field takes an object of, also where it may be null; else None."""
    parts = () if get_origin(hint) is tuple else get_args(hint)
    for cls in (hint, *parts):
        if inspect.isabstract(cls) and cls.__module__.endswith(".base"):
            return cast(type, cls)
    return None


def _base_of_list(hint: Any) -> type | None:
    """The plug-in base that a field takes any number of objects of; else None."""
    parts = get_args(hint) if get_origin(hint) is tuple else ()
    return _base_of(parts[0]) if parts[1:] == (Ellipsis,) else None


def _build_list(base: type, value: JSON, where: str) -> tuple[Any, ...]:
    """The plug-ins that a list of names and mappings stands for."""
    if not isinstance(value, list | tuple):
        raise RecipeError(
            f"{where} must be a list of names, or of mappings with a 'name', got {value!r}; write "
            "[NAME, {name: NAME, OPTION: VALUE}]"
        )
    return tuple(
        _build_nested(base, part, f"{where}[{number}]", None) for number, part in enumerate(value)
    )


def choices_of(hint: Any) -> dict[str, type]:
    """The classes of a choice by name; empty for any other type of a field.

    A choice is a union of dataclasses, or a single dataclass, each with a field
    `name: Literal["x"] = "x"` and, beside it, the options that make sense with that name alone.
    """
    classes = [cls for cls in (hint, *get_args(hint)) if dataclasses.is_dataclass(cls)]
    named = {
        str(field.default): cast(type, cls)
        for cls in classes
        for field in dataclasses.fields(cls)
        if field.name == "name"
    }
    return named if len(named) == len(classes) else {}


def _package_name(base: type) -> str:
    return base.__module__.removesuffix(".base")


def _describe_entry(entry: EntryPoint) -> str:
    package = entry.dist.name if entry.dist is not None else "a package"
    return f"{entry.value} of {package}"


def _load_entry(what: str, entry: EntryPoint) -> object:
    try:
        return entry.load()
    except Exception as error:  # a package may fail in any way; what it needs is in its message
        raise RecipeError(
            f"{what} '{entry.name}' must be importable, {_describe_entry(entry)} is not: "
            f"{type(error).__name__}: {error}; install what it needs, or uninstall it"
        ) from error


def _from_reference(base: type[T], reference: str) -> type[T]:
    where, _, class_name = reference.rpartition(":")
    module = load_file(Path(where)) if where.endswith(".py") else _load_module(where)
    classes = dict(inspect.getmembers(module, inspect.isclass))
    if class_name not in classes:
        raise RecipeError(f"{where} has no class '{class_name}'; {nearest(class_name, classes)}")
    return _check_subclass(base, reference, classes[class_name])


def _load_module(where: str) -> ModuleType:
    try:
        return importlib.import_module(where)
    except ImportError as error:
        raise RecipeError(f"module '{where}' must be importable: {error}; install it") from None
    except Exception as error:
        raise RecipeError(
            f"module '{where}' must run as Python, got {type(error).__name__}: {error}; fix it"
        ) from error


def _find_only_subclass(base: type[T], module: ModuleType, *, file: str = "") -> type[T]:
    classes = {
        name: cls
        for name, cls in inspect.getmembers(module, inspect.isclass)
        if issubclass(cls, base) and cls.__module__ == module.__name__
    }
    if len(classes) != 1:
        remedy = f"name it, as {file}:{next(iter(classes), 'CLASS')}" if file else "split the file"
        raise RecipeError(
            f"{file or module.__name__} must define exactly one {base.__name__}, got "
            f"{[*classes]}; {remedy}"
        )
    return next(iter(classes.values()))


def _check_subclass(base: type[T], name: str, target: object) -> type[T]:
    if not (inspect.isclass(target) and issubclass(target, base)):
        raise RecipeError(f"'{name}' must be a {base.__name__}, got {target!r}; name another")
    return target
