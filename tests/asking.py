"""How tests give a command."""

from collections.abc import Callable

import pytest

from equipoise import cli

#: Give a command; gives its status and what it wrote to standard output and error.
Asked = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Asked:
    """Give a command; gives its status and what it wrote to standard output and error."""

    def run_command(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = cli.run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return status, out, err

    return run_command
