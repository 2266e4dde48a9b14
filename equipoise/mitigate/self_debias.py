"""Self-Debias: the model itself says which words a biased text would have, and avoids them.

Schick, Udupa & Schütze 2021, TACL, https://arxiv.org/abs/2103.00453; used against types of bias by
Meade, Poole-Dayan & Reddy 2022, ACL, https://aclanthology.org/2022.acl-long.132.
"""

from dataclasses import field
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from equipoise.decoding.self_debias_rule import SelfDebiasing, bias_prefixes, bias_type
from equipoise.edits.decoding import NextTokenEdit
from equipoise.edits.edit import info_of
from equipoise.errors import DataError
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation
from equipoise.records import JSON, OPTIONS, ModelKind, Supply


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class AllTypes:
    """Guard against several types of bias at once, whatever an item tests."""

    name: Literal["all_types"] = "all_types"
    #: which prefixes; empty: all nine. profession is "socioeconomic", race "race-color"
    types: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class OracleType:
    """Guard against the type that the items test, which the method then knows."""

    name: Literal["oracle_type"] = "oracle_type"
    type: str  # the bias that the measured items test


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class SelfDebias(Mitigation):
    """Divide down the words that a sentence announcing a bias makes likelier.

    In mode `oracle_type` the method knows what is tested (`item_info`), as in Meade et al. 2022.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Schick, Udupa & Schütze 2021, Self-Debias, TACL"
    kinds: ClassVar[tuple[ModelKind, ...]] = ("causal",)
    learns: ClassVar[bool] = False
    item_info: ClassVar[tuple[str, ...]] = ()  # in mode oracle_type: ("bias type",)

    #: which biases to guard against; "oracle_type": the bias that the items test
    mode: AllTypes | OracleType = field(default_factory=AllTypes)
    #: lambda, per unit of probability; the paper also reports 10 and 100
    decay: Annotated[float, Field(gt=0)] = 50.0
    #: least factor, above 0, so that no word gets probability 0
    epsilon: Annotated[float, Field(gt=0, le=1)] = 0.01
    #: which of five paraphrases of each prefix (`decoding/bias_prefixes.json`)
    wording: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _check_types(self) -> Self:
        try:
            types = self._types()
        except DataError as error:
            raise ValueError(str(error)) from None
        if isinstance(self.mode, OracleType):
            object.__setattr__(self, "item_info", ("bias type",))  # of this object alone
        wordings = min(len(bias_prefixes()[name]) for name in types)
        if self.wording >= wordings:
            raise ValueError(f"wording must be 0 to {wordings - 1}, got {self.wording}")
        return self

    @property
    def uses_seed(self) -> bool:
        """False: the rule is as its options say."""
        return False

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> NextTokenEdit:
        """The prefixes as an edit; nothing is learnt, so the supply may be empty."""
        types = self._types()
        rule = SelfDebiasing(
            prefixes=tuple(bias_prefixes()[name][self.wording] for name in types),
            types=types,
            decay=self.decay,
            epsilon=self.epsilon,
        )
        report: dict[str, JSON] = {"cost_factor": rule.rows, **rule.record}
        if self.item_info:
            report["item_info"] = list(self.item_info)
        info = info_of(model, self, seed=seed, supply=supply, report=report)
        return NextTokenEdit(info=info, decoding_rule=rule)

    def _types(self) -> tuple[str, ...]:
        """Types by the names of their prefixes, each once."""
        if isinstance(self.mode, OracleType):
            return (bias_type(self.mode.type),)
        return tuple(dict.fromkeys(map(bias_type, self.mode.types or bias_prefixes())))
