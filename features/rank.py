"""How much a piece of evidence counts beside the others of its entity.

``rank = log2(support) + event time / half-life + log2(typicality)``: twice the sessions weigh as much as being one
half-life younger. Decay is written as a bonus for youth, so that a rank never depends on when it is computed: the
order of two intents is settled once and for all, which is what makes merging independent of order and time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

MIN_TYPICALITY = 0.5
"""Below this, typicality is noise of the critic: at most one doubling of support may hang on it. What nobody has
judged ranks here too: the doubling is for what is known to be typical."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankRule:
    """``half_life_s``: seconds after which the same support counts half."""

    half_life_s: float

    def rank(self, *, support: int, event_time: datetime, typicality: float | None) -> float:
        """In doublings of support; only differences mean anything. Never falls as a pair's evidence grows."""
        youth = event_time.timestamp() / self.half_life_s
        return math.log2(max(support, 1)) + youth + math.log2(_clip(typicality))


def _clip(typicality: float | None) -> float:
    if typicality is None:
        return MIN_TYPICALITY
    return min(max(MIN_TYPICALITY, typicality), 1.0)  # in this order a NaN becomes the minimum
