"""Rows: texts, sorting keys and places of changes and estimates."""

import math
from dataclasses import replace

from equipoise.report.page_rows import (
    badge,
    badge_of,
    change_rows,
    estimate_rows,
    named_row,
    row,
    shared_axis,
)

from .making import ABILITY, CHANGE, measurement, not_worse, within


def test_a_row_has_every_number_with_its_interval() -> None:
    row = named_row(replace(CHANGE, p_holm=math.nan), "overall")
    assert row.before.text == "65.6 [62.0, 69.0]"
    assert row.after.text == "52.4 [49.0, 55.9]"
    assert row.difference.text == "−13.2 [−17.0, −9.5]"
    assert (row.effect.text, row.p.text) == ("−0.80", "n/a")
    assert (row.n, row.clusters, row.unit) == (600, 80, "%")
    assert (row.badge.tone, row.badge.word) == ("reduced", "reduced")


def test_what_is_sorted_by_is_the_number_and_nan_where_there_is_none() -> None:
    row = named_row(replace(CHANGE, effect=math.nan), "overall")
    assert [cell_.key for cell_ in (row.before, row.difference)] == ["65.64", "-13.2"]
    assert (row.effect.text, row.effect.key) == ("n/a", "nan")


def test_marks_lie_on_the_scale_in_their_order() -> None:
    row = named_row(CHANGE, "overall")
    assert row.start is not None
    assert row.end is not None
    assert row.axis.ideal is not None
    places = [row.end.low, row.axis.ideal.place, row.end.value, row.end.high]
    places += [row.start.low, row.start.value, row.start.high]
    assert places == sorted(places)
    assert (places[0], places[-1]) == (2.5, 97.5)


def test_what_was_not_measured_is_not_drawn() -> None:
    row = named_row(replace(CHANGE, after=math.nan, reason="why"), "overall")
    assert row.end is None
    assert row.after.text == "n/a [49.0, 55.9]"
    assert row.reason == "why"


def test_different_ideals_make_no_common_line() -> None:
    assert shared_axis([CHANGE, CHANGE]).ideal is not None
    assert shared_axis([CHANGE, replace(CHANGE, ideal=0.0)]).ideal is None
    assert row(CHANGE, "x", axis=shared_axis([CHANGE])).axis == shared_axis([CHANGE])


def test_rows_are_named_by_metric_and_group() -> None:
    changes = [CHANGE, replace(CHANGE, group={"axis": "age"})]
    assert [own_scale.name for own_scale in change_rows(changes)] == ["ss", "ss"]
    assert [own_scale.name for own_scale in change_rows(changes, grouped=True)] == [
        "ss, overall",
        "ss, axis age",
    ]


def test_estimates_alone_are_rows_too() -> None:
    overall, race, silent = estimate_rows(measurement().estimates)
    assert (overall.name, overall.value.text) == ("ss", "65.6 [62.0, 69.0]")
    assert race.name == "ss, axis race"
    assert (silent.value.text, silent.point, silent.reason) == ("n/a", None, "nothing was said")


def test_no_change_shown_is_not_called_unchanged() -> None:
    assert badge("unchanged").word == "no change shown"
    assert badge("reversed").word == "over-corrected"


def test_a_loss_within_its_margin_is_no_alarm() -> None:
    lost = replace(ABILITY, direction="worse")
    shown = badge_of(replace(lost, claim=not_worse(0.01, 0.005, 0.015)))
    assert (shown.tone, shown.word) == ("within", "worse, within the margin")
    for other in (
        lost,
        replace(lost, claim=not_worse(0.01, 0.005, 0.03, shown=False)),
        replace(CHANGE, direction="worse", claim=within(1.0, 0.5, 1.5, shown=True)),
    ):
        assert badge_of(other) == badge("worse")
    ability = replace(ABILITY, claim=not_worse(0.0, -0.01, 0.01))
    assert badge_of(ability) == badge("unchanged")
    assert named_row(replace(lost, claim=not_worse(0.01, 0.0, 0.015)), "x").badge.tone == "within"
