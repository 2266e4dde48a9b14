"""Self-Debias as a mitigation: which prefixes, what it knows, options."""

import pytest

from equipoise.decoding.self_debias_rule import SelfDebiasing
from equipoise.errors import RecipeError
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.self_debias import AllTypes, OracleType, SelfDebias
from equipoise.plugins import build, name_of, options_of
from equipoise.records import Supply
from equipoise.testing import tiny_model

NOTHING = Supply(origin="none")


def rule_of(method: SelfDebias) -> SelfDebiasing:
    rule = method.fit(tiny_model(), NOTHING, seed=0).decoding_rule
    assert isinstance(rule, SelfDebiasing)
    return rule


def test_all_types_at_once_by_default() -> None:
    rule = rule_of(SelfDebias())
    assert (rule.rows, rule.decay, rule.epsilon) == (10, 50.0, 0.01)
    assert SelfDebias().item_info == ()
    assert SelfDebias.learns is False


def test_oracle_type_is_item_info_and_the_class_is_unchanged() -> None:
    oracle = SelfDebias(mode=OracleType(type="profession"))
    assert oracle.item_info == ("bias type",)
    assert SelfDebias.item_info == SelfDebias(mode=AllTypes(types=("profession",))).item_info == ()
    assert rule_of(oracle).types == ("socioeconomic",)


def test_a_type_of_two_names_is_one_prefix() -> None:
    assert rule_of(SelfDebias(mode=AllTypes(types=("race", "race-color", "gender")))).rows == 3


def test_wordings_differ() -> None:
    age = AllTypes(types=("age",))
    assert len({rule_of(SelfDebias(mode=age, wording=w)).prefixes for w in range(5)}) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "oracle_type"}, "type"),
        ({"mode": {"name": "oracle_type", "types": ["age", "gender"]}}, "types"),
        ({"mode": {"name": "oracle_type", "type": "agee"}}, "'agee' has no prefix; .*age"),
        ({"mode": {"name": "all_types", "types": ["agee"]}}, "'agee' has no prefix; .*age"),
        ({"wording": 5}, "wording must be 0 to 4, got 5"),
        ({"epsilon": 0}, "epsilon"),
        ({"decay": 0}, "decay"),
    ],
)
def test_bad_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build(Mitigation, "self_debias", options)  # type: ignore[arg-type]


def test_options_round_trip() -> None:
    method = SelfDebias(mode=OracleType(type="gender"), wording=2)
    again = build(Mitigation, name_of(method), options_of(method))
    assert again == method
    assert again.item_info == ("bias type",)
