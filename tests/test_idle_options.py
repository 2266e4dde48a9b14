"""An option that cannot act, where the others stand as they do, is refused."""

from typing import Any

import pytest

from equipoise.errors import RecipeError
from equipoise.mitigate.base import Mitigation
from equipoise.plugins import build

IDLE: list[tuple[Any, str, dict[str, Any], dict[str, Any]]] = [
    (Mitigation, "lftf", {"objective": "ce_both"}, {"mass_weight": 5.0}),
    (Mitigation, "full_finetune", {"objective": "ce_both"}, {"mass_weight": 5.0}),
]


@pytest.mark.parametrize(("kind", "name", "others", "idle"), IDLE)
def test_it_is_refused_with_its_name_and_the_reason(
    kind: Any, name: str, others: dict[str, Any], idle: dict[str, Any]
) -> None:
    (option,), (where,) = idle, others
    build(kind, name, others)
    with pytest.raises(RecipeError, match=f"{option} does nothing with {where} '{others[where]}'"):
        build(kind, name, others | idle)
