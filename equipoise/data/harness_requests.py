"""What tasks of lm-evaluation-harness ask, as our requests, and our answers as they want them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from equipoise.data.harness_tasks import Answer
from equipoise.data.stop_strings import cut_at_stops
from equipoise.errors import ModelError, RecipeError
from equipoise.records import Continuation, Generation, Scored

Asking: TypeAlias = Continuation | Generation

_TOKENS: Final = 256  # written where a task does not say how many, as in the harness
_LENGTHS: Final = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
#: Settings of generation that mean nothing here, or nothing where the likeliest token is taken.
_IDLE: Final = {"use_cache": True, "num_beams": 1, "repetition_penalty": 1.0}
_SAMPLING: Final = ("top_k", "top_p", "min_p", "typical_p")


def build_generation(context: str, given: Mapping[str, Any], *, repeats: int) -> Generation:
    """A task's settings of generation as a request; stop strings are cut off afterwards.

    Raises `RecipeError` for a setting that we have not.
    """
    settings = {key: value for key, value in given.items() if key != "until"}
    lengths = [settings.pop(key, None) for key in _LENGTHS]
    length = next((length for length in lengths if length is not None), _TOKENS)
    wanted = settings.pop("do_sample", None)
    temperature = float(settings.pop("temperature", 1.0 if wanted else 0.0))
    sampled = temperature > 0 and wanted is not False
    top_p = float(settings.pop("top_p", 1.0)) if sampled else 1.0
    ignored = () if sampled else _SAMPLING
    foreign = {
        key: value
        for key, value in settings.items()
        if key not in ignored and _IDLE.get(key) != value
    }
    if sampled and repeats > 1:
        foreign["repeats"] = repeats
    if foreign:
        raise RecipeError(
            f"harness: the task's settings of generation must be ours as well, got {foreign}; "
            "run it with lm-eval itself, or take them out of the task"
        )
    return Generation(
        context=context,
        max_tokens=int(length),
        temperature=temperature if sampled else 0.0,
        top_p=top_p,
    )


def harness_answer(
    question: Any, requests: Sequence[Asking], responses: Sequence[Scored | str]
) -> Answer:
    """The responses to a question's requests, as the harness hands them to the task."""
    if question.request_type == "generate_until":
        return cut_at_stops(str(responses[0]), question.args[1].get("until"))
    scored = [response for response in responses if isinstance(response, Scored)]
    if question.request_type == "loglikelihood_rolling":
        # A lone first token is not scored where there is no start token: its log p is nan.
        return math.fsum(response.logprob for response in scored if response.tokens)
    (request,), (response,) = requests, scored
    if isinstance(request, Continuation) and request.greedy and response.greedy is None:
        raise ModelError(
            f"a scorer must say whether a text is the greedy text where it is asked, got "
            f"{response.greedy}; mend the scorer"
        )
    return response.logprob, bool(response.greedy)
