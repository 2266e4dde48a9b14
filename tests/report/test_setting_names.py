"""Names of settings: the benchmark alone, until two are asked differently."""

from equipoise.report.setting_names import setting_names, setting_of

from .making import measurement


def names(*changes: dict[str, object]) -> list[str]:
    return list(setting_names(measurement(**change) for change in changes).values())  # type: ignore[arg-type]


def test_one_setting_needs_only_the_benchmark() -> None:
    assert names({}, {"seed": 7, "model_info": {}}) == ["stereoset"]


def test_two_settings_are_told_apart_by_what_differs() -> None:
    assert names({}, {"options": {"axis": "race", "same": 1}}) == [
        'stereoset (axis "all")',
        'stereoset (axis "race", same 1)',
    ]
    assert names({}, {"split": "test", "limit": 50}) == [
        "stereoset (split dev, limit all)",
        "stereoset (split test, limit 50)",
    ]
    assert names({}, {"benchmark": "genbias"}) == ["stereoset", "genbias"]


def test_a_setting_does_not_depend_on_the_order_of_options() -> None:
    change = measurement(options={"a": 1, "b": [2]})
    two = measurement(options={"b": [2], "a": 1})
    assert setting_of(change) == setting_of(two)
