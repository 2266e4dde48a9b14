"""A process of `test_killed_command`: dies at the step that it is given, if any."""

import os
import signal
import sys
from typing import Any

from equipoise import cli
from equipoise.mitigate.bias_unlearn import UnlearningLoss
from equipoise.models import kernels

if __name__ == "__main__":
    deadly, *command = sys.argv[1:]
    compute = UnlearningLoss.__call__

    def compute_or_die(self: UnlearningLoss, module: Any, rows: Any, step: int) -> Any:
        if str(step) == deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return compute(self, module, rows, step)

    UnlearningLoss.__call__ = compute_or_die  # type: ignore[method-assign]
    # Which library is faster is a matter of luck, and of the last digit.
    kernels.float32_matmul = lambda: "default"  # type: ignore[assignment]
    sys.exit(cli.run(command))
