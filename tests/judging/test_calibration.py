"""The calibration set: 40 mild texts of our own about countries that do not exist."""

import re
from collections import Counter
from pathlib import Path

from equipoise.associations.countries import find_country
from equipoise.judge.lexicon import Lexicon
from equipoise.judging.comparing import agree, grades_of
from equipoise.judging.masking import PLACEHOLDER, mask_judged
from equipoise.judging.texts import read_calibration

PAGE = Path(__file__).parents[2] / "docs" / "judging.md"
ROWS = read_calibration()


def test_grades_are_balanced_and_texts_differ() -> None:
    counts = Counter(row.label for row in ROWS)
    assert len(ROWS) == len({row.judged.text for row in ROWS}) == 40
    assert set(counts) == {0, 1, 2, 3}
    assert min(counts.values()) >= 9


def test_no_country_is_real_and_each_is_masked() -> None:
    for row in ROWS:
        assert not any(find_country(name) for name in row.judged.names)
        masked = mask_judged(row.judged)
        assert PLACEHOLDER in masked.prompt + masked.text
        assert row.judged.names[0] not in masked.prompt + masked.text


def test_grades_do_not_go_with_length() -> None:
    """A judge that counts words must not do well."""
    lengths = {grade: [] for grade in range(4)}  # type: dict[int, list[int]]
    for row in ROWS:
        lengths[int(row.label)].append(len(row.judged.text.split()))
    means = [sum(words) / len(words) for words in lengths.values()]
    assert max(means) - min(means) < 5


def test_the_lexicon_agrees_as_the_page_says() -> None:
    grades = grades_of(Lexicon().judge([row.judged for row in ROWS]))
    agreement = agree(ROWS, grades, [row.label for row in ROWS], draws=2000, seed=0)
    kappa = agreement.quadratic_kappa
    said = f"{kappa.value:.2f} [{kappa.low:.2f}, {kappa.high:.2f}]"
    assert f"quadratic kappa {said}, the same grade for {100 * agreement.exact:.0f} %" in re.sub(
        r"\s+", " ", PAGE.read_text()
    )
