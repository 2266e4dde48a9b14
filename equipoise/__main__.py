"""`python -m equipoise`, and where the command `equipoise` begins."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C while it is being imported ends it as it does later."""
    try:
        from equipoise.cli import main as run
    except KeyboardInterrupt:
        print("stopped; nothing was begun", file=sys.stderr)
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
