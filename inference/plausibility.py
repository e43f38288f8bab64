"""The first plausibility: how sure the model was of its own words. A critic will replace it.

The mean log-probability of a tail's tokens comes free with the answer. It is turned into 0..1 by a logistic curve whose
middle is the threshold below which tails were no longer worth keeping (docs/adr/0006), so that "kept" is the paper's
"plausibility above 0.5" (section 3.3). It is the model's fluency, not a judgement: treat it as an order, not a rate.
"""

from __future__ import annotations

import math

MIDDLE_LOGPROB = -2.0
"""Where plausibility is 0.5."""
SPREAD_LOGPROB = 0.5
"""Of the curve: one step from the middle gives 0.73, two give 0.88."""
THRESHOLD = 0.5


def plausibility(mean_logprob: float | None) -> float:
    """In 0..1; 0 where the answer had no tokens."""
    if mean_logprob is None:
        return 0.0
    return 1.0 / (1.0 + math.exp(min(700.0, (MIDDLE_LOGPROB - mean_logprob) / SPREAD_LOGPROB)))
