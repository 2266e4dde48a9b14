"""Self-Debias: the model itself says which words a biased text would have, and avoids them.

Schick, Udupa & Schütze 2021, TACL, https://arxiv.org/abs/2103.00453; used against types of bias by
Meade, Poole-Dayan & Reddy 2022, ACL, https://aclanthology.org/2022.acl-long.132.
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from equipoise.decoding.bias_wordings import bias_prefixes, bias_type
from equipoise.decoding.self_debias_rule import SelfDebiasing
from equipoise.edits.decoding import NextTokenEdit
from equipoise.edits.maker import info_of
from equipoise.errors import DataError
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation, maker_of
from equipoise.records import JSON, OPTIONS, Supply, refuse_idle


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class SelfDebias(Mitigation):
    """Divide down the words that a sentence announcing a bias makes likelier.

    `all_types` guards against all types at once and is told nothing. `oracle_type` guards against
    the one type in `types` and is meant for items that test it: the method then knows what is
    tested (`told`), as in Meade et al. 2022.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Schick, Udupa & Schütze 2021, Self-Debias, TACL"
    learns: ClassVar[bool] = False
    told: ClassVar[tuple[str, ...]] = ()  # of an object in mode oracle_type: ("bias type",)

    mode: Literal["all_types", "oracle_type"] = "all_types"
    types: tuple[str, ...] = ()  # to guard against; none: all (all_types only)
    decay: Annotated[float, Field(ge=0)] = 50.0  # lambda, for each unit of probability
    epsilon: Annotated[float, Field(gt=0, le=1)] = 0.01  # least factor
    wording: Annotated[int, Field(ge=0)] = 0  # which of the paraphrases of each prefix

    @model_validator(mode="after")
    def _known(self) -> Self:
        try:
            chosen = self._types()
        except DataError as error:
            raise ValueError(str(error)) from None
        if self.mode == "oracle_type":
            if len(self.types) != 1:
                raise ValueError(f"oracle_type needs exactly one type, got {list(self.types)}")
            object.__setattr__(self, "told", ("bias type",))  # of this object alone
        if self.decay == 0:
            refuse_idle(self, "epsilon", where="decay 0")
        most = min(len(bias_prefixes()[one]) for one in chosen)
        if self.wording >= most:
            raise ValueError(f"wording must be 0 to {most - 1}, got {self.wording}")
        return self

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> NextTokenEdit:
        """The prefixes as an edit; nothing is learnt, so the supply may be empty."""
        chosen = self._types()
        decoding_rule = SelfDebiasing(
            prefixes=tuple(bias_prefixes()[one][self.wording] for one in chosen),
            types=chosen,
            decay=self.decay,
            epsilon=self.epsilon,
        )
        report: dict[str, JSON] = {
            "cost_factor": decoding_rule.rows,
            **({"told": list(self.told)} if self.told else {}),
            **decoding_rule.record,
        }
        info = info_of(model, maker_of(self, seed=seed), supply=supply, report=report)
        return NextTokenEdit(info=info, decoding_rule=decoding_rule)

    def _types(self) -> tuple[str, ...]:
        """Types by the names of their prefixes, each once."""
        return tuple(dict.fromkeys(bias_type(one) for one in self.types or bias_prefixes()))
