"""Equipoise: measure the social bias of a language model, find it, remove it, prove what changed.

    import equipoise as eq

    model = eq.load("gpt2")
    before = eq.measure(model, "genbias")
    edit = eq.mitigate(model, "lftf")
    with edit.attached(model) as fair:
        after = eq.measure(fair, "genbias")
    print(eq.compare(before, after).change("afgb"))

Names are imported on first use (PEP 562), so that `import equipoise` is quick and without torch.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from equipoise.api import attribute as attribute
    from equipoise.api import locate as locate
    from equipoise.api import measure as measure
    from equipoise.api import mitigate as mitigate
    from equipoise.api import stability as stability
    from equipoise.attributions import Attribution as Attribution
    from equipoise.compare import compare as compare
    from equipoise.conclusions import Comparison as Comparison
    from equipoise.loading.connect import connect as connect
    from equipoise.loading.in_memory import wrap as wrap
    from equipoise.loading.load import load as load
    from equipoise.loading.merge import merge as merge
    from equipoise.loading.push import push as push
    from equipoise.records import Estimate as Estimate
    from equipoise.records import Measurement as Measurement
    from equipoise.report.html import write_page as write_page
    from equipoise.study.load_study import read_study as read_study
    from equipoise.study.results import read_results as read_results
    from equipoise.study.results import write_results as write_results
    from equipoise.study.run_recipe import run as run

_HOME = {
    "attribute": "equipoise.api",
    "Attribution": "equipoise.attributions",
    "compare": "equipoise.compare",
    "connect": "equipoise.loading.connect",
    "load": "equipoise.loading.load",
    "merge": "equipoise.loading.merge",
    "push": "equipoise.loading.push",
    "wrap": "equipoise.loading.in_memory",
    "run": "equipoise.study.run_recipe",
    "read_study": "equipoise.study.load_study",
    "Comparison": "equipoise.conclusions",
    "Estimate": "equipoise.records",
    "Measurement": "equipoise.records",
    "write_page": "equipoise.report.html",
    "read_results": "equipoise.study.results",
    "write_results": "equipoise.study.results",
    "locate": "equipoise.api",
    "measure": "equipoise.api",
    "mitigate": "equipoise.api",
    "stability": "equipoise.api",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'equipoise' has no attribute '{name}'")
    value: object = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


class _Package(ModuleType):
    """A verb and a file or folder share a name: importing the file does not hide the verb."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
