"""Numbers as a reader sees them; the rest is tested with what shows them (tests/report)."""

import math

from equipoise.number_text import difference, interval, numbers


def test_a_difference_has_its_sign_and_zero_has_none() -> None:
    assert difference(5.7, 2.0, 9.1, unit=" points") == "+5.70 points [2.00, 9.10]"
    assert difference(-14.4, -19.0, -9.9) == "-14.4 [-19.0, -9.9]"
    assert difference(0.04, -0.2, 0.3, places=1) == "0.0 [-0.2, 0.3]"
    assert difference(-0.04, -0.2, 0.3, places=1) == "0.0 [-0.2, 0.3]"
    assert difference(1.0, math.nan, math.nan, note="; p 0.2", places=1) == "+1.0"
    assert difference(1.0, 0.5, 1.5, note="; p 0.20", places=1) == "+1.0 [0.5, 1.5; p 0.20]"


def test_an_interval_has_the_decimals_that_it_deserves_or_is_given() -> None:
    assert interval(52.44, 49.0, 55.9) == "52.4 [49.0, 55.9]"
    assert interval(0.5, -0.01, 1.0, places=1) == "0.5 [0.0, 1.0]"
    assert interval(0.5, math.nan, math.nan, places=2) == "0.50"


def test_numbers_beside_small_ones_have_their_form() -> None:
    assert numbers(0.0, 0.0031) == ("0.0000", "0.0031")
    assert numbers(4.6e-9, 0.0031, beside=(4.6e-8, math.nan)) == ("4.6e-09", "3.1e-03")
    assert numbers(0.0, 0.0031, beside=(0.02, 0.01)) == ("0.0000", "0.0031")
    assert numbers(2.0, 50.0, beside=(4.6e-8,)) == ("2.0", "50.0")
