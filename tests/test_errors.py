"""What errors carry, and the tail of one that names what may have been meant."""

import pytest

from equipoise import plugins
from equipoise.errors import (
    DataError,
    EquipoiseError,
    ModelError,
    OptionError,
    PlaceError,
    RecipeError,
    RequestError,
    StoreError,
    nearest,
)
from equipoise.mitigate.base import Mitigation
from equipoise.records import JSON


def test_a_close_name_is_offered() -> None:
    assert nearest("sterioset", ["stereoset", "genbias"]) == "did you mean 'stereoset'?"


def test_without_a_close_name_all_are_listed_sorted() -> None:
    assert nearest("zzz", ["genbias", "facts"]) == "known: facts, genbias"
    assert nearest("zzz", []) == "known: none"


def test_an_option_error_names_its_option_and_is_of_the_recipe() -> None:
    error = OptionError("lftf.epochs: must be above 0, got 0; mend this option", "epochs")
    assert isinstance(error, RecipeError)
    assert error.option == "epochs"
    assert str(error) == "lftf.epochs: must be above 0, got 0; mend this option"


@pytest.mark.parametrize(
    ("options", "option", "message"),
    [
        ({"epoch": 1}, "epoch", "lftf has no option 'epoch'; did you mean 'epochs'"),
        ({"epochs": "many"}, "epochs", "lftf.epochs: "),
        ({"objective": "pariti"}, "objective", "lftf.objective has no choice 'pariti'"),
    ],
)
def test_building_a_plug_in_says_which_option_is_wrong(
    options: dict[str, JSON], option: str, message: str
) -> None:
    with pytest.raises(OptionError) as caught:
        plugins.build(Mitigation, "lftf", options)
    assert caught.value.option == option
    assert str(caught.value).startswith(message)


def test_a_request_error_begins_with_the_request() -> None:
    error = RequestError(2, "has no tokens; give it some")
    assert isinstance(error, ModelError)
    assert (error.number, error.sentence) == (2, "has no tokens; give it some")
    assert str(error) == "request 2 (counted from 0) has no tokens; give it some"


def test_every_error_has_one_base_class() -> None:
    kinds = (RecipeError, DataError, ModelError, StoreError, PlaceError, OptionError, RequestError)
    assert all(issubclass(kind, EquipoiseError) for kind in kinds)
    assert issubclass(PlaceError, StoreError)
    assert not issubclass(StoreError, PlaceError)
