"""The comparisons that the page's tests have made."""

from report.conftest import reduced, reversed_

__all__ = ["reduced", "reversed_"]
