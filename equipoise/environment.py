"""What numbers depend on beside model and data: versions and the machine. Imports nothing heavy."""

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("equipoise", "torch", "transformers", "tokenizers", "peft", "numpy", "scipy")


def collect() -> dict[str, str]:
    """Versions of Python, of the packages that numbers rest on, and the platform.

    Read from installed metadata, so that torch is not imported; "not installed" where missing.
    """
    versions = {"python": platform.python_version(), "platform": platform.platform()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return versions
