"""Self-Debias as a mitigation: which prefixes, what it is told, options."""

import pytest

from equipoise.decoding.self_debias_rule import SelfDebiasing
from equipoise.errors import RecipeError
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.self_debias import SelfDebias
from equipoise.plugins import build, name_of, options_of
from equipoise.records import Supply
from equipoise.testing import tiny_model

NOTHING = Supply(origin="none")


def decoding_rule(method: SelfDebias) -> SelfDebiasing:
    found = method.fit(tiny_model(), NOTHING, seed=0).decoding_rule
    assert isinstance(found, SelfDebiasing)
    return found


def test_all_types_at_once_by_default() -> None:
    found = decoding_rule(SelfDebias())
    assert (found.rows, found.decay, found.epsilon) == (10, 50.0, 0.01)
    assert SelfDebias().told == ()
    assert SelfDebias.learns is False


def test_one_type_is_told_and_the_class_is_not_changed() -> None:
    oracle = SelfDebias(mode="oracle_type", types=("profession",))
    assert oracle.told == ("bias type",)
    assert SelfDebias.told == SelfDebias(types=("profession",)).told == ()
    assert decoding_rule(oracle).types == ("socioeconomic",)


def test_a_type_of_two_names_is_one_prefix() -> None:
    assert decoding_rule(SelfDebias(types=("race", "race-color", "gender"))).rows == 3


def test_wordings_differ() -> None:
    prefixes = {decoding_rule(SelfDebias(types=("age",), wording=one)).prefixes for one in range(5)}
    assert len(prefixes) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "oracle_type"}, r"exactly one type, got \[\]"),
        ({"mode": "oracle_type", "types": ["age", "gender"]}, "exactly one type"),
        ({"types": ["agee"]}, "'agee' has no prefix; .*age"),
        ({"wording": 5}, "wording must be 0 to 4, got 5"),
        ({"epsilon": 0}, "epsilon"),
        ({"decay": -1}, "decay"),
    ],
)
def test_bad_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build(Mitigation, "self_debias", options)  # type: ignore[arg-type]


def test_options_survive() -> None:
    method = SelfDebias(mode="oracle_type", types=("gender",), wording=2)
    again = build(Mitigation, name_of(method), options_of(method))
    assert again == method
    assert again.told == ("bias type",)
