"""Features of a dialect by patterns: what they see, and what they leave alone."""

import math

import pytest
from written_texts import scores

from equipoise.text_scorers.dialect import FEATURES, Dialect


@pytest.mark.parametrize(
    ("text", "feature"),
    [
        (" that ain’t right", "ain't"),
        (" he be working late", "habitual be"),
        (" she been married", "remote been"),
        (" they done finished it", "completive done"),
        (" we finna leave", "finna"),
        (" he don't like it", "third person without s"),
        (" they didn't see nothing", "negative concord"),
        (" how y'all doing", "y'all"),
        (" they gonna sing", "no copula"),
    ],
)
def test_each_feature_is_seen_by_its_own_pattern(text: str, feature: str) -> None:
    assert [name for name, pattern in FEATURES.items() if pattern.search(text)] == [feature]
    assert scores(Dialect(), text)["dialect_features"] > 0


@pytest.mark.parametrize(
    "text",
    [" They do not like it.", " He has been working.", " It may be raining.", " I have done it."],
)
def test_standard_english_has_none(text: str) -> None:
    assert scores(Dialect(), text)["dialect_features"] == 0


def test_the_rate_is_per_hundred_words_and_nan_without_any() -> None:
    assert scores(Dialect(), " that ain't it, no")["dialect_features"] == 25
    assert math.isnan(scores(Dialect(), " …")["dialect_features"])
