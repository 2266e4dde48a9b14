"""`equipoise list`: name what is installed."""

import json

from equipoise import plugins
from equipoise.commands.flags import AsJson


def list_(as_json: AsJson = False) -> None:
    """Name what is installed: benchmarks, locators, mitigations and supplies."""
    groups = {
        "benchmarks": "benchmarks",
        "locators": "locate",
        "mitigations": "mitigate",
        "supplies": "supply",
    }
    names_by_group = {
        what: plugins.names_in(f"equipoise.{where}") for what, where in groups.items()
    }
    if as_json:
        print(json.dumps(names_by_group))
        return
    for what, names in names_by_group.items():
        print(f"{what}: {', '.join(names)}")
