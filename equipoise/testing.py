"""What a third party tests a plug-in with: conformance checks, tiny models, a fake scorer."""

from equipoise.conformance import (
    check_benchmark,
    check_locator,
    check_mitigation,
    check_supplier,
    tiny_supply,
)
from equipoise.conformance_nulls import check_null
from equipoise.conformance_rows import check_attributor, tiny_probes, tiny_rows
from equipoise.conformance_texts import check_text_scorer, tiny_texts
from equipoise.fakes import (
    CAUSAL_FAMILIES,
    FAMILIES,
    MASKED_FAMILIES,
    FakeScorer,
    tiny_model,
    tiny_tokenizer,
)

__all__ = [
    "CAUSAL_FAMILIES",
    "FAMILIES",
    "MASKED_FAMILIES",
    "FakeScorer",
    "check_attributor",
    "check_benchmark",
    "check_locator",
    "check_mitigation",
    "check_null",
    "check_supplier",
    "check_text_scorer",
    "tiny_model",
    "tiny_probes",
    "tiny_rows",
    "tiny_supply",
    "tiny_texts",
    "tiny_tokenizer",
]
