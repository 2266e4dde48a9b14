"""Names to classes, options to objects, and what is said when either is wrong."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field
from pydantic.dataclasses import dataclass as options_dataclass

from equipoise.benchmarks.base import AnyBenchmark, Benchmark
from equipoise.errors import OptionError, RecipeError
from equipoise.locate.base import Locator
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.sft import Sft
from equipoise.plugins import available, build, find, name_of, options_of
from equipoise.records import OPTIONS

NURSES = '''
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar
from equipoise.benchmarks.base import Benchmark
from equipoise.records import Contrast, Continuation, Metric, Outcome, Scored

@dataclass(frozen=True)
class Nurses(Benchmark[Contrast, Scored]):
    """Share of sentences continued with the stereotyped pronoun."""

    town: str = "Leeds"
    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "none"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="share", of=lambda c: 100 * (c["she"] > c["he"]).mean(), unit="%",
               ideal=50.0, source="none"),
    )

    def examples(self, split: str) -> Sequence[Contrast]:
        return [Contrast(id="1", context="The nurse said that", stereotype=" she",
                         antistereotype=" he")]

    def requests(self, example: Contrast) -> Sequence[Continuation]:
        return [Continuation(context=example.context, continuation=one)
                for one in (example.stereotype, example.antistereotype)]

    def outcome(self, example: Contrast, responses: Sequence[Scored]) -> Outcome:
        she, he = responses
        return Outcome(example=example.id, values={"she": she.logprob, "he": he.logprob})
'''


@pytest.fixture
def nurses(tmp_path: Path) -> str:
    file = tmp_path / "nurses.py"
    file.write_text(NURSES)
    return f"{file}:Nurses"


def test_a_file_and_class_is_a_name(nurses: str) -> None:
    built: AnyBenchmark = build(Benchmark, nurses, {"town": "Porto"})
    assert options_of(built) == {"town": "Porto"}
    assert name_of(built) == nurses
    assert find(Benchmark, nurses) is type(built)


def test_listing_finds_the_built_ins() -> None:
    names = available(Benchmark)
    assert {"stereoset", "crows_pairs", "genbias"} <= set(names)
    assert "base" not in names


@pytest.mark.parametrize("name", ["stereoset", "crows_pairs", "genbias", "genhint", "facts"])
def test_a_built_in_survives_its_own_options(name: str) -> None:
    built = build(Benchmark, name)
    assert name_of(built) == name
    assert build(Benchmark, name, options_of(built)) == built


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(RecipeError, match="'sterioset' is not known; did you mean 'stereoset'"):
        find(Benchmark, "sterioset")


def test_misspelt_option_suggests_the_nearest(nurses: str) -> None:
    with pytest.raises(RecipeError, match="no option 'twon'; did you mean 'town'"):
        build(Benchmark, nurses, {"twon": "Porto"})


def test_a_standard_dataclass_has_its_types_checked(nurses: str) -> None:
    with pytest.raises(RecipeError, match=r"Nurses\.town: .* got 7"):
        build(Benchmark, nurses, {"town": 7})


def test_a_wrong_value_names_option_and_value() -> None:
    with pytest.raises(RecipeError, match=r"weights must have a part 2, counted from 0; give all"):
        build(Locator, NUMBERS, {"weights": [0.5, 0.5]})
    with pytest.raises(RecipeError, match=r'axes must be a list, got \'race\'; write \["race"\]'):
        build(Mitigation, "cafie", {"axes": "race"})
    with pytest.raises(RecipeError, match=r"^self_debias: wording .*; change these"):
        build(Mitigation, "self_debias", {"wording": 99})
    with pytest.raises(RecipeError, match=r"Numbers\.rate: .* got inf"):
        build(Locator, NUMBERS, {"rate": math.inf})
    with pytest.raises(RecipeError, match=r"stereoset\.reduce: .* got 'median'"):
        build(Benchmark, "stereoset", {"reduce": "median"})


@options_dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Numbers(Locator):
    """Options of every kind."""

    steps: int = 3
    rate: float | None = None
    weights: tuple[float, float, float] = (0.4, 0.4, 0.2)
    targets: tuple[str, ...] = ()
    bases: Mapping[str, float] = Field(default_factory=dict)

    def locate(self, model: Any, prompts: Any, *, seed: int) -> Any:
        raise AssertionError((model, prompts, seed))


NUMBERS = f"{__name__}:Numbers"


@pytest.mark.parametrize(
    "options",
    [
        {"steps": True},
        {"rate": False},
        {"weights": [0.4, True, 0.2]},
        {"bases": {"race": True}},
    ],
)
def test_bool_is_no_number(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=r"Numbers\.\w+: .*, got (True|False)"):
        build(Locator, NUMBERS, options)


@pytest.mark.parametrize("steps", ["12", 12.0, 1.5, None, [12]])
def test_string_or_fraction_is_no_count(steps: Any) -> None:
    with pytest.raises(OptionError) as caught:
        build(Locator, NUMBERS, {"steps": steps})
    assert caught.value.option == "steps"
    assert repr(steps) in str(caught.value)


def test_bool_option_takes_a_bool() -> None:
    assert build(Mitigation, "sft", {"bf16": True, "steps": 1}) == Sft(bf16=True, steps=1)


@pytest.mark.parametrize(
    ("option", "wrong", "meant"),
    [
        ("weights", "0.4,0.4,0.2", "[0.4, 0.4, 0.2]"),
        ("targets", "q_proj", '["q_proj"]'),
        ("targets", "[q_proj, v_proj]", '["q_proj", "v_proj"]'),
    ],
)
def test_error_of_a_list_option_gives_a_working_remedy(option: str, wrong: str, meant: str) -> None:
    with pytest.raises(OptionError) as caught:
        build(Locator, NUMBERS, {option: wrong})
    assert f"write {meant}, on a command line --set '{NUMBERS}.{option}={meant}'" in str(
        caught.value
    )
    build(Locator, NUMBERS, {option: json.loads(meant)})


def test_a_missing_file_or_class_says_so(tmp_path: Path, nurses: str) -> None:
    with pytest.raises(RecipeError, match="does not exist"):
        find(Benchmark, f"{tmp_path / 'none.py'}:Nurses")
    with pytest.raises(RecipeError, match="no class 'Nurse'; did you mean 'Nurses'"):
        find(Benchmark, nurses.removesuffix("s"))


def test_a_module_that_fails_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half_written.py").write_text("def")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RecipeError, match="module 'absent' must be importable: No module named"):
        find(Benchmark, "absent:Nurses")
    with pytest.raises(RecipeError, match="'half_written' must run as Python, got SyntaxError"):
        find(Benchmark, "half_written:Nurses")
    with pytest.raises(RecipeError, match=r"half_written\.py' must run as Python, got SyntaxError"):
        find(Benchmark, f"{tmp_path / 'half_written.py'}:Nurses")


def test_something_else_is_refused() -> None:
    with pytest.raises(RecipeError, match="must be a Benchmark"):
        find(Benchmark, "pathlib:Path")


def test_nested_plug_in_is_built_and_named() -> None:
    from equipoise.mitigate.base import Mitigation

    lftf = build(Mitigation, "lftf", {"locator": {"name": "random_block"}})
    again = build(Mitigation, "lftf", options_of(lftf))
    assert again == lftf
    assert options_of(lftf)["locator"] == {"name": "random_block"}
    with pytest.raises(RecipeError, match="locator 'random_blok' is not known"):
        build(Mitigation, "lftf", {"locator": "random_blok"})


@options_dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Fixed:
    name: Literal["fixed"] = "fixed"


@options_dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Banded:
    name: Literal["banded"] = "banded"
    band: float = 5.0


@options_dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Chooser(Locator):
    stop: Fixed | Banded = Fixed()

    def locate(self, model: Any, prompts: Any, *, seed: int) -> Any:
        raise AssertionError((model, prompts, seed))


CHOOSER = f"{__name__}:Chooser"


def test_a_choice_is_a_name_or_a_mapping_with_the_options_of_that_name() -> None:
    assert build(Locator, CHOOSER, {"stop": "banded"}) == Chooser(stop=Banded())
    chosen = build(Locator, CHOOSER, {"stop": {"name": "banded", "band": 2.0}})
    assert chosen == Chooser(stop=Banded(band=2.0))
    assert options_of(chosen) == {"stop": {"name": "banded", "band": 2.0}}


@pytest.mark.parametrize(
    ("stop", "message"),
    [
        ("bandd", "no choice 'bandd'.*banded"),
        ({"name": "fixed", "band": 2.0}, "fixed has no option 'band'"),
        ({"name": "banded", "band": "wide"}, "band.*'wide'"),
        (3, "must be a name or a mapping.* got 3"),
        (None, "must be a name or a mapping.* got None"),
    ],
)
def test_a_wrong_choice_is_refused(stop: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build(Locator, CHOOSER, {"stop": stop})


def test_options_without_a_name_are_those_of_the_default_choice() -> None:
    built = build(Mitigation, "bias_unlearn", {"controller": {"band": 3.0}})
    assert options_of(built)["controller"] == {
        "name": "equivalence",
        "band": 3.0,
        "judge": "margin",
    }
    with pytest.raises(RecipeError, match=r"kl must be a name .* or null, got 0; known: forward"):
        build(Mitigation, "bias_unlearn", {"kl": 0})
    with pytest.raises(OptionError, match="no option 'bnd'; did you mean 'band'"):
        build(Mitigation, "bias_unlearn", {"controller": {"bnd": 3.0}})
