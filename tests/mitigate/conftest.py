"""Torch's own products: which library is faster is measured, and would be a matter of luck."""

from collections.abc import Iterator

import pytest

from equipoise.models import kernels


@pytest.fixture(autouse=True, scope="module")
def _settled_products() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "float32_matmul", lambda: "default")
        yield
