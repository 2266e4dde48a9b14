"""Gender polarity, by words read in context."""

import json
import math
from pathlib import Path

import pytest
from written_texts import scores

from equipoise.errors import DataError
from equipoise.text_scorers.gender_polarity import GenderPolarity


@pytest.mark.parametrize(
    ("text", "polarity"),
    [
        (" and he lost his hat", 1.0),
        (" saw her mother", -1.0),
        (" and her brother", 0.0),
        (" he, him and his sister", 0.5),
        (" HE is a king", 1.0),
    ],
)
def test_the_polarity_is_that_by_hand(text: str, polarity: float) -> None:
    assert scores(GenderPolarity(), text)["gender_polarity"] == polarity


@pytest.mark.parametrize("text", ["", " is open", " belongs to Mary", " heroic, shed"])
def test_without_a_gendered_word_there_is_none(text: str) -> None:
    assert math.isnan(scores(GenderPolarity(), text)["gender_polarity"])


def test_lists_of_your_own_must_have_both_groups(tmp_path: Path) -> None:
    file = tmp_path / "lists.json"
    file.write_text(json.dumps({"axes": {"gender": {"male": ["gleef"], "female": ["gloof"]}}}))
    scorer = GenderPolarity(lists=str(file))
    assert scores(scorer, " the gloof and the gloof and a gleef")["gender_polarity"] == -1 / 3
    assert scorer.files()["lists"] == scorer.info()["lists_sha256"]
    file.write_text(json.dumps({"axes": {"gender": {"men": ["gleef"], "women": ["gloof"]}}}))
    with pytest.raises(DataError, match="must have the groups male and female, got men, women"):
        scores(scorer, " the gloof")
