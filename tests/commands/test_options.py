"""name.option=value on the command line, and margins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.commands.flags import dashed, margin_of, margins_of, parse_settings
from equipoise.errors import RecipeError
from equipoise.records import Margin

PLUGINS = ("genbias", "lftf", "facts", "sft", "cafie", "my/nurses.py:Nurses", "pkg.mod:Toy")


def test_values_are_json_or_the_text_itself() -> None:
    settings = parse_settings(
        [
            "genbias.split_by=both",
            "genbias.split_seed=3",
            "lftf.norms=false",
            'lftf.locator={"name": "random_block"}',
            "my/nurses.py:Nurses.names=[1, 2]",
            "pkg.mod:Toy.town=Porto",
            "facts.file=a=b",
        ],
        PLUGINS,
    )
    assert settings["genbias"] == {"split_by": "both", "split_seed": 3}
    assert settings["lftf"] == {"norms": False, "locator": {"name": "random_block"}}
    assert settings["my/nurses.py:Nurses"] == {"names": [1, 2]}
    assert settings["pkg.mod:Toy"] == {"town": "Porto"}
    assert settings["facts"] == {"file": "a=b"}
    assert settings["sft"] == {}


@pytest.mark.parametrize(
    "texts",
    [
        ["lftf.locator=x", "lftf.locator.band=5"],
        ["lftf.locator.band=5", "lftf.locator=x"],
        ["lftf.locator.name=x", "lftf.locator.band=5"],
        ['lftf.locator={"name": "x"}', "lftf.locator.band=5"],
    ],
)
def test_an_option_of_an_option_is_dotted(texts: list[str]) -> None:
    assert parse_settings(texts, PLUGINS)["lftf"] == {"locator": {"name": "x", "band": 5}}


def test_options_may_be_nested_deeper() -> None:
    settings = parse_settings(["lftf.a.b.c=1", "lftf.a.b=x", "lftf.a=y"], PLUGINS)
    assert settings["lftf"] == {"a": {"name": "y", "b": {"name": "x", "c": 1}}}


@pytest.mark.parametrize(
    "texts",
    [
        ["sft.steps=2", "sft.over=span", "sft.steps=3"],
        ["lftf.locator=x", "lftf.locator=y"],
        ["lftf.locator=x", "lftf.locator.name=y"],
        ["lftf.locator.band=2", "lftf.locator.band=3"],
        ["lftf.locator=3", "lftf.locator.band=3"],
    ],
)
def test_repeated_option_is_refused(texts: list[str]) -> None:
    with pytest.raises(RecipeError, match=f"--set {texts[-1].partition('=')[0]} must be given"):
        parse_settings(texts, PLUGINS)


def test_repeated_name_is_refused_and_not_dropped() -> None:
    with pytest.raises(RecipeError, match="'f' twice"):
        parse_settings(['cafie.lists={"gender": {"f": [["aunt"]], "f": [["niece"]]}}'], PLUGINS)


@pytest.mark.parametrize("text", ["genbias", "genbias.x", "=3", ".x=3", "genbias.=3", "x=3"])
def test_invalid_option_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match=r"set as name\.option=value, got"):
        parse_settings([text], PLUGINS)


def test_option_of_an_unused_plug_in_suggests_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"--set genbais\.split_by .* did you mean 'genbias'\?"):
        parse_settings(["genbais.split_by=both"], ["genbias", "stereoset"])


def test_flags_may_have_underscores() -> None:
    assert dashed("--batch_size=a_b") == "--batch-size=a_b"
    assert [dashed(word) for word in ("--draws", "a_b", "-m")] == ["--draws", "a_b", "-m"]


@pytest.mark.parametrize(
    ("value", "margin"),
    [
        (3, Margin(size=3.0)),
        (0.5, Margin(size=0.5)),
        ("3", Margin(size=3.0)),
        (" 1e-3 ", Margin(size=0.001)),
        ("2%", Margin(size=0.02, relative=True)),
        ("0.5 %", Margin(size=0.005, relative=True)),
        ("150%", Margin(size=1.5, relative=True)),
    ],
)
def test_a_margin_is_a_number_or_a_share(value: object, margin: Margin) -> None:
    assert margin_of(value) == margin


@pytest.mark.parametrize(
    "value", [0, -1, "0%", "-2%", "nan", "inf", "inf%", "", "%", "many", "2%%", True, None, [3]]
)
def test_invalid_margin(value: object) -> None:
    with pytest.raises(ValueError, match=r"margin must be above 0|could not convert"):
        margin_of(value)


@given(st.floats(min_value=1e-6, max_value=1e6))
def test_percentage_is_a_hundredth_of_its_number(size: float) -> None:
    share, number = margin_of(f"{size!r}%"), margin_of(size)
    assert number == Margin(size=size)
    assert share == Margin(size=size / 100, relative=True)


def test_margins_by_name() -> None:
    assert margins_of([]) == {}
    assert margins_of(["stereoset.ss=3", "my.py:Mine.lms=2%", "stereoset.ss=4"]) == {
        "stereoset.ss": Margin(size=4.0),  # the last one counts
        "my.py:Mine.lms": Margin(size=0.02, relative=True),
    }


@pytest.mark.parametrize(
    "text", ["", "stereoset.ss", "ss=3", "=3", "stereoset.ss=", "stereoset.ss=0", "a.b=c=3"]
)
def test_invalid_margin_by_name(text: str) -> None:
    with pytest.raises(RecipeError) as caught:
        margins_of(["stereoset.lms=1", text])
    assert str(caught.value) == (
        f"a margin is set as benchmark.metric=3 or benchmark.metric=2%, got '{text}'; write that"
    )
