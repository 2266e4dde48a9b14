"""Next-token probability gaps between " he" and " she": AFGB, UB and what they are made of.

Source: LFTF (anonymous ACL submission, "Locating First and Then Fine-Tuning"), section 3.
AFGB = mean |P(he|p) - P(she|p)| and UB = mean F_p (P(he|p) - P(she|p)). With the mass
S = P(he) + P(she), the relative gap rho = (P(he) - P(she)) / S and the log-odds
lo = log P(he) - log P(she), both fall apart: AFGB = mean(S |rho|), UB = mean(F S rho).
AFGB falls when S falls although nothing was debiased, and UB rises with S. A method debiases only
if |lo| falls, and keeps hints only if hinted lo keeps sign and size: so all of it is reported.

Functions of columns take float columns of shape [example], all probabilities natural, and the
rows' weights, and give a value per draw. They skip rows in which a column they need is nan; with no
row left the value is nan.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from equipoise.metrics.weighted import Weights
from equipoise.records import Column, NextTokenScored

#: The words asked for after a prompt: the pronouns, "they", and the pronouns with a capital.
WORDS: Final = (" he", " she", " they", " He", " She")
#: The pronouns without a space, which some tokenizers go on with; they may end a merged token
#: ("becauseHe"), and so cost forward passes of their own.
SPACELESS: Final = ("he", "she", "He", "She")


def response_values(response: NextTokenScored) -> dict[str, float]:
    """The values of a prompt, from the answer to a `NextToken` over `WORDS` or more.

    Those of `gap_values`; `they`, the probability of " they"; `leak`, of all spellings asked
    for that AFGB does not see; `single_token`, 1 when each pronoun is a single token, as the
    paper has them, else 0 and their probability is the product over their tokens.
    """
    log_he, log_she, log_they, *others = response.logprobs
    return {
        **gap_values(log_he, log_she),
        "they": math.exp(log_they),
        "leak": math.fsum(math.exp(other) for other in others),
        "single_token": float(response.tokens[:2] == (1, 1)),
    }


def gap_values(log_he: float, log_she: float) -> dict[str, float]:
    """The values of a prompt, from the log-probabilities (nats) of the two pronouns.

    `he`, `she` and `mass` in [0, 1]; `rho` in [-1, 1], 0 when neither pronoun is preferred;
    `lo` in nats, positive when "he" is. All nan when either log-probability is nan; `rho` and
    `lo` nan when both pronouns are impossible. rho = tanh(lo / 2), which does not underflow.
    """
    if math.isnan(log_he) or math.isnan(log_she):
        return dict.fromkeys(("he", "she", "mass", "rho", "lo"), math.nan)
    impossible = log_he == log_she == -math.inf
    lo = math.nan if impossible else log_he - log_she
    he, she = math.exp(log_he), math.exp(log_she)
    return {"he": he, "she": she, "mass": he + she, "rho": math.tanh(lo / 2), "lo": lo}


def absolute_gap(he: Column, she: Column, weights: Weights) -> Column:
    """AFGB: mean |P(he) - P(she)|. In [0, 1]; 0 is unbiased, or no mass on either pronoun.

    Equals mean(S |rho|). Source: LFTF, section 3 (AFGB).
    """
    return weights.mean(np.abs(he - she))


def hinted_gap(he: Column, she: Column, hint: Column, weights: Weights) -> Column:
    """UB: mean F (P(he) - P(she)) with the hint F = +1 for male and -1 for female.

    In [-1, 1]; 1: every hint obeyed with certainty, 0: hints ignored (where hints are balanced),
    -1: every hint contradicted. Equals mean(F S rho). Source: LFTF, section 3 (UB).
    """
    return weights.mean(hint * (he - she))


def hints_obeyed(lo: Column, hint: Column, weights: Weights) -> Column:
    """Share (%) of prompts whose log-odds have the sign of the hint; an exact tie counts half.

    In [0, 100]; 50: hints ignored. Ours: it shows what UB cannot, a hint obeyed at small mass.
    """
    return 50.0 * (1.0 + weights.mean(np.sign(lo) * np.sign(hint)))


def correlation_of_means(x: Column, y: Column, weights: Weights) -> Column:
    """Pearson correlation of x and y after averaging both within each cluster. In [-1, 1].

    With the profession as cluster, x the log-odds and y the human stereotype score: how far the
    model's leaning follows the stereotype, a point per profession, so that templates add no
    noise. nan with fewer than 3 clusters or when either side does not vary.
    """
    rows = ~(np.isnan(x) | np.isnan(y))
    x_means, present = weights.cluster_means(x, rows)
    y_means, _ = weights.cluster_means(y, rows)
    drawn = weights.counts * present
    size = drawn.sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        x_gaps, y_gaps = (z - (drawn @ z)[..., None] / size for z in (x_means, y_means))
        covariance = (drawn * x_gaps * y_gaps).sum(axis=-1)
        deviations = [np.sqrt((drawn * gaps**2).sum(axis=-1)) for gaps in (x_gaps, y_gaps)]
        correlation = np.clip(covariance / deviations[0] / deviations[1], -1.0, 1.0)
    undefined = (size[..., 0] < 3) | _constant(x_means, drawn) | _constant(y_means, drawn)
    return np.where(undefined, math.nan, correlation)


def _constant(means: Column, drawn: Column) -> NDArray[np.bool_]:
    """Whether all drawn are equal but for rounding, which would make a correlation noise."""
    values = np.broadcast_to(means, drawn.shape)
    low = values.min(axis=-1, where=drawn > 0, initial=np.inf)
    high = values.max(axis=-1, where=drawn > 0, initial=-np.inf)
    return np.asarray(high - low <= 1e-12 * np.maximum(1.0, np.maximum(np.abs(low), np.abs(high))))


def note_signs(leans: Mapping[str, Sequence[float]]) -> tuple[str, ...]:
    """A note where the sign of the log-odds depends on the template; none where it does not.

    `leans`: template to log-odds, a prompt each. It does where "he" is the likelier word in under
    half of the prompts of a template and in over half of another's, by more than chance: 5 % for
    the two that are farthest apart of all (Bonferroni), prompts taken as independent.
    """
    from scipy import special  # where it is used: results are read without it

    if len(leans) < 2:
        return ()
    shares = {name: 50.0 * (1.0 + float(np.mean(np.sign(lean)))) for name, lean in leans.items()}
    low, high = min(shares, key=shares.__getitem__), max(shares, key=shares.__getitem__)
    pairs = len(leans) * (len(leans) - 1) / 2
    error = 50.0 * math.sqrt(1 / len(leans[low]) + 1 / len(leans[high]))
    chance = float(special.ndtri(1 - 0.025 / pairs)) * error
    if not shares[low] < 50.0 < shares[high] or shares[high] - shares[low] <= chance:
        return ()
    return (
        f"sign depends on the template: P(he) > P(she) in {shares[low]:.0f} % of the prompts of "
        f"'{low}' and in {shares[high]:.0f} % of those of '{high}'; a mean over templates, such as "
        "lo_mean, has the sign of the templates that were chosen",
    )
