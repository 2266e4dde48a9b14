"""What a process of `test_killed_command` does."""

import sys

from equipoise import cli
from equipoise.models.kernels import settled_path

if __name__ == "__main__":
    with settled_path("default"):  # which path is faster is a matter of luck, and of the last digit
        sys.exit(cli.run(sys.argv[1:]))
