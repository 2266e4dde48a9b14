"""What a process of `test_killed_command` does."""

import sys

from equipoise import cli
from equipoise.models import kernels

if __name__ == "__main__":
    # Which library is faster is a matter of luck, and of the last digit.
    kernels.float32_matmul = lambda: "default"  # type: ignore[assignment]
    sys.exit(cli.run(sys.argv[1:]))
