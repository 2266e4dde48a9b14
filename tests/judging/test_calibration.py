"""The calibration set: 40 mild texts of our own about countries that do not exist."""

from collections import Counter

from equipoise.associations.countries import find_country
from equipoise.judging.masking import PLACEHOLDER, mask_judged
from equipoise.judging.texts import read_calibration

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
