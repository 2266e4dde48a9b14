"""`equipoise list`: what is installed, one line each."""

import json

from equipoise.commands.flags import AsJson
from equipoise.describe import KINDS, summaries


def list_(as_json: AsJson = False) -> None:
    """Name what is installed: benchmarks, supplies, locators and mitigations."""
    installed = {kind: summaries(group) for kind, group in KINDS.items()}
    if as_json:
        print(json.dumps(installed, ensure_ascii=False))
        return
    width = max(len(name) for plugins in installed.values() for name in plugins)
    for kind, plugins in installed.items():
        print(f"{kind}:")
        for name, summary in plugins.items():
            print(f"  {name.ljust(width)}  {summary}".rstrip())
